//! The verdict on a head commit, over all of its databases.

use super::comment::{milliseconds, time_of_own};
use super::markdown::visible;
use super::{Annotation, CheckStatus, Conclusion, Notice, Subject, Verdict};
use crate::domain::branch::Branch;
use crate::domain::failure::{Failure, excerpt};
use crate::domain::pull::Wanted;
use crate::domain::state::BranchState;

/// GitHub's limit for a commit status' description.
const TITLE_LIMIT: usize = 139;

/// What is said of the pull request's head commit.
pub fn verdict(subject: &Subject<'_>) -> Verdict {
    let (status, title) = match subject.notice {
        Some(notice) if subject.pull.open => of_notice(notice),
        _ => of_branches(subject),
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

/// Whether nothing new is to be said of a commit whose check has ended: the pull request is closed, or the database that would decide is gone.
pub fn is_final(subject: &Subject<'_>) -> bool {
    !subject.pull.open
        || (subject.notice.is_none() && deciding(subject).is_some_and(|branch| branch.state.is_gone()))
}

/// The worst of all databases decides, and is named where there are several.
fn of_branches(subject: &Subject<'_>) -> (CheckStatus, String) {
    let Some(worst) = deciding(subject) else { return unjudged(subject) };
    let label = if subject.branches.len() > 1 { format!("{}: ", worst.database) } else { String::new() };
    let (status, title) = if judges_head(subject, worst) { of_branch(worst) } else { unjudged(subject) };
    (status, format!("{label}{title}"))
}

/// Of an open pull request, a database that is gone counts only where somebody, or its time, ended it at this very commit: a new one comes in place of
/// any other, or its configuration is gone as well. While those that were ended are asked for and not there yet, none decides.
fn deciding<'s>(subject: &Subject<'s>) -> Option<&'s Branch> {
    let open = subject.pull.open;
    if open && subject.wanted == Wanted::Anew {
        return None;
    }
    let counts = |branch: &&Branch| {
        !branch.state.is_gone() || !open || (subject.wanted == Wanted::No && judges_head(subject, branch))
    };
    subject.branches.iter().filter(counts).max_by_key(|branch| match judges_head(subject, branch) {
        true => gravity(branch),
        false => PENDING,
    })
}

/// Whether a branch is at the head commit: before it was looked at, a push leaves it at an earlier one.
fn judges_head(subject: &Subject<'_>, branch: &Branch) -> bool {
    branch.head_sha == subject.pull.head_sha
}

fn waiting() -> (CheckStatus, String) {
    (CheckStatus::Queued, "Waiting for its turn".to_owned())
}

fn unjudged(subject: &Subject<'_>) -> (CheckStatus, String) {
    match subject.pull.open {
        true => waiting(),
        false => completed(Conclusion::Cancelled, "The pull request is closed"),
    }
}

const PENDING: u8 = 5;

/// One that is gone and was not ready weighs more than one that is: nobody may take the others' verdict for its own.
fn gravity(branch: &Branch) -> u8 {
    match branch.state {
        BranchState::Deleted | BranchState::Deleting
            if branch.ready_sha.as_ref() == Some(&branch.head_sha) =>
        {
            0
        }
        BranchState::Ready => 1,
        BranchState::Deleted | BranchState::Deleting => 2,
        BranchState::Blocked => 3,
        BranchState::Errored => 4,
        BranchState::Pending => PENDING,
        BranchState::Preparing => 6,
        BranchState::Failed => 7,
    }
}

fn of_branch(branch: &Branch) -> (CheckStatus, String) {
    let reason = branch.reason.as_deref();
    match branch.state {
        BranchState::Pending => waiting(),
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
        // Before there was a verdict, and what never was judged lets nothing be merged: another pull request may have the same head.
        BranchState::Deleting | BranchState::Deleted => completed(
            Conclusion::Cancelled,
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
    let has_failed = |branch: &&Branch| branch.state == BranchState::Failed && judges_head(subject, branch);
    let of_branches = subject.branches.iter().filter(has_failed);
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
