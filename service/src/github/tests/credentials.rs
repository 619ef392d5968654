use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::super::{Checkup, GithubError};
use super::*;

const TOKENS: &str = "POST /app/installations/5/access_tokens";

fn read_permission() -> Reply {
    ok(json!({"permission": "read"}))
}

#[tokio::test]
async fn requests_say_who_asks_and_for_which_version() {
    let fake = Fake::start(|_| read_permission()).await;
    shop(&fake.with_token()).collaborator_permission("ada").await.unwrap();
    let seen = fake.seen().remove(0);
    let all = |name: &str| {
        seen.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(all("user-agent"), [concat!("offshoot/", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(all("x-github-api-version"), ["2022-11-28"]);
    assert_eq!(all("accept"), ["application/vnd.github+json"]);
    assert_eq!(all("authorization"), [format!("Bearer {TOKEN}")]);
}

#[tokio::test]
async fn an_app_finds_its_installation_and_makes_one_token_for_all() {
    let fake = Fake::start(|seen| as_app(seen).unwrap_or_else(read_permission)).await;
    let github = fake.app();
    let repository = shop(&github);
    let at_once = join_all((0..8).map(|_| repository.collaborator_permission("ada"))).await;
    assert!(at_once.iter().all(Result::is_ok), "{at_once:?}");
    shop(&github).collaborator_permission("ada").await.unwrap();
    assert_eq!(fake.count(TOKENS), 1);
    assert_eq!(fake.count("GET /repos/acme/shop/installation"), 2);
    for seen in fake.seen() {
        let as_installation = seen.asked.contains("/collaborators/");
        assert_eq!(seen.authorization() == "Bearer ghs_first", as_installation, "{}", seen.asked);
        assert_eq!(seen.authorization().starts_with("Bearer eyJ"), !as_installation, "{}", seen.asked);
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let made = AtomicUsize::new(0);
    let fake = Fake::start(move |seen| match seen.asked.as_str() {
        // The first one has a minute left; the next one an hour.
        TOKENS if made.fetch_add(1, Ordering::Relaxed) == 0 => token("ghs_short", 60),
        TOKENS => token("ghs_long", 3600),
        _ => read_permission(),
    })
    .await;
    let repository = fake.app().repository(&"acme/shop".parse().unwrap(), Some(INSTALLATION));
    for _ in 0..3 {
        repository.collaborator_permission("ada").await.unwrap();
    }
    let used: Vec<_> = fake
        .seen()
        .iter()
        .map(|seen| seen.authorization().to_owned())
        .filter(|by| !by.contains("eyJ"))
        .collect();
    assert_eq!(used, ["Bearer ghs_short", "Bearer ghs_long", "Bearer ghs_long"]);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_made_anew() {
    let fake = Fake::start(|seen| match seen.asked.as_str() {
        TOKENS => token("ghs_again", 3600),
        _ => read_permission(),
    })
    .await;
    let revoked = AtomicUsize::new(0);
    let strict = Fake::start(move |seen| match seen.asked.as_str() {
        TOKENS if revoked.fetch_add(1, Ordering::Relaxed) == 0 => token("ghs_revoked", 3600),
        TOKENS => token("ghs_again", 3600),
        _ if seen.authorization().contains("revoked") => {
            reply(401, &[], json!({"message": "Bad credentials"}))
        }
        _ => read_permission(),
    })
    .await;
    for fake in [&fake, &strict] {
        let repository = fake.app().repository(&"acme/shop".parse().unwrap(), Some(INSTALLATION));
        repository.collaborator_permission("ada").await.unwrap();
    }
    assert_eq!((fake.count(TOKENS), strict.count(TOKENS)), (1, 2));
}

#[tokio::test]
async fn an_installation_that_is_gone_or_suspended_is_told_as_such() {
    let status = Arc::new(AtomicUsize::new(404));
    let answered = status.clone();
    let fake = Fake::start(move |_| {
        let message = json!({"message": "This installation has been suspended"});
        reply(u16::try_from(answered.load(Ordering::Relaxed)).unwrap(), &[], message)
    })
    .await;
    let repository = fake.app().repository(&"acme/shop".parse().unwrap(), Some(INSTALLATION));
    assert!(repository.pull(1).await.unwrap_err().is_missing());
    status.store(403, Ordering::Relaxed);
    let error = repository.pull(1).await.unwrap_err();
    assert!(
        matches!(&error, GithubError::Forbidden { message, .. } if message.contains("suspended")),
        "{error}"
    );
    status.store(500, Ordering::Relaxed);
    let before = fake.seen().len();
    repository.create_comment(1, "x").await.unwrap_err();
    assert_eq!(fake.seen().len() - before, 3, "no comment was sent, so nothing could have been made twice");
}

#[tokio::test]
async fn what_the_credentials_see_and_may_is_told() {
    let fake = Fake::start(|seen| match seen.asked.as_str() {
        "GET /app" => ok(json!({
            "id": APP, "slug": "offshoot", "name": "Offshoot", "events": ["push", "pull_request", "repository"],
            "permissions": {"metadata": "read", "contents": "read", "pull_requests": "write", "checks": "write"},
        })),
        "GET /app/installations" => ok(json!([{"id": 5, "account": {"login": "acme"}, "suspended_at": null}])),
        "GET /installation/repositories" => ok(json!({"total_count": 1, "repositories": [
            {"id": 7, "full_name": "acme/shop", "default_branch": "trunk"},
        ]})),
        "GET /repositories/7" => ok(json!({"id": 7, "full_name": "acme/store", "default_branch": "trunk"})),
        "GET /user" => reply(200, &[("x-oauth-scopes", "gist")], json!({"id": 1, "login": "ada"})),
        _ => as_app(seen).unwrap(),
    })
    .await;
    let app = fake.app();
    let checkup = app.check().await.unwrap();
    assert!(checkup.problems().is_empty(), "{checkup:?}");
    let facts = app.installation_repositories(5).await.unwrap().remove(0);
    assert_eq!((facts.github_id, facts.installation, facts.default_branch.as_str()), (7, Some(5), "trunk"));
    assert_eq!(app.repository_by_id(7, Some(5)).await.unwrap().name.to_string(), "acme/store");
    assert!(matches!(app.repository_by_id(7, None).await, Err(GithubError::Setting(_))));

    let checkup = fake.with_token().check().await.unwrap();
    assert_eq!(checkup, Checkup::Token { login: "ada".into(), scopes: Some(vec!["gist".into()]) });
    assert_eq!(checkup.problems().len(), 1);
}
