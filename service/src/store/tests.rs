//! The families of tables that need few words, and what holds for the store as a whole.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};

use super::deliveries::{Arrival, NewDelivery, Receipt};
use super::instances::{InstanceNames, InstanceState};
use super::layers::NewLayer;
use super::pulls::Approval;
use super::reports::{Check, Comment};
use super::test_support::TestStore;
use super::test_support::fixtures::{branch, facts, oid, pull, stored_pull};
use super::*;
use crate::domain::chain::Chain;
use crate::domain::content::Content;
use crate::domain::ids::DatabaseLabel;
use crate::domain::job::{Job, Lane};
use crate::domain::layer::LayerKey;
use crate::domain::pull::{PullRequest, Wanted};
use crate::domain::report::Notice;
use crate::domain::repository::RepositoryFacts;
use crate::domain::token::{Reach, Scope};

const SHOP: &str = "acme/shop";

#[tokio::test]
async fn replicas_that_start_at_once_make_one_schema() {
    let test = TestStore::empty().await;
    assert!(!test.store.schema_is_current().await.unwrap());
    let started = futures_util::future::join_all((0..4).map(|_| test.store.migrate())).await;
    assert!(started.iter().all(Result::is_ok), "{started:?}");
    assert!(test.store.schema_is_current().await.unwrap());
}

#[tokio::test]
async fn a_server_that_is_away_is_transient() {
    let url = Secret::new("postgres://nobody@127.0.0.1:1/nothing");
    let store = Store::connect(&url, Vault::new(&Vault::generate_key()).unwrap()).unwrap();
    assert!(store.client().await.unwrap_err().is_transient());
    assert!(store.schema_is_current().await.unwrap_err().is_transient());
}

#[tokio::test]
async fn of_a_burst_s_sessions_a_few_stay() {
    let test = TestStore::new().await;
    let pool = &test.store.pool;
    drop(futures_util::future::try_join_all((0..POOL_SIZE).map(|_| test.store.client())).await.unwrap());
    postgres::shed(pool, Duration::from_secs(600));
    assert_eq!(pool.status().size, POOL_SIZE, "they were used just now");
    postgres::shed(pool, Duration::ZERO);
    assert_eq!(pool.status().size, 4);
    assert!(test.store.client().await.is_ok());
}

#[tokio::test]
async fn a_session_that_is_killed_is_transient_and_replaced() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let killer = test.endpoint.connect().await.unwrap();
    let others = "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()";
    killer.execute(others, &[]).await.unwrap();
    let error = repositories::list(&client).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    drop(client);
    // The pool learns of a session's end a moment after the session's user.
    let replaced = async {
        loop {
            let client = test.store.client().await.unwrap();
            match repositories::list(&client).await {
                Ok(found) => return found,
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), replaced).await.unwrap();
    assert_eq!(found, []);
}

#[tokio::test]
async fn what_is_done_at_once_is_done_whole_or_not_at_all() {
    let test = TestStore::new().await;
    let make = async |tx: &deadpool_postgres::Client, name: &str| {
        let made = tx.batch_execute(&format!("create table {name} ()")).await;
        made.map_err(|source| StoreError::Database { doing: "make a table", source })
    };
    test.store.at_once(async |tx| make(tx, "whole").await).await.unwrap();
    let failed = test.store.at_once(async |tx| {
        make(tx, "half").await?;
        make(tx, "whole").await
    });
    assert!(failed.await.is_err());
    let dropped = test.store.at_once(async |tx| {
        make(tx, "half").await?;
        std::future::pending::<Result<(), StoreError>>().await
    });
    assert!(tokio::time::timeout(Duration::from_millis(500), dropped).await.is_err());
    // Nobody holds a lock on the name any more.
    test.store.at_once(async |tx| make(tx, "half").await).await.unwrap();
}

#[tokio::test]
async fn what_was_listed_goes_over_nothing_that_was_told_since() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    repositories::upsert(&client, &facts(7, SHOP)).await.unwrap();
    let listed = pull(7, 42);
    let closed = PullRequest { open: false, ..listed.clone() };
    let stored = async || pulls::find(&client, listed.id).await.unwrap().unwrap().pull;
    // Both looked before there was one, and the delivery came first.
    pulls::save(&client, &closed).await.unwrap();
    assert!(!pulls::save_over(&client, &listed, None).await.unwrap());
    assert_eq!(stored().await, closed);
    assert!(!pulls::save_over(&client, &listed, Some(&listed)).await.unwrap());
    assert_eq!(stored().await, closed);
    assert!(pulls::save_over(&client, &listed, Some(&closed)).await.unwrap());
    assert_eq!(stored().await, listed);
    let pushed = PullRequest { head_sha: oid('c'), ..listed.clone() };
    pulls::save(&client, &pushed).await.unwrap();
    assert!(!pulls::save_over(&client, &closed, Some(&listed)).await.unwrap());
    assert_eq!(stored().await, pushed);
    let unheard_of = pull(7, 43);
    assert!(pulls::save_over(&client, &unheard_of, None).await.unwrap());
}

#[tokio::test]
async fn a_repository_keeps_its_number_through_renames() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    repositories::upsert(&client, &facts(7, SHOP)).await.unwrap();
    let mut cut_short = facts(7, "acme/Store");
    (cut_short.installation, cut_short.default_branch) = (None, String::new());
    let renamed = repositories::upsert(&client, &cut_short).await.unwrap();
    assert_eq!(renamed.facts, facts(7, "acme/Store"), "what was not said stays");
    assert!(renamed.is_known_as(&cut_short) && renamed.is_known_as(&facts(7, "acme/Store")));
    let elsewhere = RepositoryFacts { installation: Some(6), ..cut_short.clone() };
    let onto_another = RepositoryFacts { default_branch: "next".to_owned(), ..cut_short };
    for news in [facts(7, SHOP), elsewhere, onto_another] {
        assert!(!renamed.is_known_as(&news), "{news:?}");
    }

    // Another repository takes the name that became free, then the first comes back to it unheard.
    repositories::upsert(&client, &facts(8, SHOP)).await.unwrap();
    let named = async |name: &str| repositories::find_by_name(&client, &name.parse().unwrap()).await.unwrap();
    assert_eq!(named("ACME/shop").await.unwrap().facts.github_id, 8);
    assert_eq!(named("acme/store").await.unwrap().facts.github_id, 7);
    let removed =
        async |installation| repositories::mark_removed(&client, 8, Some(installation)).await.unwrap();
    assert!(!removed(6).await, "it is reached through another");
    assert!(removed(5).await);
    assert!(!removed(5).await);
    let gone = named(SHOP).await.unwrap();
    assert!(gone.removed && !gone.is_known_as(&facts(8, SHOP)));
    repositories::upsert(&client, &facts(9, SHOP)).await.unwrap();
    assert_eq!(
        named(SHOP).await.unwrap().facts.github_id,
        9,
        "one that is there goes before one that was removed"
    );
    let listed = repositories::of_installation(&client, 5).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.facts.github_id).collect::<Vec<_>>(), [9, 7]);
}

fn delivery<'a>(id: &'a str, subject: Option<&'a str>) -> NewDelivery<'a> {
    NewDelivery {
        id,
        event: "pull_request",
        action: Some("opened"),
        subject,
        repository: Some(SHOP),
        payload: b"{}",
        outcome: subject.is_none().then_some("ignored"),
        trace: None,
    }
}

async fn received(
    client: &impl deadpool_postgres::GenericClient,
    delivery: NewDelivery<'_>,
    job: Option<&Job>,
) -> Receipt {
    deliveries::receive(client, &[Arrival { delivery, job }]).await.unwrap()[0]
}

/// While a delivery is on its way to the disk, its job's row is locked, and a claim passes it by: so its receiver wakes a worker afterwards, although
/// the job had waited before.
#[tokio::test]
async fn a_job_that_waits_is_not_claimed_before_a_delivery_for_it_is_there() {
    let test = TestStore::new().await;
    let mut client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let (job, subject) = (Job::ReconcilePull(pull), pull.to_string());
    received(&client, delivery("d1", Some(&subject)), Some(&job)).await;
    let tx = Store::begin(&mut client).await.unwrap();
    received(&tx, delivery("d2", Some(&subject)), Some(&job)).await;
    let other = test.store.client().await.unwrap();
    let lease = Duration::from_secs(60);
    let claim = async || jobs::claim(&other, Lane::Foreground, uuid::Uuid::new_v4(), lease).await.unwrap();
    assert_eq!(claim().await, None);
    Store::commit(tx).await.unwrap();
    assert_eq!(claim().await.unwrap().job, job);
    assert_eq!(deliveries::unabsorbed(&other, pull).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_delivery_that_comes_twice_is_one_job() {
    let test = TestStore::new().await;
    let mut client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let (job, subject) = (Job::ReconcilePull(pull), pull.to_string());
    let twice = futures_util::future::join_all((0..2).map(|_| async {
        let client = test.store.client().await.unwrap();
        received(&client, delivery("d1", Some(&subject)), Some(&job)).await
    }))
    .await;
    assert!(twice.contains(&Receipt::Stored) && twice.contains(&Receipt::Repeated), "{twice:?}");
    let worker = uuid::Uuid::new_v4();
    let lease = std::time::Duration::from_secs(60);
    let claimed = jobs::claim(&client, Lane::Foreground, worker, lease).await.unwrap().unwrap();
    assert_eq!(claimed.job, job);

    // While it runs, the first comes again and another one comes: only that is work.
    let again = received(&client, delivery("d1", Some(&subject)), Some(&job)).await;
    assert_eq!(again, Receipt::Repeated);
    assert!(jobs::complete(&client, claimed.lease).await.unwrap());
    assert_eq!(jobs::claim(&client, Lane::Foreground, worker, lease).await.unwrap(), None);
    assert!(!deliveries::has_unabsorbed(&client, pull).await.unwrap(), "an opened one supersedes nothing");
    let push = NewDelivery { action: Some("synchronize"), ..delivery("d2", Some(&subject)) };
    assert_eq!(received(&client, push, Some(&job)).await, Receipt::Stored);
    assert!(jobs::claim(&client, Lane::Foreground, worker, lease).await.unwrap().is_some());

    let new = deliveries::unabsorbed(&client, pull).await.unwrap();
    let ids: Vec<String> = new.iter().map(|delivery| delivery.id.clone()).collect();
    assert_eq!(ids, ["d1", "d2"]);
    assert!(deliveries::has_unabsorbed(&client, pull).await.unwrap());
    let tx = Store::begin(&mut client).await.unwrap();
    deliveries::absorb(&tx, &ids, "stored").await.unwrap();
    Store::commit(tx).await.unwrap();
    assert!(!deliveries::has_unabsorbed(&client, pull).await.unwrap());
    let found = deliveries::find(&client, "d1").await.unwrap().unwrap();
    assert_eq!((found.outcome.as_deref(), found.payload.as_slice()), (Some("stored"), &b"{}"[..]));
}

#[tokio::test]
async fn deliveries_that_come_together_keep_their_order_and_share_a_job() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let (pull, other) = (stored_pull(&client, SHOP, 7, 42).await, stored_pull(&client, SHOP, 7, 43).await);
    let (job, subject) = (Job::ReconcilePull(pull), pull.to_string());
    let (other_job, other_subject) = (Job::ReconcilePull(other), other.to_string());
    received(&client, delivery("known", Some(&subject)), Some(&job)).await;
    let told = |id, subject, job| Arrival { delivery: delivery(id, subject), job };
    let arrivals = [
        told("z", Some(subject.as_str()), Some(&job)),
        told("known", Some(&subject), Some(&job)),
        told("y", Some(&other_subject), Some(&other_job)),
        told("ignored", None, None),
        told("z", Some(&subject), Some(&job)),
        told("a", Some(&subject), Some(&job)),
    ];
    let receipts = deliveries::receive(&client, &arrivals).await.unwrap();
    use Receipt::{Repeated, Stored};
    assert_eq!(receipts, [Stored, Repeated, Stored, Stored, Repeated, Stored]);
    let of_pull = deliveries::unabsorbed(&client, pull).await.unwrap();
    assert_eq!(of_pull.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["known", "z", "a"]);
    let figures = jobs::figures(&client).await.unwrap();
    assert_eq!(figures.iter().map(|figure| figure.jobs).sum::<i64>(), 2);
}

#[tokio::test]
async fn a_delivery_that_needs_nothing_is_kept_and_done_with() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    received(&client, delivery("d1", None), None).await;
    assert_eq!(jobs::figures(&client).await.unwrap(), []);
    let page = deliveries::list(&client, None, PageRequest::first(10)).await.unwrap();
    assert_eq!((page.total, page.items[0].outcome.as_deref()), (1, Some("ignored")));
    assert!(page.items[0].absorbed_at.is_some());
    assert_eq!(deliveries::prune(&client, Utc::now() + TimeDelta::minutes(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_session_ends_by_itself_and_when_it_is_told_to() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let vault = test.store.vault();
    let token = Secret::new("offs_a-token");
    let hour = std::time::Duration::from_secs(3600);
    let session = sessions::begin(&client, vault, &token, hour).await.unwrap();
    let found = async |session: &Secret| sessions::find(&client, vault, session).await.unwrap();
    assert_eq!(found(&session).await, Some(token.clone()));
    assert_eq!(found(&Secret::new("made up")).await, None);
    let other = Vault::new(&Vault::generate_key()).unwrap();
    assert_eq!(sessions::find(&client, &other, &session).await.unwrap(), None, "the key was replaced");
    sessions::end(&client, &session).await.unwrap();
    assert_eq!(found(&session).await, None);
    let over = sessions::begin(&client, vault, &token, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(found(&over).await, None);
    sessions::begin(&client, vault, &token, hour).await.unwrap();
    let rows = client.query_one("select count(*) as rows from sessions", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>("rows"), 1, "those that are over are forgotten");
}

#[tokio::test]
async fn a_pull_request_survives_its_row() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let id = stored_pull(&client, SHOP, 7, 42).await;
    let (approval, notice) = (Approval { sha: oid('a'), by: "grace".into() }, Notice::NoChain);
    pulls::approve(&client, id, &approval).await.unwrap();
    pulls::set_notice(&client, id, Some(&notice)).await.unwrap();
    let mut told = pull(7, 42);
    (told.head_repository, told.title, told.base_ref) = (None, "Other".into(), "next".into());
    pulls::save(&client, &told).await.unwrap();
    let stored = pulls::find(&client, id).await.unwrap().unwrap();
    assert_eq!((stored.pull, stored.approval, stored.notice), (told.clone(), Some(approval), Some(notice)));
    assert_eq!(pulls::open_on_base(&client, 7, "next").await.unwrap().len(), 1);
    assert_eq!(pulls::open_on_base(&client, 7, "main").await.unwrap(), []);
    pulls::unwant(&client, id, &told.head_sha).await.unwrap();
    let (first, later) = (stored.head_since, told.updated_at + TimeDelta::seconds(5));
    told.updated_at = later;
    pulls::save(&client, &told).await.unwrap();
    let head_since = async || pulls::find(&client, id).await.unwrap().unwrap().head_since;
    assert_eq!(head_since().await, first, "the head stayed what it was");
    let wanted = async || pulls::find(&client, id).await.unwrap().unwrap().wanted();
    assert_eq!(wanted().await, Wanted::No);
    pulls::note_wanted(&client, id, &told.head_sha).await.unwrap();
    assert_eq!(wanted().await, Wanted::No, "nobody asked for them");
    pulls::want_anew(&client, id).await.unwrap();
    assert_eq!(wanted().await, Wanted::Anew);
    pulls::unwant(&client, id, &told.head_sha).await.unwrap();
    pulls::note_wanted(&client, id, &told.head_sha).await.unwrap();
    assert_eq!(wanted().await, Wanted::No, "they were ended again before they were there");
    pulls::want_anew(&client, id).await.unwrap();
    pulls::note_wanted(&client, id, &told.head_sha).await.unwrap();
    assert_eq!(wanted().await, Wanted::Yes);
    pulls::unwant(&client, id, &told.head_sha).await.unwrap();
    let before = std::mem::replace(&mut told.head_sha, oid('e'));
    pulls::save(&client, &told).await.unwrap();
    assert_eq!(head_since().await, later, "the head moved");
    told.head_sha = before;
    pulls::save(&client, &told).await.unwrap();
    assert_eq!(wanted().await, Wanted::Anew, "it moved back by a push, which wants databases");
    told.open = false;
    pulls::save(&client, &told).await.unwrap();
    assert_eq!(pulls::open_of(&client, 7).await.unwrap(), []);
    let unknown = pulls::set_notice(&client, pull(7, 1).id, None).await;
    assert!(matches!(unknown, Err(StoreError::Missing(_))));
}

fn names(name: &str) -> InstanceNames {
    InstanceNames { database: name.into(), role: format!("{name}_role") }
}

#[tokio::test]
async fn one_instance_of_a_branch_is_live() {
    let test = TestStore::new().await;
    let mut client = test.store.client().await.unwrap();
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let branch = branch(&test, &client, SHOP, pull).await.id;
    for id in ["one", "two"] {
        instances::create(&client, id, branch, &names(id)).await.unwrap();
        assert_eq!(instances::preparing_of(&client, branch).await.unwrap().len(), 1);
        let tx = Store::begin(&mut client).await.unwrap();
        let replaced = instances::promote(&tx, id, &names("place"), &names("old"), true).await.unwrap();
        Store::commit(tx).await.unwrap();
        assert_eq!(replaced.map(|instance| instance.id), (id == "two").then(|| "one".to_owned()));
    }
    let live = instances::live_of(&client, branch).await.unwrap().unwrap();
    assert_eq!((live.id.as_str(), live.names), ("two", names("place")));
    let forced = client.execute("update instances set state = 'live'", &[]).await.unwrap_err();
    assert_eq!(forced.code(), Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION));

    instances::trash(&client, "two", &names("older")).await.unwrap();
    let trash = instances::all_trash(&client).await.unwrap();
    assert!(trash.len() == 2 && trash.iter().all(|instance| instance.state == InstanceState::Trash));
    instances::forget(&client, "one").await.unwrap();
    assert_eq!(instances::all(&client).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_layer_is_at_hand_once_it_is_complete_and_shared_by_its_content() {
    let test = TestStore::new().await;
    let mut client = test.store.client().await.unwrap();
    let key = LayerKey::recorded("ab".repeat(32));
    let (chain, main) = (Chain::default(), DatabaseLabel::main());
    let new = NewLayer { key: &key, database_name: "layer", owner_role: "owner", chain: &chain, seeded: &[] };
    for (repository, name) in [(7, SHOP), (8, "acme/blog")] {
        repositories::upsert(&client, &facts(repository, name)).await.unwrap();
        let tx = Store::begin(&mut client).await.unwrap();
        layers::record(&tx, &new, repository, &main).await.unwrap();
        Store::commit(tx).await.unwrap();
    }
    assert_eq!(layers::at_hand(&client, 7, &main).await.unwrap(), []);
    assert!(!layers::find(&client, &key).await.unwrap().unwrap().complete);
    layers::complete(&client, &key, 12_000_000, 34.5).await.unwrap();
    for repository in [7, 8] {
        let at_hand = layers::at_hand(&client, repository, &main).await.unwrap();
        assert_eq!(
            (at_hand.len(), at_hand[0].size_bytes, at_hand[0].build_ms),
            (1, Some(12_000_000), Some(34.5))
        );
    }
    layers::forget(&client, &key).await.unwrap();
    assert_eq!(layers::all(&client).await.unwrap(), []);
}

#[tokio::test]
async fn git_s_objects_are_kept_by_their_hashes() {
    let test = TestStore::new().await;
    let store = &test.store;
    let blobs = [(oid('a'), &b"\x00\xff"[..]), (oid('b'), b"")]
        .map(|(oid, bytes)| (oid, Content::new(bytes::Bytes::from_static(bytes))));
    objects::put_blobs(store, &blobs).await.unwrap();
    objects::put_blobs(store, &blobs).await.unwrap();
    let tree = Arc::new(crate::domain::tree::tests::tree(&["m/migration_lock.toml", "m/1/migration.sql"]));
    assert_eq!(objects::get_tree(store, 7, &oid('a')).await.unwrap(), None);
    objects::put_tree(store, 7, &oid('a'), &tree).await.unwrap();
    let restarted = Store { recent: objects::Recent::new(), ..store.clone() };
    for store in [store, &restarted, &restarted] {
        let found = objects::get_blobs(store, &[oid('a'), oid('b'), oid('c')]).await.unwrap();
        assert_eq!(found, blobs.iter().cloned().collect());
        assert_eq!(objects::get_tree(store, 7, &oid('a')).await.unwrap(), Some(tree.clone()));
        assert_eq!(objects::get_tree(store, 8, &oid('a')).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_was_reported_is_remembered() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let id = pull(7, 42).id;
    let comment = Comment { github_id: 99, digest: "x".into() };
    reports::save_comment(&client, id, &comment).await.unwrap();
    assert_eq!(reports::find_comment(&client, id).await.unwrap(), Some(comment));
    reports::forget_comment(&client, id).await.unwrap();
    assert_eq!(reports::find_comment(&client, id).await.unwrap(), None);

    let mut check = Check { sha: oid('a'), github_id: Some(5), ended: false, digest: "x".into() };
    reports::save_check(&client, id, &check).await.unwrap();
    assert_eq!(reports::unended_checks(&client, id).await.unwrap(), [check.clone()]);
    check.ended = true;
    reports::save_check(&client, id, &check).await.unwrap();
    assert_eq!(reports::unended_checks(&client, id).await.unwrap(), []);
    assert_eq!(reports::find_check(&client, id, &oid('a')).await.unwrap(), Some(check.clone()));
    reports::reopen_check(&client, id, &oid('a')).await.unwrap();
    (check.ended, check.digest) = (false, String::new());
    assert_eq!(reports::unended_checks(&client, id).await.unwrap(), [check]);
}

#[tokio::test]
async fn a_token_opens_its_scope_until_it_is_revoked() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let scope = Scope { reach: Reach::Repository(SHOP.parse().unwrap()), read_only: true };
    let (token, secret) = tokens::create(&client, "ci", &scope).await.unwrap();
    assert!(secret.expose().starts_with("offs_") && token.last_used_at.is_none());
    let bearer = tokens::verify(&client, &secret).await.unwrap().unwrap();
    assert_eq!((bearer.id, bearer.name.as_str(), bearer.scope), (token.id, token.name.as_str(), scope));
    assert_eq!(tokens::verify(&client, &Secret::new("offs_x")).await.unwrap(), None);
    assert!(tokens::list(&client).await.unwrap()[0].last_used_at.is_some());
    let row = client.query_one("select tokens::text as row from tokens", &[]).await.unwrap();
    assert!(!row.get::<_, String>("row").contains(secret.expose()));
    assert!(tokens::revoke(&client, token.id).await.unwrap());
    assert!(!tokens::revoke(&client, token.id).await.unwrap());
    assert_eq!(tokens::verify(&client, &secret).await.unwrap(), None);
}
