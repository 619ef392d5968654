//! What a reviewer should know of a chain although nothing failed: the cases in which Prisma itself says nothing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chain::Chain;
use super::prisma;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// The base already has this migration with other bytes: `migrate deploy` will not run the edit in production.
    EditedApplied { migration: String },
    /// The base already has this migration, the pull request removes it: production keeps what it did.
    RemovedApplied { migration: String },
    /// The base already has this migration under another name: production will run it a second time.
    RenamedApplied { from: String, to: String },
    /// Its name sorts before one that the base already has: production applies it last, a fresh database earlier.
    OutOfOrder { migration: String, before: String },
    /// The base has moved on since the pull request left it.
    BehindBase { commits: u32, migrations: u32 },
    /// A chain that `.offshoot.toml` does not declare.
    UndeclaredChain { directory: String },
    /// The branch held another history and was rebuilt; data written to it is gone.
    Rebuilt { reasons: Vec<String> },
}

/// What is to be said of a head's chain against its merge base's (`base`) and the base branch's tip (`tip`).
pub fn of_chains(base: &Chain, head: &Chain, tip: &Chain) -> Vec<Finding> {
    let mut findings = Vec::new();
    for old in base.migrations() {
        let migration = old.name.clone();
        match head.find(&old.name) {
            Some(new) if new.checksum == old.checksum => {}
            Some(_) => findings.push(Finding::EditedApplied { migration }),
            None => {
                let renamed = head
                    .migrations()
                    .iter()
                    .find(|new| new.checksum == old.checksum && base.find(&new.name).is_none());
                findings.push(match renamed {
                    Some(new) => Finding::RenamedApplied { from: migration, to: new.name.clone() },
                    None => Finding::RemovedApplied { migration },
                });
            }
        }
    }
    // Each of them is in Prisma's order.
    let ends = [base, tip].into_iter().filter_map(|chain| chain.migrations().last());
    let last = ends.map(|migration| migration.name.as_str()).max_by(|a, b| prisma::order(a, b));
    for own in head.migrations().iter().filter(|own| base.find(&own.name).is_none()) {
        if let Some(last) = last
            && prisma::order(&own.name, last).is_lt()
            && tip.find(&own.name).is_none()
        {
            findings.push(Finding::OutOfOrder { migration: own.name.clone(), before: last.to_owned() });
        }
    }
    findings
}

/// How far a pull request is behind its base: in commits, as GitHub counts them, and in migrations it lacks.
pub fn behind(commits: u32, base: &Chain, tip: &Chain) -> Option<Finding> {
    let missing = tip.migrations().iter().filter(|migration| base.find(&migration.name).is_none()).count();
    let migrations = u32::try_from(missing).unwrap_or(u32::MAX);
    (commits > 0).then_some(Finding::BehindBase { commits, migrations })
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::chain;
    use super::*;

    #[test]
    fn prisma_s_silences_are_findings() {
        let base = chain(&[("2_init", "a"), ("4_users", "b")]);
        let of = |head: &[(&str, &str)]| of_chains(&base, &chain(head), &base);
        let text = |text: &str| text.to_owned();

        assert_eq!(of(&[("2_init", "a"), ("4_users", "b"), ("5_new", "c")]), []);
        assert_eq!(
            of(&[("2_init", "A"), ("4_users", "b")]),
            [Finding::EditedApplied { migration: text("2_init") }]
        );
        assert_eq!(of(&[("2_init", "a")]), [Finding::RemovedApplied { migration: text("4_users") }]);
        assert_eq!(
            of(&[("2_init", "a"), ("4_users", "b"), ("3_late", "c")]),
            [Finding::OutOfOrder { migration: text("3_late"), before: text("4_users") }]
        );
        assert_eq!(
            of(&[("2_init", "a"), ("6_users", "b")]),
            [Finding::RenamedApplied { from: text("4_users"), to: text("6_users") }]
        );
    }

    /// By its bytes, `1_init` would come after `10_users`.
    #[test]
    fn the_last_of_the_base_is_the_last_that_prisma_applies() {
        let base = chain(&[("1_init", "a"), ("10_users", "b")]);
        let head = chain(&[("1_init", "a"), ("1_tags", "c"), ("10_users", "b")]);
        let before = "10_users".to_owned();
        assert_eq!(
            of_chains(&base, &head, &base),
            [Finding::OutOfOrder { migration: "1_tags".to_owned(), before }]
        );
    }

    #[test]
    fn what_the_base_s_tip_gained_counts_for_the_order() {
        let base = chain(&[("1", "a")]);
        let tip = chain(&[("1", "a"), ("3", "c")]);
        let head = chain(&[("1", "a"), ("2", "b")]);
        assert_eq!(
            of_chains(&base, &head, &tip),
            [Finding::OutOfOrder { migration: "2".to_owned(), before: "3".to_owned() }]
        );
        assert_eq!(behind(7, &base, &tip), Some(Finding::BehindBase { commits: 7, migrations: 1 }));
        assert_eq!(behind(0, &base, &base), None);
    }
}
