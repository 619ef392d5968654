use std::time::Duration;

use serde_json::json;

use super::client::{REPOSITORY, receiver, world};
use crate::git::Change;
use crate::github::{Signing, signature};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn deliveries_are_signed_recorded_and_sent_again() {
    let world = world().await;
    let (url, received) = receiver().await;
    world.github.set_webhook_url(Some(url));
    world.github.push_to_pull_request(REPOSITORY, 1, &[Change::write("x", "1")]).unwrap();
    world.github.wait_for_deliveries(LIMIT).await.unwrap();
    {
        let received = received.lock().unwrap();
        let events: Vec<_> =
            received.iter().map(|(headers, _)| headers["x-github-event"].to_str().unwrap()).collect();
        assert_eq!(events, ["push", "pull_request"]);
        for (headers, body) in received.iter() {
            assert_eq!(headers["x-hub-signature-256"], signature("it is a secret to everybody", body));
            assert!(headers["user-agent"].to_str().unwrap().starts_with("GitHub-Hookshot/"));
        }
    }
    let last = world.github.deliveries().pop().unwrap();
    assert_eq!(last.status(), Some(202));
    world.github.redeliver(&last.guid).unwrap();
    world.github.forge(&last.guid, Signing::Wrong).unwrap();
    world.github.forge(&last.guid, Signing::Missing).unwrap();
    world.github.wait_for_deliveries(LIMIT).await.unwrap();
    let received = received.lock().unwrap();
    let right = signature("it is a secret to everybody", &last.body);
    let signed: Vec<_> = received[2..]
        .iter()
        .map(|(headers, _)| headers.get("x-hub-signature-256").map(|s| *s == *right))
        .collect();
    assert_eq!(signed, [Some(true), Some(false), None]);
    assert!(
        received[2..]
            .iter()
            .all(|(headers, body)| headers["x-github-delivery"] == *last.guid && *body == last.body)
    );
    assert_eq!(world.github.deliveries().pop().unwrap().attempts.len(), 4);
}

#[tokio::test]
async fn held_deliveries_are_rearranged() {
    let world = world().await;
    let (url, received) = receiver().await;
    world.github.set_webhook_url(Some(url));
    world.github.hold_deliveries();
    for label in ["a", "b", "c"] {
        world.github.label(REPOSITORY, 1, label).unwrap();
    }
    assert!(world.github.wait_for_deliveries(LIMIT).await.is_err());
    // c twice, then a; b is lost.
    world
        .github
        .release_arranged(|guids| vec![guids[2].clone(), guids[2].clone(), guids[0].clone()])
        .unwrap();
    world.github.wait_for_deliveries(LIMIT).await.unwrap();
    let received = received.lock().unwrap();
    let labels: Vec<_> = received
        .iter()
        .map(|(_, body)| serde_json::from_slice::<serde_json::Value>(body).unwrap()["label"]["name"].clone())
        .collect();
    assert_eq!(labels, ["c", "c", "a"]);
}

#[tokio::test]
async fn a_receiver_that_is_away_is_recorded() {
    let world = world().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world.github.set_webhook_url(Some(format!("http://{}/", listener.local_addr().unwrap())));
    drop(listener);
    let guid = world.github.ping();
    world.github.wait_for_deliveries(LIMIT).await.unwrap();
    let delivery = world.github.deliveries().pop().unwrap();
    assert_eq!((delivery.guid, delivery.attempts.len()), (guid, 1));
    assert!(delivery.attempts[0].answer.is_err());
    world.assert_true_to_github();
}

#[tokio::test]
async fn people_ask_for_checks_again_and_touch_comments() {
    let world = world().await;
    let new = json!({ "name": "offshoot", "head_sha": world.head, "conclusion": "failure" });
    world.post("/repos/acme/shop/check-runs", new).await;
    world.github.rerequest_check(REPOSITORY, world.head, "offshoot").unwrap();
    world.github.rerequest_all_checks(REPOSITORY, world.head).unwrap();
    assert!(world.github.rerequest_check(REPOSITORY, world.first, "offshoot").is_err());
    let comment = world.github.comment(REPOSITORY, 1, "bob", "/offshoot reset").unwrap();
    world.github.edit_comment(REPOSITORY, comment, "ann", "/offshoot no").unwrap();
    world.github.delete_comment(REPOSITORY, comment, "ann").unwrap();
    let deliveries = world.github.deliveries();
    let actions: Vec<_> =
        deliveries[2..].iter().map(|d| (d.event.as_str(), d.action.as_deref().unwrap())).collect();
    assert_eq!(
        actions,
        [
            ("check_run", "rerequested"),
            ("check_suite", "rerequested"),
            ("issue_comment", "created"),
            ("issue_comment", "edited"),
            ("issue_comment", "deleted")
        ]
    );
    assert_eq!(deliveries[2].payload()["check_run"]["check_suite"]["head_sha"], world.head.to_string());
    world.assert_true_to_github();
}
