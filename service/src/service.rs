//! The service as a whole: connects its servers, starts the workers, the clock and the doors, and ends them in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{DatabaseArgs, ServeArgs};
use crate::domain::audit::{Action, Actor, Entry};
use crate::domain::job::{Job, Lane};
use crate::domain::pool::PoolLimits;
use crate::embedded::{Embedded, EmbeddedSettings};
use crate::engine::{Engine, EngineError, EngineSettings, Extent};
use crate::figures::Figures;
use crate::github::Github;
use crate::jobs::{Doubts, Turns, Worker, schedule};
use crate::postgres::Endpoint;
use crate::queue;
use crate::secret::Secret;
use crate::store::{Listener, Store, audit, jobs, sealed};
use crate::web::{self, App, ForksAtHand};
use crate::webhook::{self, WebhookState};

/// How long jobs that are under way may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How often the branches' sessions are held against their limits.
const GUARD_ROUND: Duration = Duration::from_secs(2);
/// How often sessions that wait are asked whether they still answer; sooner than a firewall forgets one that is silent.
const TEND_EVERY: Duration = Duration::from_secs(30);
/// How often the branch server's disk is looked at: more often than a look is trusted.
const DISK_ROUND: Duration = Duration::from_secs(3);
/// How often idle sessions are looked for.
const SHED_ROUND: Duration = Duration::from_secs(5);
/// Sessions for administration on the branch server.
const ENGINE_POOL: usize = 16;
/// Jobs at once that nobody waits for.
const BACKGROUND: usize = 2;

/// The two servers, connected, and the embedded one if there is one.
#[derive(Debug)]
pub struct Servers {
    pub store: Store,
    pub engine: Engine,
    pub embedded: Option<Embedded>,
}

impl Servers {
    /// Starts the embedded server where no control database is configured, brings the control schema up to date, and checks the branch server.
    pub async fn connect(args: &DatabaseArgs) -> anyhow::Result<Self> {
        args.check()?;
        let vault = args.vault()?;
        let embedded = match &args.database_url {
            Some(_) => None,
            None => {
                let settings = EmbeddedSettings {
                    data_dir: args.data_dir.clone(),
                    postgres_bin: args.postgres_bin.clone(),
                };
                Some(Embedded::start(&settings).await.context("starting the embedded PostgreSQL")?)
            }
        };
        let control = match (&args.database_url, &embedded) {
            (Some(url), _) => url.clone(),
            (None, Some(embedded)) => embedded.administrator_url(),
            (None, None) => unreachable!("one of the two is there"),
        };
        let store = Store::connect(&control, vault).context("OFFSHOOT_DATABASE_URL")?;
        store.migrate().await.context("bringing the control database's schema up to date")?;
        let client = store.client().await?;
        sealed::check_key(&client, store.vault()).await?;
        drop(client);
        let engine = Engine::connect(engine_settings(args, &control)?)
            .await
            .context("connecting to the branch server")?;
        Ok(Self { store, engine, embedded })
    }

    /// Ends the sessions and the embedded server, if there is one.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.store.end_sessions();
        self.engine.end_sessions();
        match self.embedded {
            Some(embedded) => embedded.stop().await.context("stopping the embedded PostgreSQL"),
            None => Ok(()),
        }
    }
}

fn engine_settings(args: &DatabaseArgs, control: &Secret) -> anyhow::Result<EngineSettings> {
    let control_database =
        Endpoint::parse(control).context("OFFSHOOT_DATABASE_URL")?.database().map(str::to_owned);
    Ok(EngineSettings {
        administrator_url: args.branch_server_url.clone().unwrap_or_else(|| control.clone()),
        address: args.branch_address.clone(),
        // A branch server of its own knows no such database, which does no harm; two URLs may well lead to one server.
        control_database,
        limits: args.limits.limits(),
        allowed_extensions: args.allowed_extensions.clone(),
        floor: args.floor(),
        pool_size: ENGINE_POOL,
        shares_control_server: args.branch_server_url.is_none(),
    })
}

/// A service that runs.
pub struct Service {
    servers: Servers,
    listener: Arc<Listener>,
    forks_at_hand: Arc<ForksAtHand>,
    address: SocketAddr,
    shutdown: CancellationToken,
    tasks: tokio::task::JoinSet<anyhow::Result<()>>,
    scheduler: tokio_cron_scheduler::JobScheduler,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Service {
    /// Starts everything. It serves when this returns.
    pub async fn start(args: &ServeArgs, recorder: PrometheusHandle) -> anyhow::Result<Self> {
        // Settings first: a mistake in them should not wait for servers.
        let secrets = args.webhook_secrets()?;
        let github = Github::connect(args.github.settings()?).context("the GitHub settings")?;
        let socket = TcpListener::bind(&args.listen)
            .await
            .with_context(|| format!("OFFSHOOT_LISTEN: cannot listen on {}", args.listen))?;
        let address = socket.local_addr().context("reading the address listened on")?;
        let servers = Servers::connect(&args.databases).await?;
        rotate(&servers.store).await?;
        let public_url: Arc<str> = match &args.public_url {
            Some(_) => args.public_url(),
            None => format!("http://{address}"),
        }
        .into();

        let shutdown = CancellationToken::new();
        let listener = Arc::new(servers.store.listener());
        let forks_at_hand = ForksAtHand::new(servers.store.working(), listener.clone(), args.fork_ttl_limit);
        let turns = Turns::default();
        let worker = Worker {
            store: servers.store.working(),
            engine: servers.engine.clone(),
            github: github.clone(),
            public_url: public_url.clone(),
            pool: PoolLimits { floor: args.pool_size, ceiling: args.pool_max },
            layer_budget: args.layer_budget,
            idle_ttl: args.idle_ttl(),
            turns: turns.clone(),
            doubts: Doubts::default(),
        };
        let app = App {
            store: servers.store.clone(),
            engine: servers.engine.clone(),
            github: github.clone(),
            listener: listener.clone(),
            public_url,
            bootstrap: args.administrator_token()?,
            figures: recorder.clone(),
            fork_ttl_limit: args.fork_ttl_limit,
            forks_at_hand: forks_at_hand.clone(),
            idle_ttl: args.idle_ttl(),
            proxies: args.trusted_proxies.as_slice().into(),
            limits: Arc::default(),
            stopping: shutdown.clone(),
        };
        let router = web::router(
            app,
            webhook::router(WebhookState::new(servers.store.clone(), listener.clone(), secrets, turns)),
        );
        let scheduler = schedule::start(&servers.store, &shutdown).await?;
        let mut tasks = tokio::task::JoinSet::new();
        let serving = web::serve(socket, router, shutdown.clone());
        tasks.spawn(async {
            serving.await;
            Ok(())
        });
        tasks.spawn(work(worker, listener.clone(), shutdown.clone()));
        tasks.spawn(calibrate_clones(servers.engine.clone(), args.calibrate_after, shutdown.clone()));
        let (store, engine) = (servers.store.clone(), servers.engine.clone());
        let figures = Figures { store, engine, github, recorder }.keep(shutdown.clone());
        tasks.spawn(async move {
            figures.await;
            Ok(())
        });
        tasks.spawn(guard(servers.engine.clone(), shutdown.clone()));
        tasks.spawn(shed_idle_sessions(servers.store.clone(), servers.engine.clone(), shutdown.clone()));
        tasks.spawn(watch_disk(servers.store.clone(), servers.engine.clone(), shutdown.clone()));
        let client = servers.store.client().await?;
        // What was missed while nothing ran.
        jobs::enqueue(&client, &Job::Sweep).await?;
        drop(client);
        tracing::info!(%address, "serving");
        Ok(Self { servers, listener, forks_at_hand, address, shutdown, tasks, scheduler })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a part ends by itself, which is a failure, or until `stop` ends.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let failure = tokio::select! {
            () = stop => None,
            ended = self.tasks.join_next() => Some(match ended {
                Some(Ok(Ok(()))) | None => anyhow::anyhow!("a part of the service ended"),
                Some(Ok(Err(error))) => error,
                Some(Err(panic)) => anyhow::Error::from(panic).context("a part of the service panicked"),
            }),
        };
        let stopped = self.stop().await;
        failure.map_or(stopped, Err)
    }

    /// Takes nothing new, finishes or releases what is under way, then ends the embedded server.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        self.shutdown.cancel();
        _ = self.scheduler.shutdown().await;
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE + Duration::from_secs(5), ended).await.is_err() {
            tracing::warn!(
                "some work did not end in time; its leases run out and it is taken up at the next start"
            );
        }
        self.tasks.shutdown().await;
        if tokio::time::timeout(GRACE, self.forks_at_hand.close()).await.is_err() {
            tracing::warn!(
                "some forks that were held ready could not be put back; they go when their time is over"
            );
        }
        self.listener.end();
        self.servers.stop().await
    }
}

/// Moves what earlier keys encrypted to the current one, before anything new is made.
async fn rotate(store: &Store) -> anyhow::Result<()> {
    if !store.vault().has_previous() {
        return Ok(());
    }
    let mut client = store.client().await?;
    let replaced = sealed::rotate(&client, store.vault()).await.context("encrypting credentials anew")?;
    let key = store.vault().key_id().to_string();
    tracing::info!(replaced, key, "credentials are under the current key");
    if replaced > 0 {
        let tx = Store::begin(&mut client).await?;
        let entry = Entry::new(Actor::Service, Action::KeyRotated, key).with(json!({ "replaced": replaced }));
        audit::record(&tx, &entry).await?;
        Store::commit(tx).await?;
    }
    Ok(())
}

/// Measures how the branch server clones best, once. Until then, and where it fails, a guess decides.
async fn calibrate_clones(
    engine: Engine,
    after: Duration,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if shutdown.run_until_cancelled(tokio::time::sleep(after)).await.is_some() {
        match engine.calibrate_clones(&shutdown).await {
            Ok(methods) => tracing::info!(
                small = %methods.choose(Extent::of_bytes(0)),
                large = %methods.choose(Extent::of_bytes(1 << 30)),
                larger_from_bytes = methods.turning_point(),
                "measured how databases are cloned"
            ),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "how databases are cloned best could not be measured; a guess by size decides"
            ),
        }
    }
    shutdown.cancelled().await;
    Ok(())
}

/// Keeps what is known of the branch server's disk fresh, so that nobody who is about to write has to ask, and calls for room below the floor.
async fn watch_disk(store: Store, engine: Engine, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut rounds = tokio::time::interval(DISK_ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = rounds.tick() => {}
        }
        // What cannot be asked now the next round asks again; that a server is away is told by whoever has work for it.
        if let Err(error) = engine.capacity().await {
            tracing::debug!(%error, "the branch server's disk could not be looked at");
        } else if let Err(EngineError::NoRoom(_)) = engine.room_for(0).await
            && let Ok(client) = store.client().await
            && let Err(error) = jobs::enqueue(&client, &Job::MakeRoom).await
        {
            tracing::debug!(%error, "nobody could be asked to make room");
        }
    }
}

/// Gives back what a burst needed and nobody has used since.
async fn shed_idle_sessions(store: Store, engine: Engine, shutdown: CancellationToken) -> anyhow::Result<()> {
    while shutdown.run_until_cancelled(tokio::time::sleep(SHED_ROUND)).await.is_some() {
        store.shed_idle_sessions();
        engine.shed_idle_sessions();
    }
    Ok(())
}

/// Holds the branches to their limits. Any number of replicas may do so at once.
async fn guard(engine: Engine, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut tended = Instant::now();
    let mut rounds = tokio::time::interval(GUARD_ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = rounds.tick() => {}
        }
        if tended.elapsed() >= TEND_EVERY {
            engine.tend_warm_sessions().await;
            tended = Instant::now();
        }
        match engine.enforce_limits().await {
            Ok(ended) => ended.iter().for_each(|session| {
                metrics::counter!("offshoot_sessions_ended_total").increment(1);
                tracing::info!(
                    database = session.database,
                    role = session.role,
                    limit = session.limit,
                    "ended a branch's session"
                );
            }),
            // The next round asks again; that the server is away is told by whoever has work for it.
            Err(error) => tracing::debug!(%error, "the branches' limits could not be looked at"),
        }
    }
}

async fn work(worker: Worker, listener: Arc<Listener>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let store = worker.store.clone();
    let worker = Arc::new(worker);
    let settings = queue::Settings { grace: GRACE, ..queue::Settings::default() };
    let foreground = queue::run(store.clone(), &listener, worker.clone(), settings, shutdown.clone());
    let settings = queue::Settings { lane: Lane::Background, concurrency: BACKGROUND, ..settings };
    let background = queue::run(store, &listener, worker, settings, shutdown);
    tokio::join!(foreground, background);
    Ok(())
}
