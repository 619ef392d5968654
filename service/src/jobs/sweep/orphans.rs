//! What stands on the branch server and is nobody's.

use std::collections::{BTreeSet, HashSet};

use super::mended;
use crate::engine::{DatabaseRecord, InstanceNames, Subject};
use crate::jobs::{JobError, Worker};
use crate::store::{branches, forks, instances, layers, snapshots};

/// What the name of an instance's reader has more than its role's.
const READER: &str = "_ro";

impl Worker {
    /// Databases and roles on the server that nothing stored stands for.
    pub(super) async fn drop_orphans(&self, standing: Vec<DatabaseRecord>) -> Result<(), JobError> {
        let roles = self.engine.roles().await?;
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
                Ok(true) => {
                    mended("orphan_role");
                    tracing::warn!(role = name, "dropped a role that nothing stands for");
                }
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
            mended("orphan_database");
            tracing::warn!(database = database.name, "dropped a database that nothing stands for");
        }
        Ok(())
    }
}
