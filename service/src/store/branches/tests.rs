use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use super::*;
use crate::domain::chain::Checksum;
use crate::domain::failure::FailureKind;
use crate::domain::job::{Job, Lane};
use crate::store::PageRequest;
use crate::store::test_support::TestStore;
use crate::store::test_support::fixtures::{branch, facts, oid, stored_pull};

const SHOP: &str = "acme/shop";

/// Puts a branch into a state without asking whether it may.
async fn force(client: &deadpool_postgres::Client, id: BranchId, state: BranchState) {
    client
        .execute(
            "update branches set state = $2,
                 password = case when $2 <> 'deleted' then '\\x00'::bytea end,
                 reader_password = case when $2 <> 'deleted' then '\\x00'::bytea end
             where id = $1",
            &[&id, &state.as_str()],
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn every_step_is_taken_exactly_when_it_is_legal() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let id = branch(&test, &client, SHOP, pull).await.id;
    for from in BranchState::ALL {
        for to in BranchState::ALL {
            force(&client, id, from).await;
            let stepped = transition(&client, id, to, &Change::default()).await;
            let now = find_by_id(&client, id).await.unwrap().unwrap().state;
            if to.may_follow(from) {
                assert_eq!(stepped.unwrap().state, to, "{from} -> {to}");
                assert_eq!(now, to);
            } else {
                let error = stepped.unwrap_err();
                assert!(
                    matches!(error, StoreError::IllegalTransition { from: f, to: t, .. } if (f, t) == (from, to)),
                    "{from} -> {to}: {error}"
                );
                assert_eq!(now, from, "an illegal step changes nothing");
            }
        }
    }
    let unknown = transition(&client, -1, BranchState::Preparing, &Change::default()).await;
    assert!(matches!(unknown, Err(StoreError::Missing(_))));
}

#[tokio::test]
async fn who_lost_the_job_decides_nothing() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let id = branch(&test, &client, SHOP, pull).await.id;
    jobs::enqueue(&client, &Job::ReconcilePull(pull)).await.unwrap();
    let claim = async |lease| {
        jobs::claim(&client, Lane::Foreground, Uuid::new_v4(), lease).await.unwrap().unwrap().lease
    };
    let lost = claim(Duration::ZERO).await;
    let under = |lease| Change { held_by: Some(lease), ..Change::default() };
    transition(&client, id, BranchState::Preparing, &under(lost)).await.unwrap();
    assert_eq!(jobs::rescue(&client, Lane::Foreground, &[]).await.unwrap(), 1);
    for to in [BranchState::Failed, BranchState::Ready, BranchState::Errored, BranchState::Preparing] {
        let refused = transition(&client, id, to, &under(lost)).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotHeld), "{to}: {refused}");
    }
    let held = claim(Duration::from_secs(60)).await;
    let refused = transition(&client, id, BranchState::Failed, &under(lost)).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotHeld), "{refused}");
    assert_eq!(
        transition(&client, id, BranchState::Ready, &under(held)).await.unwrap().state,
        BranchState::Ready
    );
    let refused = transition(&client, id, BranchState::Failed, &under(held)).await.unwrap_err();
    assert!(matches!(refused, StoreError::IllegalTransition { .. }), "{refused}");
}

#[tokio::test]
async fn a_job_is_nobody_else_s_while_its_outcome_is_written_down() {
    let test = TestStore::new().await;
    let mut writing = test.store.client().await.unwrap();
    let client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let id = branch(&test, &client, SHOP, pull).await.id;
    jobs::enqueue(&client, &Job::ReconcilePull(pull)).await.unwrap();
    let claimed =
        jobs::claim(&client, Lane::Foreground, Uuid::new_v4(), Duration::ZERO).await.unwrap().unwrap();
    let tx = crate::store::Store::begin(&mut writing).await.unwrap();
    let change = Change { held_by: Some(claimed.lease), ..Change::default() };
    transition(&tx, id, BranchState::Preparing, &change).await.unwrap();
    assert_eq!(jobs::rescue(&client, Lane::Foreground, &[]).await.unwrap(), 0);
    // Its own heartbeats go on.
    assert_eq!(jobs::heartbeat(&client, &[claimed.lease], Duration::ZERO).await.unwrap(), []);
    crate::store::Store::commit(tx).await.unwrap();
    assert_eq!(jobs::rescue(&client, Lane::Foreground, &[]).await.unwrap(), 1);
}

#[tokio::test]
async fn every_field_survives_its_row() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let made = branch(&test, &client, SHOP, pull).await;
    assert_eq!((made.state, made.generation, made.database_sha.clone()), (BranchState::Pending, 0, None));
    assert_eq!((made.timings, made.database_name.as_str()), (Timings::default(), "acme_shop_pr_42"));

    transition(&client, made.id, BranchState::Preparing, &Change::default()).await.unwrap();
    let expires_at = DateTime::from_timestamp(1_900_000_000, 0).unwrap();
    let change = Change {
        failure: Some(
            Failure::of_file(FailureKind::Migration, "1_init", "m/1_init/migration.sql", "no").at(3, 1),
        ),
        reason: Some("a reason".into()),
        generation: Some(3),
        head_sha: Some(oid('c')),
        database_sha: Some(oid('d')),
        base_ref: Some("next".into()),
        applied: Some(vec![AppliedMigration {
            name: "1_init".into(),
            checksum: Checksum::of(b"x"),
            duration_ms: Some(4.5),
        }]),
        findings: Some(vec![Finding::RemovedApplied { migration: "0".into() }]),
        seeded: Some(vec![SeededFile { path: "s.sql".into(), checksum: Checksum::of(b"y") }]),
        timings: Some(Timings { migrate: 1.5, ..Timings::default() }),
        reset_requested: Some(true),
        expires_at: Some(expires_at),
        held_by: None,
        room_needed: None,
    };
    let failed = transition(&client, made.id, BranchState::Failed, &change).await.unwrap();
    let expected = Branch {
        state: BranchState::Failed,
        generation: 3,
        head_sha: oid('c'),
        database_sha: Some(oid('d')),
        base_ref: "next".into(),
        applied: change.applied.clone().unwrap(),
        failure: change.failure.clone(),
        findings: change.findings.clone().unwrap(),
        seeded: change.seeded.clone().unwrap(),
        timings: change.timings.unwrap(),
        reason: change.reason.clone(),
        reset_requested: true,
        expires_at: Some(expires_at),
        // The clock's: when it was begun, and what follows from the expiry.
        active_at: failed.active_at,
        expiry_told_from: Some(expiry::told_from(Utc::now(), expires_at)),
        ..made.clone()
    };
    assert_eq!(failed, expected);
    assert_eq!(find_by_id(&client, made.id).await.unwrap(), Some(expected));

    let sooner = Change { expires_at: Some(expires_at - TimeDelta::days(1)), ..Change::default() };
    let pushed = transition(&client, made.id, BranchState::Preparing, &sooner).await.unwrap();
    assert_eq!(pushed.expires_at, failed.expires_at, "it was extended, and a push takes nothing away");
    assert_eq!(pushed.expiry_told_from, failed.expiry_told_from);
    let ready = transition(&client, made.id, BranchState::Ready, &Change::default()).await.unwrap();
    assert_eq!((ready.failure, ready.reason), (None, None), "they spoke of another state");
    assert_eq!((ready.generation, ready.applied), (3, change.applied.unwrap()), "these stay");
    assert!(ready.ready_at.is_some());
}

#[tokio::test]
async fn of_eight_that_create_a_branch_at_once_all_get_the_same() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let made = futures_util::future::join_all((0..8).map(|_| async {
        let client = test.store.client().await.unwrap();
        branch(&test, &client, SHOP, pull).await.id
    }))
    .await;
    assert!(made.iter().all(|id| *id == made[0]), "{made:?}");
    assert_eq!(of_pull(&client, pull).await.unwrap().len(), 1);
}

#[tokio::test]
async fn names_that_meet_are_told_apart_and_free_ones_taken_again() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let ours = stored_pull(&client, "a-b/c", 1, 9).await;
    let theirs = stored_pull(&client, "a/b-c", 2, 9).await;
    let first = branch(&test, &client, "a-b/c", ours).await;
    let second = branch(&test, &client, "a/b-c", theirs).await;
    assert_eq!(first.database_name, "a_b_c_pr_9");
    assert_ne!(second.database_name, first.database_name);

    for state in [BranchState::Deleting, BranchState::Deleted] {
        transition(&client, first.id, state, &Change::default()).await.unwrap();
    }
    assert_eq!(find(&client, ours, &DatabaseLabel::main()).await.unwrap(), None);
    let last = find_last(&client, ours, &DatabaseLabel::main()).await.unwrap().unwrap();
    assert_eq!((last.id, last.state), (first.id, BranchState::Deleted));
    let again = branch(&test, &client, "a-b/c", ours).await;
    assert_ne!(again.id, first.id);
    assert_eq!(again.database_name, first.database_name);
}

#[tokio::test]
async fn credentials_are_sealed_and_go_with_the_branch() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let id = branch(&test, &client, SHOP, pull).await.id;
    let Credentials { password, reader_password } =
        credentials(&client, test.store.vault(), id).await.unwrap();
    assert_ne!(password, reader_password);
    let row = client.query_one("select branches::text as row from branches", &[]).await.unwrap();
    let stored: String = row.get("row");
    for secret in [&password, &reader_password] {
        assert!(!stored.contains(&hex::encode(secret.expose())), "a password stands in the table");
    }
    for state in [BranchState::Deleting, BranchState::Deleted] {
        transition(&client, id, state, &Change::default()).await.unwrap();
    }
    let gone = credentials(&client, test.store.vault(), id).await;
    assert!(matches!(gone, Err(StoreError::Missing(_))));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    for number in 1..=3 {
        let pull = stored_pull(&client, SHOP, 7, number).await;
        branch(&test, &client, SHOP, pull).await;
    }
    let other = stored_pull(&client, "acme/blog", 8, 1).await;
    let other = branch(&test, &client, "acme/blog", other).await;
    transition(&client, other.id, BranchState::Preparing, &Change::default()).await.unwrap();

    let shop = Filter { repository: Some("Acme/Shop".parse().unwrap()), state: None };
    let page = list(&client, &shop, PageRequest { number: 2, size: 2 }).await.unwrap();
    assert_eq!((page.total, page.last(), page.items.len()), (3, 2, 1));
    assert_eq!(page.items[0].repository, facts(7, SHOP).name);
    assert_eq!(page.items[0].branch.pull.number, 1);

    let preparing = Filter { repository: None, state: Some(BranchState::Preparing) };
    let page = list(&client, &preparing, PageRequest::first(10)).await.unwrap();
    assert_eq!(page.items.iter().map(|listed| listed.branch.id).collect::<Vec<_>>(), [other.id]);
    let mut counts = counts(&client).await.unwrap();
    counts.sort_by_key(|count| count.branches);
    let expected = [(BranchState::Preparing, 1), (BranchState::Pending, 3)];
    assert_eq!(counts, expected.map(|(state, branches)| Count { state, branches }));
}

#[tokio::test]
async fn what_is_protected_does_not_expire() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let id = branch(&test, &client, SHOP, pull).await.id;
    let due = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let overdue = async || {
        let aging = aging(&client).await.unwrap();
        aging.iter().filter(|branch| branch.lifetime.end(None).is_some_and(|end| end.at <= due)).count()
    };
    assert_eq!(overdue().await, 0);
    set_expiry(&client, id, due).await.unwrap();
    assert_eq!(overdue().await, 1);
    set_protected(&client, id, true).await.unwrap();
    assert_eq!(overdue().await, 0);
    assert!(request_reset(&client, id).await.unwrap());
    let branch = find_by_id(&client, id).await.unwrap().unwrap();
    assert!(branch.protected && branch.reset_requested && branch.expires_at == Some(due));
    transition(&client, id, BranchState::Deleting, &Change::default()).await.unwrap();
    assert!(!request_reset(&client, id).await.unwrap(), "nothing resets what is being deleted");
    assert_eq!(aging(&client).await.unwrap(), [], "nor does it expire once more");
}

#[tokio::test]
async fn a_branch_is_in_use_while_it_has_sessions_and_until_it_was_extended() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let id = branch(&test, &client, SHOP, pull).await.id;
    let active_at = async || find_by_id(&client, id).await.unwrap().unwrap().active_at.unwrap();
    let past = "update branches set active_at = now() - interval '1 day'";
    let hours_ago = async |sessions, open| {
        client.execute(past, &[]).await.unwrap();
        let noted = note_sessions(&client, id, sessions, open).await.unwrap();
        assert_eq!(noted, Some(active_at().await));
        (Utc::now() - noted.unwrap()).num_hours()
    };
    assert_eq!(hours_ago(3, false).await, 0, "the first look knows of no sessions before");
    assert_eq!(hours_ago(3, false).await, 24, "nobody came");
    assert_eq!(hours_ago(3, true).await, 0, "somebody stays");
    assert_eq!(hours_ago(4, false).await, 0, "somebody came and went");
    assert_eq!(hours_ago(0, false).await, 0, "the server began to count anew");
    assert_eq!(hours_ago(0, false).await, 24);
    transition(&client, id, BranchState::Preparing, &Change::default()).await.unwrap();
    assert!(active_at().await > Utc::now() - chrono::TimeDelta::hours(1), "a push is a use");

    let until = Utc::now() + chrono::TimeDelta::days(3);
    set_expiry(&client, id, until).await.unwrap();
    note_sessions(&client, id, 1, true).await.unwrap();
    assert_eq!(active_at().await.timestamp(), until.timestamp(), "a session does not take back an extension");
    assert!(
        aging(&client).await.unwrap()[0].lifetime.active_at.is_none(),
        "without a database it is not idle"
    );
}

#[tokio::test]
async fn who_waits_for_room_keeps_the_place_until_there_is_room_or_a_reason_to_go() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let mut ids = Vec::new();
    for number in 1..=4 {
        let pull = stored_pull(&client, SHOP, 7, number).await;
        ids.push(branch(&test, &client, SHOP, pull).await.id);
    }
    let waits = Change { room_needed: Some(5), ..Change::default() };
    let step = async |id, state, change: &Change| transition(&client, id, state, change).await.unwrap();
    for id in &ids[..3] {
        step(*id, BranchState::Blocked, &waits).await;
    }
    let places = async || {
        let branches = ids.iter().map(|id| find_by_id(&client, *id));
        let found = futures_util::future::try_join_all(branches).await.unwrap();
        found.into_iter().map(|branch| branch.unwrap().place()).collect::<Vec<_>>()
    };
    assert_eq!(places().await, [Some(1), Some(2), Some(3), None]);
    assert_eq!(find_by_id(&client, ids[3]).await.unwrap().unwrap().queue.ahead, 3, "all wait before it");
    assert_eq!(waiting_pulls(&client).await.unwrap().len(), 3);

    // The first is tried again, and waits again: it loses nothing, and nobody overtakes it meanwhile.
    step(ids[0], BranchState::Preparing, &Change::default()).await;
    assert_eq!(places().await, [None, Some(2), Some(3), None]);
    assert_eq!(first_waiting(&client).await.unwrap().unwrap().id, ids[0]);
    step(ids[0], BranchState::Blocked, &Change { room_needed: Some(9), ..Change::default() }).await;
    let first = first_waiting(&client).await.unwrap().unwrap();
    assert_eq!((first.id, first.place(), first.queue.needs), (ids[0], Some(1), 9));

    // It has its room while it is still prepared; one that goes leaves no gap; one that waits for an approval is in no queue.
    step(ids[0], BranchState::Preparing, &Change::default()).await;
    assert!(leave_queue(&client, ids[0]).await.unwrap() && !leave_queue(&client, ids[0]).await.unwrap());
    assert_eq!(places().await, [None, Some(1), Some(2), None]);
    step(ids[1], BranchState::Deleting, &Change::default()).await;
    assert_eq!(places().await, [None, None, Some(1), None]);
    step(ids[2], BranchState::Blocked, &Change::default()).await;
    assert_eq!((places().await[2], waiting_for_room(&client).await.unwrap()), (None, 0));
}
