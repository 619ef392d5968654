//! What a clone of a layer holds, made its new owner's.

use super::ident::{Ident, Literal};
use super::roles::READERS;

/// SQL for an administrator's session in the clone, with `search_path` fixed: afterwards nothing there speaks of the layer's owner.
///
/// Owners, access lists, default privileges and policies are rewritten where they are kept, so that the layer's owner can be dropped one day.
pub(super) fn sql(from: &Ident, to: &Ident) -> String {
    let body = include_str!("takeover.sql");
    let body = body.replace("$FROM", &Literal(from.as_str()).to_string());
    let body = body.replace("$TO", &Literal(to.as_str()).to_string());
    body.replace("$READERS", &Literal(READERS).to_string())
}
