//! What a database's own bookkeeping table says was applied to it, and whether that is what was wanted.

use super::chain::{Chain, Migration};
use super::failure::{Failure, FailureKind};

/// A row of `_prisma_migrations`, as far as it decides anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookkeepingRow {
    pub migration: Migration,
    pub finished: bool,
    pub rolled_back: bool,
    pub steps: i32,
    pub has_logs: bool,
}

/// What the rows come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppliedState {
    /// Everything that began was finished or resolved.
    Clean(Chain),
    /// Prisma would refuse to go on (P3009): this migration began and did not end.
    Unfinished { applied: Chain, migration: Migration },
}

/// The chain that rows in the order of their `started_at` make. Rows that were rolled back count for nothing.
pub fn applied_chain(rows: &[BookkeepingRow]) -> AppliedState {
    let standing = || rows.iter().filter(|row| !row.rolled_back);
    let applied =
        Chain::in_order(standing().filter(|row| row.finished).map(|row| row.migration.clone()).collect());
    match standing().find(|row| !row.finished) {
        Some(row) => AppliedState::Unfinished { applied, migration: row.migration.clone() },
        None => AppliedState::Clean(applied),
    }
}

/// Whether the rows say exactly what was wanted; the failure names the first migration that is otherwise.
pub fn verify(rows: &[BookkeepingRow], wanted: &Chain) -> Result<(), Box<Failure>> {
    let applied = match applied_chain(rows) {
        AppliedState::Clean(applied) => applied,
        AppliedState::Unfinished { migration, .. } => {
            return Err(refuse(
                &migration.name,
                "ran without an error, yet the database's bookkeeping does not say that it finished",
            )
            .with_hint(
                "Does it, or one before it, say BEGIN without COMMIT? Then everything after it is undone when the session ends, \
                 and `prisma migrate deploy` would report success all the same.",
            )
            .into());
        }
    };
    if applied == *wanted {
        return Ok(());
    }
    let at = applied.common_prefix(wanted);
    let failure = match (applied.migrations().get(at), wanted.migrations().get(at)) {
        (None, Some(missing)) => {
            refuse(&missing.name, "is not in the database's bookkeeping after it was run")
        }
        (Some(extra), None) => refuse(&extra.name, "is in the database's bookkeeping and not in the chain"),
        (Some(found), Some(wanted)) if found.name == wanted.name => {
            refuse(&wanted.name, "is in the database's bookkeeping with another checksum than its file has")
        }
        (Some(found), Some(wanted)) => {
            let message = format!("should be next in the database's bookkeeping, where {:?} is", found.name);
            refuse(&wanted.name, &message)
        }
        (None, None) => unreachable!("chains that differ do so within the longer one"),
    };
    Err(failure.with_hint("Does a migration write to _prisma_migrations? That table is Prisma's own.").into())
}

fn refuse(migration: &str, what: &str) -> Failure {
    Failure::of_file(FailureKind::Verification, migration, "", format!("{migration} {what}"))
}

#[cfg(test)]
mod tests {
    use super::super::chain::Checksum;
    use super::*;

    fn row(name: &str, checksum: &str, finished: bool, rolled_back: bool) -> BookkeepingRow {
        let migration = Migration { name: name.to_owned(), checksum: Checksum::recorded(checksum) };
        BookkeepingRow { migration, finished, rolled_back, steps: i32::from(finished), has_logs: false }
    }

    fn chain(steps: &[(&str, &str)]) -> Chain {
        Chain::in_order(steps.iter().map(|(name, sum)| row(name, sum, true, false).migration).collect())
    }

    #[test]
    fn rows_make_a_chain() {
        let rows = [row("1", "a", true, false), row("2", "b", false, true), row("2", "b", true, false)];
        assert_eq!(applied_chain(&rows), AppliedState::Clean(chain(&[("1", "a"), ("2", "b")])));
        assert_eq!(applied_chain(&[]), AppliedState::Clean(Chain::default()));
        let rows = [row("1", "a", true, false), row("2", "b", false, false)];
        let migration = rows[1].migration.clone();
        assert_eq!(
            applied_chain(&rows),
            AppliedState::Unfinished { applied: chain(&[("1", "a")]), migration }
        );
    }

    #[test]
    fn anything_but_the_wanted_chain_is_refused_by_name() {
        let wanted = chain(&[("1", "a"), ("2", "b")]);
        let one = row("1", "a", true, false);
        let verdict = |rows: &[BookkeepingRow]| {
            verify(rows, &wanted).map_err(|failure| (failure.kind, failure.migration))
        };
        let refused = |name: &str| Err((FailureKind::Verification, name.to_owned()));
        assert_eq!(verdict(&[one.clone(), row("2", "b", true, false)]), Ok(()));
        assert_eq!(verdict(std::slice::from_ref(&one)), refused("2"));
        assert_eq!(verdict(&[one.clone(), row("2", "x", true, false)]), refused("2"));
        assert_eq!(verdict(&[one.clone(), row("2", "b", false, false)]), refused("2"));
        assert_eq!(
            verdict(&[one.clone(), row("2", "b", true, false), row("3", "c", true, false)]),
            refused("3")
        );
        assert_eq!(verdict(&[row("0", "a", true, false), one]), refused("1"));
    }
}
