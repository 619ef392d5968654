//! Every figure that is promised is there, and nobody asks for one that is not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use offshoot::telemetry::catalogue::METRICS;

use crate::shop::column;
use crate::world::World;

const DASHBOARD: &str = include_str!("../../../deploy/grafana/offshoot.json");
const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yml");

#[tokio::test]
async fn every_figure_that_is_promised_is_there() -> Result<()> {
    let world = World::start().await?;
    world.open_shop()?;
    let (branch, sha) = world.propose("color", &[column("color")])?;
    world.offshoot.ready(&branch, &sha).await?;
    world.settle().await?;

    // The gauges follow a clock; these wait for its next beat.
    for (series, least) in [
        ("offshoot_branches{state=\"ready\"}", 1.0),
        ("offshoot_layers{state=\"complete\"}", 1.0),
        ("offshoot_instances{state=\"live\"}", 1.0),
        ("offshoot_jobs{kind=\"reconcile_pull\",state=\"done\"}", 1.0),
        ("offshoot_up{server=\"control\"}", 1.0),
        ("offshoot_up{server=\"branch\"}", 1.0),
        ("offshoot_disk_free_bytes", 1.0),
        ("offshoot_disk_size_bytes", 1.0),
        ("offshoot_connections", 1.0),
        ("offshoot_connections_limit", 10.0),
        ("offshoot_github_quota_limit", 1.0),
        ("offshoot_github_quota_remaining", 1.0),
        ("process_resident_memory_bytes", 1e6),
    ] {
        world.at_least(series, least).await?;
    }
    let figures = world.offshoot.figures().await?;
    for series in [
        "offshoot_deliveries_total{event=\"pull_request\",outcome=\"stored\"}",
        "offshoot_branches_settled_total{state=\"ready\"}",
        "offshoot_jobs_ended_total{kind=\"report_pull\",outcome=\"done\"}",
        "offshoot_github_requests_total{status=\"2xx\"}",
        "offshoot_branch_step_seconds_count{step=\"total\"}",
        "offshoot_job_seconds_count{kind=\"reconcile_pull\"}",
        "offshoot_layer_build_seconds_count",
    ] {
        ensure!(world.offshoot.figure(series).await? >= 1.0, "{series} counted nothing");
    }
    ensure!(figures.contains("offshoot_branch_step_seconds_bucket{step=\"total\",le=\"0.5\"}"), "{figures}");

    let told = types(&figures);
    let promised: BTreeMap<&str, String> =
        METRICS.iter().map(|metric| (metric.name, format!("{:?}", metric.kind).to_lowercase())).collect();
    ensure!(told == promised, "told {told:#?}, promised {promised:#?}");
    for metric in METRICS {
        ensure!(figures.contains(&format!("# HELP {} {}", metric.name, metric.meaning)), "{}", metric.name);
    }
    world.finish().await
}

/// A panel or a rule with a name that is wrong stays empty for ever, and nobody notices.
#[test]
fn the_dashboard_and_the_alerts_ask_for_figures_that_exist() -> Result<()> {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut asked: Vec<&str> = targets.filter_map(|target| target["expr"].as_str()).collect();
    let of_panels = asked.len();
    asked.extend(ALERTS.lines().filter_map(|line| line.trim().strip_prefix("expr: ")));
    ensure!(of_panels > 20 && asked.len() > of_panels + 10, "too few expressions: {asked:?}");

    let mut names = BTreeSet::new();
    for expression in asked {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        names.extend(words.filter(|word| word.starts_with("offshoot_") || word.starts_with("process_")));
    }
    let exists = |name: &&str| {
        METRICS.iter().any(|metric| {
            let suffix = name.strip_prefix(metric.name);
            suffix.is_some_and(|suffix| ["", "_bucket", "_sum", "_count"].contains(&suffix))
        })
    };
    let missing: Vec<_> = names.iter().filter(|name| !exists(name)).collect();
    ensure!(missing.is_empty(), "no such figures: {missing:?}");
    let rules = ALERTS.matches("- alert:").count();
    ensure!(ALERTS.matches("action:").count() == rules, "a rule does not say what to do");
    Ok(())
}

/// Each family with its type.
fn types(figures: &str) -> BTreeMap<&str, String> {
    let lines = figures.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    lines.map(|(name, kind)| (name, kind.to_owned())).collect()
}
