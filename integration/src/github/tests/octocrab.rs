//! The client that the service uses understands what is answered.

use octocrab::models::{AppId, InstallationId};
use octocrab::params::State;
use octocrab::params::checks::{CheckRunConclusion, CheckRunStatus};
use octocrab::params::repos::Reference;

use super::client::{REPOSITORY, World, world};
use crate::github::AppCredentials;

async fn client(world: &World) -> octocrab::Octocrab {
    let pem = AppCredentials::for_tests().private_key_pem;
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let app = octocrab::Octocrab::builder()
        .base_uri(world.github.url())
        .unwrap()
        .app(AppId(4242), key)
        .build()
        .unwrap();
    let installation = app.apps().get_repository_installation("acme", "shop").await.unwrap();
    app.installation(InstallationId(installation.id.0)).unwrap()
}

#[tokio::test]
async fn a_pull_request_is_read() {
    let world = world().await;
    let client = client(&world).await;
    let pull = client.pulls("acme", "shop").get(1).await.unwrap();
    assert_eq!((pull.number, pull.head.sha), (1, world.head.to_string()));
    let page = client.pulls("acme", "shop").list().state(State::Open).per_page(1).send().await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, None));
    let repository = client.repos("acme", "shop").get().await.unwrap();
    assert_eq!(repository.full_name.as_deref(), Some(REPOSITORY));
    client.repos("acme", "shop").get_ref(&Reference::Branch("main".into())).await.unwrap();
    let content = client
        .repos("acme", "shop")
        .get_content()
        .path("prisma/migrations/1_init/migration.sql")
        .send()
        .await;
    assert_eq!(content.unwrap().items[0].decoded_content().as_deref(), Some("CREATE TABLE a (id int);\n"));
    let compared = client.commits("acme", "shop").compare("main", "feature").send().await.unwrap();
    assert_eq!(compared.ahead_by, 1);
    client.ratelimit().get().await.unwrap();
    world.assert_true_to_github();
}

#[tokio::test]
async fn a_report_is_written() {
    let world = world().await;
    let client = client(&world).await;
    let checks = client.checks("acme", "shop");
    let run = checks.create_check_run("offshoot", world.head.to_string()).status(CheckRunStatus::InProgress);
    let run = run.send().await.unwrap();
    checks.update_check_run(run.id).conclusion(CheckRunConclusion::Success).send().await.unwrap();
    let shown = world.github.check_runs(REPOSITORY, world.head).unwrap();
    assert_eq!(shown[0].conclusion.as_deref(), Some("success"));
    let issues = client.issues("acme", "shop");
    let comment = issues.create_comment(1, "preparing").await.unwrap();
    issues.update_comment(comment.id, "ready").await.unwrap();
    assert_eq!(issues.list_comments(1).send().await.unwrap().items[0].body.as_deref(), Some("ready"));
    issues.delete_comment(comment.id).await.unwrap();
    assert_eq!(world.github.comments(REPOSITORY, 1).unwrap(), []);
    world.assert_true_to_github();
}

#[tokio::test]
async fn every_webhook_is_understood() {
    let world = world().await;
    world.github.push_to_pull_request(REPOSITORY, 1, &[crate::git::Change::write("x", "1")]).unwrap();
    world.github.comment(REPOSITORY, 1, "bob", "hello").unwrap();
    world.github.close(REPOSITORY, 1).unwrap();
    world.github.rename_repository(REPOSITORY, "store").unwrap();
    world.github.uninstall("acme").unwrap();
    for delivery in world.github.deliveries() {
        let read = octocrab::models::webhook_events::WebhookEvent::try_from_header_and_body(
            &delivery.event,
            &delivery.body,
        );
        assert!(read.is_ok(), "{} {:?}: {:?}", delivery.event, delivery.action, read.err());
    }
}
