//! The verdict on a head commit, over all of its databases.

use super::comment::{milliseconds, time_of_own};
use super::markdown::visible;
use super::{Annotation, CheckStatus, Conclusion, Notice, Subject, Verdict};
use crate::domain::branch::Branch;
use crate::domain::failure::{Failure, excerpt};
use crate::domain::state::BranchState;

/// GitHub's limit for a commit status' description.
const TITLE_LIMIT: usize = 139;

/// What is said of the pull request's head commit.
pub fn verdict(subject: &Subject<'_>) -> Verdict {
    let (status, title) = match (subject.notice, subject.branches) {
        (Some(notice), _) if subject.pull.open => of_notice(notice),
        (_, []) if !subject.pull.open => completed(Conclusion::Neutral, "The pull request is closed"),
        (_, []) => (CheckStatus::Queued, "Waiting for its turn".to_owned()),
        // They went before there was a verdict: it expired, or somebody removed it.
        (_, branches) if subject.pull.open && subject.is_without_database() => {
            (CheckStatus::Completed(Conclusion::Cancelled), of_branches(branches).1)
        }
        (_, branches) => of_branches(branches),
    };
    let summary = super::comment(subject).unwrap_or_else(|| title.clone());
    Verdict {
        sha: subject.pull.head_sha.clone(),
        status,
        title: excerpt(&one_line(&title), TITLE_LIMIT),
        summary,
        details_url: subject.dashboard_url(),
        annotations: annotations(subject),
    }
}

fn one_line(title: &str) -> String {
    title.chars().map(|c| if c.is_control() { ' ' } else { visible(c) }).collect()
}

fn completed(conclusion: Conclusion, title: &str) -> (CheckStatus, String) {
    (CheckStatus::Completed(conclusion), title.to_owned())
}

fn of_notice(notice: &Notice) -> (CheckStatus, String) {
    match notice {
        Notice::NoChain => completed(Conclusion::Neutral, "No Prisma migrations in this repository"),
        Notice::Configuration { failure } => completed(Conclusion::Failure, &failure.message),
        Notice::Errored { message } => {
            completed(Conclusion::Cancelled, &format!("Retrying; not the author's fault: {message}"))
        }
    }
}

/// The worst of all databases decides, and is named where there are several.
fn of_branches(branches: &[Branch]) -> (CheckStatus, String) {
    let worst = branches.iter().max_by_key(|branch| gravity(branch.state)).expect("there is a branch");
    let label = if branches.len() > 1 { format!("{}: ", worst.database) } else { String::new() };
    let (status, title) = of_branch(worst);
    (status, format!("{label}{title}"))
}

fn gravity(state: BranchState) -> u8 {
    match state {
        BranchState::Deleted | BranchState::Deleting => 0,
        BranchState::Ready => 1,
        BranchState::Blocked => 2,
        BranchState::Errored => 3,
        BranchState::Pending => 4,
        BranchState::Preparing => 5,
        BranchState::Failed => 6,
    }
}

fn of_branch(branch: &Branch) -> (CheckStatus, String) {
    let reason = branch.reason.as_deref();
    match branch.state {
        BranchState::Pending => (CheckStatus::Queued, "Waiting for its turn".to_owned()),
        BranchState::Preparing => (CheckStatus::InProgress, "Preparing the database".to_owned()),
        BranchState::Ready => completed(Conclusion::Success, &ready(branch)),
        BranchState::Failed => {
            let title = branch.failure.as_ref().map_or_else(|| "A migration failed".to_owned(), failed);
            completed(Conclusion::Failure, &title)
        }
        BranchState::Errored => completed(
            Conclusion::Cancelled,
            &format!("Retrying; not the author's fault: {}", reason.unwrap_or("internal error")),
        ),
        BranchState::Blocked => match branch.place() {
            Some(place) => completed(
                Conclusion::Cancelled,
                &format!("Waiting for room on the branch server's disk, place {place} in the queue"),
            ),
            None => completed(Conclusion::ActionRequired, reason.unwrap_or("Waiting")),
        },
        BranchState::Deleting | BranchState::Deleted => completed(
            Conclusion::Neutral,
            reason.unwrap_or("The pull request is closed; its database is gone"),
        ),
    }
}

fn ready(branch: &Branch) -> String {
    let own = branch.applied.iter().filter(|migration| migration.duration_ms.is_some()).count();
    let ran = match own {
        0 => "Database ready; no migration of its own".to_owned(),
        1 => format!("1 migration applied in {}", milliseconds(time_of_own(&branch.applied))),
        n => format!("{n} migrations applied in {}", milliseconds(time_of_own(&branch.applied))),
    };
    match branch.findings.len() {
        0 => ran,
        1 => format!("{ran} · 1 finding"),
        n => format!("{ran} · {n} findings"),
    }
}

fn failed(failure: &Failure) -> String {
    let line = failure.line.map(|line| format!(" line {line}")).unwrap_or_default();
    format!("{}{line}: {}", failure.migration, failure.message)
}

fn annotations(subject: &Subject<'_>) -> Vec<Annotation> {
    let of_branches = subject.branches.iter().filter(|branch| branch.state == BranchState::Failed);
    let of_notice = match subject.notice {
        Some(Notice::Configuration { failure }) => Some(failure.as_ref()),
        _ => None,
    };
    of_branches
        .filter_map(|branch| branch.failure.as_ref())
        .chain(of_notice)
        .filter_map(|failure| {
            let message = match &failure.hint {
                Some(hint) => format!("{}\n{hint}", failure.message),
                None => failure.message.clone(),
            };
            let title = match &failure.sqlstate {
                Some(state) => format!("{} failed (SQLSTATE {state})", failure.migration),
                None => format!("{} failed", failure.migration),
            };
            Some(Annotation {
                path: failure.file.clone(),
                line: failure.line?,
                title: excerpt(&title, 250),
                message: excerpt(&message, 4_000),
            })
        })
        .collect()
}
