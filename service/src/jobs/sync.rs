//! Brings what is known of repositories to what GitHub says: after a rename, an installation, or webhooks that never came.

use std::time::Instant;

use chrono::Utc;

use super::{JobError, Worker};
use crate::domain::ids::PullId;
use crate::domain::job::Job;
use crate::domain::pull::{self, Absorbed, PullAction, PullRequest};
use crate::domain::repository::RepositoryFacts;
use crate::github::GithubError;
use crate::store::{Store, jobs, pulls, repositories};

impl Worker {
    /// What GitHub answered; none where it denies that there is such a thing, and is to be believed. In an outage it denies us as well.
    async fn believed<T>(&self, job: &Job, asked: Result<T, GithubError>) -> Result<Option<T>, JobError> {
        let error = match asked {
            Err(error) if error.is_missing() => error,
            answered => {
                self.doubts.end(job);
                return Ok(Some(answered?));
            }
        };
        if let Err(error) = self.github.knows_us().await {
            self.doubts.end(job);
            return Err(error.into());
        }
        match self.doubts.deny(job, Instant::now()) {
            None => Ok(None),
            Some(pause) => {
                let why = format!("asking GitHub once more before it is believed ({error})");
                Err(JobError::Wait { until: Utc::now() + pause, why })
            }
        }
    }

    /// A repository's name and its open pull requests.
    pub(super) async fn sync_repository(&self, id: i64) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let Some(known) = repositories::find(&client, id).await? else { return Ok(()) };
        drop(client);
        let facts = match self.github.repository_now(&known.facts).await {
            Err(error) if error.is_denial() && known.removed => return Ok(()),
            asked => self.believed(&Job::SyncRepository(id), asked).await?,
        };
        let Some(facts) = facts else { return self.lose(&known.facts).await };
        let open = self.github.repository(&facts.name, facts.installation).open_pulls().await?;
        self.meet(&facts).await?;
        let client = self.store.client().await?;
        let stored = pulls::open_of(&client, id).await?;
        drop(client);
        for pull in &open {
            let before = stored.iter().find(|stored| stored.pull.id == pull.id).map(|stored| &stored.pull);
            if before != Some(pull) {
                self.take_up(pull).await?;
            }
        }
        for gone in stored.iter().filter(|stored| open.iter().all(|pull| pull.id != stored.pull.id)) {
            let pull = self.ask(gone.pull.id, Some(&facts)).await?;
            self.take_up(&pull).await?;
        }
        Ok(())
    }

    /// The repositories that an installation of the App lets it see.
    pub(super) async fn sync_installation(&self, id: i64) -> Result<(), JobError> {
        if !self.github.is_app() {
            return Ok(());
        }
        // Before GitHub is asked: what comes to it meanwhile is not missing from its list.
        let client = self.store.client().await?;
        let known = repositories::of_installation(&client, id).await?;
        drop(client);
        let asked = self.github.is_installed(id).await;
        let seen = match self.believed(&Job::SyncInstallation(id), asked).await? {
            Some(true) => self.github.installation_repositories(id).await?,
            Some(false) | None => Vec::new(),
        };
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        for facts in &seen {
            repositories::upsert(&tx, facts).await?;
            jobs::enqueue(&tx, &Job::SyncRepository(facts.github_id)).await?;
        }
        Store::commit(tx).await?;
        drop(client);
        let is_seen = |facts: &RepositoryFacts| seen.iter().any(|seen| seen.github_id == facts.github_id);
        for missing in known.iter().filter(|known| !is_seen(&known.facts)) {
            match self.github.repository_now(&missing.facts).await {
                // Through another installation, as after a transfer.
                Ok(facts) => self.meet(&facts).await?,
                Err(error) if error.is_missing() => self.lose(&missing.facts).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn meet(&self, facts: &RepositoryFacts) -> Result<(), JobError> {
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        repositories::upsert(&tx, facts).await?;
        Ok(Store::commit(tx).await?)
    }

    /// A repository that is not ours to see any more: nothing of it stays. Through another installation than the one asked it may be.
    async fn lose(&self, lost: &RepositoryFacts) -> Result<(), JobError> {
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        if repositories::mark_removed(&tx, lost.github_id, lost.installation).await? {
            for stored in pulls::open_of(&tx, lost.github_id).await? {
                jobs::enqueue(&tx, &Job::ReconcilePull(stored.pull.id)).await?;
            }
        }
        Ok(Store::commit(tx).await?)
    }

    async fn take_up(&self, pull: &PullRequest) -> Result<(), JobError> {
        let id: PullId = pull.id;
        loop {
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
            // Or it does so just now, and then this is looked at again beside that.
            if pulls::save_over(&client, &pull, stored.as_ref()).await? {
                jobs::enqueue(&client, &Job::ReconcilePull(id)).await?;
                return Ok(());
            }
        }
    }
}
