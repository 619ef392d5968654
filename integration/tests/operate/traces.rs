//! The way from a webhook to its steps, as an OpenTelemetry collector sees it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use integration::otlp::{Collector, Span};

use crate::shop::column;
use crate::world::World;

#[tokio::test]
async fn a_delivery_is_followed_to_the_job_and_its_steps() -> Result<()> {
    let collector = Collector::start().await?;
    let endpoint = collector.url().to_owned();
    let world = World::start_with(move |options| {
        options.environment.push(("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint));
        options.environment.push(("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "50".to_owned()));
    })
    .await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    let answer = world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;

    let request = collector
        .wait_for("the webhook's request", |span| {
            span.attributes.get("path").is_some_and(|path| path == "/webhooks/github")
                && span.attributes.get("status").is_some_and(|status| status == "202")
        })
        .await?;
    let delivery = request.attributes["delivery"].clone();
    let job = collector
        .wait_for("the job that took it up", |span| span.links.iter().any(|link| link.span == request.id))
        .await?;
    ensure!(job.attributes["job"].starts_with("reconcile_pull"), "{job:?}");
    ensure!(job.name == "job" && job.attributes["outcome"] == "done", "{job:?}");
    ensure!(job.links.iter().any(|link| link.attributes["delivery"] == delivery), "{job:?}");

    let below = below(&collector.spans(), &job);
    for step in ["read", "github", "prepare", "acquire", "replay", "verify", "publish"] {
        ensure!(below.contains(step), "the job has no step {step}, but {below:?}");
    }
    let is_report =
        |span: &Span| span.attributes.get("job").is_some_and(|job| job.starts_with("report_pull"));
    collector.wait_for("the report", is_report).await?;

    let text = collector.text();
    world.offshoot.secrets().ensure_absent("the traces", &text)?;
    ensure!(
        !text.contains("alter table") && !text.contains(answer.database_url()?),
        "SQL or a URL is in the traces"
    );
    world.finish().await
}

/// The names of all spans below one.
fn below(spans: &[Span], root: &Span) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut parents = vec![root.id.clone()];
    while let Some(parent) = parents.pop() {
        for span in spans.iter().filter(|span| span.parent == parent) {
            found.insert(span.name.clone());
            parents.push(span.id.clone());
        }
    }
    found
}
