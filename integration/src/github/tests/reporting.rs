use reqwest::Method;
use serde_json::{Value, json};

use super::client::{REPOSITORY, world};
use crate::git::Change;

fn annotation(line: u64) -> Value {
    json!({ "path": "a.sql", "start_line": line, "end_line": line, "annotation_level": "failure", "message": "no" })
}

#[tokio::test]
async fn a_check_run_goes_from_start_to_end() {
    let world = world().await;
    let new =
        json!({ "name": "offshoot", "head_sha": world.head, "status": "in_progress", "external_id": "7" });
    let created = world.post("/repos/acme/shop/check-runs", new).await;
    assert_eq!((created.status, &created.body["pull_requests"][0]["number"]), (201, &json!(1)));
    let path = format!("/repos/acme/shop/check-runs/{}", created.body["id"]);
    let output =
        |annotations: Vec<Value>| json!({ "title": "t", "summary": "s", "annotations": annotations });
    let fifty: Vec<Value> = (1..=50).map(annotation).collect();
    assert_eq!(world.patch(&path, json!({ "output": output(fifty) })).await.status, 200);
    let done = json!({ "conclusion": "failure", "output": output(vec![annotation(51)]) });
    let completed = world.patch(&path, done).await.body;
    assert_eq!(
        (&completed["status"], &completed["output"]["annotations_count"]),
        (&json!("completed"), &json!(51))
    );
    let runs = world.github.check_runs(REPOSITORY, world.head).unwrap();
    assert_eq!((runs.len(), runs[0].updates, runs[0].conclusion.as_deref()), (1, 2, Some("failure")));
    assert_eq!(world.get(&path).await.body["id"], created.body["id"]);
    let listed = world.get("/repos/acme/shop/commits/feature/check-runs?check_name=offshoot").await.body;
    assert_eq!(listed["total_count"], 1);
    world.assert_true_to_github();
}

#[tokio::test]
async fn malformed_check_runs_are_refused() {
    let world = world().await;
    let sha = world.head.to_string();
    let many: Vec<Value> = (1..=51).map(annotation).collect();
    let mut columns = annotation(1);
    columns["end_line"] = json!(2);
    columns["start_column"] = json!(1);
    let long = "x".repeat(65_536);
    for (why, body) in [
        ("no name", json!({ "head_sha": sha })),
        ("no commit", json!({ "name": "x", "head_sha": "1234567890123456789012345678901234567890" })),
        ("unknown status", json!({ "name": "x", "head_sha": sha, "status": "running" })),
        ("completed without a conclusion", json!({ "name": "x", "head_sha": sha, "status": "completed" })),
        ("no summary", json!({ "name": "x", "head_sha": sha, "output": { "title": "t" } })),
        (
            "a long text",
            json!({ "name": "x", "head_sha": sha, "output": { "title": "t", "summary": "s", "text": long } }),
        ),
        (
            "51 annotations",
            json!({ "name": "x", "head_sha": sha, "output": { "title": "t", "summary": "s", "annotations": many } }),
        ),
        (
            "columns over lines",
            json!({ "name": "x", "head_sha": sha, "output": { "title": "t", "summary": "s", "annotations": [columns] } }),
        ),
    ] {
        let refused = world.post("/repos/acme/shop/check-runs", body).await;
        assert_eq!(refused.status, 422, "{why}: {}", refused.body);
    }
    assert_eq!(world.github.check_runs(REPOSITORY, world.head).unwrap(), []);
    world.assert_true_to_github();
}

#[tokio::test]
async fn statuses_add_up() {
    let world = world().await;
    let path = format!("/repos/acme/shop/statuses/{}", world.head);
    for (context, state) in [("a", "pending"), ("b", "success"), ("a", "success"), ("b", "failure")] {
        let new = json!({ "state": state, "context": context, "description": "d", "target_url": "https://x.example/1" });
        assert_eq!(world.post(&path, new).await.status, 201);
    }
    assert_eq!(
        world.post(&path, json!({ "state": "success", "description": "d".repeat(141) })).await.status,
        422
    );
    let combined = world.get(&format!("/repos/acme/shop/commits/{}/status", world.head)).await.body;
    assert_eq!((&combined["state"], &combined["total_count"]), (&json!("failure"), &json!(2)));
    let all = world.get(&format!("/repos/acme/shop/commits/{}/statuses", world.head)).await.body;
    assert_eq!((all.as_array().unwrap().len(), &all[0]["state"]), (4, &json!("failure")));
    assert_eq!(world.github.statuses(REPOSITORY, world.head).unwrap().len(), 4);
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_comment_is_written_changed_and_deleted() {
    let world = world().await;
    let issue = "/repos/acme/shop/issues/1/comments";
    let created = world.post(issue, json!({ "body": "é".repeat(65_536) })).await;
    assert_eq!(created.status, 201);
    for bad in [json!({ "body": "x".repeat(65_537) }), json!({ "body": "" })] {
        assert_eq!(world.post(issue, bad).await.status, 422);
    }
    let path = format!("/repos/acme/shop/issues/comments/{}", created.body["id"]);
    assert_eq!(world.patch(&path, json!({ "body": "ready" })).await.body["body"], "ready");
    world.github.comment(REPOSITORY, 1, "bob", "nice").unwrap();
    let listed = world.get(&format!("{issue}?per_page=1&page=2")).await.body;
    assert_eq!(listed[0]["user"]["login"], "bob");
    let comments = world.github.comments(REPOSITORY, 1).unwrap();
    assert_eq!((comments[0].edits, comments[0].by_app, comments[1].by_app), (1, true, false));
    assert_eq!(world.get(&path).await.status, 200);
    let token = world.installation_token(json!({})).await;
    assert_eq!(world.send(Method::DELETE, &path, Value::Null, Some(&token)).await.status, 204);
    assert_eq!(world.get(&path).await.status, 404);
    assert_eq!(world.post("/repos/acme/shop/issues/99/comments", json!({ "body": "x" })).await.status, 404);
    world.assert_true_to_github();
}

#[tokio::test]
async fn deployments_pass_through_their_states() {
    let world = world().await;
    let new = json!({ "ref": "feature", "environment": "pr-1", "auto_merge": false, "required_contexts": [], "transient_environment": true });
    let created = world.post("/repos/acme/shop/deployments", new).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let statuses = format!("/repos/acme/shop/deployments/{}/statuses", created.body["id"]);
    for state in ["in_progress", "success", "inactive"] {
        let new = json!({ "state": state, "environment_url": "https://x.example", "log_url": "https://x.example/log" });
        assert_eq!(world.post(&statuses, new).await.status, 201);
    }
    assert_eq!(world.get(&statuses).await.body[0]["state"], "inactive");
    let listed = world.get("/repos/acme/shop/deployments?environment=pr-1").await.body;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        world.github.deployments(REPOSITORY).unwrap()[0].states,
        ["in_progress", "success", "inactive"]
    );
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_deployment_waits_for_statuses_and_merges_the_base() {
    let world = world().await;
    let path = format!("/repos/acme/shop/statuses/{}", world.head);
    world.post(&path, json!({ "state": "pending" })).await;
    let refused = world.post("/repos/acme/shop/deployments", json!({ "ref": "feature" })).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    world.github.push(REPOSITORY, "main", &[Change::write("readme", "1")]).unwrap();
    let merged = world.post("/repos/acme/shop/deployments", json!({ "ref": "feature" })).await;
    assert_eq!(merged.status, 202, "{}", merged.body);
    let after = world.post("/repos/acme/shop/deployments", json!({ "ref": "feature" })).await;
    assert_eq!(after.status, 201, "{}", after.body);
    world.assert_true_to_github();
}
