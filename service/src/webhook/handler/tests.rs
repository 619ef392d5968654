use axum::http::Method;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::super::signature::tests::sign;
use super::*;
use crate::jobs::Turns;
use crate::store::test_support::TestStore;
use crate::store::{deliveries, jobs};

const SECRET: &str = "hush";

struct Door {
    test: TestStore,
    router: Router,
}

impl Door {
    async fn new() -> Self {
        let test = TestStore::new().await;
        let secrets = vec![Secret::new("next"), Secret::new(SECRET)];
        let router = router(WebhookState::new(
            test.store.clone(),
            test.store.listener().into(),
            secrets,
            Turns::default(),
        ));
        Self { test, router }
    }

    async fn post(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(Method::POST).uri("/webhooks/github");
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Posts as GitHub does.
    async fn deliver(&self, id: &str, event: &str, body: &str) -> StatusCode {
        let signature = sign(body.as_bytes(), SECRET);
        self.post(&envelope(id, event, &signature), body.to_owned()).await.0
    }

    async fn jobs(&self) -> Vec<(String, i64)> {
        let client = self.test.store.client().await.unwrap();
        let figures = jobs::figures(&client).await.unwrap();
        figures.into_iter().map(|figure| (figure.kind, figure.jobs)).collect()
    }

    async fn stored(&self) -> i64 {
        let client = self.test.store.client().await.unwrap();
        deliveries::list(&client, None, crate::store::PageRequest::first(1)).await.unwrap().total
    }
}

fn envelope<'a>(id: &'a str, event: &'a str, signature: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("x-github-delivery", id),
        ("x-github-event", event),
        ("x-hub-signature-256", signature),
        ("content-type", "application/json"),
    ]
}

fn renamed() -> String {
    json!({"action": "renamed", "repository": {"id": 7, "full_name": "acme/shop"}}).to_string()
}

#[tokio::test]
async fn a_delivery_is_stored_with_its_job_and_answered_202_then_200() {
    let door = Door::new().await;
    assert_eq!(door.deliver("d-1", "repository", &renamed()).await, StatusCode::ACCEPTED);
    assert_eq!(door.deliver("d-1", "repository", &renamed()).await, StatusCode::OK);
    assert_eq!((door.stored().await, door.jobs().await), (1, vec![("sync_repository".to_owned(), 1)]));
    assert_eq!(door.deliver("d-2", "ping", "{\"zen\":\"…\"}").await, StatusCode::OK);
    assert_eq!(door.deliver("d-3", "star", "{}").await, StatusCode::OK);
    assert_eq!((door.stored().await, door.jobs().await.len()), (3, 1));
}

/// More than are stored in one statement, some of them twice.
#[tokio::test]
async fn of_many_that_come_at_once_each_is_stored_once() {
    let door = Door::new().await;
    let body = renamed();
    let posts = (0..60).map(|number| {
        let id = format!("d-{}", number % 40);
        let (door, body) = (&door, &body);
        async move { door.deliver(&id, "repository", body).await }
    });
    let answers = futures_util::future::join_all(posts).await;
    let count = |wanted: StatusCode| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(StatusCode::ACCEPTED), count(StatusCode::OK)), (40, 20));
    assert_eq!((door.stored().await, door.jobs().await), (40, vec![("sync_repository".to_owned(), 1)]));
}

#[tokio::test]
async fn a_form_is_as_good_and_is_stored_as_json() {
    let door = Door::new().await;
    let form =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &renamed()).finish();
    let signature = sign(form.as_bytes(), SECRET);
    let mut headers = envelope("d-1", "repository", &signature);
    headers[3].1 = "application/x-www-form-urlencoded; charset=utf-8";
    assert_eq!(door.post(&headers, form).await.0, StatusCode::ACCEPTED);
    let client = door.test.store.client().await.unwrap();
    let stored = deliveries::find(&client, "d-1").await.unwrap().unwrap();
    assert_eq!(stored.payload, renamed().into_bytes());
    assert_eq!(stored.repository.as_deref(), Some("acme/shop"));

    let other = "other=1";
    let signature = sign(other.as_bytes(), SECRET);
    headers[2].1 = &signature;
    assert_eq!(door.post(&headers, other).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_refused_is_not_stored_and_is_told_why() {
    let door = Door::new().await;
    let body = renamed();
    let good = sign(body.as_bytes(), SECRET);
    let wrong = sign(body.as_bytes(), "guess");
    let long = "d".repeat(101);
    let cases = [
        (envelope("d", "repository", ""), 401, "invalid-signature"),
        (envelope("d", "repository", "sha1=00"), 401, "invalid-signature"),
        (envelope("d", "repository", &wrong), 401, "invalid-signature"),
        (envelope("", "repository", &good), 400, "malformed-delivery"),
        (envelope(&long, "repository", &good), 400, "malformed-delivery"),
        (envelope("a b", "repository", &good), 400, "malformed-delivery"),
        (envelope("d", "", &good), 400, "malformed-delivery"),
        (envelope("d", "Not An Event", &good), 400, "malformed-delivery"),
        (envelope("d", "pull_request", &good), 400, "malformed-delivery"),
        (as_text(envelope("d", "repository", &good)), 400, "malformed-delivery"),
    ];
    for (headers, expected, name) in cases {
        let (status, problem) = door.post(&headers, body.clone()).await;
        assert_eq!(status.as_u16(), expected, "{headers:?}");
        assert_eq!(problem["status"], expected);
        assert_eq!(problem["type"], format!("/problems/{name}"));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert!(!problem.to_string().contains(&good[7..]), "no signature in an answer");
    }
    assert_eq!(door.deliver("d", "ping", "{not json").await, StatusCode::BAD_REQUEST);
    assert_eq!((door.stored().await, door.jobs().await), (0, vec![]));
}

fn as_text<'a>(mut headers: [(&'static str, &'a str); 4]) -> [(&'static str, &'a str); 4] {
    headers[3].1 = "text/plain";
    headers
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read_whole() {
    let door = Door::new().await;
    let announced = [&envelope("d", "ping", "sha256=00")[..], &[("content-length", "26214401")]].concat();
    assert_eq!(door.post(&announced, "{}").await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let endless =
        futures_util::stream::repeat(Ok::<_, std::convert::Infallible>(Bytes::from(vec![b' '; 1 << 20])));
    let headers = envelope("d", "ping", "sha256=00");
    assert_eq!(door.post(&headers, Body::from_stream(endless)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn without_its_database_it_asks_to_be_tried_again() {
    let vault = crate::secret::Vault::new(&crate::secret::Vault::generate_key()).unwrap();
    let store = Store::connect(&Secret::new("postgres://nobody@127.0.0.1:1/nothing"), vault).unwrap();
    let router = router(WebhookState::new(
        store.clone(),
        store.listener().into(),
        vec![Secret::new(SECRET)],
        Turns::default(),
    ));
    let body = renamed();
    let mut request = Request::builder().method(Method::POST).uri("/webhooks/github");
    for (name, value) in envelope("d", "repository", &sign(body.as_bytes(), SECRET)) {
        request = request.header(name, value);
    }
    let response = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn few_large_bodies_are_read_at_once() {
    let test = TestStore::new().await;
    let state =
        WebhookState::new(test.store.clone(), test.store.listener().into(), Vec::new(), Turns::default());
    let body = |size: usize| Body::from(vec![b' '; size]);
    let places = state.room_for_large.try_acquire_many(LARGE_AT_ONCE as u32).unwrap();
    assert_eq!(collect(&state, body(USUAL_SIZE + 1)).await, Err(Problem::Crowded));
    assert_eq!(collect(&state, body(USUAL_SIZE)).await.unwrap().len(), USUAL_SIZE);
    drop(places);
    assert_eq!(collect(&state, body(USUAL_SIZE + 1)).await.unwrap().len(), USUAL_SIZE + 1);
    assert_eq!(state.room_for_large.available_permits(), LARGE_AT_ONCE);
}
