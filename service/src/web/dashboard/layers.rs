//! The page of layers: the tree that they form, what each costs, who uses it, and whether it is what it should be.

use std::collections::{HashMap, HashSet};

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};

use super::pages::{Viewer, enter, html};
use crate::domain::fingerprint::CheckOutcome;
use crate::domain::ids::RepositoryName;
use crate::domain::layer::LayerKey;
use crate::domain::size::ByteSize;
use crate::store::layer_checks::{self, LayerCheck};
use crate::store::layer_list::{self, ListedLayer};
use crate::web::App;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "layers.html")]
struct LayersPage {
    layers: Vec<Row>,
    total: ByteSize,
    /// Those that found something, for whoever may see every layer.
    troubles: Vec<Trouble>,
}

struct Row {
    /// How deep it is in the tree, from 0.
    depth: usize,
    key: String,
    database_name: String,
    last_migration: String,
    migrations: i32,
    seeds: i32,
    size: ByteSize,
    built_in: String,
    last_used: String,
    checked: Option<Checked>,
    complete: bool,
    /// It was continued from a layer that is gone.
    orphan: bool,
    tips: Vec<String>,
    repositories: Vec<String>,
    spares: i64,
    branches: i64,
}

struct Checked {
    outcome: CheckOutcome,
    ago: String,
}

struct Trouble {
    key: String,
    outcome: CheckOutcome,
    ago: String,
    findings: Vec<String>,
}

pub(super) async fn show(State(app): State<App>, viewer: Viewer, uri: Uri) -> Result<Response, Response> {
    let caller = enter(viewer, &uri)?;
    page(&app, caller.only_repository()).await.map_err(IntoResponse::into_response)
}

async fn page(app: &App, repository: Option<&RepositoryName>) -> Result<Response, Problem> {
    let client = app.store.client().await?;
    let layers = layer_list::list(&client, repository).await?;
    let checks = layer_checks::for_people(&client).await?;
    let now = Utc::now();
    let mut last: HashMap<&LayerKey, &LayerCheck> = HashMap::new();
    for check in &checks {
        last.entry(&check.key).or_insert(check);
    }
    // What a check found names tables, which are the business of those who see all repositories.
    let told = checks.iter().filter(|check| repository.is_none() && check.outcome != CheckOutcome::Same);
    let page = LayersPage {
        total: ByteSize(layers.iter().map(|layer| layer.size.0).sum()),
        troubles: told.map(|check| Trouble::new(check, now)).collect(),
        layers: tree(&layers)
            .into_iter()
            .map(|(depth, layer)| Row::new(depth, layer, &layers, &last, now))
            .collect(),
    };
    Ok(html(&page)?.into_response())
}

/// The layers with their depth, each after the one that it was continued from.
fn tree(layers: &[ListedLayer]) -> Vec<(usize, &ListedLayer)> {
    let known: HashSet<&LayerKey> = layers.iter().map(|layer| &layer.key).collect();
    let mut children: HashMap<&LayerKey, Vec<&ListedLayer>> = HashMap::new();
    let mut waiting: Vec<(usize, &ListedLayer)> = Vec::new();
    for layer in layers {
        match layer.parent.as_ref().filter(|parent| known.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(layer),
            None => waiting.push((0, layer)),
        }
    }
    waiting.reverse();
    let mut ordered = Vec::with_capacity(layers.len());
    while let Some((depth, layer)) = waiting.pop() {
        ordered.push((depth, layer));
        let below = children.remove(&layer.key).unwrap_or_default();
        waiting.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
    }
    ordered
}

impl Row {
    fn new(
        depth: usize,
        layer: &ListedLayer,
        all: &[ListedLayer],
        checks: &HashMap<&LayerKey, &LayerCheck>,
        now: DateTime<Utc>,
    ) -> Self {
        let checked = checks.get(&layer.key);
        Self {
            depth,
            key: short(&layer.key),
            database_name: layer.database_name.clone(),
            last_migration: layer.last_migration.clone().unwrap_or_default(),
            migrations: layer.migrations,
            seeds: layer.seeds,
            size: layer.size,
            built_in: layer.build_ms.map_or_else(String::new, |ms| format!("{ms:.0} ms")),
            last_used: ago(layer.last_used_at, now),
            checked: checked.map(|check| Checked { outcome: check.outcome, ago: ago(check.checked_at, now) }),
            complete: layer.complete,
            orphan: layer.parent.as_ref().is_some_and(|parent| all.iter().all(|other| other.key != *parent)),
            tips: layer.tips.clone(),
            repositories: layer.repositories.clone(),
            spares: layer.spares,
            branches: layer.branches,
        }
    }

    /// How far its name is moved in; deeper ones stand below one another.
    fn shown_depth(&self) -> usize {
        self.depth.min(6)
    }
}

impl Trouble {
    fn new(check: &LayerCheck, now: DateTime<Utc>) -> Self {
        Self {
            key: short(&check.key),
            outcome: check.outcome,
            ago: ago(check.checked_at, now),
            findings: check.findings.clone(),
        }
    }
}

fn short(key: &LayerKey) -> String {
    key.as_str().chars().take(12).collect()
}

/// `3 min ago`: as exact as it is worth.
pub(super) fn ago(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let passed = now - then;
    match (passed.num_days(), passed.num_hours(), passed.num_minutes()) {
        (_, _, ..1) => "just now".to_owned(),
        (_, ..1, minutes) => format!("{minutes} min ago"),
        (..2, hours, _) => format!("{hours} h ago"),
        (days, _, _) => format!("{days} days ago"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn layer(key: &str, parent: Option<&str>) -> ListedLayer {
        ListedLayer {
            key: LayerKey::recorded(key),
            parent: parent.map(LayerKey::recorded),
            database_name: format!("offshoot_layer_{key}"),
            complete: true,
            migrations: 1,
            last_migration: Some("1_init".to_owned()),
            seeds: 0,
            size: ByteSize(1),
            build_ms: None,
            last_used_at: Utc::now(),
            repositories: Vec::new(),
            tips: Vec::new(),
            spares: 0,
            branches: 0,
        }
    }

    #[test]
    fn a_layer_stands_below_the_one_it_was_continued_from() {
        let layers = [
            layer("root", None),
            layer("other", None),
            layer("leaf", Some("twig")),
            layer("twig", Some("root")),
            layer("orphan", Some("gone")),
        ];
        let shown: Vec<_> =
            tree(&layers).into_iter().map(|(depth, layer)| (depth, layer.key.as_str())).collect();
        assert_eq!(shown, [(0, "root"), (1, "twig"), (2, "leaf"), (0, "other"), (0, "orphan")]);
    }

    #[test]
    fn a_time_is_as_exact_as_it_is_worth() {
        let now = Utc::now();
        let said = |passed| ago(now - passed, now);
        assert_eq!(said(TimeDelta::seconds(59)), "just now");
        assert_eq!(said(TimeDelta::minutes(59)), "59 min ago");
        assert_eq!(said(TimeDelta::hours(47)), "47 h ago");
        assert_eq!(said(TimeDelta::days(3)), "3 days ago");
    }
}
