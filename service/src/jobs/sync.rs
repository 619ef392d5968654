//! Brings what is known of repositories to what GitHub says: after a rename, an installation, or webhooks that never came.

use chrono::{TimeDelta, Utc};

use super::{JobError, Worker};
use crate::domain::ids::PullId;
use crate::domain::job::Job;
use crate::domain::pull::{self, Absorbed, PullAction, PullRequest};
use crate::domain::repository::RepositoryFacts;
use crate::github::GithubError;
use crate::queue::Claim;
use crate::store::{jobs, pulls, repositories};

/// How often GitHub must say that something is gone before it is believed: data goes with it.
const ASKED: i32 = 4;

/// Asks again a little later, until it was asked often enough: an outage of GitHub's, too, answers that nothing is there.
fn doubt(error: &GithubError, claim: &Claim) -> Result<(), JobError> {
    if claim.lease.attempt >= ASKED {
        return Ok(());
    }
    let until = Utc::now() + TimeDelta::seconds(i64::from(claim.lease.attempt) * 2);
    Err(JobError::Wait { until, why: format!("asking GitHub once more before it is believed ({error})") })
}

impl Worker {
    /// A repository's name and its open pull requests.
    pub(super) async fn sync_repository(&self, id: i64, claim: &Claim) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let Some(known) = repositories::find(&client, id).await? else { return Ok(()) };
        drop(client);
        let facts = match self.github.repository_by_id(id, known.facts.installation).await {
            Ok(facts) => facts,
            Err(error @ GithubError::Missing { .. }) => {
                doubt(&error, claim)?;
                return self.lose(id).await;
            }
            Err(error) => return Err(error.into()),
        };
        let open = self.github.repository(&facts.name, facts.installation).open_pulls().await?;
        let client = self.store.client().await?;
        repositories::upsert(&client, &facts).await?;
        let stored = pulls::open_of(&client, id).await?;
        drop(client);
        for pull in &open {
            let before = stored.iter().find(|stored| stored.pull.id == pull.id).map(|stored| &stored.pull);
            if before != Some(pull) {
                self.take_up(pull).await?;
            } else if known.removed {
                // It is back, and what was removed with it is wanted again.
                let client = self.store.client().await?;
                jobs::enqueue(&client, &Job::ReconcilePull(pull.id)).await?;
            }
        }
        for gone in stored.iter().filter(|stored| open.iter().all(|pull| pull.id != stored.pull.id)) {
            let pull = self.ask(gone.pull.id, Some(&facts)).await?;
            self.take_up(&pull).await?;
        }
        Ok(())
    }

    /// The repositories that an installation of the App lets it see.
    pub(super) async fn sync_installation(&self, id: i64, claim: &Claim) -> Result<(), JobError> {
        let seen = match self.github.installation_repositories(id).await {
            Ok(seen) => seen,
            Err(
                error @ (GithubError::Missing { .. }
                | GithubError::Unauthorized { .. }
                | GithubError::Forbidden { .. }),
            ) => {
                doubt(&error, claim)?;
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        let client = self.store.client().await?;
        let known = repositories::of_installation(&client, id).await?;
        for facts in &seen {
            repositories::upsert(&client, facts).await?;
            jobs::enqueue(&client, &Job::SyncRepository(facts.github_id)).await?;
        }
        drop(client);
        let is_seen = |facts: &RepositoryFacts| seen.iter().any(|seen| seen.github_id == facts.github_id);
        for lost in known.iter().filter(|known| !is_seen(&known.facts)) {
            self.lose(lost.facts.github_id).await?;
        }
        Ok(())
    }

    /// A repository that is not ours to see any more: nothing of it stays.
    async fn lose(&self, id: i64) -> Result<(), JobError> {
        let client = self.store.client().await?;
        repositories::mark_removed(&client, id).await?;
        for stored in pulls::open_of(&client, id).await? {
            jobs::enqueue(&client, &Job::ReconcilePull(stored.pull.id)).await?;
        }
        Ok(())
    }

    async fn take_up(&self, pull: &PullRequest) -> Result<(), JobError> {
        let id: PullId = pull.id;
        let client = self.store.client().await?;
        let stored = pulls::find(&client, id).await?.map(|stored| stored.pull);
        drop(client);
        // The list was read a while ago: a delivery may have told something newer since.
        let pull = match pull::absorb(stored.as_ref(), &PullAction::Described, pull.clone()) {
            Absorbed::Changed(pull) => *pull,
            Absorbed::Stale => return Ok(()),
            Absorbed::Unclear => self.ask(id, None).await?,
        };
        let client = self.store.client().await?;
        pulls::save(&client, &pull).await?;
        jobs::enqueue(&client, &Job::ReconcilePull(id)).await?;
        Ok(())
    }
}
