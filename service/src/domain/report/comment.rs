//! The sticky comment: one for a pull request, edited in place.

use std::fmt::Write as _;

use super::expiry::notice_of_end;
use super::findings::sentence;
use super::markdown::{cell, code, fenced, prose};
use super::{COMMENT_MARKER, Notice, Subject, TEXT_LIMIT};
use crate::domain::branch::{AppliedMigration, Branch};
use crate::domain::failure::{Failure, FailureKind, STATEMENT_LIMIT, excerpt};
use crate::domain::ids::DatabaseLabel;
use crate::domain::state::BranchState;

/// How many of a pull request's migrations and findings are listed one by one.
const LISTED: usize = 25;

/// How much of a message is shown, in characters.
const EXCERPT: usize = 1_000;

/// The comment's text, or none where there is nothing worth a comment.
pub fn comment(subject: &Subject<'_>) -> Option<String> {
    let mut text = format!("{COMMENT_MARKER}\n");
    if let Some(notice) = subject.notice {
        // Nothing to say, unless branches are there to speak of.
        match self::notice(notice, subject) {
            Some(said) => text.push_str(&said),
            None if subject.branches.is_empty() => return None,
            None => {}
        }
    } else if subject.branches.is_empty() {
        return None;
    }
    for branch in subject.branches {
        text.push_str(&description(branch, subject.branches.len() > 1));
        if !branch.state.is_gone() {
            text.push_str(&connect(branch, subject));
            let end = notice_of_end(branch, subject.repository, subject.idle_ttl, subject.now);
            text.push_str(&end.unwrap_or_default());
        }
    }
    if let Some(by) = subject.approved_by {
        let sha = code(subject.pull.head_sha.short());
        let _ = writeln!(text, "This pull request comes from a fork; {} let {sha} run.", code(by));
    }
    Some(cut(text))
}

/// What there is to say of one branch, without how to reach it.
pub fn description(branch: &Branch, several: bool) -> String {
    let mut text = format!("### {}\n\n", headline(branch, several));
    let _ = writeln!(text, "{}\n", summary(branch));
    if let Some(failure) = branch.failure.as_ref().filter(|_| branch.state == BranchState::Failed) {
        let _ = writeln!(text, "{}", failed(failure));
    }
    if branch.state == BranchState::Ready || branch.state == BranchState::Failed {
        text.push_str(&applied(&branch.applied));
        text.push_str(&findings(branch));
    }
    text
}

fn notice(notice: &Notice, subject: &Subject<'_>) -> Option<String> {
    let sha = code(subject.pull.head_sha.short());
    match notice {
        Notice::NoChain => None,
        Notice::Configuration { failure } => Some(format!(
            "### ❌ No database: the configuration needs a hand\n\nAt {sha}.\n\n{}\n",
            failed(failure)
        )),
        Notice::Errored { message } => Some(format!(
            "### ⏳ No database yet\n\nAt {sha}. This is not the pull request's fault, and it is being retried: {}\n",
            prose(message)
        )),
    }
}

fn headline(branch: &Branch, several: bool) -> String {
    let what = match branch.state {
        BranchState::Pending | BranchState::Preparing => "⏳ Preparing the database",
        BranchState::Ready => "✅ Database ready",
        BranchState::Failed => match branch.failure.as_ref().map(|failure| failure.kind) {
            Some(FailureKind::Seed) => "❌ A seed failed",
            Some(FailureKind::Chain | FailureKind::Configuration) => "❌ The migrations cannot be read",
            Some(FailureKind::Verification) => "❌ The database does not hold the migrations",
            Some(FailureKind::Migration) | None => "❌ A migration failed",
        },
        BranchState::Errored => "⚠️ The database is delayed",
        BranchState::Blocked => "✋ Waiting",
        BranchState::Deleting | BranchState::Deleted => "🗑️ Database removed",
    };
    if several { format!("{what} · {}", code(branch.database.as_str())) } else { what.to_owned() }
}

fn summary(branch: &Branch) -> String {
    let sha = code(branch.head_sha.short());
    let reason = branch.why().map(|reason| prose(reason.trim_end_matches('.')));
    match branch.state {
        BranchState::Pending | BranchState::Preparing => format!("Bringing it to {sha}."),
        BranchState::Ready => {
            let own = own_migrations(&branch.applied);
            let ran = match own.len() {
                0 if branch.applied.is_empty() => "no migrations yet".to_owned(),
                0 => format!("no migration of its own; {} of the base", branch.applied.len()),
                1 => format!("1 migration applied in {}", milliseconds(time_of_own(&branch.applied))),
                n => format!("{n} migrations applied in {}", milliseconds(time_of_own(&branch.applied))),
            };
            let seed = match branch.seeded.len() {
                0 => String::new(),
                1 => " · 1 seed file".to_owned(),
                n => format!(" · {n} seed files"),
            };
            let total = milliseconds(branch.timings.total);
            format!("{sha} · {ran}{seed} · ready {total} after the push · generation {}", branch.generation)
        }
        BranchState::Failed => match &branch.database_sha {
            Some(sha_before) if *sha_before != branch.head_sha => format!(
                "At {sha}. The database of {} (generation {}) stays reachable meanwhile.",
                code(sha_before.short()),
                branch.generation
            ),
            Some(_) => format!("At {sha}. The database stays reachable for a look{}.", as_left(branch)),
            None => format!("At {sha}."),
        },
        BranchState::Errored => format!(
            "At {sha}. This is not the pull request's fault, and it is being retried: {}.",
            reason.unwrap_or_else(|| "an internal error".to_owned())
        ),
        BranchState::Blocked => {
            format!("At {sha}. {}.", reason.unwrap_or_else(|| "It waits for its turn".to_owned()))
        }
        BranchState::Deleting => {
            "The pull request is closed; its database, roles and credentials are being removed.".to_owned()
        }
        BranchState::Deleted => match reason {
            Some(reason) => format!("{reason}. Its database, roles and credentials are gone."),
            None => "The pull request is closed. Its database, roles and credentials are gone; reopening brings a fresh one.".to_owned(),
        },
    }
}

fn as_left(branch: &Branch) -> &'static str {
    match branch.failure.as_ref().map(|failure| failure.kind) {
        Some(FailureKind::Migration | FailureKind::Chain) => ", at the last good migration",
        Some(FailureKind::Seed) => ", without that seed",
        Some(FailureKind::Configuration | FailureKind::Verification) | None => "",
    }
}

/// What failed, where, and why, with the statement.
fn failed(failure: &Failure) -> String {
    let mut text = format!("{}\n\n{}", place(failure), said(failure));
    if let Some(statement) = &failure.statement {
        let _ = write!(text, "\n{}", fenced("sql", &excerpt(statement, STATEMENT_LIMIT)));
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "\n💡 {}", prose(&excerpt(hint, EXCERPT)));
    }
    text
}

fn place(failure: &Failure) -> String {
    let named = code(&failure.migration);
    let other = |file: &&String| !file.is_empty() && **file != failure.migration;
    let file = Some(&failure.file).filter(other).map(|file| code(file));
    match (failure.line, failure.column, file) {
        (Some(line), Some(column), Some(file)) => {
            format!("{named} failed in {file} at line {line}, column {column}:")
        }
        (Some(line), Some(column), None) => format!("{named} failed at line {line}, column {column}:"),
        (_, _, Some(file)) => format!("{named} ({file}):"),
        (_, _, None) => format!("{named}:"),
    }
}

/// The server's own words as it gave them; ours as a sentence.
fn said(failure: &Failure) -> String {
    let Some(sqlstate) = &failure.sqlstate else {
        return format!("> {}\n", prose(&excerpt(&failure.message, EXCERPT)));
    };
    let mut text = format!("ERROR {sqlstate}: {}", excerpt(&failure.message, EXCERPT));
    for (label, part) in [("DETAIL", &failure.detail), ("CONTEXT", &failure.context)] {
        if let Some(part) = part {
            let _ = write!(text, "\n{label}: {}", excerpt(part, EXCERPT));
        }
    }
    fenced("text", &text)
}

/// What the pull request's own migrations took together, whichever push they came with. The timings of the last preparation hold more:
/// connecting, and the bookkeeping.
pub(super) fn time_of_own(applied: &[AppliedMigration]) -> f64 {
    applied.iter().filter_map(|migration| migration.duration_ms).sum()
}

fn own_migrations(applied: &[AppliedMigration]) -> Vec<&AppliedMigration> {
    applied.iter().filter(|migration| migration.duration_ms.is_some()).collect()
}

fn applied(applied: &[AppliedMigration]) -> String {
    let own = own_migrations(applied);
    if own.is_empty() {
        return String::new();
    }
    let mut text = "| migration | took |\n|---|---:|\n".to_owned();
    for migration in own.iter().take(LISTED) {
        let took = milliseconds(migration.duration_ms.unwrap_or_default());
        let _ = writeln!(text, "| {} | {took} |", cell(&migration.name));
    }
    if own.len() > LISTED {
        let _ = writeln!(text, "| … and {} more | |", own.len() - LISTED);
    }
    text.push('\n');
    text
}

fn findings(branch: &Branch) -> String {
    if branch.findings.is_empty() {
        return String::new();
    }
    let mut text = "**Worth knowing**\n\n".to_owned();
    for finding in branch.findings.iter().take(LISTED) {
        let _ = writeln!(text, "- {}", sentence(finding));
    }
    if branch.findings.len() > LISTED {
        let _ = writeln!(text, "- … and {} more, on the dashboard", branch.findings.len() - LISTED);
    }
    text.push('\n');
    text
}

/// How to get at it. Never a password: whoever may have the URL has a token for the API.
fn connect(branch: &Branch, subject: &Subject<'_>) -> String {
    let label = label_option(branch);
    let which = match branch.state {
        BranchState::Failed if branch.is_reachable() => Some("--any-state".to_owned()),
        BranchState::Failed | BranchState::Blocked => None,
        _ => Some(format!("--sha {}", branch.head_sha)),
    };
    let dashboard = format!("[dashboard]({})\n\n", subject.dashboard_url());
    let Some(which) = which else { return format!("More on the {dashboard}") };
    let (repository, number) = (subject.repository, branch.pull.number);
    let command = format!("offshoot url --repo {repository} --pr {number}{label} {which}");
    format!("Connect: {} · {dashboard}", code(&command))
}

/// How a command is told which of several databases is meant.
pub(super) fn label_option(branch: &Branch) -> String {
    if branch.database == DatabaseLabel::main() {
        String::new()
    } else {
        format!(" --database {}", branch.database)
    }
}

/// A duration as people read it.
pub(super) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 60_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms => {
            let seconds = (ms / 1_000.0).round();
            format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), seconds % 60.0)
        }
    }
}

/// The last defence against GitHub's limit; the lists above keep ordinary reports far below it.
fn cut(text: String) -> String {
    const NOTE: &str = "\n\n… cut; the dashboard has all of it.";
    if text.chars().count() <= TEXT_LIMIT {
        return text;
    }
    let kept: String = text.chars().take(TEXT_LIMIT - NOTE.chars().count()).collect();
    kept + NOTE
}
