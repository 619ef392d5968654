//! What is held, for whom it is right, and what spoils it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::branch::BranchId;
use crate::domain::ids::PullId;
use crate::store::Event;
use crate::store::forks::{Present, Reserved, Wish};

/// For how long a fork is held ready; then it is a spare again, which another replica may hand out.
pub(super) const HELD: Duration = Duration::from_secs(60);

/// What is held, by branch.
#[derive(Debug, Default)]
pub(super) struct Places {
    held: HashMap<BranchId, Place>,
    is_closed: bool,
}

#[derive(Debug)]
enum Place {
    /// One is being reserved; what changed meanwhile.
    Coming(Vec<Change>),
    Here(Box<Held>),
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) reserved: Reserved,
    since: Instant,
}

/// What an event may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Of(PullId),
    OfAnything,
}

impl Change {
    pub(super) fn of(event: Event) -> Option<Self> {
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
    pub(super) fn hear(&mut self, change: Change) -> Vec<Reserved> {
        for place in self.held.values_mut() {
            if let Place::Coming(changes) = place {
                changes.push(change);
            }
        }
        let spoilt = self.held.extract_if(|_, place| match place {
            Place::Here(held) => change.concerns(held.reserved.of.pull),
            Place::Coming(_) => false,
        });
        spoilt.filter_map(|(_, place)| place.held()).map(|held| held.reserved).collect()
    }

    pub(super) fn take(&mut self, wish: &Wish<'_>) -> Option<Held> {
        let suits = |place: &Place| matches!(place, Place::Here(held) if held.suits(wish));
        let branch = self.held.iter().find_map(|(branch, place)| suits(place).then_some(*branch))?;
        self.held.remove(&branch)?.held()
    }

    /// Whether one is to be reserved: not where one is here or coming.
    pub(super) fn expect(&mut self, branch: BranchId) -> bool {
        let is_wanted = !self.is_closed && !self.held.contains_key(&branch);
        if is_wanted {
            self.held.insert(branch, Place::Coming(Vec::new()));
        }
        is_wanted
    }

    /// Puts what was expected in its place; it comes back where it is not to be given away.
    pub(super) fn arrive(&mut self, branch: BranchId, reserved: Option<Reserved>) -> Option<Reserved> {
        let place = self.held.remove(&branch);
        let reserved = reserved?;
        match place {
            Some(Place::Coming(changes))
                if !changes.iter().any(|change| change.concerns(reserved.of.pull)) =>
            {
                let held = Held { reserved, since: Instant::now() };
                self.held.insert(branch, Place::Here(Box::new(held)));
                None
            }
            _ => Some(reserved),
        }
    }

    /// Nobody asked for this one.
    pub(super) fn give_up(&mut self, branch: BranchId, id: Uuid) -> Option<Reserved> {
        let is_it = |place: &Place| matches!(place, Place::Here(held) if held.reserved.id == id);
        let place = self.held.get(&branch).is_some_and(is_it).then(|| self.held.remove(&branch))??;
        place.held().map(|held| held.reserved)
    }

    pub(super) fn close(&mut self) -> Vec<Reserved> {
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
    pub(super) fn now(&self) -> DateTime<Utc> {
        TimeDelta::from_std(self.since.elapsed()).map_or(self.reserved.at, |passed| self.reserved.at + passed)
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
