//! Brings what is known of repositories to what GitHub says: after a rename, an installation, or webhooks that never came.

use std::time::Duration;

use super::{JobError, Worker};
use crate::domain::ids::PullId;
use crate::domain::job::Job;
use crate::domain::pull::{self, Absorbed, PullAction, PullRequest};
use crate::domain::repository::RepositoryFacts;
use crate::github::GithubError;
use crate::store::{Store, jobs, pulls, repositories};

/// The pauses after which GitHub is asked again when it says that something is gone.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(6)];

impl Worker {
    /// Asks until GitHub answers something else than that it is gone; none where it says that each time, and still knows us: data goes with it, and an
    /// outage, too, answers that nothing is there.
    async fn seen<T, F: Future<Output = Result<T, GithubError>>>(
        &self,
        ask: impl Fn() -> F,
        is_gone: impl Fn(&GithubError) -> bool,
    ) -> Result<Option<T>, GithubError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) if is_gone(&error) => match pauses.next() {
                    Some(pause) => {
                        tracing::info!(%error, "asking GitHub again before it is believed");
                        tokio::time::sleep(pause).await;
                    }
                    None => return self.github.knows_us().await.map(|()| None),
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// A repository's name and its open pull requests.
    pub(super) async fn sync_repository(&self, id: i64) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let Some(known) = repositories::find(&client, id).await? else { return Ok(()) };
        drop(client);
        let ask = || self.github.repository_by_id(id, known.facts.installation);
        let is_gone = |error: &GithubError| error.is_missing() && !known.removed;
        let facts = match self.seen(ask, is_gone).await {
            Ok(Some(facts)) => facts,
            Ok(None) => return self.lose(id).await,
            Err(GithubError::Missing { .. }) if known.removed => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let open = self.github.repository(&facts.name, facts.installation).open_pulls().await?;
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        repositories::upsert(&tx, &facts).await?;
        Store::commit(tx).await?;
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
        let is_gone = |error: &GithubError| {
            matches!(
                error,
                GithubError::Missing { .. }
                    | GithubError::Unauthorized { .. }
                    | GithubError::Forbidden { .. }
            )
        };
        let ask = || self.github.installation_repositories(id);
        let seen = self.seen(ask, is_gone).await?.unwrap_or_default();
        let mut client = self.store.client().await?;
        let known = repositories::of_installation(&client, id).await?;
        let tx = Store::begin(&mut client).await?;
        for facts in &seen {
            repositories::upsert(&tx, facts).await?;
            jobs::enqueue(&tx, &Job::SyncRepository(facts.github_id)).await?;
        }
        Store::commit(tx).await?;
        drop(client);
        let is_seen = |facts: &RepositoryFacts| seen.iter().any(|seen| seen.github_id == facts.github_id);
        for lost in known.iter().filter(|known| !is_seen(&known.facts)) {
            self.lose(lost.facts.github_id).await?;
        }
        Ok(())
    }

    /// A repository that is not ours to see any more: nothing of it stays.
    async fn lose(&self, id: i64) -> Result<(), JobError> {
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        repositories::mark_removed(&tx, id).await?;
        for stored in pulls::open_of(&tx, id).await? {
            jobs::enqueue(&tx, &Job::ReconcilePull(stored.pull.id)).await?;
        }
        Ok(Store::commit(tx).await?)
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
