use super::super::{CommentRef, GithubError};
use super::*;
use crate::domain::report::{Annotation, COMMENT_MARKER, CheckStatus, Conclusion, Verdict};

fn verdict(annotations: u32) -> Verdict {
    let annotation =
        |line| Annotation { path: "a.sql".into(), line, title: "42P01".into(), message: "no table".into() };
    Verdict {
        sha: "a".repeat(40).parse().unwrap(),
        status: CheckStatus::Completed(Conclusion::Failure),
        title: "1 migration failed".into(),
        summary: "It did not apply".into(),
        details_url: "https://offshoot.example/1".into(),
        annotations: (1..=annotations).map(annotation).collect(),
    }
}

fn lines(seen: &Seen) -> Vec<u64> {
    let annotations = seen.body["output"]["annotations"].as_array().unwrap();
    annotations.iter().map(|annotation| annotation["start_line"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn only_our_own_comment_is_found_on_whichever_page() {
    let url = Arc::new(Mutex::new(String::new()));
    let base = url.clone();
    let body = format!("{COMMENT_MARKER}\nAll well");
    let fake = Fake::start(move |seen| {
        let comment = |id: i64, body: &str, author: i64, app: Option<i64>| {
            let via = app.map(|id| json!({"id": id}));
            let user = json!({"id": author, "login": format!("somebody{author}")});
            json!({"id": id, "body": body, "user": user, "performed_via_github_app": via})
        };
        let quoted = comment(1, &body, 9, None);
        let other = comment(2, &body, 8, Some(6));
        let unmarked = comment(3, "hi", 7, Some(APP));
        let (by_app, by_user) = (comment(4, &body, 7, Some(APP)), comment(5, &body, 1, None));
        match (seen.asked.as_str(), seen.query.as_str()) {
            ("GET /user", _) => ok(json!({"id": 1, "login": "ada"})),
            (_, "page=2") => ok(json!([by_app, by_user])),
            (asked, _) if asked.ends_with("/comments") => {
                let next = format!("<{}/x?page=2>; rel=\"next\"", base.lock().unwrap());
                reply(200, &[("link", &next)], json!([quoted, other, unmarked]))
            }
            _ => as_app(seen).unwrap(),
        }
    })
    .await;
    *url.lock().unwrap() = fake.url.clone();
    for (github, id) in [(fake.app(), 4), (fake.with_token(), 5)] {
        let found = shop(&github).find_comment(42, COMMENT_MARKER).await.unwrap().unwrap();
        assert_eq!(found, CommentRef { id, body: format!("{COMMENT_MARKER}\nAll well") });
        assert_eq!(shop(&github).find_comment(42, "<!-- another -->").await.unwrap(), None);
    }
    assert_eq!((fake.count("GET /app"), fake.count("GET /user")), (1, 1));
}

#[tokio::test]
async fn a_comment_that_was_deleted_is_missing() {
    let fake = Fake::start(|_| reply(404, &[], json!({"message": "Not Found"}))).await;
    let error = shop(&fake.with_token()).update_comment(9, "x").await.unwrap_err();
    assert!(error.is_missing(), "{error}");
}

#[tokio::test]
async fn what_github_did_not_answer_is_not_written() {
    let page =
        (StatusCode::OK, vec![("content-type", "text/html".to_owned())], b"<html>One moment</html>".to_vec());
    let fake = Fake::start(move |seen| as_app(seen).unwrap_or_else(|| page.clone())).await;
    let (app, token) = (shop(&fake.app()), shop(&fake.with_token()));
    for told in [
        app.update_check_run(33, &verdict(0)).await,
        app.update_comment(9, "x").await,
        token.create_status(&verdict(0)).await,
    ] {
        assert!(matches!(told, Err(GithubError::Unavailable { .. })), "{told:?}");
    }
}

#[tokio::test]
async fn a_comment_that_is_refused_says_why() {
    let why = json!({"code": "unprocessable", "field": "data", "message": "Body is too long"});
    let body = json!({"message": "Validation Failed", "errors": [why]});
    let fake = Fake::start(move |_| reply(422, &[], body.clone())).await;
    let error = shop(&fake.with_token()).create_comment(42, "x").await.unwrap_err();
    assert!(
        matches!(&error, GithubError::Rejected { status: 422, message, .. } if message.contains("too long")),
        "{error}"
    );
}

#[tokio::test]
async fn many_annotations_come_in_portions() {
    let fake = Fake::start(|seen| as_app(seen).unwrap_or_else(|| reply(201, &[], json!({"id": 33})))).await;
    let repository = shop(&fake.app());
    assert_eq!(repository.create_check_run(&verdict(120), "7#42").await.unwrap(), 33);
    let sent: Vec<_> = fake.seen().into_iter().filter(|seen| seen.asked.contains("/check-runs")).collect();
    let asked: Vec<_> = sent.iter().map(|seen| seen.asked.as_str()).collect();
    let patch = "PATCH /repos/acme/shop/check-runs/33";
    assert_eq!(asked, ["POST /repos/acme/shop/check-runs", patch, patch]);
    assert_eq!(sent[0].body["head_sha"], json!("a".repeat(40)));
    assert_eq!(
        (&sent[0].body["external_id"], &sent[0].body["conclusion"]),
        (&json!("7#42"), &json!("failure"))
    );
    assert_eq!(sent.iter().flat_map(lines).collect::<Vec<_>>(), (1..=120).collect::<Vec<_>>());

    repository.update_check_run(33, &verdict(0)).await.unwrap();
    assert_eq!(fake.count(patch), 3);
}

#[tokio::test]
async fn a_check_run_whose_answer_was_lost_is_found_again() {
    let fake = Fake::start(|seen| {
        let run = |id: i64, pull: &str, app: i64| json!({"id": id, "name": "offshoot", "external_id": pull, "app": {"id": app}});
        let runs = [run(35, "7#43", APP), run(34, "7#42", 6), run(33, "7#42", APP)];
        as_app(seen).unwrap_or_else(|| ok(json!({"total_count": 3, "check_runs": runs})))
    })
    .await;
    let found = shop(&fake.app()).find_check_run(&verdict(0).sha, "7#42").await.unwrap().unwrap();
    assert_eq!((found.id, found.external_id.as_deref()), (33, Some("7#42")));
    let seen = fake.seen().pop().unwrap();
    assert_eq!(seen.query, "check_name=offshoot&filter=all&per_page=100");
}

#[tokio::test]
async fn a_token_writes_a_commit_status() {
    let fake = Fake::start(|_| reply(201, &[], json!({"id": 1}))).await;
    shop(&fake.with_token()).create_status(&verdict(1)).await.unwrap();
    let seen = fake.seen().remove(0);
    assert_eq!(seen.asked, format!("POST /repos/acme/shop/statuses/{}", "a".repeat(40)));
    let expected = json!({
        "state": "failure", "context": "offshoot", "description": "1 migration failed",
        "target_url": "https://offshoot.example/1",
    });
    assert_eq!(seen.body, expected);
}
