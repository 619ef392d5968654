//! The client against the simulated GitHub, which checks every request against GitHub's own description of its API.

use integration::git::Change;
use integration::github::{
    AccountKind, AppCredentials, Fault, Matcher, NewPullRequest, Role, Settings, SimulatedGitHub,
};

use super::super::{GithubError, Permission};
use super::*;
use crate::domain::ids::{Oid, RepositoryName};
use crate::domain::report::{Annotation, COMMENT_MARKER, CheckStatus, Conclusion, Verdict};
use crate::source::Source;

const SHOP: &str = "acme/shop";
const MACHINE: &str = "ghp_machine";

struct World {
    github: SimulatedGitHub,
    head: Oid,
    _directory: tempfile::TempDir,
}

/// A repository with a chain of so many migrations, and a pull request that adds one.
async fn world(migrations: usize) -> World {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { token: Some(MACHINE.to_owned()), ..Settings::new(directory.path()) };
    let github = SimulatedGitHub::start(settings).await.unwrap();
    github.create_account("acme", AccountKind::Organization);
    let path = |number: usize| format!("prisma/migrations/{number:04}_step/migration.sql");
    let mut files: Vec<_> = (0..migrations)
        .map(|number| Change::write(path(number), format!("CREATE TABLE t{number} (id int);\n").repeat(40)))
        .collect();
    files.push(Change::write("prisma/migrations/migration_lock.toml", "provider = \"postgresql\"\n"));
    github.create_repository("acme", "shop", "main", &files).unwrap();
    github.push(SHOP, "fix/#1-tags", &[Change::write(path(migrations), "SELECT 1;")]).unwrap();
    let new = NewPullRequest::new(SHOP, "main", "fix/#1-tags").by("ann").titled("Add tags");
    github.open_pull_request(&new).unwrap();
    let head = github.head_sha(SHOP, 1).unwrap().to_string().parse().unwrap();
    World { github, head, _directory: directory }
}

impl World {
    fn app(&self) -> Github {
        let app = AppCredentials::for_tests();
        let id = i64::try_from(app.id).unwrap();
        connect(self.github.url(), Credentials::App { id, private_key: Secret::new(app.private_key_pem) })
    }

    fn token(&self) -> Github {
        connect(self.github.url(), Credentials::Token(Secret::new(MACHINE)))
    }

    fn assert_true_to_github(&self) {
        // What the simulation answers is for its own tests.
        let violations = self.github.violations().unwrap();
        let violations: Vec<_> =
            violations.iter().filter(|violation| !violation.at.starts_with("answer")).collect();
        assert!(violations.is_empty(), "{violations:#?}");
    }

    fn sha(&self) -> integration::git::Sha {
        self.github.head_sha(SHOP, 1).unwrap()
    }

    fn verdict(&self, status: CheckStatus) -> Verdict {
        let annotation =
            Annotation { path: "a.sql".into(), line: 3, title: "42P01".into(), message: "no table".into() };
        Verdict {
            sha: self.head.clone(),
            status,
            title: "é".repeat(140),
            summary: "It did not apply".into(),
            details_url: "https://offshoot.example/1".into(),
            annotations: vec![annotation; 60],
        }
    }
}

fn name() -> RepositoryName {
    SHOP.parse().unwrap()
}

#[tokio::test]
async fn a_long_chain_is_read_within_its_budget() {
    let world = world(434).await;
    let repository = shop(&world.app());
    let comparison = repository.compare("main", &world.head).await.unwrap();
    let tree = repository.tree(&comparison.merge_base).await.unwrap();
    let wanted = |tree: &crate::domain::tree::Tree| -> Vec<_> {
        let files = tree.entries().iter().filter(|entry| entry.size.is_some());
        files.map(|entry| (entry.oid.clone(), entry.size)).collect()
    };
    let known = wanted(&tree);
    assert_eq!(repository.blobs(&known).await.unwrap().len(), 435);
    assert!(world.github.requests().len() <= 15, "{} requests", world.github.requests().len());

    let mark = world.github.mark();
    repository.compare("main", &world.head).await.unwrap();
    let tree = repository.tree(&world.head).await.unwrap();
    let new: Vec<_> = wanted(&tree).into_iter().filter(|blob| !known.contains(blob)).collect();
    assert_eq!(repository.blobs(&new).await.unwrap(), ["SELECT 1;"]);
    assert!(world.github.requests_since(mark).len() <= 4);

    // The root's listing and that of `prisma` are cut; the chain's own is just whole.
    world.github.set_tree_limit(SHOP, 2 * 435 + 1).unwrap();
    assert_eq!(repository.tree(&world.head).await.unwrap(), tree);
    repository.compare("fix/#1-tags", &world.head).await.unwrap();
    world.assert_true_to_github();
}

#[tokio::test]
async fn repositories_and_pull_requests_are_seen_through_their_changes() {
    let world = world(1).await;
    let github = world.app();
    let facts = github.repository_facts(&name()).await.unwrap();
    assert_eq!(facts.default_branch, "main");
    let installation = facts.installation.unwrap();
    assert_eq!(github.installations().await.unwrap()[0].id, installation);
    assert_eq!(github.installation_repositories(installation).await.unwrap(), std::slice::from_ref(&facts));
    assert_eq!(github.check().await.unwrap().problems(), Vec::<String>::new());

    let repository = github.repository(&name(), Some(installation));
    let pull = repository.pull(1).await.unwrap();
    assert_eq!((&pull.head_sha, pull.author.as_str(), pull.from_fork), (&world.head, "ann", false));
    assert_eq!(repository.open_pulls().await.unwrap(), [pull]);
    assert!(repository.pull(99).await.unwrap_err().is_missing());
    world.github.set_role(SHOP, "mia", Some(Role::Write)).unwrap();
    assert_eq!(repository.collaborator_permission("mia").await.unwrap(), Permission::Write);

    world.github.rename_repository(SHOP, "store").unwrap();
    let renamed = github.repository_by_id(facts.github_id, Some(installation)).await.unwrap();
    assert_eq!(renamed.name.to_string(), "acme/store");
    let old = github.repository(&name(), Some(installation));
    assert_eq!(old.pull(1).await.unwrap().id.number, 1);
    old.create_comment(1, "still here").await.unwrap();
    world.github.expire_tokens();
    old.pull(1).await.unwrap();
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_verdict_and_a_comment_reach_the_pull_request_once() {
    let world = world(1).await;
    let repository = shop(&world.app());
    let begun = world.verdict(CheckStatus::InProgress);
    world.github.fail(Matcher::new(http::Method::POST, "/repos/*/*/check-runs"), Fault::LoseAnswer, Some(1));
    let lost = repository.create_check_run(&begun, "7#1").await.unwrap_err();
    assert!(matches!(lost, GithubError::Unavailable { .. }), "{lost}");
    let found = repository.find_check_run(&world.head, "7#1").await.unwrap().unwrap();
    let ended = world.verdict(CheckStatus::Completed(Conclusion::Failure));
    repository.update_check_run(found.id, &ended).await.unwrap();
    let runs = world.github.check_runs(SHOP, world.sha()).unwrap();
    assert_eq!((runs.len(), runs[0].conclusion.as_deref()), (1, Some("failure")));

    for github in [world.app(), world.token()] {
        let repository = shop(&github);
        let body = format!("{COMMENT_MARKER}\nAll well");
        world.github.comment(SHOP, 1, "eve", &body).unwrap();
        assert_eq!(repository.find_comment(1, COMMENT_MARKER).await.unwrap(), None);
        let id = repository.create_comment(1, &body).await.unwrap();
        assert_eq!(repository.find_comment(1, COMMENT_MARKER).await.unwrap().unwrap().id, id);
        repository.update_comment(id, "Better").await.unwrap();
        world.github.delete_comment(SHOP, u64::try_from(id).unwrap(), "acme").unwrap();
        assert!(repository.update_comment(id, "Best").await.unwrap_err().is_missing());
    }
    shop(&world.token())
        .create_status(&world.verdict(CheckStatus::Completed(Conclusion::Neutral)))
        .await
        .unwrap();
    assert_eq!(world.github.statuses(SHOP, world.sha()).unwrap()[0].state, "error");
    world.assert_true_to_github();
}

#[tokio::test]
async fn faults_are_told_apart() {
    let world = world(1).await;
    let repository = shop(&world.app());
    let fail =
        |fault, times| world.github.fail(Matcher::new(http::Method::GET, "/repos/*/*/pulls/*"), fault, times);
    fail(Fault::Status(502), Some(2));
    repository.pull(1).await.unwrap();
    fail(Fault::Close, Some(2));
    repository.pull(1).await.unwrap();
    fail(Fault::SecondaryRateLimit { retry_after: 7 }, Some(1));
    assert!(matches!(repository.pull(1).await, Err(GithubError::Wait { .. })));
    fail(Fault::PrimaryRateLimit { reset_in: 30 }, Some(1));
    assert!(matches!(repository.pull(1).await, Err(GithubError::Wait { .. })));
    fail(Fault::Garbage, Some(1));
    assert!(matches!(repository.pull(1).await, Err(GithubError::Unavailable { .. })));
    world.github.set_permission("acme", "checks", None).unwrap();
    let error =
        shop(&world.app()).create_check_run(&world.verdict(CheckStatus::Queued), "7#1").await.unwrap_err();
    assert!(matches!(error, GithubError::Forbidden { .. }), "{error}");
    assert!(repository.github().quota().is_some());
    world.github.uninstall("acme").unwrap();
    assert!(shop(&world.app()).pull(1).await.unwrap_err().is_missing());
}
