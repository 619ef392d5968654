//! The pages: all branches, a repository's, and one pull request's with its report.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::markdown;
use crate::domain::audit::Action;
use crate::domain::branch::Branch;
use crate::domain::ids::{DatabaseLabel, PullId, RepositoryName};
use crate::domain::job::Job;
use crate::domain::report;
use crate::domain::state::BranchState;
use crate::store::branches::{self, Filter, Listed};
use crate::store::{PageRequest, Store, audit, jobs, pulls, repositories};
use crate::web::App;
use crate::web::auth::Caller;
use crate::web::problem::Problem;

pub(super) const PAGE_SIZE: u32 = 50;

/// Someone who may look, or the way to the login.
pub(super) type Viewer = Result<Caller, Problem>;

pub(super) fn enter(viewer: Viewer, uri: &Uri) -> Result<Caller, Response> {
    viewer.map_err(|problem| {
        if problem.status != StatusCode::UNAUTHORIZED.as_u16() {
            return problem.into_response();
        }
        let next: String = url::form_urlencoded::byte_serialize(uri.path().as_bytes()).collect();
        Redirect::to(&format!("/login?next={next}")).into_response()
    })
}

pub(super) fn html(template: &impl Template) -> Result<Html<String>, Problem> {
    template.render().map(Html).map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Problem::internal()
    })
}

#[derive(Template)]
#[template(path = "branches.html")]
struct BranchesPage {
    /// A repository's name, or none for all.
    repository: Option<RepositoryName>,
    branches: Vec<Row>,
    page: u32,
    pages: u32,
    total: i64,
}

struct Row {
    repository: RepositoryName,
    number: i32,
    database: String,
    state: BranchState,
    sha: String,
    database_name: String,
    migrations: usize,
    ready_in: String,
    /// In the queue for room.
    place: Option<i64>,
}

impl From<&Listed> for Row {
    fn from(listed: &Listed) -> Self {
        let branch = &listed.branch;
        Self {
            repository: listed.repository.clone(),
            number: branch.pull.number,
            database: branch.database.to_string(),
            state: branch.state,
            sha: branch.head_sha.short().to_owned(),
            database_name: branch.database_name.clone(),
            migrations: branch.applied.len(),
            ready_in: format!("{:.0} ms", branch.timings.total),
            place: branch.place(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    pub(super) page: Option<u32>,
}

pub(super) async fn branches(
    State(app): State<App>,
    viewer: Viewer,
    uri: Uri,
    Query(paging): Query<Paging>,
) -> Result<Response, Response> {
    let caller = enter(viewer, &uri)?;
    list(&app, caller.only_repository().cloned(), &paging).await.map_err(IntoResponse::into_response)
}

pub(super) async fn repository(
    State(app): State<App>,
    viewer: Viewer,
    uri: Uri,
    Path((owner, name)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Result<Response, Response> {
    let caller = enter(viewer, &uri)?;
    let shown = async {
        let name = readable(&caller, &owner, &name)?;
        list(&app, Some(name), &paging).await
    };
    shown.await.map_err(IntoResponse::into_response)
}

async fn list(app: &App, repository: Option<RepositoryName>, paging: &Paging) -> Result<Response, Problem> {
    let client = app.store.client().await?;
    let request = PageRequest { number: paging.page.unwrap_or(1).max(1), size: PAGE_SIZE };
    let filter = Filter { repository: repository.clone(), state: None };
    let listed = branches::list(&client, &filter, request).await?;
    let page = BranchesPage {
        repository,
        page: request.number,
        pages: listed.last(),
        total: listed.total,
        branches: listed.items.iter().map(Row::from).collect(),
    };
    Ok(html(&page)?.into_response())
}

#[derive(Template)]
#[template(path = "pull.html")]
struct PullPage {
    repository: RepositoryName,
    number: i32,
    title: String,
    author: String,
    head_ref: String,
    base_ref: String,
    branches: Vec<Section>,
    may_reset: bool,
}

struct Section {
    database: String,
    state: BranchState,
    /// Safe HTML, made from the report.
    report: String,
    database_name: String,
    reachable: bool,
    steps: Vec<(&'static str, String)>,
}

impl Section {
    fn new(app: &App, repository: &RepositoryName, branch: &Branch, several: bool) -> Self {
        let end = report::notice_of_end(branch, repository, app.idle_ttl, chrono::Utc::now());
        let timings = &branch.timings;
        let steps = [
            ("queued", timings.queued),
            ("read", timings.read),
            ("acquire", timings.acquire),
            ("migrate", timings.migrate),
            ("seed", timings.seed),
            ("total", timings.total),
        ];
        Self {
            database: branch.database.to_string(),
            state: branch.state,
            report: markdown::render(&(report::description(branch, several) + &end.unwrap_or_default())),
            database_name: branch.database_name.clone(),
            reachable: branch.is_reachable(),
            steps: steps.map(|(step, ms)| (step, format!("{ms:.1} ms"))).to_vec(),
        }
    }
}

pub(super) async fn pull(
    State(app): State<App>,
    viewer: Viewer,
    uri: Uri,
    Path((owner, name, number)): Path<(String, String, i32)>,
) -> Result<Response, Response> {
    let caller = enter(viewer, &uri)?;
    show(&app, &caller, &owner, &name, number).await.map_err(IntoResponse::into_response)
}

async fn show(app: &App, caller: &Caller, owner: &str, name: &str, number: i32) -> Result<Response, Problem> {
    let name = readable(caller, owner, name)?;
    let missing =
        || Problem::not_found(format!("{name} has no pull request {number} that Offshoot knows of."));
    let client = app.store.client().await?;
    let repository = repositories::find_by_name(&client, &name).await?.ok_or_else(missing)?.facts;
    let id = PullId { repository: repository.github_id, number };
    let stored = pulls::find(&client, id).await?.ok_or_else(missing)?;
    let last = branches::last_of_pull(&client, id).await?;
    let page = PullPage {
        may_reset: caller.must_write(&repository.name).is_ok()
            && last.iter().any(|branch| branch.state.is_live()),
        number,
        title: stored.pull.title,
        author: stored.pull.author,
        head_ref: stored.pull.head_ref,
        base_ref: stored.pull.base_ref,
        branches: last
            .iter()
            .map(|branch| Section::new(app, &repository.name, branch, last.len() > 1))
            .collect(),
        repository: repository.name,
    };
    Ok(html(&page)?.into_response())
}

#[derive(Debug, Deserialize)]
pub(super) struct Reset {
    database: DatabaseLabel,
}

pub(super) async fn reset(
    State(app): State<App>,
    viewer: Viewer,
    uri: Uri,
    Path((owner, name, number)): Path<(String, String, i32)>,
    Form(form): Form<Reset>,
) -> Result<Redirect, Response> {
    let caller = enter(viewer, &uri)?;
    let asked = async {
        let name = readable(&caller, &owner, &name)?;
        caller.must_write(&name)?;
        let missing = || Problem::not_found(format!("{name} has no such branch."));
        let mut client = app.store.client().await?;
        let repository = repositories::find_by_name(&client, &name).await?.ok_or_else(missing)?.facts;
        let pull = PullId { repository: repository.github_id, number };
        let branch = branches::find(&client, pull, &form.database).await?.ok_or_else(missing)?;
        let tx = Store::begin(&mut client).await?;
        if branches::request_reset(&tx, branch.id).await? {
            jobs::enqueue(&tx, &Job::ReconcilePull(pull)).await?;
            let subject = format!("{}#{number}/{}", repository.name, branch.database);
            audit::record(&tx, &caller.does(Action::BranchReset, subject)).await?;
        }
        Store::commit(tx).await?;
        Ok(Redirect::to(&format!("/repos/{}/pulls/{number}", repository.name)))
    };
    asked.await.map_err(|problem: Problem| problem.into_response())
}

fn readable(caller: &Caller, owner: &str, name: &str) -> Result<RepositoryName, Problem> {
    let name = RepositoryName::new(owner, name).map_err(|error| Problem::bad_request(format!("{error}.")))?;
    caller.must_read(&name)?;
    Ok(name)
}
