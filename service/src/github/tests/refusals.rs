use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::GithubError;
use super::*;
use crate::domain::report::COMMENT_MARKER;

/// Fails a number of times, then answers.
fn after(failures: usize, failure: Reply, then: Reply) -> impl Fn(&Seen) -> Reply {
    let asked = AtomicUsize::new(0);
    move |_| if asked.fetch_add(1, Ordering::Relaxed) < failures { failure.clone() } else { then.clone() }
}

fn bad_gateway() -> Reply {
    (StatusCode::BAD_GATEWAY, vec![], b"<html>unicorn</html>".to_vec())
}

#[tokio::test]
async fn trouble_that_passes_is_not_noticed() {
    let fake = Fake::start(after(2, bad_gateway(), ok(json!({"permission": "write"})))).await;
    let permission = shop(&fake.with_token()).collaborator_permission("ada").await.unwrap();
    assert!(permission >= super::super::Permission::Write);
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn trouble_that_stays_is_told_after_three_attempts() {
    let fake = Fake::start(|_| bad_gateway()).await;
    let error = shop(&fake.with_token()).pull(42).await.unwrap_err();
    let expected = "GitHub could not be asked for GET /repos/acme/shop/pulls/42: \
                    it answered 502 Bad Gateway: <html>unicorn</html>";
    assert_eq!(error.to_string(), expected);
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn what_may_have_made_something_is_not_sent_twice() {
    let fake = Fake::start(|_| bad_gateway()).await;
    let repository = shop(&fake.with_token());
    let error = repository.create_comment(42, "hello").await.unwrap_err();
    assert!(matches!(error, GithubError::Unavailable { .. }), "{error}");
    assert_eq!(fake.count("POST /repos/acme/shop/issues/42/comments"), 1);
    repository.update_comment(9, "hello").await.unwrap_err();
    assert_eq!(fake.count("PATCH /repos/acme/shop/issues/comments/9"), 3);
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let fake = Fake::start(|seen| match seen.asked.as_str() {
        "PATCH /repos/acme/shop/issues/comments/9" => reply(
            307,
            &[("location", "/repositories/7/issues/comments/9")],
            json!({"message": "Temporary Redirect"}),
        ),
        "PATCH /repositories/7/issues/comments/9" => ok(json!({"id": 9})),
        other => panic!("nobody asks for {other}"),
    })
    .await;
    shop(&fake.with_token()).update_comment(9, "hello").await.unwrap();
    let [before, after] = fake.seen().try_into().unwrap();
    assert_eq!(
        (before.body, before.headers.get("authorization")),
        (after.body, after.headers.get("authorization"))
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let github = connect(&url, Credentials::Token(Secret::new(TOKEN)));
    let error = shop(&github).create_comment(42, "hello").await.unwrap_err();
    assert!(matches!(&error, GithubError::Unavailable { why, .. } if why.contains("refused")), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = GithubSettings::new(Credentials::Token(Secret::new(TOKEN)));
    settings.api_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    settings.backoff = Duration::from_millis(1);
    settings.timeouts.read = Duration::from_millis(50);
    let error = shop(&Github::connect(settings).unwrap()).pull(1).await.unwrap_err();
    assert!(error.to_string().ends_with("it did not answer in time"), "{error}");
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let fake = Fake::start(|_| (StatusCode::OK, vec![], b"{\"number\": ".to_vec())).await;
    let error = shop(&fake.with_token()).pull(1).await.unwrap_err();
    assert!(
        matches!(&error, GithubError::Unavailable { why, .. } if why.contains("cannot be read")),
        "{error}"
    );
}

#[tokio::test]
async fn limits_are_waited_for_and_the_quota_is_known() {
    let reset = chrono::Utc::now().timestamp() + 600;
    let headers = [
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", &reset.to_string()),
        ("x-ratelimit-resource", "core"),
    ];
    let limited = reply(403, &headers, json!({"message": "API rate limit exceeded"}));
    let fake = Fake::start(move |_| limited.clone()).await;
    let github = fake.with_token();
    assert_eq!(github.quota(), None);
    let error = shop(&github).pull(1).await.unwrap_err();
    assert!(matches!(&error, GithubError::Wait { until, .. } if until.timestamp() == reset), "{error}");
    assert_eq!(fake.seen().len(), 1);
    let quota = github.quota().unwrap();
    assert_eq!((quota.limit, quota.remaining, quota.reset.timestamp()), (5000, 0, reset));
}

#[tokio::test]
async fn graphql_s_own_limit_is_one_too() {
    let limited = json!({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]});
    let fake = Fake::start(move |_| ok(limited.clone())).await;
    let wanted: Vec<_> = ["a", "b", "c"].map(|digit| (digit.repeat(40).parse().unwrap(), Some(1))).to_vec();
    let error = shop(&fake.with_token()).read_blobs(&wanted).await.unwrap_err();
    assert!(matches!(error, GithubError::Wait { .. }), "{error}");
}

#[tokio::test]
async fn no_secret_is_in_an_error_or_in_debug_output() {
    let refused = reply(401, &[], json!({"message": "Bad credentials"}));
    let fake = Fake::start(move |_| refused.clone()).await;
    let secrets = [TOKEN, &KEY[100..140], "eyJ"];
    for github in [fake.app(), fake.with_token()] {
        let repository = github.repository(&"acme/shop".parse().unwrap(), Some(INSTALLATION));
        let error = repository.find_comment(1, COMMENT_MARKER).await.unwrap_err();
        assert!(matches!(error, GithubError::Unauthorized { .. }), "{error}");
        let told = format!("{error} {error:?} {github:?} {repository:?} {:?}", github.itself());
        assert!(secrets.iter().all(|secret| !told.contains(secret)), "{told}");
    }
    let wrong = Credentials::App { id: 1, private_key: Secret::new(TOKEN) };
    let settings = GithubSettings::new(wrong);
    let told = format!("{settings:?} {}", Github::connect(settings.clone()).unwrap_err());
    assert!(!told.contains(TOKEN) && told.contains("RSA"), "{told}");
    let told =
        Github::connect(GithubSettings::new(Credentials::Token(Secret::new("two words")))).unwrap_err();
    assert!(!told.to_string().contains("two words"), "{told}");
}
