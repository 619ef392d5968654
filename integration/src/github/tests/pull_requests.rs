use reqwest::Method;
use serde_json::{Value, json};

use super::client::{REPOSITORY, World, world};
use crate::git::{Change, MergeMethod};
use crate::github::NewPullRequest;

fn events(world: &World) -> Vec<String> {
    let named = |delivery: crate::github::Delivery| match delivery.action {
        Some(action) => format!("{}.{action}", delivery.event),
        None => delivery.event,
    };
    world.github.deliveries().into_iter().map(named).collect()
}

fn last(world: &World) -> Value {
    world.github.deliveries().last().unwrap().payload()
}

#[tokio::test]
async fn a_pull_request_lives_from_opening_to_merge() {
    let world = world().await;
    let github = &world.github;
    let opened = last(&world);
    assert_eq!(
        (&opened["action"], &opened["pull_request"]["user"]["login"]),
        (&json!("opened"), &json!("ann"))
    );
    assert!(opened["installation"]["id"].is_u64());
    let pushed = github.push_to_pull_request(REPOSITORY, 1, &[Change::write("x", "1")]).unwrap();
    let synchronized = last(&world);
    assert_eq!(synchronized["before"], world.head.to_string());
    assert_eq!(
        (&synchronized["after"], &synchronized["pull_request"]["commits"]),
        (&json!(pushed), &json!(2))
    );
    let updated = |payload: &Value| payload["pull_request"]["updated_at"].as_str().unwrap().to_owned();
    assert!(updated(&synchronized) > updated(&opened));
    github.label(REPOSITORY, 1, "keep").unwrap();
    github.unlabel(REPOSITORY, 1, "keep").unwrap();
    github.set_draft(REPOSITORY, 1, true).unwrap();
    assert!(github.merge(REPOSITORY, 1, MergeMethod::Merge).is_err(), "a draft cannot be merged");
    github.set_draft(REPOSITORY, 1, false).unwrap();
    github.edit_title(REPOSITORY, 1, "Other").unwrap();
    github.close(REPOSITORY, 1).unwrap();
    github.reopen(REPOSITORY, 1).unwrap();
    let merged = github.merge(REPOSITORY, 1, MergeMethod::Squash).unwrap();
    let closed = last(&world);
    assert_eq!(
        (&closed["pull_request"]["merged"], &closed["pull_request"]["merge_commit_sha"]),
        (&json!(true), &json!(merged))
    );
    assert!(github.reopen(REPOSITORY, 1).is_err());
    assert_eq!(
        events(&world),
        [
            "push",
            "pull_request.opened",
            "push",
            "pull_request.synchronize",
            "pull_request.labeled",
            "pull_request.unlabeled",
            "pull_request.converted_to_draft",
            "pull_request.ready_for_review",
            "pull_request.edited",
            "pull_request.closed",
            "pull_request.reopened",
            "push",
            "pull_request.closed",
        ]
    );
    let shown = world.get("/repos/acme/shop/pulls/1").await.body;
    assert_eq!((&shown["state"], &shown["merged_by"]["login"]), (&json!("closed"), &json!("acme")));
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_pull_request_from_a_fork_outlives_the_fork() {
    let world = world().await;
    let github = &world.github;
    github.fork_repository(REPOSITORY, "bob").unwrap();
    let head = github.push("bob/shop", "idea", &[Change::write("x", "1")]).unwrap();
    let before = github.deliveries().len();
    let new = NewPullRequest::new(REPOSITORY, "main", "idea").from_fork("bob/shop").draft();
    let number = github.open_pull_request(&new).unwrap();
    assert_eq!(github.deliveries().len(), before + 1);
    assert_eq!(last(&world)["pull_request"]["head"]["repo"]["full_name"], "bob/shop");
    // The head is read through the base's repository.
    let tree = world.get(&format!("/repos/acme/shop/git/trees/{head}")).await;
    assert_eq!(tree.status, 200);
    github.delete_repository("bob/shop").unwrap();
    let shown = world.get(&format!("/repos/acme/shop/pulls/{number}")).await.body;
    assert_eq!((&shown["head"]["repo"], &shown["head"]["label"]), (&Value::Null, &json!("bob:idea")));
    assert!(github.push_to_pull_request(REPOSITORY, number, &[]).is_err());
    github.close(REPOSITORY, number).unwrap();
    assert_eq!(world.get(&format!("/repos/acme/shop/git/ref/pull/{number}/head")).await.status, 200);
    world.assert_true_to_github();
}

#[tokio::test]
async fn heads_are_forced_rebased_and_deleted() {
    let world = world().await;
    let github = &world.github;
    let main = github.push(REPOSITORY, "main", &[Change::write("readme", "1")]).unwrap();
    let rebased = github.rebase_pull_request(REPOSITORY, 1).unwrap();
    let git = github.git(REPOSITORY).unwrap();
    assert_eq!(git.merge_base(main, rebased).unwrap(), Some(main));
    let push = github.deliveries().into_iter().rev().find(|d| d.event == "push").unwrap().payload();
    assert_eq!(push["forced"], true);
    let forced = github.force_push(REPOSITORY, "feature", world.first, &[Change::write("y", "1")]).unwrap();
    assert_eq!(github.head_sha(REPOSITORY, 1).unwrap(), forced);
    github.push(REPOSITORY, "next", &[]).unwrap();
    github.edit_base(REPOSITORY, 1, "next").unwrap();
    assert_eq!(last(&world)["changes"]["base"]["ref"]["from"], "main");
    github.delete_branch(REPOSITORY, "feature").unwrap();
    assert_eq!(last(&world)["action"], "closed");
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_reopened_pull_request_is_where_its_branch_is() {
    let world = world().await;
    let github = &world.github;
    github.close(REPOSITORY, 1).unwrap();
    let pushed = github.push(REPOSITORY, "feature", &[Change::write("x", "1")]).unwrap();
    assert_eq!(last(&world)["ref"], "refs/heads/feature", "a closed pull request is not synchronized");
    assert_eq!(github.head_sha(REPOSITORY, 1).unwrap(), world.head);
    github.reopen(REPOSITORY, 1).unwrap();
    assert_eq!(last(&world)["pull_request"]["head"]["sha"], pushed.to_string());
    github.delete_branch(REPOSITORY, "feature").unwrap();
    assert!(github.reopen(REPOSITORY, 1).is_err());
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_conflict_makes_a_pull_request_unmergeable() {
    let world = world().await;
    let github = &world.github;
    assert_eq!(world.get("/repos/acme/shop/pulls/1").await.body["mergeable"], true);
    github
        .push(REPOSITORY, "main", &[Change::write("prisma/migrations/2/migration.sql", "SELECT 2;")])
        .unwrap();
    assert_eq!(world.get("/repos/acme/shop/pulls/1").await.body["mergeable"], false);
    assert!(github.merge(REPOSITORY, 1, MergeMethod::Merge).is_err());
    assert_eq!(world.get("/repos/acme/shop/pulls/1").await.body["state"], "open");
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_renamed_and_moved_repository_is_found_again() {
    let world = world().await;
    let github = &world.github;
    github.rename_repository(REPOSITORY, "store").unwrap();
    let straight = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let moved = straight.get(format!("{}/repos/acme/shop/pulls/1", github.url())).send().await.unwrap();
    assert_eq!(moved.status(), 301);
    let followed = world.get("/repos/acme/shop/pulls/1").await;
    assert_eq!((followed.status, &followed.body["base"]["repo"]["full_name"]), (200, &json!("acme/store")));
    github.transfer_repository("acme/store", "umbrella").unwrap();
    let installed = world.as_app(Method::GET, "/repos/umbrella/store/installation", Value::Null).await;
    assert_eq!(installed.body["account"]["login"], "umbrella");
    let base = github.pull_request("umbrella/store", 1).unwrap()["base"].clone();
    assert_eq!(base["user"]["login"], "umbrella");
    assert_eq!(events(&world)[2..], ["repository.renamed", "repository.transferred"]);
    world.assert_true_to_github();
}

#[tokio::test]
async fn an_uninstalled_app_is_shut_out() {
    let world = world().await;
    world.github.uninstall("acme").unwrap();
    assert_eq!(events(&world).last().unwrap(), "installation.deleted");
    assert_eq!(world.get("/repos/acme/shop").await.status, 401);
    let gone = world.as_app(Method::GET, "/repos/acme/shop/installation", Value::Null).await;
    assert_eq!(gone.status, 404);
    let before = world.github.deliveries().len();
    world.github.close(REPOSITORY, 1).unwrap();
    assert_eq!(world.github.deliveries().len(), before, "nothing is sent to an App that is not installed");
    world.github.install("acme");
    world.assert_true_to_github();
}
