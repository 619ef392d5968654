//! When a branch is removed although its pull request is open, and from when on people are told: its time is over, or nobody uses it.

use chrono::{DateTime, TimeDelta, Utc};

/// How long before people are told at the most; a short life is told of in its last quarter.
const LONGEST_NOTICE: TimeDelta = TimeDelta::days(1);

/// What decides how long a branch lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lifetime {
    /// Lives for as long as its pull request is open.
    pub protected: bool,
    /// A `ttl` after the last push, or as somebody extended it.
    pub expires_at: Option<DateTime<Utc>>,
    /// From when on that is told; none where an earlier version set it.
    pub told_from: Option<DateTime<Utc>>,
    /// When its database was last seen in use; a time to come where somebody extended it until then.
    pub active_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Nobody pushed for as long as the repository's `ttl`.
    Age,
    /// Nobody had a session for as long as the operator's limit.
    Idle,
}

impl Because {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "expired",
            Self::Idle => "idle",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    pub at: DateTime<Utc>,
    pub told_from: DateTime<Utc>,
    pub because: Because,
}

/// From when on people are told of an end that was set at a time.
pub fn told_from(set_at: DateTime<Utc>, at: DateTime<Utc>) -> DateTime<Utc> {
    at - ((at - set_at) / 4).clamp(TimeDelta::zero(), LONGEST_NOTICE)
}

impl Lifetime {
    /// The end, by whatever comes first; none where nothing ends it. Without an `idle_ttl` nobody minds that it is not used.
    pub fn end(&self, idle_ttl: Option<TimeDelta>) -> Option<Expiry> {
        if self.protected {
            return None;
        }
        let age = self.expires_at.map(|at| {
            let earliest = at - LONGEST_NOTICE;
            let told_from = self.told_from.map_or(earliest, |from| from.clamp(earliest, at));
            Expiry { at, told_from, because: Because::Age }
        });
        let idle = self.active_at.zip(idle_ttl).and_then(|(since, ttl)| {
            let at = since.checked_add_signed(ttl)?;
            Some(Expiry { at, told_from: told_from(since, at), because: Because::Idle })
        });
        age.into_iter().chain(idle).min_by_key(|expiry| expiry.at)
    }

    /// The end, once it is near enough to be told.
    pub fn told_end(&self, idle_ttl: Option<TimeDelta>, now: DateTime<Utc>) -> Option<Expiry> {
        self.end(idle_ttl).filter(|expiry| expiry.told_from <= now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::hours(hours)
    }

    #[test]
    fn people_are_told_a_day_before_or_in_the_last_quarter() {
        assert_eq!(told_from(at(0), at(7 * 24)), at(6 * 24));
        assert_eq!(told_from(at(0), at(12)), at(9));
        assert_eq!(told_from(at(5), at(5)), at(5));
        assert_eq!(told_from(at(9), at(5)), at(5), "an end that was set in the past");
    }

    #[test]
    fn what_comes_first_ends_it() {
        let lifetime = Lifetime {
            protected: false,
            expires_at: Some(at(100)),
            told_from: Some(at(90)),
            active_at: Some(at(0)),
        };
        let age = Expiry { at: at(100), told_from: at(90), because: Because::Age };
        assert_eq!(lifetime.end(None), Some(age));
        assert_eq!(lifetime.end(Some(TimeDelta::hours(200))), Some(age));
        let idle = Expiry { at: at(40), told_from: at(30), because: Because::Idle };
        assert_eq!(lifetime.end(Some(TimeDelta::hours(40))), Some(idle));
        assert_eq!(lifetime.told_end(None, at(89)), None);
        assert_eq!(lifetime.told_end(None, at(90)), Some(age));
        assert_eq!(Lifetime { protected: true, ..lifetime }.end(Some(TimeDelta::hours(1))), None);
        // Somebody extended it until then: it is not idle before.
        let extended = Lifetime { active_at: Some(at(100)), ..lifetime };
        assert_eq!(extended.end(Some(TimeDelta::hours(1))), Some(age));
        assert_eq!(Lifetime::default().end(Some(TimeDelta::hours(1))), None);
        // An earlier version moved the end and knew nothing of when to tell.
        let moved =
            |told_from| Lifetime { told_from, active_at: None, ..lifetime }.end(None).unwrap().told_from;
        assert_eq!((moved(None), moved(Some(at(-50))), moved(Some(at(300)))), (at(76), at(76), at(100)));
    }

    proptest! {
        #[test]
        fn nobody_is_told_late_or_more_than_a_day_before(
            expires in prop::option::of(-500_i64..500), told in prop::option::of(-500_i64..500),
            active in prop::option::of(-500_i64..500), idle in prop::option::of(1_i64..500), now in -600_i64..1_200,
        ) {
            let lifetime = Lifetime {
                protected: false, expires_at: expires.map(at), told_from: told.map(at), active_at: active.map(at),
            };
            let idle = idle.map(TimeDelta::hours);
            let end = lifetime.end(idle);
            prop_assert_eq!(end.is_some(), expires.is_some() || (active.is_some() && idle.is_some()));
            if let Some(Expiry { at: end, told_from, .. }) = end {
                prop_assert!(told_from <= end && end - told_from <= LONGEST_NOTICE);
                prop_assert!(lifetime.told_end(idle, end).is_some(), "nothing goes untold");
                prop_assert_eq!(lifetime.told_end(idle, at(now)).is_some(), told_from <= at(now));
            }
        }
    }
}
