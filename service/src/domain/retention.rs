//! Which layers may go. They are only a cache: what is dropped is built again when somebody asks for it.

use chrono::{DateTime, TimeDelta, Utc};

use super::layer::LayerKey;
use super::size::ByteSize;

/// A complete layer, as far as keeping it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub key: LayerKey,
    pub size: ByteSize,
    pub last_used_at: DateTime<Utc>,
    /// It is a base's tip, or an open pull request's merge base.
    pub needed: bool,
}

/// How much is kept of what nobody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// For all layers together, needed or not.
    pub budget: ByteSize,
    /// After this long without use, a layer goes even if there is room: a repository's old chains only slow the planner down.
    pub idle: TimeDelta,
    /// Not dropped so soon after a use: whoever chose it may not have come to cloning it.
    pub grace: TimeDelta,
    /// The disk is nearly full: nothing is kept that nobody needs.
    pub pressed: bool,
}

impl Policy {
    pub const fn new(budget: ByteSize) -> Self {
        Self { budget, idle: TimeDelta::days(14), grace: TimeDelta::minutes(10), pressed: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Because {
    Idle,
    Budget,
    Disk,
}

impl Because {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Budget => "budget",
            Self::Disk => "disk",
        }
    }
}

/// The layers to drop and why, the least recently used first. What is needed stays, even beyond the budget.
pub fn surplus(layers: &[Kept], policy: Policy, now: DateTime<Utc>) -> Vec<(LayerKey, Because)> {
    let mut total: u64 = layers.iter().map(|layer| layer.size.0).sum();
    let mut droppable: Vec<&Kept> =
        layers.iter().filter(|layer| !layer.needed && now - layer.last_used_at >= policy.grace).collect();
    droppable.sort_by(|a, b| (a.last_used_at, &a.key).cmp(&(b.last_used_at, &b.key)));
    let mut dropped = Vec::new();
    for layer in droppable {
        let because = if now - layer.last_used_at >= policy.idle {
            Because::Idle
        } else if total > policy.budget.0 {
            Because::Budget
        } else if policy.pressed {
            Because::Disk
        } else {
            break;
        };
        total -= layer.size.0;
        dropped.push((layer.key.clone(), because));
    }
    dropped
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const POLICY: Policy = Policy {
        budget: ByteSize(100),
        idle: TimeDelta::hours(48),
        grace: TimeDelta::hours(1),
        pressed: false,
    };

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn layer(key: &str, size: u64, hours_unused: i64, needed: bool) -> Kept {
        let last_used_at = now() - TimeDelta::hours(hours_unused);
        Kept { key: LayerKey::recorded(key), size: ByteSize(size), last_used_at, needed }
    }

    fn dropped(layers: &[Kept]) -> Vec<(String, Because)> {
        let surplus = surplus(layers, POLICY, now());
        surplus.into_iter().map(|(key, because)| (key.to_string(), because)).collect()
    }

    #[test]
    fn what_goes_is_what_was_not_used_for_longest() {
        let named = |list: &[(&str, Because)]| -> Vec<(String, Because)> {
            list.iter().map(|(key, because)| ((*key).to_owned(), *because)).collect()
        };
        // Room for all.
        assert_eq!(dropped(&[layer("a", 50, 9, false), layer("b", 50, 8, false)]), []);
        // Over the budget: no more than it takes.
        let three = [layer("a", 50, 7, false), layer("b", 50, 9, false), layer("c", 50, 8, false)];
        assert_eq!(dropped(&three), named(&[("b", Because::Budget)]));
        // The least recently used one is needed.
        let needed = [layer("a", 50, 7, false), layer("b", 50, 9, true), layer("c", 50, 8, false)];
        assert_eq!(dropped(&needed), named(&[("c", Because::Budget)]));
        // All is needed, or was used a moment ago.
        assert_eq!(dropped(&[layer("a", 90, 9, true), layer("b", 90, 0, false)]), []);
        // Idle for too long, although there is room.
        assert_eq!(
            dropped(&[layer("a", 1, 48, false), layer("b", 1, 47, false)]),
            named(&[("a", Because::Idle)])
        );
        assert_eq!(dropped(&[layer("a", 1, 500, true)]), []);
        // The disk is nearly full: whatever nobody needs, however much room the budget has.
        let pressed = Policy { pressed: true, ..POLICY };
        let gone = surplus(
            &[layer("a", 1, 7, false), layer("b", 1, 9, true), layer("c", 1, 0, false)],
            pressed,
            now(),
        );
        assert_eq!(gone, [(LayerKey::recorded("a"), Because::Disk)]);
        // What goes for idleness makes room for the rest.
        let both = [layer("a", 60, 50, false), layer("b", 60, 9, false), layer("c", 40, 8, false)];
        assert_eq!(dropped(&both), named(&[("a", Because::Idle)]));
    }

    fn layers() -> impl Strategy<Value = Vec<Kept>> {
        let one = (0_u64..80, 0_i64..60, prop::bool::weighted(0.3));
        prop::collection::vec(one, 0..12).prop_map(|drawn| {
            let numbered = drawn.into_iter().enumerate();
            numbered
                .map(|(at, (size, hours, needed))| layer(&format!("k{at:02}"), size, hours, needed))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn nothing_needed_goes_and_nothing_surplus_stays(layers in layers()) {
            let surplus = surplus(&layers, POLICY, now());
            let gone: HashSet<&LayerKey> = surplus.iter().map(|(key, _)| key).collect();
            prop_assert_eq!(gone.len(), surplus.len(), "each goes once");
            let (dropped, kept): (Vec<_>, Vec<_>) = layers.iter().partition(|layer| gone.contains(&layer.key));
            let unused = |layer: &Kept| now() - layer.last_used_at;
            prop_assert!(dropped.iter().all(|layer| !layer.needed && unused(layer) >= POLICY.grace));
            let free = |layer: &&&Kept| !layer.needed && unused(layer) >= POLICY.grace;
            prop_assert!(kept.iter().filter(free).all(|layer| unused(layer) < POLICY.idle));
            let size = |layers: &[&Kept]| layers.iter().map(|layer| layer.size.0).sum::<u64>();
            prop_assert!(size(&kept) <= POLICY.budget.0 || kept.iter().find(free).is_none());
            // Every one that stays and could go was used later than each that went.
            for stays in kept.iter().filter(free) {
                prop_assert!(dropped.iter().all(|went| went.last_used_at <= stays.last_used_at));
            }
            // The last that went for the budget was needed for it.
            if let Some((key, Because::Budget)) = surplus.last() {
                let last = layers.iter().find(|layer| layer.key == *key).unwrap();
                prop_assert!(size(&kept) + last.size.0 > POLICY.budget.0);
            }
        }
    }
}
