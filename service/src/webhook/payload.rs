//! What a delivery means: which work it asks for, and later, to the job that takes it up, what it told.

mod objects;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use objects::{
    AnyPayload, CheckPayload, CommentPayload, InstallationPayload, PullPayload, PushPayload,
    RepositoryPayload,
};

use crate::domain::github_json;
use crate::domain::ids::{Oid, PullId};
use crate::domain::job::Job;
use crate::domain::pull::{PullAction, PullRequest, Word};
use crate::domain::report::{CHECK_NAME, COMMENT_MARKER};
use crate::domain::repository::RepositoryFacts;

/// A delivery whose body is not what its event's must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not that of GitHub's event {event:?}: {why}")]
pub struct Malformed {
    event: String,
    why: String,
}

/// What is known of a delivery before it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub event: String,
    pub action: Option<String>,
    /// The pull request whose job takes the delivery itself up later; none where the job alone says all there is to do.
    pub subject: Option<String>,
    pub repository: Option<RepositoryFacts>,
    pub job: Option<Job>,
    /// What becomes of it on arrival, for people; none where a job takes it up later.
    pub outcome: Option<String>,
}

/// What a delivery told of a pull request, to the job that takes it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Pull {
        action: PullAction,
        pull: Box<PullRequest>,
        facts: RepositoryFacts,
    },
    /// Somebody asked for the verdict on a commit anew; all of them where a whole suite was asked for.
    Rerequested {
        sha: Oid,
    },
    /// Somebody else than its author edited or deleted the report's comment: what was last said there is not there any more.
    ReportTouched {
        comment: i64,
    },
    /// Somebody asked by a comment to let the head commit of a fork run.
    Approval {
        word: Word,
        facts: RepositoryFacts,
    },
    Nothing,
}

/// Reads what a delivery asks for. Events that ask for nothing are not looked into.
pub fn read(event: &str, body: &[u8]) -> Result<Received, Malformed> {
    let text = object(event, body)?;
    let (action, repository, asked) = match event {
        // Nearly all, and of 25 kB each: these are gone through once.
        "pull_request" => {
            let payload: PullPayload = parse(event, text)?;
            let action = Some(payload.action.clone());
            let (_, pull, facts) = told_by_pull(event, payload)?;
            (action, Some(facts), Asked::Job(Job::ReconcilePull(pull.id)))
        }
        _ => {
            let payload: AnyPayload<'_> = parse(event, text)?;
            let (action, repository) = (payload.action(), payload.repository());
            let asked = asked(event, action.as_deref(), text)?;
            (action, repository, asked)
        }
    };
    let action = action.filter(|action| is_plain(action));
    let (subject, outcome) = match &asked {
        Asked::Job(job @ Job::ReconcilePull(_)) => (Some(job.subject()), None),
        Asked::Job(job) => (None, Some(format!("asked for {job}"))),
        Asked::Nothing(why) => (None, Some(format!("ignored: {why}"))),
    };
    let job = match asked {
        Asked::Job(job) => Some(job),
        Asked::Nothing(_) => None,
    };
    Ok(Received { event: event.to_owned(), action, subject, repository, job, outcome })
}

/// Reads what a stored delivery told of a pull request.
pub fn told(event: &str, body: &[u8]) -> Result<Told, Malformed> {
    let text = object(event, body)?;
    Ok(match event {
        "pull_request" => {
            let (action, pull, facts) = told_by_pull(event, parse(event, text)?)?;
            Told::Pull { action, pull: Box::new(pull), facts }
        }
        "check_run" | "check_suite" => {
            Told::Rerequested { sha: parse::<CheckPayload>(event, text)?.sha(event)? }
        }
        "issue_comment" => told_by_comment(event, &parse(event, text)?)?,
        _ => Told::Nothing,
    })
}

fn told_by_comment(event: &str, payload: &CommentPayload) -> Result<Told, Malformed> {
    let Some(word) = payload.word() else {
        return Ok(Told::ReportTouched { comment: payload.comment.id });
    };
    let installation = payload.installation.as_ref().map(|installation| installation.id);
    let facts = github_json::repository(&payload.repository, installation);
    Ok(Told::Approval { word, facts: facts.map_err(|error| malformed(event, error))? })
}

enum Asked {
    Job(Job),
    Nothing(&'static str),
}

fn asked(event: &str, action: Option<&str>, text: &str) -> Result<Asked, Malformed> {
    Ok(match event {
        "push" => asked_by_push(event, text)?,
        "issue_comment" => {
            let payload = parse(event, text)?;
            told_by_comment(event, &payload)?;
            asked_by_comment(action, &payload)
        }
        "check_run" | "check_suite" if action == Some("rerequested") => asked_by_check(event, text)?,
        "repository" => {
            let payload: RepositoryPayload = parse(event, text)?;
            Asked::Job(Job::SyncRepository(payload.repository.id))
        }
        "installation" | "installation_repositories" => {
            let payload: InstallationPayload = parse(event, text)?;
            Asked::Job(Job::SyncInstallation(payload.installation.id))
        }
        "ping" => Asked::Nothing("a ping"),
        _ => Asked::Nothing("no work follows from this event"),
    })
}

fn asked_by_push(event: &str, text: &str) -> Result<Asked, Malformed> {
    let push: PushPayload = parse(event, text)?;
    if !push.git_ref.starts_with("refs/heads/") {
        return Ok(Asked::Nothing("a push to no branch"));
    }
    if push.deleted {
        return Ok(Asked::Nothing("a branch was deleted"));
    }
    // Only the default branch's layer is worth building before anybody asks: other branches are mostly pull requests' heads.
    if push.repository.default_branch.as_deref() != push.git_ref.strip_prefix("refs/heads/") {
        return Ok(Asked::Nothing("a push to another branch than the default one"));
    }
    let tip = push.after.parse().map_err(|error| malformed(event, error))?;
    Ok(Asked::Job(Job::FollowBase { repository: push.repository.id, tip }))
}

/// The report's own comment is known by its marker. Offshoot edits it itself, which tells nothing new.
fn asked_by_comment(action: Option<&str>, payload: &CommentPayload) -> Asked {
    if payload.issue.pull_request.is_none() {
        return Asked::Nothing("a comment on an issue");
    }
    let pull = PullId { repository: payload.repository.id, number: payload.issue.number };
    if payload.word().is_some() {
        return Asked::Job(Job::ReconcilePull(pull));
    }
    // A deleted comment is sent as it was, an edited one as it is now; what it was stands among the changes.
    let before = payload.changes.as_ref().and_then(|changes| changes.body.as_ref()).map(|body| &body.from);
    let is_report = [payload.comment.body.as_ref(), before]
        .into_iter()
        .flatten()
        .any(|text| text.contains(COMMENT_MARKER));
    if !is_report {
        return Asked::Nothing("a comment that is neither the report nor a command");
    }
    let by_its_author =
        payload.comment.user.as_ref().is_some_and(|author| author.login == payload.sender.login);
    match action {
        Some("deleted") => {}
        Some("edited") if !by_its_author => {}
        _ => return Asked::Nothing("Offshoot's own report"),
    }
    Asked::Job(Job::ReconcilePull(pull))
}

/// GitHub names no pull request where the head is in a fork; the check run's own note does, and all of the repository's pull
/// requests are looked at where neither does.
fn asked_by_check(event: &str, text: &str) -> Result<Asked, Malformed> {
    let payload: CheckPayload = parse(event, text)?;
    payload.sha(event)?;
    if payload.check_run.as_ref().is_some_and(|run| run.name != CHECK_NAME) {
        return Ok(Asked::Nothing("another check's run"));
    }
    let repository = payload.repository.id;
    let noted = payload.check_run.as_ref().and_then(|run| run.external_id.as_deref()?.parse().ok());
    let noted = noted.filter(|pull: &PullId| pull.repository == repository);
    let listed = payload.pull_numbers().next().map(|number| PullId { repository, number });
    Ok(Asked::Job(noted.or(listed).map_or(Job::SyncRepository(repository), Job::ReconcilePull)))
}

fn told_by_pull(
    event: &str,
    payload: PullPayload,
) -> Result<(PullAction, PullRequest, RepositoryFacts), Malformed> {
    let installation = payload.installation.map(|installation| installation.id);
    let facts = github_json::repository(&payload.repository, installation);
    let facts = facts.map_err(|error| malformed(event, error))?;
    let pull = github_json::pull_request(facts.github_id, &payload.pull_request);
    let pull = pull.map_err(|error| malformed(event, error))?;
    if [&pull.title, &pull.author, &pull.head_ref, &pull.base_ref].iter().any(|text| text.contains('\0')) {
        return Err(malformed(event, "a text holds a NUL character, which PostgreSQL cannot store"));
    }
    let action = match payload.action.as_str() {
        "labeled" => match (payload.label, payload.sender) {
            (Some(label), Some(sender)) => PullAction::Labeled { label: label.name, by: sender.login },
            _ => PullAction::Described,
        },
        "opened" => PullAction::Opened,
        "reopened" => PullAction::Reopened,
        "synchronize" => {
            PullAction::Synchronize { before: payload.before.and_then(|before| before.parse().ok()) }
        }
        "closed" => PullAction::Closed,
        _ => PullAction::Described,
    };
    Ok((action, pull, facts))
}

/// The text of a body that begins as an object does.
fn object<'b>(event: &str, body: &'b [u8]) -> Result<&'b str, Malformed> {
    let text = std::str::from_utf8(body).map_err(|error| malformed(event, error))?;
    if text.trim_ascii_start().starts_with('{') {
        Ok(text)
    } else {
        Err(malformed(event, "it is no JSON object"))
    }
}

/// Reads only what is asked for of a body, which may be 25 MB: the rest is passed over without being taken apart.
fn parse<'b, T: Deserialize<'b>>(event: &str, text: &'b str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|error| malformed(event, error))
}

fn malformed(event: &str, why: impl std::fmt::Display) -> Malformed {
    Malformed { event: event.to_owned(), why: why.to_string() }
}

/// Whether an action can be kept: most are words, but that of `repository_dispatch` is anybody's, up to 100 characters.
fn is_plain(action: &str) -> bool {
    action.chars().count() <= 100 && !action.chars().any(char::is_control)
}

/// Whether a text is as GitHub's events are: short, in small letters.
pub(super) fn is_word(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
