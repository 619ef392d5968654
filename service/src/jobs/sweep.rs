//! Compares the store, the branch server and GitHub, and mends what differs. Drops only what Offshoot made.

use std::collections::{BTreeSet, HashSet};

use chrono::{TimeDelta, Utc};

use super::{JobError, Worker};
use crate::domain::audit::{Action, Actor, Entry};
use crate::domain::job::Job;
use crate::domain::state::BranchState;
use crate::engine::{DatabaseRecord, InstanceNames, Subject};
use crate::store::branches::{self, Change};
use crate::store::{
    Store, StoreError, audit, deliveries, forks, instances, jobs, layers, pulls, repositories, snapshots,
};

/// What the name of an instance's reader has more than its role's.
const READER: &str = "_ro";
/// How long a repository that is out of reach is asked for again.
const REMEMBERED: TimeDelta = TimeDelta::days(7);

impl Worker {
    pub(super) async fn sweep(&self) -> Result<(), JobError> {
        self.expire().await?;
        let dropped = self.drop_orphans().await;
        let client = self.store.client().await?;
        let mut watched = repositories::list(&client).await?;
        watched.extend(repositories::removed_since(&client, Utc::now() - REMEMBERED).await?);
        for repository in &watched {
            jobs::enqueue(&client, &Job::SyncRepository(repository.facts.github_id)).await?;
        }
        for layer in instances::pooled_layers(&client).await? {
            jobs::enqueue(&client, &Job::RefillPool(layer)).await?;
        }
        jobs::enqueue(&client, &Job::EmptyTrash).await?;
        instances::prune_demand(&client, Utc::now() - TimeDelta::days(2)).await?;
        // GitHub redelivers for three days: what came before is not asked for again.
        deliveries::prune(&client, Utc::now() - TimeDelta::days(14)).await?;
        jobs::prune(&client, Utc::now() - TimeDelta::days(7)).await?;
        audit::prune(&client, Utc::now() - TimeDelta::days(365)).await?;
        // What cannot be dropped keeps nothing else waiting.
        dropped
    }

    /// Branches whose time is over go, until their next push.
    async fn expire(&self) -> Result<(), JobError> {
        let mut client = self.store.client().await?;
        for branch in branches::expired(&client, Utc::now()).await? {
            let tx = Store::begin(&mut client).await?;
            pulls::set_unwanted(&tx, branch.pull, Some(&branch.head_sha)).await?;
            let reason = "It expired without a push; the next push, or a reset, brings a fresh one.";
            let change = Change { reason: Some(reason.to_owned()), ..Change::default() };
            match branches::transition(&tx, branch.id, BranchState::Deleting, &change).await {
                Ok(_) | Err(StoreError::IllegalTransition { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            jobs::enqueue(&tx, &Job::ReconcilePull(branch.pull)).await?;
            let repository = repositories::find(&tx, branch.pull.repository).await?;
            let name = repository.map_or_else(String::new, |repository| repository.facts.name.to_string());
            let subject = format!("{name}#{}/{}", branch.pull.number, branch.database);
            let entry = Entry::new(Actor::Service, Action::BranchExpired, subject);
            audit::record(&tx, &entry).await?;
            Store::commit(tx).await?;
        }
        Ok(())
    }

    /// Databases and roles on the server that nothing stored stands for. Looked up on the server first and in the store after: what is
    /// being made is recorded before it is there.
    async fn drop_orphans(&self) -> Result<(), JobError> {
        let (standing, roles) = (self.engine.inventory().await?, self.engine.roles().await?);
        let known = self.known_names().await?;
        let mut first_error = None;
        let orphans = standing.into_iter().filter(|database| !known.contains(&database.name));
        for database in orphans {
            if let Err(error) = self.drop_orphan(&database).await {
                first_error.get_or_insert(error);
            }
        }
        let instances: BTreeSet<&str> =
            roles.iter().map(|role| role.strip_suffix(READER).unwrap_or(role)).collect();
        for name in instances.into_iter().filter(|name| !known.contains(*name)) {
            match self.engine.discard_roles(&InstanceNames::of(name)?).await {
                Ok(true) => tracing::warn!(role = name, "dropped a role that nothing stands for"),
                Ok(false) => {}
                Err(error) => drop(first_error.get_or_insert(error.into())),
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// The databases, and the roles that are called otherwise, that something stored stands for.
    async fn known_names(&self) -> Result<HashSet<String>, JobError> {
        let client = self.store.client().await?;
        let mut known: HashSet<String> = HashSet::new();
        let instances = instances::all(&client).await?.into_iter();
        known.extend(instances.flat_map(|instance| [instance.names.database, instance.names.role]));
        let layers = layers::all(&client).await?.into_iter();
        known.extend(layers.flat_map(|layer| [layer.database_name, layer.owner_role]));
        known.extend(snapshots::names(&client).await?);
        known.extend(forks::names(&client).await?);
        known.extend(branches::live_names(&client).await?);
        Ok(known)
    }

    async fn drop_orphan(&self, database: &DatabaseRecord) -> Result<(), JobError> {
        // A layer is built in an instance that only its builder knows of; its lock tells whether there is one.
        if let Some(Subject::Layer { layer }) = database.identity.as_ref().map(|identity| &identity.subject)
            && !self.engine.layer_is_unattended(layer).await?
        {
            return Ok(());
        }
        let names = InstanceNames::of(&database.name)?;
        // What cloning costs is measured with databases that only the measuring session knows of.
        if !self.engine.instance_is_unattended(&names).await? {
            return Ok(());
        }
        // One that was published or frozen since it was looked up has another name by now.
        if self.engine.discard(&names).await? {
            tracing::warn!(database = database.name, "dropped a database that nothing stands for");
        }
        Ok(())
    }
}
