//! Takes up a pull request's new deliveries: they are told in order, and what is stored converges to what GitHub means.

use chrono::{DateTime, Utc};

use super::{JobError, Worker};
use crate::domain::ids::PullId;
use crate::domain::pull::{self, APPROVAL_LABEL, Absorbed, PullAction, PullRequest};
use crate::domain::repository::RepositoryFacts;
use crate::domain::state::BranchState;
use crate::github::Permission;
use crate::store::deliveries::Delivery;
use crate::store::pulls::Approval;
use crate::store::{Store, branches, deliveries, pulls, reports, repositories};
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

impl Worker {
    /// Stores what the deliveries tell, and when the first of them came.
    pub(super) async fn absorb(&self, id: PullId) -> Result<Option<DateTime<Utc>>, JobError> {
        let client = self.store.client().await?;
        let new = deliveries::unabsorbed(&client, id).await?;
        let Some(first) = new.first() else { return Ok(None) };
        let asked_at = first.received_at;
        let before = pulls::find(&client, id).await?.map(|stored| stored.pull);
        let news = self.read_news(id, before.as_ref(), &new).await?;
        drop(client);

        let ids: Vec<String> = new.iter().map(|delivery| delivery.id.clone()).collect();
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        if let Some(facts) = &news.repository {
            repositories::upsert(&tx, facts).await?;
        }
        if let Some(pull) = &news.pull {
            pulls::save(&tx, pull).await?;
        }
        if news.wanted_anew && (news.pull.is_some() || before.is_some()) {
            pulls::set_unwanted(&tx, id, None).await?;
        }
        if let Some(approval) = &news.approval {
            pulls::approve(&tx, id, approval).await?;
        }
        if news.rerequested {
            retry(&tx, id).await?;
        }
        if let Some(comment) = reports::find_comment(&tx, id).await?
            && news.touched.contains(&comment.github_id)
        {
            reports::forget_comment(&tx, id).await?;
        }
        let outcome = if news.pull.is_some() { "changed what is known" } else { "told nothing new" };
        deliveries::absorb(&tx, &ids, outcome).await?;
        Store::commit(tx).await?;
        Ok(Some(asked_at))
    }

    async fn read_news(
        &self,
        id: PullId,
        before: Option<&PullRequest>,
        new: &[Delivery],
    ) -> Result<News, JobError> {
        let mut news = News::default();
        let mut unclear = false;
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
                        Absorbed::Changed(pull) => news.pull = Some(*pull),
                        Absorbed::Stale => {}
                        Absorbed::Unclear => unclear = true,
                    }
                }
                Ok(Told::Rerequested { .. }) => {
                    news.rerequested = true;
                    news.wanted_anew = true;
                }
                Ok(Told::ReportTouched { comment }) => news.touched.push(comment),
                Ok(Told::Nothing) => {}
                Err(error) => {
                    tracing::warn!(delivery = delivery.id, %error, "a stored delivery cannot be read; passed over")
                }
            }
        }
        if unclear {
            news.pull = Some(self.ask(id, news.repository.as_ref()).await?);
        }
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
        let github = self.github.repository(&facts.name, facts.installation);
        if github.collaborator_permission(by).await? < Permission::Write {
            tracing::info!(repository = %facts.name, pull = told.id.number, by, "an approval by someone who may not write is passed over");
            return Ok(None);
        }
        Ok(Some(Approval { sha: told.head_sha.clone(), by: by.clone() }))
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

/// A check that is asked for again starts over: what failed is rebuilt, and GitHub is told whatever comes of it.
async fn retry(tx: &deadpool_postgres::Transaction<'_>, id: PullId) -> Result<(), JobError> {
    for branch in branches::of_pull(tx, id).await? {
        if matches!(branch.state, BranchState::Failed | BranchState::Errored) {
            branches::request_reset(tx, branch.id).await?;
        }
        reports::forget_check(tx, id, &branch.head_sha).await?;
    }
    Ok(())
}
