//! Reads the chain at a base's new tip and builds its layer, before a pull request waits for it.

use tokio_util::sync::CancellationToken;

use super::prepare::{Preparer, ensure_layer};
use super::reading::{ReadError, Reader};
use super::{JobError, Worker};
use crate::domain::ids::Oid;
use crate::domain::job::Job;
use crate::store::{jobs, pulls, repositories};

impl Worker {
    pub(super) async fn follow_base(&self, repository: i64, tip: &Oid) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let Some(known) = repositories::find(&client, repository).await?.filter(|known| !known.removed)
        else {
            return Ok(());
        };
        drop(client);
        let facts = known.facts;
        let source = self.github.repository(&facts.name, facts.installation);
        let reader = Reader { store: &self.store, source: &source, repository };
        let bases = match reader.base(tip).await {
            Ok(bases) => bases,
            // A pull request that needs it is told.
            Err(ReadError::Notice(_)) => Vec::new(),
            Err(ReadError::Source(error)) => return Err(error.into()),
            Err(ReadError::Store(error)) => return Err(error.into()),
        };
        let stop = CancellationToken::new();
        let preparer =
            Preparer { store: &self.store, engine: &self.engine, stop: &stop, held_by: None, turn: None };
        for (layout, base) in &bases {
            if ensure_layer(&preparer, repository, layout, base).await? {
                self.follow_template(repository, &facts.default_branch, layout, base).await?;
            }
        }
        self.look_again(repository, &facts.default_branch).await
    }

    /// Pull requests that waited for people to settle something on the base, as its configuration.
    async fn look_again(&self, repository: i64, base_ref: &str) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let waiting = pulls::open_on_base(&client, repository, base_ref).await?;
        for stored in waiting.iter().filter(|stored| stored.notice.is_some()) {
            jobs::enqueue(&client, &Job::ReconcilePull(stored.pull.id)).await?;
        }
        Ok(())
    }
}
