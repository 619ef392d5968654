//! Makes the forks of a branch that somebody waits for, then a few spare ones.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::prepare::{Clock, Frozen, Order, Preparer};
use super::reading::{ReadError, Reader, Reading};
use super::{JobError, Worker};
use crate::domain::branch::{Branch, BranchId};
use crate::domain::fork::Origin;
use crate::domain::ids::RepositoryName;
use crate::domain::pull::PullRequest;
use crate::engine::{ForkSession, ForkSpec, Ident, Identity, InstanceNames, LayerNames, Subject, fork_name};
use crate::store::forks::{self, Commission};
use crate::store::repositories::Repository;
use crate::store::snapshots::{self, Snapshot};
use crate::store::{branches, pulls, repositories};

/// Forks made at the same time. More would only wait for one another on the server's disk.
const AT_ONCE: usize = 16;
/// How often a job asks whether the branch has moved on while it works.
const MOVED_ON_POLL: Duration = Duration::from_millis(250);

/// A branch as it is forked.
struct Forked {
    repository: Repository,
    pull: PullRequest,
    branch: Branch,
    origin: Origin,
}

impl Worker {
    pub(super) async fn fill_forks(&self, id: BranchId) -> Result<(), JobError> {
        self.release_leftovers(id).await?;
        let forked = self.forked(id).await?;
        let client = self.store.client().await?;
        forks::refuse(&client, id, forked.as_ref().map(|forked| &forked.origin), None).await?;
        drop(client);
        let Some(forked) = forked else { return Ok(()) };
        let stop = CancellationToken::new();
        let done = tokio::select! {
            done = self.fill(&forked, &stop) => done,
            never = self.watch_origin(&forked.origin, &stop) => match never {},
        };
        match done {
            Err(JobError::Superseded) => {
                let client = self.store.client().await?;
                Ok(forks::refuse(&client, id, None, None).await?)
            }
            done => done,
        }
    }

    /// What a crash left half-made.
    async fn release_leftovers(&self, id: BranchId) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let leftovers = forks::leftovers(&client, id).await?;
        drop(client);
        for fork in leftovers {
            self.engine.discard(&InstanceNames::of(&fork.database_name)?).await?;
            let client = self.store.client().await?;
            forks::release(&client, fork.id).await?;
        }
        Ok(())
    }

    /// The branch with its pull request as of the commit that its database holds; none while it is not ready.
    async fn forked(&self, id: BranchId) -> Result<Option<Forked>, JobError> {
        let client = self.store.client().await?;
        let Some(branch) = branches::find_by_id(&client, id).await? else { return Ok(None) };
        let Some(origin) = Origin::of(&branch) else { return Ok(None) };
        let Some(stored) = pulls::find(&client, branch.pull).await? else { return Ok(None) };
        let Some(repository) = repositories::find(&client, branch.pull.repository).await? else {
            return Ok(None);
        };
        let pull =
            PullRequest { head_sha: origin.sha.clone(), base_ref: branch.base_ref.clone(), ..stored.pull };
        Ok(Some(Forked { repository, pull, branch, origin }))
    }

    async fn fill(&self, forked: &Forked, stop: &CancellationToken) -> Result<(), JobError> {
        let client = self.store.client().await?;
        let standing = snapshots::take_up(&client, &forked.origin).await?;
        let demand = forks::demand(&client, &forked.origin).await?;
        drop(client);
        if demand.wanted == 0 && demand.missing_spares() == 0 {
            return Ok(());
        }
        let snapshot = match standing {
            Some(snapshot) if self.stands(&snapshot).await? => snapshot,
            // Spares alone are no reason to freeze anything.
            _ if demand.wanted == 0 => return Ok(()),
            _ => match self.freeze(forked, stop).await? {
                Frozen::Snapshot(snapshot) => snapshot,
                Frozen::Unrepeatable(why) => {
                    let client = self.store.client().await?;
                    return Ok(forks::refuse(&client, forked.branch.id, None, Some(&why)).await?);
                }
            },
        };
        Pool { worker: self, forked, names: names(&snapshot)?, snapshot }.fill(stop).await
    }

    async fn stands(&self, snapshot: &Snapshot) -> Result<bool, JobError> {
        Ok(self.engine.layer_is_complete(&names(snapshot)?).await?)
    }

    /// The snapshot of a branch's state, from the files of its commit.
    async fn freeze(&self, forked: &Forked, stop: &CancellationToken) -> Result<Frozen, JobError> {
        let started = Instant::now();
        let reading = match self.read_forked(forked).await {
            Ok(reading) => reading,
            Err(ReadError::Notice(_)) => return Ok(unreadable()),
            Err(ReadError::Source(error)) => return Err(error.into()),
            Err(ReadError::Store(error)) => return Err(error.into()),
        };
        let label = &forked.branch.database;
        let Some(database) = reading.databases.iter().find(|database| database.layout.label == *label) else {
            return Ok(unreadable());
        };
        let order = Order {
            repository: &forked.repository.facts.name,
            pull: &forked.pull,
            reading: &reading,
            database,
            clock: Clock { asked_at: Utc::now(), queued: Duration::ZERO, read: started.elapsed() },
        };
        let preparer = Preparer { store: &self.store, engine: &self.engine, stop, held_by: None, turn: None };
        preparer.snapshot(&order, &forked.branch, &forked.origin).await
    }

    async fn read_forked(&self, forked: &Forked) -> Result<Reading, ReadError> {
        let facts = &forked.repository.facts;
        let source = self.github.repository(&facts.name, facts.installation);
        let reader = Reader { store: &self.store, source: &source, repository: facts.github_id };
        reader.pull(&forked.pull).await
    }

    /// Cancels the work once the branch has moved on. What cannot be asked now is asked again.
    async fn watch_origin(&self, origin: &Origin, stop: &CancellationToken) -> Infallible {
        loop {
            tokio::time::sleep(MOVED_ON_POLL).await;
            let asked = async {
                let client = self.store.client().await?;
                branches::find_by_id(&client, origin.branch).await
            };
            match asked.await {
                Ok(branch) if branch.as_ref().and_then(Origin::of).as_ref() != Some(origin) => stop.cancel(),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "whether a branch has moved on could not be asked"),
            }
        }
    }
}

fn names(snapshot: &Snapshot) -> Result<LayerNames, JobError> {
    Ok(LayerNames::recorded(&snapshot.database_name, &snapshot.owner_role)?)
}

fn unreadable() -> Frozen {
    Frozen::Unrepeatable("the configuration on the base no longer leads to this database".to_owned())
}

/// Forks of one snapshot on their way.
struct Pool<'a> {
    worker: &'a Worker,
    forked: &'a Forked,
    snapshot: Snapshot,
    names: LayerNames,
}

impl<'a> Pool<'a> {
    /// Makes what is wanted, then what is missing, until there is nothing more to make.
    async fn fill(&'a self, stop: &CancellationToken) -> Result<(), JobError> {
        let mut idle: Vec<ForkSession<'a>> = Vec::new();
        let mut making = FuturesUnordered::new();
        // What is asked for and what is made go on beside each other: those that are being made may hold the very sessions of the store that the
        // next one is asked for with.
        let mut asking = None;
        let mut all_asked = false;
        loop {
            if asking.is_none() && making.len() < AT_ONCE && !all_asked && !stop.is_cancelled() {
                asking = Some(Box::pin(self.next()));
            }
            tokio::select! {
                commission = answer(&mut asking), if asking.is_some() => {
                    asking = None;
                    match commission? {
                        Some(commission) => making.push(self.make(idle.pop(), commission)),
                        None => all_asked = true,
                    }
                }
                Some(session) = making.next() => {
                    idle.push(session?);
                    all_asked = false;
                }
                else => return if stop.is_cancelled() { Err(JobError::Superseded) } else { Ok(()) },
            }
        }
    }

    async fn next(&self) -> Result<Option<Commission>, JobError> {
        let (store, origin, key) = (&self.worker.store, &self.forked.origin, &self.snapshot.key);
        let client = store.client().await?;
        if let Some(commission) = forks::accept(&client, store.vault(), origin, key).await? {
            return Ok(Some(commission));
        }
        if forks::demand(&client, origin).await?.missing_spares() == 0 {
            return Ok(None);
        }
        let id = Uuid::new_v4();
        let name = fork_name(&id.simple().to_string());
        Ok(forks::spare(&client, store.vault(), origin, key, id, &name).await?)
    }

    async fn make(
        &self,
        session: Option<ForkSession<'a>>,
        commission: Commission,
    ) -> Result<ForkSession<'a>, JobError> {
        let started = Instant::now();
        let session = match session {
            Some(session) => session,
            None => self.worker.engine.fork_session().await?,
        };
        let Worker { store, .. } = self.worker;
        let name = Ident::new(&commission.database_name)?;
        session.begin(&name).await?;
        if !forks::is_filling(&store.client().await?, commission.id).await? {
            session.leave(&name).await?;
            return Ok(session);
        }
        let identity = identity(&self.forked.repository.facts.name, &self.forked.branch, &commission);
        let spec = ForkSpec {
            name: &name,
            password: &commission.password,
            identity: &identity,
            snapshot: &self.names,
        };
        session.make(&spec).await?;
        forks::made(&store.client().await?, commission.id).await?;
        metrics::histogram!("offshoot_fork_make_seconds").record(started.elapsed());
        Ok(session)
    }
}

/// What was asked for, if anything was.
async fn answer<F: Future>(asked: &mut Option<Pin<Box<F>>>) -> F::Output {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

/// The branch's own, and which fork of it this is.
fn identity(repository: &RepositoryName, branch: &Branch, commission: &Commission) -> Identity {
    Identity::new(Subject::Branch {
        repository: repository.to_string(),
        pull_request: branch.pull.number,
        database: branch.database.to_string(),
        generation: branch.generation,
        sha: branch.database_sha.as_ref().map(ToString::to_string).unwrap_or_default(),
        fork: Some(commission.id.simple().to_string()),
    })
}
