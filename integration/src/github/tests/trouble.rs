use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{REPOSITORY, world};
use crate::github::{Fault, Matcher};

#[tokio::test]
async fn faults_strike_what_they_match_so_often() {
    let world = world().await;
    let github = &world.github;
    let mark = github.mark();
    github.fail(Matcher::new(Method::GET, "/repos/*/*/pulls/*"), Fault::Status(502), Some(2));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(world.get("/repos/acme/shop/pulls/1").await.status);
    }
    assert_eq!(statuses, [502, 502, 200]);
    assert_eq!(world.get("/repos/acme/shop").await.status, 200);
    let logged: Vec<_> = github.requests_since(mark).into_iter().map(|r| (r.path, r.status)).collect();
    assert_eq!(logged[0], ("/repos/acme/shop/pulls/1".to_owned(), Some(502)));
    assert_eq!(logged.len(), 4);
}

#[tokio::test]
async fn limits_are_told_as_github_tells_them() {
    let world = world().await;
    let github = &world.github;
    let header =
        |answered: &super::client::Answered, name: &str| answered.headers[name].to_str().unwrap().to_owned();
    github.fail(Matcher::all(), Fault::PrimaryRateLimit { reset_in: 30 }, Some(1));
    let primary = world.get("/repos/acme/shop").await;
    assert_eq!((primary.status, header(&primary, "x-ratelimit-remaining").as_str()), (403, "0"));
    github.fail(Matcher::all(), Fault::SecondaryRateLimit { retry_after: 7 }, Some(1));
    let secondary = world.get("/repos/acme/shop").await;
    assert_eq!((secondary.status, header(&secondary, "retry-after").as_str()), (403, "7"));
    github.fail(Matcher::all(), Fault::TooManyRequests { retry_after: 3 }, Some(1));
    assert_eq!(world.get("/repos/acme/shop").await.status, 429);
    github.set_rate_limit(5000, 1, Duration::from_secs(60));
    let spent = world.get("/repos/acme/shop").await;
    assert_eq!((spent.status, header(&spent, "x-ratelimit-remaining").as_str()), (200, "0"));
    assert_eq!(world.get("/repos/acme/shop").await.status, 403);
    github.set_rate_limit(5000, 0, Duration::ZERO);
    assert_eq!(world.get("/repos/acme/shop").await.status, 200);
}

#[tokio::test]
async fn connections_break_before_and_after_the_deed() {
    let world = world().await;
    let comments = Matcher::new(Method::POST, "/repos/*/*/issues/*/comments");
    let token = world.installation_token(json!({})).await;
    for (fault, written) in [(Fault::Close, 0), (Fault::LoseAnswer, 1)] {
        world.github.fail(comments.clone(), fault, Some(1));
        let path = "/repos/acme/shop/issues/1/comments";
        let broken = world.try_send(Method::POST, path, json!({ "body": "hello" }), Some(&token)).await;
        assert!(broken.is_err());
        assert_eq!(world.github.comments(REPOSITORY, 1).unwrap().len(), written);
    }
    world.github.fail(Matcher::all(), Fault::Garbage, Some(1));
    let garbage = world.get("/repos/acme/shop").await;
    assert_eq!((garbage.status, garbage.body), (200, Value::Null));
}

#[tokio::test]
async fn answers_are_late_or_never_come() {
    let world = world().await;
    world.github.fail(Matcher::all(), Fault::Latency(Duration::from_millis(120)), Some(1));
    let asked = Instant::now();
    assert_eq!(world.get("/repos/acme/shop").await.status, 200);
    assert!(asked.elapsed() >= Duration::from_millis(120));
    world.github.fail(Matcher::all(), Fault::Hang, None);
    let patience = Duration::from_millis(200);
    assert!(tokio::time::timeout(patience, world.get("/repos/acme/shop")).await.is_err());
    world.github.clear_faults();
    assert_eq!(world.get("/repos/acme/shop").await.status, 200);
}

#[tokio::test]
async fn an_unchanged_answer_costs_nothing() {
    let world = world().await;
    let ask = async |tag: Option<&str>| {
        let mut request = world.http.get(format!("{}/api/v3/repos/acme/shop/pulls/1", world.github.url()));
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        request.send().await.unwrap()
    };
    let first = ask(None).await;
    let (tag, left) = (
        first.headers()["etag"].to_str().unwrap().to_owned(),
        first.headers()["x-ratelimit-remaining"].clone(),
    );
    let second = ask(Some(&tag)).await;
    assert_eq!((second.status().as_u16(), &second.headers()["x-ratelimit-remaining"]), (304, &left));
    world.github.label(REPOSITORY, 1, "x").unwrap();
    assert_eq!(ask(Some(&tag)).await.status(), 200);
}

#[tokio::test]
async fn a_wrong_request_is_a_violation() {
    let world = world().await;
    world.post("/repos/acme/shop/issues/1/comments", json!({ "body": "x" })).await;
    world.assert_true_to_github();
    world.get("/repos/acme/shop/pulls?stat=all").await;
    world.get("/repos/acme/shop/pull/1").await;
    let new = json!({ "state": "success", "target_url": 7 });
    assert_eq!(world.post(&format!("/repos/acme/shop/statuses/{}", world.head), new).await.status, 422);
    let odd = json!({ "name": "x", "head_sha": world.head, "conclusion": "success", "actions": "none" });
    assert_eq!(world.post("/repos/acme/shop/check-runs", odd).await.status, 201);
    let violations: Vec<String> =
        world.github.violations().unwrap().iter().map(|v| format!("{} {}", v.operation, v.at)).collect();
    assert_eq!(
        violations,
        [
            "GET /repos/{owner}/{repo}/pulls query stat",
            "GET /repos/acme/shop/pull/1 path",
            "POST /repos/{owner}/{repo}/check-runs request/actions",
        ]
    );
}

#[tokio::test]
async fn a_server_that_was_shut_down_is_gone() {
    let world = world().await;
    world.github.shutdown();
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while world.http.get(world.github.url()).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
}
