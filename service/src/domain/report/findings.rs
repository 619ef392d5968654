//! Each finding as a sentence: what it is, and what it means for production.

use super::markdown::{code, plain};
use crate::domain::findings::Finding;

/// A finding's sentence, as Markdown.
pub(super) fn sentence(finding: &Finding) -> String {
    match finding {
        Finding::EditedApplied { migration } => format!(
            "{} is edited here, but the base already has it: **production will not run the edit**, and `prisma migrate deploy` says nothing. Put the change into a new migration.",
            code(migration)
        ),
        Finding::RemovedApplied { migration } => format!(
            "{} is removed here, but the base already has it: **production keeps what it did**. To undo it, add a migration that reverses it.",
            code(migration)
        ),
        Finding::RenamedApplied { from, to } => format!(
            "{} is renamed to {}, but the base already has it: **production will run it a second time** under the new name. Restore the old name.",
            code(from),
            code(to)
        ),
        Finding::OutOfOrder { migration, before } => format!(
            "{} sorts before {}, which the base already has: production applies it after, a fresh database before. Rename it with a later timestamp if the order matters.",
            code(migration),
            code(before)
        ),
        Finding::BehindBase { commits, migrations } => {
            let lacking = match migrations {
                0 if *commits == 1 => "which brings no migration".to_owned(),
                0 => "which bring no migration".to_owned(),
                1 => "with 1 migration that is not in this database".to_owned(),
                n => format!("with {n} migrations that are not in this database"),
            };
            let commits = if *commits == 1 { "1 commit".to_owned() } else { format!("{commits} commits") };
            format!(
                "This pull request is {commits} behind its base, {lacking}. The database is what this code expects; update the pull request to test the merged result."
            )
        }
        Finding::UndeclaredChain { directory } => format!(
            "A chain of migrations in {} is not declared in `.offshoot.toml`, so it has no database here.",
            code(directory)
        ),
        Finding::Rebuilt { reasons } => format!(
            "The database was rebuilt, and data written to it before is gone: {}.",
            reasons_of(reasons)
        ),
    }
}

/// As many as one can read; a chain that was squashed has hundreds.
fn reasons_of(reasons: &[String]) -> String {
    const LISTED: usize = 5;
    let mut listed: Vec<String> = reasons.iter().take(LISTED).map(|reason| plain(reason)).collect();
    if reasons.len() > LISTED {
        listed.push(format!("and {} more", reasons.len() - LISTED));
    }
    listed.join("; ")
}
