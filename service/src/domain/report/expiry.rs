//! What is said before a branch goes although its pull request is open.

use chrono::{DateTime, TimeDelta, Utc};

use super::comment::label_option;
use super::markdown::code;
use crate::domain::branch::Branch;
use crate::domain::expiry::Because;
use crate::domain::ids::RepositoryName;

/// That a branch will go, when, and what keeps it; nothing while that is far away. With a date and without what is left until then: it is
/// said once and stays as it is.
pub fn notice_of_end(
    branch: &Branch,
    repository: &RepositoryName,
    idle_ttl: Option<TimeDelta>,
    now: DateTime<Utc>,
) -> Option<String> {
    if branch.state.is_gone() {
        return None;
    }
    let end = branch.lifetime().told_end(idle_ttl, now)?;
    let (why, keeps) = match end.because {
        Because::Age => ("Nobody has pushed for a while", "A push keeps it"),
        Because::Idle => ("Nobody has used this database for a while", "A session or a push keeps it"),
    };
    let which = format!("--repo {repository} --pr {}{}", branch.pull.number, label_option(branch));
    Some(format!(
        "⌛ {why}: it will be removed on {}. {keeps}, and so does {}, or for good {}.\n\n",
        end.at.format("%-d %B %Y at %H:%M UTC"),
        code(&format!("offshoot branch extend {which} --by 7d")),
        code(&format!("offshoot branch protect {which}"))
    ))
}
