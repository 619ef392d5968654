use std::time::Duration;

use super::*;
use crate::domain::chain::Chain;
use crate::domain::fingerprint::CheckOutcome;
use crate::domain::ids::DatabaseLabel;
use crate::domain::pull::PullRequest;
use crate::store::layers::NewLayer;
use crate::store::templates::{self, Base};
use crate::store::test_support::TestStore;
use crate::store::test_support::fixtures::{branch, pull, stored_pull};
use crate::store::{Store, layer_checks, layers, pulls};

const SHOP: &str = "acme/shop";

fn key(digit: char) -> LayerKey {
    LayerKey::recorded(digit.to_string().repeat(64))
}

/// A complete layer that the repository 7 uses.
async fn layer(test: &TestStore, digit: char) -> LayerKey {
    let mut client = test.store.client().await.unwrap();
    let (key, chain) = (key(digit), Chain::default());
    let name = key.database_name();
    let new = NewLayer { key: &key, database_name: &name, owner_role: &name, chain: &chain, seeded: &[] };
    let tx = Store::begin(&mut client).await.unwrap();
    layers::record(&tx, &new, 7, &DatabaseLabel::main()).await.unwrap();
    Store::commit(tx).await.unwrap();
    layers::complete(&client, &key, 1 << 20, 1.0).await.unwrap();
    key
}

async fn needed(client: &impl GenericClient) -> Vec<LayerKey> {
    kept(client).await.unwrap().into_iter().filter(|layer| layer.needed).map(|layer| layer.key).collect()
}

#[tokio::test]
async fn tips_and_the_merge_bases_of_open_pull_requests_are_needed() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let id = stored_pull(&client, SHOP, 7, 42).await;
    let branch = branch(&test, &client, SHOP, id).await;
    let (tip, side, old) = (layer(&test, 'a').await, layer(&test, 'b').await, layer(&test, 'c').await);
    assert_eq!(needed(&client).await, []);
    let main = DatabaseLabel::main();
    let base = |base_ref| Base { repository: 7, database: &main, base_ref };
    templates::set(&client, base("main"), &tip).await.unwrap();
    templates::set(&client, base("stack"), &side).await.unwrap();
    assert_eq!(needed(&client).await, std::slice::from_ref(&tip), "nobody has a pull request onto `stack`");
    let stacked = PullRequest { base_ref: "stack".into(), ..pull(7, 43) };
    pulls::save(&client, &stacked).await.unwrap();
    assert_eq!(needed(&client).await, [tip.clone(), side.clone()]);

    need(&client, branch.id, &old).await.unwrap();
    assert_eq!(needed(&client).await, [tip.clone(), side.clone(), old.clone()]);
    assert_eq!(branches_from(&client, &old).await.unwrap(), 1);
    for closed in [PullRequest { open: false, ..stacked }, PullRequest { open: false, ..pull(7, 42) }] {
        pulls::save(&client, &closed).await.unwrap();
    }
    assert_eq!(needed(&client).await, [tip]);
}

#[tokio::test]
async fn a_layer_that_came_into_use_is_not_forgotten() {
    let test = TestStore::new().await;
    let mut client = test.store.client().await.unwrap();
    let id = stored_pull(&client, SHOP, 7, 42).await;
    let branch = branch(&test, &client, SHOP, id).await;
    let key = layer(&test, 'a').await;
    let seen = kept(&client).await.unwrap()[0].last_used_at;

    layers::touch(&client, &key, 7, &DatabaseLabel::main()).await.unwrap();
    let tx = Store::begin(&mut client).await.unwrap();
    assert!(!forget_surplus(&tx, &key, seen).await.unwrap(), "it was used since");
    Store::commit(tx).await.unwrap();

    need(&client, branch.id, &key).await.unwrap();
    let tx = Store::begin(&mut client).await.unwrap();
    assert!(!forget_surplus(&tx, &key, Utc::now()).await.unwrap(), "it is needed");
    Store::commit(tx).await.unwrap();
}

#[tokio::test]
async fn whoever_needs_a_layer_waits_until_it_is_known_whether_it_stays() {
    let test = TestStore::new().await;
    let mut client = test.store.client().await.unwrap();
    let id = stored_pull(&client, SHOP, 7, 42).await;
    let branch = branch(&test, &client, SHOP, id).await;
    let key = layer(&test, 'a').await;
    let tx = Store::begin(&mut client).await.unwrap();
    assert!(forget_surplus(&tx, &key, Utc::now()).await.unwrap());
    let other = test.store.client().await.unwrap();
    let needs = need(&other, branch.id, &key);
    tokio::pin!(needs);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut needs).await.is_err(), "it waits");
    Store::commit(tx).await.unwrap();
    needs.await.unwrap();
    assert_eq!(layers::find(&other, &key).await.unwrap(), None, "and then sees that it is gone");
}

#[tokio::test]
async fn what_was_found_wrong_stays_condemned_until_it_is_proven_right() {
    let test = TestStore::new().await;
    let client = test.store.client().await.unwrap();
    let key = key('a');
    let condemned = async || layer_checks::is_condemned(&client, &key).await.unwrap();
    assert!(!condemned().await);
    for (outcome, expected) in [
        (CheckOutcome::Same, false),
        (CheckOutcome::Differs, true),
        (CheckOutcome::Unstable, true),
        (CheckOutcome::Same, false),
        (CheckOutcome::Broken, true),
    ] {
        layer_checks::record(&client, &key, outcome, &["table x".to_owned()], 3.5).await.unwrap();
        assert_eq!(condemned().await, expected, "{outcome}");
    }
    // However old, it stays known.
    layer_checks::prune(&client, Utc::now() + chrono::TimeDelta::minutes(1)).await.unwrap();
    assert!(condemned().await);
    let last = layer_checks::last(&client, &key).await.unwrap().unwrap();
    assert_eq!((last.outcome, last.findings.as_slice()), (CheckOutcome::Broken, &["table x".to_owned()][..]));
}

#[tokio::test]
async fn layers_are_checked_by_turns_and_the_unproven_first() {
    let test = TestStore::new().await;
    let mut client = test.store.client().await.unwrap();
    stored_pull(&client, SHOP, 7, 42).await;
    let (old, tip, continued) = (layer(&test, 'a').await, layer(&test, 'b').await, layer(&test, 'c').await);
    let main = DatabaseLabel::main();
    templates::set(&client, Base { repository: 7, database: &main, base_ref: "main" }, &tip).await.unwrap();
    let tx = Store::begin(&mut client).await.unwrap();
    describe(&tx, &continued, &Recipe::default(), Some(&old)).await.unwrap();
    Store::commit(tx).await.unwrap();
    let due = async |before| -> Vec<LayerKey> {
        let due = layer_checks::due(&client, before).await.unwrap();
        due.into_iter().map(|layer| layer.key).collect()
    };
    assert_eq!(due(Utc::now()).await, [continued.clone(), tip.clone(), old.clone()]);
    layer_checks::record(&client, &continued, CheckOutcome::Same, &[], 1.0).await.unwrap();
    assert_eq!(due(Utc::now() - chrono::TimeDelta::days(1)).await, [tip.clone(), old.clone()]);
    assert_eq!(due(Utc::now() + chrono::TimeDelta::days(1)).await, [tip, old, continued]);
}
