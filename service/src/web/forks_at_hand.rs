//! One fork of each branch that was forked lately, held ready for whoever asks next: they are answered from memory, and who has it is recorded
//! after the answer. What could make it the wrong one is announced, and heard here before a fork is given away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::branch::BranchId;
use crate::domain::ids::PullId;
use crate::domain::job::Job;
use crate::store::forks::{self, Handed, Present, Reserved, Wish};
use crate::store::{Event, Listener, Store, StoreError, jobs};

/// For how long a fork is held ready; then it is a spare again, which another replica may hand out.
const HELD: Duration = Duration::from_secs(60);
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

/// What is held, by branch.
#[derive(Debug, Default)]
struct Places {
    held: HashMap<BranchId, Place>,
    is_closed: bool,
}

#[derive(Debug)]
enum Place {
    /// One is being reserved; what changed meanwhile.
    Coming(Changed),
    Here(Box<Held>),
}

#[derive(Debug)]
struct Held {
    reserved: Reserved,
    since: Instant,
}

#[derive(Debug, Default)]
struct Changed {
    pulls: Vec<PullId>,
    anything: bool,
}

/// What an event may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Of(PullId),
    OfAnything,
}

impl Change {
    fn of(event: Event) -> Option<Self> {
        match event {
            Event::Branch(pull, _) => Some(Self::Of(pull)),
            Event::Repository(_) | Event::Connected => Some(Self::OfAnything),
            Event::Job(_) | Event::Fork(_) => None,
        }
    }

    fn concerns(self, pull: PullId) -> bool {
        match self {
            Self::Of(changed) => changed == pull,
            Self::OfAnything => true,
        }
    }
}

impl Places {
    /// Those that are not to be given away any more.
    fn hear(&mut self, change: Change) -> Vec<Reserved> {
        for place in self.held.values_mut() {
            if let Place::Coming(changed) = place {
                match change {
                    Change::Of(pull) => changed.pulls.push(pull),
                    Change::OfAnything => changed.anything = true,
                }
            }
        }
        let spoilt = self.held.extract_if(|_, place| match place {
            Place::Here(held) => change.concerns(held.reserved.of.pull),
            Place::Coming(_) => false,
        });
        spoilt.filter_map(|(_, place)| place.held()).map(|held| held.reserved).collect()
    }

    fn take(&mut self, wish: &Wish<'_>) -> Option<Held> {
        let suits = |place: &Place| matches!(place, Place::Here(held) if held.suits(wish));
        let branch = self.held.iter().find_map(|(branch, place)| suits(place).then_some(*branch))?;
        self.held.remove(&branch)?.held()
    }

    /// Whether one is to be reserved: not where one is here or coming.
    fn expect(&mut self, branch: BranchId) -> bool {
        let is_wanted = !self.is_closed && !self.held.contains_key(&branch);
        if is_wanted {
            self.held.insert(branch, Place::Coming(Changed::default()));
        }
        is_wanted
    }

    /// Puts what was expected in its place; it comes back where it is not to be given away.
    fn arrive(&mut self, branch: BranchId, reserved: Option<Reserved>) -> Option<Reserved> {
        let place = self.held.remove(&branch);
        let reserved = reserved?;
        match place {
            Some(Place::Coming(changed))
                if !changed.anything && !changed.pulls.contains(&reserved.of.pull) =>
            {
                let held = Held { reserved, since: Instant::now() };
                self.held.insert(branch, Place::Here(Box::new(held)));
                None
            }
            _ => Some(reserved),
        }
    }

    /// Nobody asked for this one.
    fn give_up(&mut self, branch: BranchId, id: Uuid) -> Option<Reserved> {
        let is_it = |place: &Place| matches!(place, Place::Here(held) if held.reserved.id == id);
        let place = self.held.get(&branch).is_some_and(is_it).then(|| self.held.remove(&branch))??;
        place.held().map(|held| held.reserved)
    }

    fn close(&mut self) -> Vec<Reserved> {
        self.is_closed = true;
        self.held.drain().filter_map(|(_, place)| place.held()).map(|held| held.reserved).collect()
    }
}

impl Place {
    fn held(self) -> Option<Held> {
        match self {
            Self::Here(held) => Some(*held),
            Self::Coming(_) => None,
        }
    }
}

impl Held {
    fn suits(&self, wish: &Wish<'_>) -> bool {
        let Present { repository, pull, database, head } = &self.reserved.of;
        pull.number == wish.number
            && database == wish.database
            && repository.is(wish.repository)
            && wish.sha.is_none_or(|sha| sha == head)
            && self.since.elapsed() < HELD
    }

    /// Now, by the clock of the database that it is from.
    fn now(&self) -> DateTime<Utc> {
        TimeDelta::from_std(self.since.elapsed()).map_or(self.reserved.at, |passed| self.reserved.at + passed)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{DatabaseLabel, Oid};
    use crate::secret::Secret;

    const BRANCH: BranchId = 3;
    const PULL: PullId = PullId { repository: 7, number: 42 };
    const OTHER: PullId = PullId { repository: 7, number: 43 };

    fn reserved() -> Reserved {
        Reserved {
            id: Uuid::from_u128(1),
            branch: BRANCH,
            of: Present {
                repository: "acme/shop".parse().unwrap(),
                pull: PULL,
                database: DatabaseLabel::main(),
                head: "a".repeat(40).parse().unwrap(),
            },
            at: DateTime::UNIX_EPOCH,
            database_name: "offshoot_fork_1".to_owned(),
            password: Secret::new("secret"),
        }
    }

    fn held() -> Places {
        let mut places = Places::default();
        assert!(places.expect(BRANCH));
        assert!(!places.expect(BRANCH), "one is coming");
        assert_eq!(places.arrive(BRANCH, Some(reserved())), None);
        assert!(!places.expect(BRANCH), "one is here");
        places
    }

    fn asked(places: &mut Places, repository: &str, number: i32, sha: Option<&str>) -> bool {
        let (repository, database) = (repository.parse().unwrap(), DatabaseLabel::main());
        let sha: Option<Oid> = sha.map(|sha| sha.parse().unwrap());
        let ttl = Duration::from_secs(60);
        places
            .take(&Wish { repository: &repository, number, database: &database, sha: sha.as_ref(), ttl })
            .is_some()
    }

    #[test]
    fn only_the_right_one_is_given_away_and_only_once() {
        let mut places = held();
        assert!(!asked(&mut places, "acme/other", 42, None));
        assert!(!asked(&mut places, "acme/shop", 43, None));
        assert!(!asked(&mut places, "acme/shop", 42, Some(&"b".repeat(40))));
        assert!(asked(&mut places, "Acme/SHOP", 42, Some(&"a".repeat(40))));
        assert!(!asked(&mut places, "acme/shop", 42, None));
        assert!(places.expect(BRANCH));
    }

    #[test]
    fn what_changed_is_not_given_away() {
        let mut places = held();
        assert!(places.hear(Change::Of(OTHER)).is_empty());
        assert_eq!(places.hear(Change::Of(PULL)), [reserved()]);
        assert!(!asked(&mut places, "acme/shop", 42, None));
        assert_eq!(held().hear(Change::OfAnything), [reserved()]);
    }

    #[test]
    fn nor_what_changed_while_it_came() {
        for (change, comes_back) in
            [(Change::Of(OTHER), false), (Change::Of(PULL), true), (Change::OfAnything, true)]
        {
            let mut places = Places::default();
            places.expect(BRANCH);
            places.hear(change);
            assert_eq!(places.arrive(BRANCH, Some(reserved())).is_some(), comes_back, "{change:?}");
            assert_eq!(asked(&mut places, "acme/shop", 42, None), !comes_back, "{change:?}");
        }
    }

    #[test]
    fn nothing_is_held_for_long_or_at_the_end() {
        let mut places = held();
        assert_eq!(places.give_up(BRANCH, Uuid::from_u128(2)), None, "another one by now");
        assert_eq!(places.give_up(BRANCH, Uuid::from_u128(1)), Some(reserved()));
        assert!(places.expect(BRANCH), "nothing is here");
        assert!(places.close().is_empty());
        assert_eq!(places.arrive(BRANCH, Some(reserved())), Some(reserved()), "what comes after the end");
        assert!(!places.expect(BRANCH));
        assert_eq!(held().close(), [reserved()]);
    }

    #[test]
    fn a_pool_that_is_empty_leaves_its_place_free() {
        let mut places = Places::default();
        places.expect(BRANCH);
        assert_eq!(places.arrive(BRANCH, None), None);
        assert!(places.expect(BRANCH));
    }

    #[test]
    fn what_is_announced_of_a_branch_or_a_repository_is_a_change() {
        assert_eq!(Change::of(Event::Branch(PULL, None)), Some(Change::Of(PULL)));
        assert_eq!(Change::of(Event::Repository(7)), Some(Change::OfAnything));
        assert_eq!(Change::of(Event::Connected), Some(Change::OfAnything));
        assert_eq!(Change::of(Event::Fork(Uuid::nil())), None);
    }
}
