//! What GitHub wants of a pull request, as last heard, and how a delivery changes it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{Oid, PullId, RepositoryName};

/// A pull request as GitHub last described it. Deliveries come twice, late and out of order; this is what they converge to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    pub id: PullId,
    pub open: bool,
    pub merged: bool,
    pub draft: bool,
    pub title: String,
    pub author: String,
    pub head_sha: Oid,
    pub head_ref: String,
    /// None where the fork that it came from is gone.
    pub head_repository: Option<RepositoryName>,
    /// Whether it comes from another repository than it goes to; a vanished one counts as another.
    pub from_fork: bool,
    pub base_ref: String,
    pub base_sha: Oid,
    /// GitHub's `updated_at`, in whole seconds.
    pub updated_at: DateTime<Utc>,
}

/// Whether databases are wanted of a head commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Yes,
    /// Some were ended before the pull request was: they come back with the next push.
    No,
    /// The same, and then they were asked for, which was not looked at yet.
    Anew,
}

/// With this label a maintainer lets the head commit of a fork's pull request run.
pub const APPROVAL_LABEL: &str = "offshoot:approve";

/// A comment that begins with this line does the same; with a whole commit behind it, for that commit.
pub const APPROVAL_COMMAND: &str = "/offshoot approve";

/// A person's comment that a fork's commit may run. Whether they may say so is GitHub's to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub by: String,
    /// GitHub's time of the comment, in whole seconds.
    pub at: DateTime<Utc>,
    /// The commit that it names.
    pub commit: Option<Oid>,
}

/// The commit that a comment asks to approve, if that is what its first line does; the inner is none where it names none.
///
/// Only a whole name counts: commits that share their first digits with another are made in minutes.
pub fn approval_asked(comment: &str) -> Option<Option<Oid>> {
    let line = comment.lines().next()?.trim_end();
    match line.strip_prefix(APPROVAL_COMMAND)? {
        "" => Some(None),
        rest => rest.strip_prefix(' ').and_then(|commit| commit.trim().parse().ok()).map(Some),
    }
}

impl Word {
    /// Whether it speaks of this head, which became the head at `since` by GitHub's clock. One that was pushed in the very second of
    /// the comment, or later, its writer may never have seen.
    pub fn is_about(&self, head: &Oid, since: DateTime<Utc>) -> bool {
        match &self.commit {
            Some(commit) => commit == head,
            None => since < self.at,
        }
    }
}

/// What happened to a pull request, by the delivery's `action`; all others only bring its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullAction {
    Opened,
    Reopened,
    /// The head moved; `before` is where it was.
    Synchronize {
        before: Option<Oid>,
    },
    Closed,
    /// Somebody put a label on it.
    Labeled {
        label: String,
        by: String,
    },
    /// Its description changed: base, title, draft, labels.
    Described,
}

/// What became of one description on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absorbed {
    /// Newer than what is stored, or the first: store this.
    Changed(Box<PullRequest>),
    /// Tells nothing new, or is older than what is stored.
    Stale,
    /// Of the same second as what is stored and neither clearly follows the other: ask GitHub.
    Unclear,
}

/// Decides what a description that came with `action` means for what is stored.
///
/// GitHub gives no sequence number and `updated_at` counts whole seconds, so within one second a head that
/// follows the stored one is newer, one that the stored one follows is older, and all else is unclear.
pub fn absorb(stored: Option<&PullRequest>, action: &PullAction, told: PullRequest) -> Absorbed {
    let Some(stored) = stored else { return Absorbed::Changed(Box::new(told)) };
    if told == *stored {
        return Absorbed::Stale;
    }
    if told.updated_at > stored.updated_at {
        return Absorbed::Changed(Box::new(told));
    }
    if told.updated_at < stored.updated_at {
        return Absorbed::Stale;
    }
    if told.head_sha != stored.head_sha {
        return match action {
            PullAction::Synchronize { before: Some(before) } if *before == stored.head_sha => {
                Absorbed::Changed(Box::new(told))
            }
            _ => Absorbed::Unclear,
        };
    }
    match (stored.open, told.open) {
        (false, true) if *action == PullAction::Reopened => Absorbed::Unclear,
        (false, true) => Absorbed::Stale,
        _ => Absorbed::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(digit: char) -> Oid {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn pull(head: char, second: i64, open: bool) -> PullRequest {
        PullRequest {
            id: PullId { repository: 1, number: 42 },
            open,
            merged: false,
            draft: false,
            title: "Add tags".into(),
            author: "ada".into(),
            head_sha: oid(head),
            head_ref: "tags".into(),
            head_repository: None,
            from_fork: false,
            base_ref: "main".into(),
            base_sha: oid('0'),
            updated_at: DateTime::from_timestamp(second, 0).unwrap(),
        }
    }

    #[test]
    fn a_command_is_a_comment_s_first_line() {
        let named = oid('a');
        assert_eq!(approval_asked("/offshoot approve"), Some(None));
        assert_eq!(approval_asked("/offshoot approve \r\nthanks!"), Some(None));
        assert_eq!(approval_asked(&format!("/offshoot approve {named}\n")), Some(Some(named)));
        for other in [
            "",
            "please /offshoot approve",
            "> /offshoot approve",
            "\n/offshoot approve",
            "/offshoot approved",
            "/offshoot approve aaaaaaa",
            "/offshoot approve it, please",
            "/offshoot",
        ] {
            assert_eq!(approval_asked(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_word_is_about_the_head_that_its_writer_saw() {
        let second = |second| DateTime::from_timestamp(second, 0).unwrap();
        let word = |commit| Word { by: "grace".into(), at: second(10), commit };
        assert!(word(None).is_about(&oid('a'), second(9)));
        assert!(!word(None).is_about(&oid('a'), second(10)), "pushed in the same second");
        assert!(!word(None).is_about(&oid('a'), second(11)), "pushed after it");
        assert!(word(Some(oid('a'))).is_about(&oid('a'), second(11)), "named");
        assert!(!word(Some(oid('b'))).is_about(&oid('a'), second(9)), "another is named");
    }

    #[test]
    fn later_seconds_win_and_earlier_ones_lose() {
        let stored = pull('a', 10, true);
        let later = pull('b', 11, true);
        let action = PullAction::Synchronize { before: None };
        assert_eq!(absorb(Some(&stored), &action, later.clone()), Absorbed::Changed(Box::new(later)));
        assert_eq!(absorb(Some(&stored), &action, pull('b', 9, true)), Absorbed::Stale);
        assert_eq!(
            absorb(Some(&pull('a', 12, false)), &PullAction::Opened, pull('a', 10, true)),
            Absorbed::Stale
        );
    }

    #[test]
    fn the_same_delivery_twice_changes_nothing() {
        let stored = pull('a', 10, true);
        assert_eq!(absorb(Some(&stored), &PullAction::Opened, stored.clone()), Absorbed::Stale);
    }

    #[test]
    fn within_a_second_the_chain_of_heads_decides() {
        let stored = pull('b', 10, true);
        let follows = PullAction::Synchronize { before: Some(oid('b')) };
        let next = pull('c', 10, true);
        assert_eq!(absorb(Some(&stored), &follows, next.clone()), Absorbed::Changed(Box::new(next)));
        let elsewhere = PullAction::Synchronize { before: Some(oid('a')) };
        assert_eq!(absorb(Some(&stored), &elsewhere, pull('d', 10, true)), Absorbed::Unclear);
    }

    /// A close may be the one before a reopening, sent again.
    #[test]
    fn within_a_second_github_is_asked_about_a_close() {
        let closed = pull('a', 10, false);
        let open = pull('a', 10, true);
        assert_eq!(absorb(Some(&open), &PullAction::Closed, closed.clone()), Absorbed::Unclear);
        assert_eq!(absorb(Some(&closed), &PullAction::Opened, open.clone()), Absorbed::Stale);
        assert_eq!(absorb(Some(&closed), &PullAction::Reopened, open), Absorbed::Unclear);
    }
}
