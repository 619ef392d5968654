//! What a branch's database holds now, by its own word.

use deadpool_postgres::GenericClient;

use super::Preparer;
use crate::domain::bookkeeping::{self, AppliedState};
use crate::domain::branch::Branch;
use crate::domain::plan::Held;
use crate::domain::state::BranchState;
use crate::engine::{InstanceNames, Ledger, Place, ReplayError, Subject};
use crate::jobs::JobError;
use crate::store::branches::Change;
use crate::store::instances::{self, Instance};
use crate::store::{Store, StoreError, branches};

/// An instance's names on the server, from what is recorded of it.
pub(in crate::jobs) fn instance_names(
    recorded: &instances::InstanceNames,
) -> Result<InstanceNames, JobError> {
    Ok(InstanceNames::of(&recorded.database)?)
}

/// The same names, as they are recorded.
pub(in crate::jobs) fn recorded_names(names: &InstanceNames) -> instances::InstanceNames {
    let (database, role) = (names.database.as_str().to_owned(), names.role.as_str().to_owned());
    instances::InstanceNames { database, role }
}

impl Preparer<'_> {
    /// Reads the live database's bookkeeping table, as the branch's own role; with the session, to read it again. A database that is not there
    /// any more holds nothing.
    pub(super) async fn held(&self, branch: &Branch) -> Result<(Held, Option<Ledger>), JobError> {
        let client = self.store.client().await?;
        let nothing = (Held::Nothing, None);
        let Some(live) = instances::live_of(&client, branch.id).await? else { return Ok(nothing) };
        let credentials = branches::credentials(&client, self.store.vault(), branch.id).await?;
        drop(client);
        let names = Self::place(branch)?;
        if !self.engine.stands(&names.database).await? {
            tracing::warn!(
                branch = branch.id,
                database = branch.database_name,
                "a branch's database is gone; building it anew"
            );
            self.engine.discard(&names).await?;
            let client = self.store.client().await?;
            instances::forget(&client, &live.id).await?;
            return Ok(nothing);
        }
        // A publication that was cut off leaves it closed.
        self.engine.reopen(&names.database).await?;
        let ledger = self.engine.ledger(&names.access(&credentials.password)).await?;
        let held = match ledger.rows().await {
            Ok(rows) => match bookkeeping::applied_chain(&rows) {
                AppliedState::Clean(chain) => Held::Applied(chain),
                AppliedState::Unfinished { migration, .. } => Held::Unfinished { migration: migration.name },
            },
            // A table that cannot be read says nothing about what is there.
            Err(ReplayError::Author { failure, .. }) => Held::Unfinished { migration: failure.migration },
            Err(ReplayError::Engine(error)) => return Err(error.into()),
        };
        Ok((held, Some(ledger)))
    }

    /// Whether an instance that is recorded as preparing took its branch's place on the server before the record could say so;
    /// the record is then brought up to date.
    pub(super) async fn was_published(&self, branch: &Branch, instance: &Instance) -> Result<bool, JobError> {
        let waiting = instance_names(&instance.names)?;
        if self.engine.place(&waiting.database).await? != Place::Nothing {
            return Ok(false);
        }
        let public = Self::place(branch)?;
        let Place::Ours(Some(identity)) = self.engine.place(&public.database).await? else {
            return Ok(false);
        };
        let Subject::Branch { generation, .. } = identity.subject else { return Ok(false) };
        if generation != branch.generation + 1 {
            return Ok(false);
        }
        let mut client = self.store.client().await?;
        let tx = Store::begin(&mut client).await?;
        promote(&tx, branch, &instance.id).await?;
        let change = Change { generation: Some(generation), ..Change::default() };
        branches::transition(&tx, branch.id, BranchState::Preparing, &change).await?;
        Store::commit(tx).await?;
        Ok(true)
    }
}

/// Records that an instance has its branch's place, and that the one before it is trash under the names it was given.
pub(super) async fn promote(tx: &impl GenericClient, branch: &Branch, id: &str) -> Result<(), StoreError> {
    let public = instances::InstanceNames::both(&branch.database_name);
    let trash = instances::InstanceNames::both(&crate::engine::trash_name(id));
    // Of the first generation there is none before it.
    instances::promote(tx, id, &public, &trash, branch.generation > 0).await?;
    Ok(())
}
