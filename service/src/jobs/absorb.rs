//! Takes up a pull request's new deliveries: they are told in order, and what is stored converges to what GitHub means.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use serde_json::json;

use super::{JobError, Worker};
use crate::domain::audit::{Action, Actor, Entry};
use crate::domain::branch::Branch;
use crate::domain::ids::{Oid, PullId};
use crate::domain::pull::{self, APPROVAL_LABEL, Absorbed, PullAction, PullRequest, Word};
use crate::domain::repository::RepositoryFacts;
use crate::domain::state::BranchState;
use crate::github::Permission;
use crate::store::deliveries::Delivery;
use crate::store::pulls::{Approval, StoredPull};
use crate::store::repositories::Repository;
use crate::store::{StoreError, audit, branches, deliveries, pulls, reports, repositories};
use crate::telemetry::traces;
use crate::webhook::payload::{self, Told};

/// What the new deliveries come to.
#[derive(Debug, Default)]
struct News {
    repository: Option<RepositoryFacts>,
    pull: Option<PullRequest>,
    /// Somebody reopened it, or asked for its check again: whatever was removed or failed is wanted anew.
    wanted_anew: bool,
    rerequested: bool,
    /// Comments that somebody else edited or deleted.
    touched: Vec<i64>,
    /// A maintainer's word that a fork's commit may run.
    approval: Option<Approval>,
}

/// What a pull request's new deliveries told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    /// When the first of them came.
    pub first_at: DateTime<Utc>,
    /// Whether anything was new.
    pub news: bool,
}

/// What is stored of a pull request once its new deliveries are taken up.
#[derive(Debug)]
pub(super) struct Known {
    pub repository: Option<Repository>,
    pub pull: Option<StoredPull>,
    pub branches: Vec<Branch>,
    /// None where there were none.
    pub heard: Option<Heard>,
}

impl News {
    fn is_none(&self) -> bool {
        let Self { repository: _, pull, wanted_anew, rerequested, touched, approval } = self;
        pull.is_none() && !wanted_anew && !rerequested && touched.is_empty() && approval.is_none()
    }
}

impl Worker {
    /// Stores what the deliveries tell. What does not depend on one another is asked and said together: whoever opened the pull request waits for
    /// each round trip.
    pub(super) async fn absorb(&self, id: PullId) -> Result<Known, JobError> {
        let client = self.store.client().await?;
        let (new, before, known) = tokio::try_join!(
            deliveries::unabsorbed(&client, id),
            pulls::find(&client, id),
            repositories::find(&client, id.repository)
        )?;
        let Some(first) = new.first() else {
            // Whoever removes the branches says so of both at once: asked in this order, branches that go are not wanted.
            let branches = branches::of_pull(&client, id).await?;
            let pull = pulls::find(&client, id).await?;
            return Ok(Known { repository: known, pull, branches, heard: None });
        };
        let first_at = first.received_at;
        for delivery in &new {
            if let Some(trace) = &delivery.trace {
                traces::link(trace, &delivery.id);
            }
        }
        drop(client);
        let news = self.read_news(id, before.as_ref(), &new).await?;

        let ids: Vec<String> = new.iter().map(|delivery| delivery.id.clone()).collect();
        let outcome = if news.pull.is_some() { "changed what is known" } else { "told nothing new" };
        let stored = self.store.at_once(async |tx| {
            if let Some(told) = &news.repository
                && !known.is_some_and(|known| known.is_known_as(told))
            {
                repositories::upsert(tx, told).await?;
            }
            // GitHub may have been asked since: whatever else was stored meanwhile counts, and branches are asked for first, as above.
            let (mut branches, mut pull, repository, ()) = tokio::try_join!(biased;
                branches::of_pull(tx, id),
                save(tx, id, &news),
                repositories::find(tx, id.repository),
                deliveries::absorb(tx, &ids, outcome)
            )?;
            if news.rerequested {
                retry(tx, id).await?;
                branches = branches::of_pull(tx, id).await?;
                pull = pulls::find(tx, id).await?;
            }
            if !news.touched.is_empty()
                && let Some(comment) = reports::find_comment(tx, id).await?
                && news.touched.contains(&comment.github_id)
            {
                reports::forget_comment(tx, id).await?;
            }
            Ok((repository, pull, branches))
        });
        let (repository, pull, branches) = stored.await?;
        let heard = Some(Heard { first_at, news: !news.is_none() });
        Ok(Known { repository, pull, branches, heard })
    }

    async fn read_news(
        &self,
        id: PullId,
        before: Option<&StoredPull>,
        new: &[Delivery],
    ) -> Result<News, JobError> {
        let mut news = News::default();
        let mut unclear = false;
        let mut head_since = before.map(|before| before.head_since);
        let were_ended = before.is_some_and(|before| before.unwanted_sha.is_some());
        let before = before.map(|before| &before.pull);
        for delivery in new {
            match payload::told(&delivery.event, &delivery.payload) {
                Ok(Told::Pull { action, pull: told, facts }) => {
                    news.repository = Some(facts.clone());
                    news.wanted_anew |= action == PullAction::Reopened;
                    if let Some(approval) = self.approval(&action, &told, &facts).await? {
                        news.approval = Some(approval);
                    }
                    let known = news.pull.as_ref().or(before);
                    match pull::absorb(known, &action, *told) {
                        Absorbed::Changed(pull) => {
                            if known.is_none_or(|known| known.head_sha != pull.head_sha) {
                                head_since = Some(pull.updated_at);
                                // Even where a later one moves it back.
                                news.wanted_anew |= were_ended;
                            }
                            news.pull = Some(*pull);
                        }
                        Absorbed::Stale => {}
                        Absorbed::Unclear => unclear = true,
                    }
                }
                Ok(Told::Rerequested { .. }) => {
                    news.rerequested = true;
                    news.wanted_anew = true;
                }
                Ok(Told::ReportTouched { comment }) => news.touched.push(comment),
                Ok(Told::Approval { word, facts }) => {
                    if let (Some(known), Some(since)) = (news.pull.as_ref().or(before), head_since)
                        && let Some(approval) = self.heard(&word, known, since, &facts).await?
                    {
                        news.approval = Some(approval);
                    }
                }
                Ok(Told::Nothing) => {}
                Err(error) => {
                    tracing::warn!(delivery = delivery.id, %error, "a stored delivery cannot be read; passed over")
                }
            }
        }
        if unclear {
            news.pull = Some(self.ask(id, news.repository.as_ref()).await?);
        }
        // A late word about an earlier head takes nothing away from the present one.
        let head = news.pull.as_ref().or(before).map(|pull| &pull.head_sha);
        news.approval.take_if(|approval| head != Some(&approval.sha));
        Ok(news)
    }

    /// The approval of the commit that was the head when a maintainer put the label on. Whoever may only triage may label, but not approve.
    async fn approval(
        &self,
        action: &PullAction,
        told: &PullRequest,
        facts: &RepositoryFacts,
    ) -> Result<Option<Approval>, JobError> {
        let PullAction::Labeled { label, by } = action else { return Ok(None) };
        if label != APPROVAL_LABEL || !told.from_fork {
            return Ok(None);
        }
        self.approval_by(by, &told.head_sha, told, facts).await
    }

    /// The approval of the commit that was the head when a maintainer commented.
    async fn heard(
        &self,
        word: &Word,
        known: &PullRequest,
        head_since: DateTime<Utc>,
        facts: &RepositoryFacts,
    ) -> Result<Option<Approval>, JobError> {
        if !known.from_fork {
            return Ok(None);
        }
        if !word.is_about(&known.head_sha, head_since) {
            tracing::info!(repository = %facts.name, pull = known.id.number, by = word.by, "an approval of another commit than the head is passed over");
            return Ok(None);
        }
        self.approval_by(&word.by, &known.head_sha, known, facts).await
    }

    /// An approval counts if GitHub lets its giver write.
    async fn approval_by(
        &self,
        by: &str,
        sha: &Oid,
        pull: &PullRequest,
        facts: &RepositoryFacts,
    ) -> Result<Option<Approval>, JobError> {
        let github = self.github.repository(&facts.name, facts.installation);
        if github.collaborator_permission(by).await? < Permission::Write {
            tracing::info!(repository = %facts.name, pull = pull.id.number, by, "an approval by someone who may not write is passed over");
            return Ok(None);
        }
        Ok(Some(Approval { sha: sha.clone(), by: by.to_owned() }))
    }

    /// What GitHub itself says of a pull request now.
    pub(super) async fn ask(
        &self,
        id: PullId,
        facts: Option<&RepositoryFacts>,
    ) -> Result<PullRequest, JobError> {
        let facts = match facts {
            Some(facts) => facts.clone(),
            None => {
                let client = self.store.client().await?;
                let known = repositories::find(&client, id.repository).await?;
                let missing =
                    || JobError::Retry(anyhow::anyhow!("repository {} is not known", id.repository));
                known.ok_or_else(missing)?.facts
            }
        };
        Ok(self.github.repository(&facts.name, facts.installation).pull(id.number).await?)
    }
}

/// Stores what is told of a pull request itself; as it is stored then.
async fn save(tx: &impl GenericClient, id: PullId, news: &News) -> Result<Option<StoredPull>, StoreError> {
    let stored = match &news.pull {
        Some(pull) => Some(pulls::save(tx, pull).await?),
        None => pulls::find(tx, id).await?,
    };
    if news.wanted_anew && stored.is_some() {
        pulls::want_anew(tx, id).await?;
    }
    if let Some(approval) = &news.approval {
        pulls::approve(tx, id, approval).await?;
        audit::record(tx, &approved(id, news, approval)).await?;
    }
    match news.wanted_anew || news.approval.is_some() {
        true => pulls::find(tx, id).await,
        false => Ok(stored),
    }
}

fn approved(id: PullId, news: &News, approval: &Approval) -> Entry {
    let repository =
        news.repository.as_ref().map_or_else(|| id.repository.to_string(), |facts| facts.name.to_string());
    let actor = Actor::Github(approval.by.clone());
    Entry::new(actor, Action::ForkApproved, format!("{repository}#{}", id.number))
        .with(json!({ "sha": approval.sha.to_string() }))
}

/// A check that is asked for again starts over: what failed is rebuilt, and GitHub is told whatever comes of it.
async fn retry(tx: &impl GenericClient, id: PullId) -> Result<(), StoreError> {
    for branch in branches::of_pull(tx, id).await? {
        if matches!(branch.state, BranchState::Failed | BranchState::Errored) {
            branches::request_reset(tx, branch.id).await?;
        }
        reports::reopen_check(tx, id, &branch.head_sha).await?;
    }
    // Where there is no branch, there is a notice to be told again.
    if let Some(stored) = pulls::find(tx, id).await? {
        reports::reopen_check(tx, id, &stored.pull.head_sha).await?;
    }
    Ok(())
}
