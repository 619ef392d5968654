//! What is to be done with a branch, as a pure function of what it holds, what is wanted and what is at hand.
//!
//! The order replayed is the order production will see: the base's migrations first, then the pull request's own, each in
//! name order. A pull request's own migrations meet the base's seed, as in production they meet data.

use std::ops::Range;

use super::chain::{Chain, Difference, differences};
use super::config::OnDivergence;
use super::layer::LayerKey;

/// What the branch's database holds now, by its own bookkeeping table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// There is no database yet.
    Nothing,
    /// Every row says that its migration was applied.
    Applied(Chain),
    /// A migration failed or was cut off in the middle; what it left behind is unknown.
    Unfinished { migration: String },
}

/// A layer that may be cloned, as far as the plan needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerAtHand {
    pub key: LayerKey,
    pub chain: Chain,
    /// Whether the base's seed was run after the chain.
    pub seeded: bool,
}

/// Everything that decides.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    pub held: &'a Held,
    /// The chain at the merge base.
    pub base: &'a Chain,
    /// In the order to be replayed; see [`replay_order`].
    pub wanted: &'a Chain,
    /// Layers of this base, for this server, these extensions and this seed: prefixes of `base` without the seed, or `base` with it.
    pub layers: &'a [LayerAtHand],
    /// Whether the base has seed files to run.
    pub base_has_seed: bool,
    pub on_divergence: OnDivergence,
    /// Somebody asked for a rebuild.
    pub reset: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The database holds the wanted chain.
    Keep,
    /// Replay the rest in place; the data stays.
    Extend(Range<usize>),
    Build(Build),
    /// The histories differ and the policy says to keep the data.
    Refuse(Vec<Difference>),
}

/// A new generation, prepared beside the live one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub because: Because,
    pub start: Start,
    /// In order. Ranges are of the wanted chain.
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    First,
    Reset,
    Diverged(Vec<Difference>),
    Unfinished { migration: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Empty,
    Layer(LayerAtHand),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Replay(Range<usize>),
    /// The base's seed files.
    SeedBase,
}

/// The chain to replay for a head: the base's migrations that it still has, then its own, each in the head's order.
pub fn replay_order<T>(base: &Chain, head: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    let (mut order, own): (Vec<T>, Vec<T>) =
        head.into_iter().partition(|migration| base.find(name(migration)).is_some());
    order.extend(own);
    order
}

pub fn decide(inputs: &Inputs<'_>) -> Decision {
    let because = match inputs.held {
        Held::Nothing => Because::First,
        _ if inputs.reset => Because::Reset,
        Held::Unfinished { migration } => Because::Unfinished { migration: migration.clone() },
        Held::Applied(applied) if applied == inputs.wanted => return Decision::Keep,
        Held::Applied(applied) if applied.is_prefix_of(inputs.wanted) => {
            return Decision::Extend(applied.len()..inputs.wanted.len());
        }
        Held::Applied(applied) => {
            let differences = differences(applied, inputs.wanted);
            match inputs.on_divergence {
                OnDivergence::Keep => return Decision::Refuse(differences),
                OnDivergence::Rebuild => Because::Diverged(differences),
            }
        }
    };
    let (start, steps) = build(inputs);
    Decision::Build(Build { because, start, steps })
}

/// How to come from the best layer, or from nothing, to the wanted chain with the base's seed at its place.
fn build(inputs: &Inputs<'_>) -> (Start, Vec<Step>) {
    let wanted = inputs.wanted;
    // The seed belongs after the base's part, of which an edit by the pull request may leave less.
    let seed_at =
        inputs.wanted.migrations().iter().take_while(|m| inputs.base.find(&m.name).is_some()).count();
    let usable = |layer: &&LayerAtHand| {
        layer.chain.is_prefix_of(wanted)
            && layer.chain.len() <= seed_at
            && (!layer.seeded || layer.chain.len() == seed_at)
    };
    let best = inputs.layers.iter().filter(usable).max_by_key(|layer| (layer.chain.len(), layer.seeded));
    let (start, from, seeded) = match best {
        Some(layer) => (Start::Layer(layer.clone()), layer.chain.len(), layer.seeded),
        None => (Start::Empty, 0, false),
    };
    // The base's part is run by itself, as production ran it: what its session was left in does not reach the pull request's own.
    let mut steps = Vec::new();
    steps.extend((from < seed_at).then_some(Step::Replay(from..seed_at)));
    steps.extend((inputs.base_has_seed && !seeded).then_some(Step::SeedBase));
    steps.extend((seed_at < wanted.len()).then_some(Step::Replay(seed_at..wanted.len())));
    (start, steps)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::chain::tests::chain;
    use super::super::layer::LayerContent;
    use super::*;

    fn in_replay_order(base: &Chain, head: &Chain) -> Chain {
        Chain::in_order(replay_order(base, head.migrations().to_vec(), |migration| &migration.name))
    }

    fn prefix(chain: &Chain, length: usize) -> Chain {
        Chain::in_order(chain.migrations()[..length].to_vec())
    }

    fn layer(chain: Chain, seeded: bool) -> LayerAtHand {
        let content = LayerContent { server: "18", extensions: &[], chain: &chain, seed: None };
        let key = LayerKey::recorded(format!("{}{seeded}", content.key()));
        LayerAtHand { key, chain, seeded }
    }

    fn inputs<'a>(
        held: &'a Held,
        base: &'a Chain,
        wanted: &'a Chain,
        layers: &'a [LayerAtHand],
    ) -> Inputs<'a> {
        Inputs {
            held,
            base,
            wanted,
            layers,
            base_has_seed: true,
            on_divergence: OnDivergence::Rebuild,
            reset: false,
        }
    }

    const BASE: [(&str, &str); 2] = [("1_init", "a"), ("3_users", "b")];

    #[test]
    fn own_migrations_come_after_the_base_s_whatever_their_names() {
        let base = chain(&BASE);
        let head = chain(&[("1_init", "a"), ("2_tags", "t"), ("3_users", "b")]);
        let order = in_replay_order(&base, &head);
        assert_eq!(order, chain(&[("1_init", "a"), ("3_users", "b"), ("2_tags", "t")]));
    }

    #[test]
    fn the_table_of_decisions() {
        let base = chain(&BASE);
        let wanted = chain(&[BASE[0], BASE[1], ("4_new", "n")]);
        let seeded = [layer(base.clone(), true)];
        let decide_with = |held: Held| decide(&inputs(&held, &base, &wanted, &seeded));

        assert_eq!(decide_with(Held::Applied(wanted.clone())), Decision::Keep);
        assert_eq!(decide_with(Held::Applied(base.clone())), Decision::Extend(2..3));
        let built = |because| {
            let start = Start::Layer(seeded[0].clone());
            Decision::Build(Build { because, start, steps: vec![Step::Replay(2..3)] })
        };
        assert_eq!(decide_with(Held::Nothing), built(Because::First));
        let migration = "4_new".to_owned();
        assert_eq!(
            decide_with(Held::Unfinished { migration: migration.clone() }),
            built(Because::Unfinished { migration })
        );
        let edited = chain(&[BASE[0], BASE[1], ("4_new", "N")]);
        let differences = vec![Difference::Edited { name: "4_new".into() }];
        assert_eq!(decide_with(Held::Applied(edited)), built(Because::Diverged(differences)));
    }

    #[test]
    fn keeping_the_data_is_refused_only_when_histories_differ() {
        let base = chain(&BASE);
        let edited = Held::Applied(chain(&[("1_init", "A")]));
        let mut inputs = inputs(&edited, &base, &base, &[]);
        inputs.on_divergence = OnDivergence::Keep;
        let removed = Difference::Edited { name: "1_init".into() };
        assert_eq!(decide(&inputs), Decision::Refuse(vec![removed]));
        inputs.reset = true;
        assert!(matches!(decide(&inputs), Decision::Build(Build { because: Because::Reset, .. })));
    }

    #[test]
    fn an_edited_base_migration_is_replayed_from_before_it_and_the_seed_still_comes_between() {
        let base = chain(&BASE);
        let wanted = chain(&[("1_init", "a"), ("3_users", "B"), ("4_new", "n")]);
        let layers =
            [layer(base.clone(), true), layer(prefix(&base, 1), false), layer(prefix(&base, 1), true)];
        let Decision::Build(build) = decide(&inputs(&Held::Nothing, &base, &wanted, &layers)) else {
            panic!()
        };
        assert_eq!(build.start, Start::Layer(layers[1].clone()));
        assert_eq!(build.steps, [Step::Replay(1..2), Step::SeedBase, Step::Replay(2..3)]);
    }

    fn steps(letters: &'static str) -> impl Strategy<Value = Chain> {
        proptest::collection::vec(
            (proptest::sample::select(letters.chars().collect::<Vec<_>>()), 0..2_u8),
            0..6,
        )
        .prop_map(|steps| {
            let mut names = std::collections::BTreeMap::new();
            names.extend(steps.into_iter().map(|(name, body)| (name.to_string(), body.to_string())));
            let steps: Vec<_> = names.iter().map(|(n, b)| (n.as_str(), b.as_str())).collect();
            chain(&steps)
        })
    }

    proptest! {
        /// Whatever is held and at hand, carrying a decision out leaves exactly the wanted chain, with the base's seed run once
        /// and before the pull request's own migrations.
        #[test]
        fn carrying_it_out_gives_the_wanted_chain(
            base in steps("acegi"), head in steps("abcdefghi"), held in steps("abcdefghi"),
            fresh: bool, with_layers: bool, reset: bool
        ) {
            let wanted = in_replay_order(&base, &head);
            let mut layers: Vec<_> = (0..=base.len()).map(|n| layer(prefix(&base, n), false)).collect();
            layers.push(layer(base.clone(), true));
            let layers = if with_layers { layers } else { Vec::new() };
            let held = if fresh { Held::Nothing } else { Held::Applied(held) };
            let mut inputs = inputs(&held, &base, &wanted, &layers);
            inputs.reset = reset;
            let own = wanted.migrations().iter().take_while(|m| base.find(&m.name).is_some()).count();
            match decide(&inputs) {
                Decision::Keep => prop_assert_eq!(&held, &Held::Applied(wanted.clone())),
                Decision::Extend(range) => {
                    let Held::Applied(applied) = &held else { panic!("nothing to extend") };
                    prop_assert_eq!(applied, &prefix(&wanted, range.start));
                    prop_assert_eq!(range.end, wanted.len());
                }
                Decision::Build(build) => {
                    let (mut done, mut seeded) = match &build.start {
                        Start::Empty => (0, false),
                        Start::Layer(layer) => {
                            prop_assert!(layers.contains(layer));
                            prop_assert!(layer.chain.is_prefix_of(&wanted));
                            (layer.chain.len(), layer.seeded)
                        }
                    };
                    if seeded { prop_assert_eq!(done, own); }
                    for step in &build.steps {
                        match step {
                            Step::Replay(range) => {
                                prop_assert_eq!(range.start, done);
                                prop_assert!(range.end > range.start);
                                prop_assert!(range.end <= own || range.start >= own, "one session for both parts");
                                done = range.end;
                            }
                            Step::SeedBase => {
                                prop_assert!(!seeded);
                                prop_assert_eq!(done, own);
                                seeded = true;
                            }
                        }
                    }
                    prop_assert_eq!(done, wanted.len());
                    prop_assert!(seeded);
                }
                Decision::Refuse(_) => prop_assert!(false, "the policy is to rebuild"),
            }
        }
    }
}
