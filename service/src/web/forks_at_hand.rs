//! One fork of each branch that was forked lately, held ready for whoever asks next: they are answered from memory, and who has it is recorded
//! after the answer. What could make it the wrong one is announced, and heard here before a fork is given away.

mod places;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::time::timeout;
use uuid::Uuid;

use self::places::{Change, HELD, Places};
use crate::domain::branch::BranchId;
use crate::domain::job::Job;
use crate::store::forks::{self, Handed, Reserved, Wish};
use crate::store::{Event, Listener, Store, StoreError, jobs};

/// The answer goes first.
const AFTER_THE_ANSWER: Duration = Duration::from_millis(2);
/// How long after a first failure the control database is told again what became of a fork; twice that after the second, and so on.
const TRY_AGAIN: Duration = Duration::from_millis(100);
const TRY_AGAIN_MOST: Duration = Duration::from_secs(30);
/// For how long whoever lists forks, or stops the service, waits for that.
const AWAITED: Duration = Duration::from_secs(5);

/// The forks that this process holds ready.
#[derive(Debug)]
pub struct ForksAtHand {
    /// Whose commits need not wait for the disk.
    store: Store,
    listener: Arc<Listener>,
    hand: Mutex<Hand>,
    /// Held for reading while the control database is being told something.
    telling: Arc<RwLock<()>>,
    /// How long one may be anybody's at most.
    ttl_limit: Duration,
}

/// What became of a fork that was held.
#[derive(Debug, Clone, Copy)]
enum End {
    HandedOver { at: DateTime<Utc>, expires_at: DateTime<Utc> },
    PutBack,
}

#[derive(Debug)]
struct Hand {
    events: Receiver<Event>,
    places: Places,
}

impl ForksAtHand {
    /// Within a runtime: what is spoilt is put back by a task of its own.
    pub fn new(store: Store, listener: Arc<Listener>, ttl_limit: Duration) -> Arc<Self> {
        let hand = Hand { events: listener.subscribe(), places: Places::default() };
        let changes = listener.subscribe();
        let this =
            Arc::new(Self { store, listener, hand: Mutex::new(hand), telling: Arc::default(), ttl_limit });
        tokio::spawn(hear(Arc::downgrade(&this), changes));
        this
    }

    /// The fork that is wished for, if it is held ready.
    pub(super) fn take(self: &Arc<Self>, wish: &Wish<'_>) -> Option<Handed> {
        let telling = self.begin_telling()?;
        let held = self.up_to_date().places.take(wish)?;
        let at = held.now().trunc_subsecs(6);
        let expires_at = at + TimeDelta::from_std(wish.ttl).unwrap_or(TimeDelta::MAX);
        let Reserved { id, branch, database_name, password, .. } = held.reserved;
        tokio::spawn(self.clone().record(telling, id, at, expires_at));
        Some(Handed { id, branch, database_name, password, expires_at })
    }

    /// Returns when the control database knows who has what was given away before, or has not answered for a while.
    pub(super) async fn recorded(&self) {
        _ = timeout(AWAITED, self.telling.write()).await;
    }

    /// Has one of a branch's spares ready for whoever asks next.
    pub(super) async fn reserve(self: Arc<Self>, branch: BranchId) {
        tokio::time::sleep(AFTER_THE_ANSWER).await;
        let telling = self.telling.clone().read_owned().await;
        if !self.listener.is_connected() || !self.up_to_date().places.expect(branch) {
            return;
        }
        // Should this process die, whoever has one in the end has it for as long as they were told.
        let time = self.ttl_limit + HELD * 2;
        let reserved = async {
            let client = self.store.client().await?;
            forks::reserve(&client, self.store.vault(), branch, time).await
        };
        let reserved = reserved.await.unwrap_or_else(|error: StoreError| {
            tracing::debug!(branch, %error, "no fork could be reserved");
            None
        });
        let id = reserved.as_ref().map(|reserved| reserved.id);
        let spoilt = self.up_to_date().places.arrive(branch, reserved);
        self.put_back(spoilt).await;
        drop(telling);
        if let Some(id) = id {
            tokio::time::sleep(HELD).await;
            let telling = self.telling.read().await;
            let unused = self.hand().places.give_up(branch, id);
            self.put_back(unused).await;
            drop(telling);
        }
    }

    /// Holds nothing any more, and returns when all is told.
    pub async fn close(&self) {
        let held = self.hand().places.close();
        self.put_back(held).await;
        self.recorded().await;
    }

    /// None while somebody waits for all that is told already.
    fn begin_telling(&self) -> Option<OwnedRwLockReadGuard<()>> {
        self.telling.clone().try_read_owned().ok()
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hand once all is heard that was announced until now.
    fn up_to_date(self: &Arc<Self>) -> MutexGuard<'_, Hand> {
        let mut hand = self.hand();
        let mut spoilt = Vec::new();
        if !self.listener.is_connected() {
            spoilt.extend(hand.places.hear(Change::OfAnything));
        }
        loop {
            let change = match hand.events.try_recv() {
                Ok(event) => Change::of(event),
                Err(TryRecvError::Lagged(_)) => Some(Change::OfAnything),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            };
            spoilt.extend(change.map(|change| hand.places.hear(change)).unwrap_or_default());
        }
        if !spoilt.is_empty() {
            tokio::spawn(self.clone().put_away(self.begin_telling(), spoilt));
        }
        hand
    }

    /// Puts spoilt ones back. What they are of may be past, and then they are to be dropped.
    async fn put_away(self: Arc<Self>, _telling: Option<OwnedRwLockReadGuard<()>>, spoilt: Vec<Reserved>) {
        self.put_back(spoilt).await;
        let asked = async {
            let client = self.store.client().await?;
            jobs::enqueue(&client, &Job::EmptyTrash).await
        };
        if let Err(error) = asked.await {
            let error: StoreError = error;
            tracing::debug!(%error, "nobody could be asked to drop spoilt forks; the next sweep does");
        }
    }

    async fn put_back(&self, reserved: impl IntoIterator<Item = Reserved>) {
        for Reserved { id, .. } in reserved {
            // After that it is dropped in any case.
            let until = Instant::now() + self.ttl_limit;
            self.tell(id, End::PutBack, until).await;
        }
    }

    async fn record(
        self: Arc<Self>,
        telling: OwnedRwLockReadGuard<()>,
        id: Uuid,
        at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) {
        tokio::time::sleep(AFTER_THE_ANSWER).await;
        let until = Instant::now() + (expires_at - at).to_std().unwrap_or_default();
        self.tell(id, End::HandedOver { at, expires_at }, until).await;
        drop(telling);
    }

    /// Tells the control database what became of a fork, until it knows or need not know any more.
    async fn tell(&self, id: Uuid, end: End, until: Instant) {
        let mut pause = TRY_AGAIN;
        while let Err(error) = self.tell_once(id, end).await {
            tracing::debug!(fork = %id.simple(), %error, "what became of a fork could not be recorded");
            if Instant::now() + pause >= until {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(TRY_AGAIN_MOST);
        }
    }

    async fn tell_once(&self, id: Uuid, end: End) -> Result<(), StoreError> {
        let client = self.store.client().await?;
        match end {
            End::HandedOver { at, expires_at } => forks::hand_over(&client, id, at, expires_at).await,
            End::PutBack => forks::put_back(&client, id).await,
        }
    }
}

/// Has what is spoilt put back soon, also where nobody asks for a fork any more.
async fn hear(forks: Weak<ForksAtHand>, mut events: Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(event) if Change::of(event).is_none() => {}
            Ok(_) | Err(RecvError::Lagged(_)) => match forks.upgrade() {
                Some(forks) => drop(forks.up_to_date()),
                None => return,
            },
            Err(RecvError::Closed) => return,
        }
    }
}
