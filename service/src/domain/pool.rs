//! How many spares a template should have waiting.

use std::time::Duration;

/// How far back demand counts as recent.
pub const LATELY: Duration = Duration::from_secs(120);
/// After this long without a new branch, one spare is enough: somebody who comes back waits for one clone less.
const QUIET: Duration = Duration::from_secs(24 * 60 * 60);

/// Between what and what a template's pool is sized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// In ordinary times; 0 keeps no spares at all.
    pub floor: usize,
    /// However much is asked for.
    pub ceiling: usize,
}

impl PoolLimits {
    /// While there is no room for what nobody waits for.
    pub const NONE: Self = Self { floor: 0, ceiling: 0 };
}

/// What a template was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Whether it is the layer of a base's tip, which new pull requests start from.
    pub template: bool,
    /// How many branches started from it [`LATELY`].
    pub lately: usize,
    /// How long ago the last one did.
    pub idle: Duration,
}

/// As many as were asked for lately will be asked for again, within the limits. A layer that is no template is drained.
pub fn target(demand: &Demand, limits: PoolLimits) -> usize {
    let PoolLimits { floor, ceiling } = limits;
    match demand {
        Demand { template: false, .. } => 0,
        Demand { lately: 0, idle, .. } if *idle > QUIET => floor.min(1),
        Demand { lately, .. } if floor > 0 => (*lately).clamp(floor, ceiling.max(floor)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PoolLimits = PoolLimits { floor: 4, ceiling: 16 };

    fn demand(lately: usize, idle_hours: u64) -> Demand {
        Demand { template: true, lately, idle: Duration::from_secs(idle_hours * 3600) }
    }

    #[test]
    fn the_pool_follows_the_demand_between_its_limits() {
        for (asked, expected) in [
            (demand(0, 1), 4),
            (demand(3, 0), 4),
            (demand(9, 0), 9),
            (demand(64, 0), 16),
            (demand(0, 25), 1),
            (demand(2, 25), 4),
            (Demand { template: false, ..demand(9, 0) }, 0),
        ] {
            assert_eq!(target(&asked, LIMITS), expected, "{asked:?}");
        }
    }

    #[test]
    fn no_floor_is_no_pool_and_a_low_ceiling_gives_way() {
        assert_eq!(target(&demand(9, 0), PoolLimits { floor: 0, ceiling: 16 }), 0);
        assert_eq!(target(&demand(0, 25), PoolLimits { floor: 0, ceiling: 16 }), 0);
        assert_eq!(target(&demand(9, 0), PoolLimits { floor: 4, ceiling: 2 }), 4);
    }
}
