//! What people read on a pull request, as it is written there. The snapshots are reviewed as their readers see them.

use std::fmt::Write as _;

use chrono::DateTime;

use super::*;
use crate::domain::branch::{AppliedMigration, Queue, Timings};
use crate::domain::chain::Checksum;
use crate::domain::failure::FailureKind;
use crate::domain::findings::Finding;
use crate::domain::ids::PullId;
use crate::domain::seed::SeededFile;
use crate::domain::state::BranchState;

const HOSTILE: &str =
    "<!-- offshoot:report --> ``` @everyone #1 **b** | [x](http://evil) ~~s~~ `c` $x$\nEND -->\u{202e}";

fn sha(digit: &str) -> Oid {
    digit.repeat(40).parse().unwrap()
}

fn repository() -> RepositoryName {
    RepositoryName::new("acme", "shop").unwrap()
}

fn pull() -> PullRequest {
    PullRequest {
        id: PullId { repository: 1, number: 42 },
        open: true,
        merged: false,
        draft: false,
        title: "Add tags".to_owned(),
        author: "ada".to_owned(),
        head_sha: sha("a"),
        head_ref: "tags".to_owned(),
        head_repository: Some(repository()),
        from_fork: false,
        base_ref: "main".to_owned(),
        base_sha: sha("b"),
        updated_at: DateTime::UNIX_EPOCH,
    }
}

fn applied(name: &str, duration_ms: Option<f64>) -> AppliedMigration {
    AppliedMigration { name: name.to_owned(), checksum: Checksum::of(name.as_bytes()), duration_ms }
}

fn branch(state: BranchState) -> Branch {
    let pull = pull();
    Branch {
        id: 7,
        pull: pull.id,
        database: "main".parse().unwrap(),
        state,
        generation: 1,
        head_sha: pull.head_sha,
        database_sha: Some(sha("a")),
        base_ref: pull.base_ref,
        database_name: "acme_shop_pr_42".to_owned(),
        applied: vec![applied("20250101000000_init", None), applied("20250201000000_add_tags", Some(4.14))],
        failure: None,
        findings: Vec::new(),
        seeded: Vec::new(),
        timings: Timings { queued: 1.0, read: 80.0, acquire: 2.1, migrate: 4.14, seed: 0.0, total: 95.2 },
        reason: None,
        protected: false,
        reset_requested: false,
        created_at: DateTime::UNIX_EPOCH,
        ready_at: None,
        ready_sha: None,
        expires_at: None,
        expiry_told_from: None,
        active_at: None,
        queue: Queue::default(),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn failing(failure: Failure) -> Branch {
    let mut branch = branch(BranchState::Failed);
    branch.applied.pop();
    branch.failure = Some(failure);
    branch
}

fn migration_failure() -> Failure {
    let path = "prisma/migrations/20250201000000_add_tags/migration.sql";
    let message = "column \"tag\" of relation \"post\" contains null values";
    Failure {
        statement: Some("ALTER TABLE \"post\"\n  ADD COLUMN \"tag\" text NOT NULL".to_owned()),
        sqlstate: Some("23502".to_owned()),
        ..Failure::of_file(FailureKind::Migration, "20250201000000_add_tags", path, message).at(3, 1)
    }
    .with_hint("The table already has rows. Add the column with a DEFAULT, or add it nullable, fill it, and set NOT NULL afterwards.")
}

/// Verdict, annotations and comment, one below the other.
fn told(branches: &[Branch], notice: Option<&Notice>, open: bool) -> String {
    let (repository, pull) = (repository(), PullRequest { open, ..pull() });
    let public_url = "https://offshoot.acme.dev";
    let subject = Subject {
        repository: &repository,
        pull: &pull,
        branches,
        notice,
        wanted: Wanted::No,
        approved_by: None,
        public_url,
        idle_ttl: None,
        now: now(),
    };
    let verdict = verdict(&subject);
    assert!(verdict.title.chars().count() <= 140, "{}", verdict.title);
    assert!(verdict.summary.chars().count() <= TEXT_LIMIT);
    let mut text = format!("{:?}: {}\n", verdict.status, verdict.title);
    for Annotation { path, line, title, message } in &verdict.annotations {
        let _ = writeln!(text, "{path}:{line}: {title}: {message}");
    }
    let comment = comment(&subject).unwrap_or_else(|| "(no comment)".to_owned());
    assert!(comment.chars().count() <= TEXT_LIMIT);
    text + "\n" + &comment
}

fn of(branch: Branch) -> String {
    told(&[branch], None, true)
}

#[test]
fn each_state() {
    for state in [BranchState::Pending, BranchState::Preparing, BranchState::Ready, BranchState::Deleting] {
        insta::assert_snapshot!(format!("state_{state}"), of(branch(state)));
    }
    let reason = |state, reason: &str| Branch { reason: Some(reason.to_owned()), ..branch(state) };
    insta::assert_snapshot!(
        "state_errored",
        of(reason(BranchState::Errored, "GitHub could not be asked (503)"))
    );
    insta::assert_snapshot!(
        "state_blocked",
        of(reason(
            BranchState::Blocked,
            "The pull request comes from a fork and waits for a maintainer's approval of this commit."
        ))
    );
    let waiting = Branch {
        queue: Queue { wanted_at: Some(DateTime::UNIX_EPOCH), needs: 0, ahead: 2 },
        ..reason(BranchState::Blocked, &crate::domain::room::NoRoom::Turn.reason())
    };
    insta::assert_snapshot!("state_waiting_for_room", of(waiting));
    let expiring = Branch { expires_at: Some(now() + TimeDelta::hours(20)), ..branch(BranchState::Ready) };
    insta::assert_snapshot!("state_ready_expiring", of(expiring.clone()));
    let kept = Branch { protected: true, ..expiring };
    assert_eq!(of(kept), of(branch(BranchState::Ready)), "it does not go, so nothing is said");
    insta::assert_snapshot!("state_deleted", told(&[branch(BranchState::Deleted)], None, false));
    let expired = reason(
        BranchState::Deleted,
        "It expired without a push; the next push, or a reset, brings a fresh one.",
    );
    insta::assert_snapshot!("state_deleted_expired", of(expired));
}

#[test]
fn what_ready_may_say() {
    let mut base_only = branch(BranchState::Ready);
    base_only.applied.pop();
    insta::assert_snapshot!("ready_without_own", of(base_only.clone()));
    base_only.applied.clear();
    insta::assert_snapshot!("ready_without_any", of(base_only));
    let mut seeded = branch(BranchState::Ready);
    let file = |path: &str| SeededFile { path: path.to_owned(), checksum: Checksum::of(b"") };
    seeded.seeded = vec![file("seed/1.sql"), file("seed/2.csv")];
    seeded.generation = 3;
    insta::assert_snapshot!("ready_with_seeds", of(seeded));
}

#[test]
fn each_failure() {
    insta::assert_snapshot!("failed_migration", of(failing(migration_failure())));
    let mut earlier = failing(migration_failure());
    earlier.database_sha = Some(sha("c"));
    insta::assert_snapshot!("failed_migration_after_a_good_one", of(earlier));

    let mut function = migration_failure();
    function.detail = Some("Key (slug)=(a) is duplicated.".to_owned());
    function.context = Some(
        "SQL statement \"UPDATE t SET x = 1\"\nPL/pgSQL function f() line 3 at SQL statement".to_owned(),
    );
    (function.message, function.hint) = ("division by zero".to_owned(), None);
    insta::assert_snapshot!("failed_in_a_function", of(failing(function)));

    let unrecorded = Failure {
        sqlstate: Some("42P01".to_owned()),
        line: None,
        column: None,
        statement: None,
        message: "the migration ran, but could not be recorded as applied: relation \"_prisma_migrations\" does not exist".to_owned(),
        ..migration_failure()
    };
    insta::assert_snapshot!("failed_to_be_recorded", of(failing(unrecorded)));

    let seed = Failure { kind: FailureKind::Seed, ..migration_failure() };
    let seed = Failure {
        migration: "prisma/seed/10_users.sql".to_owned(),
        file: "prisma/seed/10_users.sql".to_owned(),
        ..seed
    };
    insta::assert_snapshot!("failed_seed", of(failing(seed)));

    let path = "prisma/migrations/2_empty/migration.sql";
    let chain = Failure::of_file(
        FailureKind::Chain,
        "2_empty",
        path,
        "could not find the migration file: the directory holds no `migration.sql` (Prisma's error P3015)",
    );
    insta::assert_snapshot!(
        "failed_chain",
        of(failing(chain.with_hint("Restore the file, or delete the directory.")))
    );

    let lost = Failure::of_file(
        FailureKind::Verification,
        "2_open",
        "prisma/migrations/2_open/migration.sql",
        "2_open ran without an error, yet the database's bookkeeping does not say that it finished",
    );
    let hint = "Does it, or one before it, say BEGIN without COMMIT? Then everything after it is undone when the session ends.";
    insta::assert_snapshot!("failed_verification", of(failing(lost.with_hint(hint))));
}

#[test]
fn each_notice() {
    let failure = Failure::of_file(
        FailureKind::Configuration,
        ".offshoot.toml",
        ".offshoot.toml",
        "unknown field `sed`, expected `seed`",
    );
    let configuration =
        Notice::Configuration { failure: Box::new(failure.with_hint("Correct the spelling.").at(4, 1)) };
    insta::assert_snapshot!("notice_configuration", told(&[], Some(&configuration), true));
    let errored = Notice::Errored { message: "GitHub could not be asked (the request timed out)".to_owned() };
    insta::assert_snapshot!("notice_errored", told(&[], Some(&errored), true));
    insta::assert_snapshot!("notice_no_chain", told(&[], Some(&Notice::NoChain), true));
    insta::assert_snapshot!("nothing_yet", told(&[], None, true));
}

fn findings() -> Vec<Finding> {
    let text = |text: &str| text.to_owned();
    vec![
        Finding::EditedApplied { migration: text("20250101000000_init") },
        Finding::RemovedApplied { migration: text("20250102000000_users") },
        Finding::RenamedApplied { from: text("20250103000000_a"), to: text("20250203000000_a") },
        Finding::OutOfOrder { migration: text("20240101000000_late"), before: text("20250104000000_b") },
        Finding::BehindBase { commits: 1, migrations: 0 },
        Finding::BehindBase { commits: 7, migrations: 2 },
        Finding::UndeclaredChain { directory: text("apps/other/prisma/migrations") },
        Finding::Rebuilt {
            reasons: vec![text("20250101000000_init was edited"), text("20250102000000_users was removed")],
        },
    ]
}

#[test]
fn each_finding() {
    insta::assert_snapshot!("findings", of(Branch { findings: findings(), ..branch(BranchState::Ready) }));
}

#[test]
fn several_databases() {
    let failed = Branch { database: "billing".parse().unwrap(), ..failing(migration_failure()) };
    insta::assert_snapshot!("several_databases", told(&[failed, branch(BranchState::Ready)], None, true));
}

/// What is said of the head, and whether that is the end of it.
fn judged(branches: &[Branch], open: bool, wanted: Wanted) -> (CheckStatus, bool) {
    let (repository, pull) = (repository(), PullRequest { open, ..pull() });
    let subject = Subject {
        repository: &repository,
        pull: &pull,
        branches,
        notice: None,
        wanted,
        approved_by: None,
        public_url: "https://offshoot.acme.dev",
        idle_ttl: None,
        now: now(),
    };
    let notice = Notice::Errored { message: "GitHub does not answer".to_owned() };
    assert!(!open || !is_final(&Subject { notice: Some(&notice), ..subject.clone() }), "a notice is news");
    (verdict(&subject).status, is_final(&subject))
}

#[test]
fn a_database_judges_the_commit_that_it_is_at() {
    let (ready, failed) = (branch(BranchState::Ready), failing(migration_failure()));
    let earlier = |branch: &Branch| Branch { head_sha: sha("c"), ..branch.clone() };
    let gone = Branch { database: "billing".parse().unwrap(), ..branch(BranchState::Deleted) };
    let cancelled = CheckStatus::Completed(Conclusion::Cancelled);
    let success = CheckStatus::Completed(Conclusion::Success);
    let was_ready = Branch { ready_sha: Some(gone.head_sha.clone()), ..gone.clone() };
    for (branches, open, wanted, expected) in [
        (vec![ready.clone()], true, Wanted::Yes, (success, false)),
        // The push was not looked at yet.
        (vec![earlier(&ready)], true, Wanted::Yes, (CheckStatus::Queued, false)),
        (vec![earlier(&failed)], true, Wanted::Yes, (CheckStatus::Queued, false)),
        (vec![ready.clone(), earlier(&ready)], true, Wanted::Yes, (CheckStatus::Queued, false)),
        (vec![earlier(&ready)], false, Wanted::Yes, (cancelled, true)),
        // It expired, or somebody removed it. The others do not stand for it.
        (vec![gone.clone()], true, Wanted::No, (cancelled, true)),
        (vec![ready.clone(), gone.clone()], true, Wanted::No, (cancelled, true)),
        (
            vec![failed.clone(), gone.clone()],
            true,
            Wanted::No,
            (CheckStatus::Completed(Conclusion::Failure), false),
        ),
        // It went after its verdict, which stands for it.
        (vec![was_ready.clone()], true, Wanted::No, (cancelled, true)),
        (vec![ready.clone(), was_ready.clone()], true, Wanted::No, (success, false)),
        // It was asked for again, and that was not looked at.
        (vec![ready.clone(), gone.clone()], true, Wanted::Anew, (CheckStatus::Queued, false)),
        (vec![gone.clone()], true, Wanted::Anew, (CheckStatus::Queued, false)),
        // It is no longer declared, or is of an earlier commit: a new one comes.
        (vec![ready.clone(), gone.clone()], true, Wanted::Yes, (success, false)),
        (vec![ready.clone(), earlier(&gone)], true, Wanted::No, (success, false)),
        (vec![earlier(&gone)], true, Wanted::Yes, (CheckStatus::Queued, false)),
        // Closed before there was a verdict: what was not judged must let nothing be merged.
        (vec![gone.clone()], false, Wanted::Yes, (cancelled, true)),
        (vec![], false, Wanted::Yes, (cancelled, true)),
        (vec![], true, Wanted::Yes, (CheckStatus::Queued, false)),
    ] {
        let states: Vec<_> = branches.iter().map(|branch| (branch.state, branch.head_sha.short())).collect();
        assert_eq!(judged(&branches, open, wanted), expected, "{states:?}, open {open}, wanted {wanted:?}");
    }
}

#[test]
fn strangers_text_reads_as_it_is() {
    let mut failure = migration_failure();
    (failure.migration, failure.message) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    (failure.statement, failure.hint) = (Some(HOSTILE.to_owned()), Some(HOSTILE.to_owned()));
    insta::assert_snapshot!("hostile_failure", of(failing(failure)));
    let mut ready = branch(BranchState::Ready);
    ready.applied = vec![applied(HOSTILE, Some(1.0))];
    ready.findings = vec![
        Finding::EditedApplied { migration: HOSTILE.to_owned() },
        Finding::Rebuilt { reasons: vec![HOSTILE.to_owned()] },
    ];
    insta::assert_snapshot!("hostile_ready", of(ready));
    let errored = Notice::Errored { message: HOSTILE.to_owned() };
    insta::assert_snapshot!("hostile_notice", told(&[], Some(&errored), true));
}

#[test]
fn a_long_chain_is_cut_to_what_one_can_read() {
    let mut branch = branch(BranchState::Ready);
    branch.applied =
        (0..1200).map(|at| applied(&format!("{at:014}_{}", "x".repeat(230)), Some(0.5))).collect();
    branch.findings = (0..1200)
        .map(|at| Finding::EditedApplied { migration: format!("{at:014}_{}", "x".repeat(230)) })
        .collect();
    let reasons = (0..1200).map(|at| format!("{at:014}_{} was edited", "x".repeat(230))).collect();
    branch.findings.insert(0, Finding::Rebuilt { reasons });
    insta::assert_snapshot!("long_chain", of(branch.clone()).replace(&"x".repeat(230), "…x…"));
    let label = |at: usize| format!("database-{at}").parse().unwrap();
    let many: Vec<Branch> = (0..30).map(|at| Branch { database: label(at), ..branch.clone() }).collect();
    let text = told(&many, None, true);
    assert!(text.ends_with("the dashboard has all of it."), "{}", &text[text.len() - 200..]);
}

#[test]
fn durations_are_rounded_to_what_is_read() {
    let read = [0.04, 4.14, 9.94, 95.2, 999.4, 1_000.0, 59_900.0, 60_000.0, 119_999.9, 3_600_000.0]
        .map(comment::milliseconds);
    assert_eq!(
        read.join(", "),
        "0.0 ms, 4.1 ms, 9.9 ms, 95 ms, 999 ms, 1.0 s, 59.9 s, 1 min 0 s, 2 min 0 s, 60 min 0 s"
    );
}

#[test]
fn a_fork_s_report_says_who_let_it_run() {
    let (repository, pull) = (repository(), pull());
    let notice = Notice::Errored { message: "GitHub does not answer".to_owned() };
    let subject = |approved_by| Subject {
        repository: &repository,
        pull: &pull,
        branches: &[],
        notice: Some(&notice),
        wanted: Wanted::Yes,
        approved_by,
        public_url: "https://offshoot.acme.dev",
        idle_ttl: None,
        now: now(),
    };
    let text = comment(&subject(Some("grace"))).unwrap();
    assert!(text.contains("`grace` let `aaaaaaa` run"), "{text}");
    assert!(!comment(&subject(None)).unwrap().contains("fork"));
}
