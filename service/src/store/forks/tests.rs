use std::time::Duration;

use super::*;
use crate::domain::branch::Branch;
use crate::domain::fork::{Demand, Origin};
use crate::domain::layer::LayerKey;
use crate::domain::state::BranchState;
use crate::store::branches::{self, Change};
use crate::store::snapshots;
use crate::store::test_support::TestStore;
use crate::store::test_support::fixtures::{branch, oid, stored_pull};

const SHOP: &str = "acme/shop";
const HOUR: Duration = Duration::from_secs(3600);

async fn client(test: &TestStore) -> deadpool_postgres::Client {
    test.store.client().await.unwrap()
}

/// A branch that is ready, and the snapshot of its state.
async fn ready(test: &TestStore) -> (Branch, Origin, LayerKey) {
    let client = client(test).await;
    let pull = stored_pull(&client, SHOP, 7, 42).await;
    let branch = branch(test, &client, SHOP, pull).await;
    branches::transition(&client, branch.id, BranchState::Preparing, &Change::default()).await.unwrap();
    let reached =
        Change { generation: Some(1), database_sha: Some(branch.head_sha.clone()), ..Change::default() };
    let branch = branches::transition(&client, branch.id, BranchState::Ready, &reached).await.unwrap();
    let origin = Origin::of(&branch).unwrap();
    let key = LayerKey::recorded("ab".repeat(32));
    assert!(snapshots::record(&client, &origin, &key, "snapshot", "snapshot").await.unwrap());
    assert_eq!(snapshots::take_up(&client, &origin).await.unwrap(), None, "one that is not complete");
    snapshots::complete(&client, &key).await.unwrap();
    assert!(snapshots::take_up(&client, &origin).await.unwrap().is_some());
    (branch, origin, key)
}

fn wish<'a>(repository: &'a RepositoryName, database: &'a DatabaseLabel, sha: Option<&'a Oid>) -> Wish<'a> {
    Wish { repository, number: 42, database, sha, ttl: HOUR }
}

async fn add_spare(test: &TestStore, origin: &Origin, key: &LayerKey) -> Option<Commission> {
    let id = Uuid::new_v4();
    let name = format!("offshoot_fork_{}", id.simple());
    let client = client(test).await;
    let commission = spare(&client, test.store.vault(), origin, key, id, &name).await.unwrap();
    if let Some(commission) = &commission {
        assert!(is_filling(&client, commission.id).await.unwrap());
        made(&client, commission.id).await.unwrap();
    }
    commission
}

async fn want_one(test: &TestStore, branch: &Branch, limit: i64) -> Option<Uuid> {
    let id = Uuid::new_v4();
    let name = format!("offshoot_fork_{}", id.simple());
    let new = NewFork { id, database_name: &name, branch: branch.id, sha: None, patience: HOUR, limit };
    want(&client(test).await, test.store.vault(), &new).await.unwrap().then_some(id)
}

#[tokio::test]
async fn a_spare_is_handed_out_once_and_only_for_the_present_state() {
    let test = TestStore::new().await;
    let (branch, origin, key) = ready(&test).await;
    let (client, vault) = (client(&test).await, test.store.vault());
    let (shop, main) = (SHOP.parse().unwrap(), DatabaseLabel::main());
    let spare = add_spare(&test, &origin, &key).await.unwrap();
    let other = oid('9');
    assert_eq!(take(&client, vault, &wish(&shop, &main, Some(&other))).await.unwrap(), None);
    let taken = take(&client, vault, &wish(&shop, &main, Some(&branch.head_sha))).await.unwrap().unwrap();
    assert_eq!((taken.id, &taken.password), (spare.id, &spare.password));
    assert_eq!(take(&client, vault, &wish(&shop, &main, None)).await.unwrap(), None, "handed out twice");
    assert_eq!(find_live(&client, taken.id).await.unwrap().unwrap().repository, shop);

    add_spare(&test, &origin, &key).await.unwrap();
    branches::request_reset(&client, branch.id).await.unwrap();
    assert_eq!(take(&client, vault, &wish(&shop, &main, None)).await.unwrap(), None, "about to be replaced");
    assert!(add_spare(&test, &origin, &key).await.is_none());
    assert!(want_one(&test, &branch, 10).await.is_none());
}

#[tokio::test]
async fn what_is_made_for_somebody_is_theirs_until_they_go() {
    let test = TestStore::new().await;
    let (branch, origin, key) = ready(&test).await;
    let (client, vault) = (client(&test).await, test.store.vault());
    let (shop, main) = (SHOP.parse().unwrap(), DatabaseLabel::main());
    let (first, second) =
        (want_one(&test, &branch, 2).await.unwrap(), want_one(&test, &branch, 2).await.unwrap());
    assert!(want_one(&test, &branch, 2).await.is_none(), "more than the branch may have");
    assert_eq!(claim(&client, vault, first, HOUR).await.unwrap(), Wanted::NotYet);
    for id in [first, second] {
        assert_eq!(accept(&client, vault, &origin, &key).await.unwrap().unwrap().id, id);
        made(&client, id).await.unwrap();
    }
    assert_eq!(take(&client, vault, &wish(&shop, &main, None)).await.unwrap(), None, "somebody else's");
    assert_eq!(demand(&client, &origin).await.unwrap().spare, 0);
    let Wanted::Made(handed) = claim(&client, vault, first, HOUR).await.unwrap() else { panic!("made") };
    assert_eq!(handed.id, first);
    abandon(&client, second).await.unwrap();
    assert_eq!(take(&client, vault, &wish(&shop, &main, None)).await.unwrap().unwrap().id, second);
    abandon(&client, second).await.unwrap();
    assert!(find_live(&client, second).await.unwrap().is_some(), "one that is handed out is not taken back");

    let late = want_one(&test, &branch, 10).await.unwrap();
    let too_late = "update forks set state = 'spare', snapshot = $2, waited_until = now() - interval '1 s' where id = $1";
    client.execute(too_late, &[&late, &key.as_str()]).await.unwrap();
    assert_eq!(take(&client, vault, &wish(&shop, &main, None)).await.unwrap().unwrap().id, late);
    assert_eq!(claim(&client, vault, late, HOUR).await.unwrap(), Wanted::Refused(None), "handed out twice");

    let third = want_one(&test, &branch, 10).await.unwrap();
    refuse(&client, branch.id, Some(&origin), None).await.unwrap();
    assert_eq!(claim(&client, vault, third, HOUR).await.unwrap(), Wanted::NotYet, "of the present state");
    refuse(&client, branch.id, None, Some("because")).await.unwrap();
    let refused = Wanted::Refused(Some("because".to_owned()));
    assert_eq!(claim(&client, vault, third, HOUR).await.unwrap(), refused);
}

#[tokio::test]
async fn a_snapshot_goes_after_the_last_fork_that_was_made_from_it() {
    let test = TestStore::new().await;
    let (branch, origin, key) = ready(&test).await;
    let client = client(&test).await;
    let spare = add_spare(&test, &origin, &key).await.unwrap();
    assert!(!snapshots::forget(&client, &key).await.unwrap());
    drain(&client).await.unwrap();
    assert!(all_trash(&client).await.unwrap().is_empty(), "a spare of the present state");

    branches::transition(&client, branch.id, BranchState::Deleting, &Change::default()).await.unwrap();
    condemn(&client, branch.id).await.unwrap();
    assert!(!is_filling(&client, spare.id).await.unwrap());
    assert_eq!(all_trash(&client).await.unwrap()[0].id, spare.id);
    assert!(snapshots::unused(&client).await.unwrap().is_empty());
    dropped(&client, spare.id).await.unwrap();
    assert!(names(&client).await.unwrap().is_empty());
    assert_eq!(snapshots::unused(&client).await.unwrap()[0].key, key);
    assert!(snapshots::forget(&client, &key).await.unwrap());
    assert!(
        !snapshots::record(&client, &origin, &key, "snapshot", "snapshot").await.unwrap(),
        "of a branch that goes"
    );
}

#[tokio::test]
async fn what_is_reserved_is_nobody_s_until_it_is_handed_over() {
    let test = TestStore::new().await;
    let (branch, origin, key) = ready(&test).await;
    let (client, vault) = (client(&test).await, test.store.vault());
    let (shop, main): (RepositoryName, _) = (SHOP.parse().unwrap(), DatabaseLabel::main());
    assert_eq!(reserve(&client, vault, branch.id, HOUR).await.unwrap(), None, "the pool is empty");
    let spare = add_spare(&test, &origin, &key).await.unwrap();
    let reserved = reserve(&client, vault, branch.id, HOUR).await.unwrap().unwrap();
    let Reserved { id, of, password, .. } = reserved;
    assert_eq!((id, password), (spare.id, spare.password));
    let present = Present {
        repository: shop.clone(),
        pull: branch.pull,
        database: main.clone(),
        head: branch.head_sha.clone(),
    };
    assert_eq!(of, present);
    assert_eq!(take(&client, vault, &wish(&shop, &main, None)).await.unwrap(), None, "handed out twice");
    assert_eq!(reserve(&client, vault, branch.id, HOUR).await.unwrap(), None, "reserved twice");
    assert!(live_of(&client, branch.id).await.unwrap().is_empty(), "nobody has it");
    assert_eq!(demand(&client, &origin).await.unwrap(), Demand { standing: 1, ..Demand::default() });

    put_back(&client, id).await.unwrap();
    assert_eq!(reserve(&client, vault, branch.id, HOUR).await.unwrap().unwrap().id, id);
    let at = Utc::now();
    hand_over(&client, id, at, at + HOUR).await.unwrap();
    hand_over(&client, id, at, at + HOUR * 2).await.unwrap();
    put_back(&client, id).await.unwrap();
    let live = live_of(&client, branch.id).await.unwrap();
    assert_eq!((live.len(), live[0].id), (1, id), "what somebody has is not put back");
    assert!(live[0].expires_at.unwrap() - live[0].handed_out_at.unwrap() == chrono::TimeDelta::hours(1));

    add_spare(&test, &origin, &key).await.unwrap();
    branches::request_reset(&client, branch.id).await.unwrap();
    assert_eq!(reserve(&client, vault, branch.id, HOUR).await.unwrap(), None, "about to be replaced");
}

#[tokio::test]
async fn what_is_reserved_goes_with_its_branch_or_its_time() {
    let test = TestStore::new().await;
    let (branch, origin, key) = ready(&test).await;
    let (client, vault) = (client(&test).await, test.store.vault());
    add_spare(&test, &origin, &key).await.unwrap();
    let late = reserve(&client, vault, branch.id, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(expire(&client).await.unwrap(), 1);
    add_spare(&test, &origin, &key).await.unwrap();
    let condemned = reserve(&client, vault, branch.id, HOUR).await.unwrap().unwrap();
    condemn(&client, branch.id).await.unwrap();
    for id in [late.id, condemned.id] {
        put_back(&client, id).await.unwrap();
        hand_over(&client, id, Utc::now(), Utc::now() + HOUR).await.unwrap();
    }
    assert_eq!(all_trash(&client).await.unwrap().len(), 2, "what is to be dropped stays so");
}
