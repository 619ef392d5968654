//! The rows of Prisma's bookkeeping table, as SQL.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::chain::Migration;
use crate::domain::prisma::TABLE;
use crate::engine::ident::Literal;

/// Answers a row where nobody but Prisma and we do anything with the table: it is as Prisma makes it, without trigger, rule, policy, check, further
/// index or heir, and no view or function knows it.
const IS_PLAIN: &str = r#"SELECT FROM pg_catalog.pg_class c
    WHERE c.oid = '"_prisma_migrations"'::pg_catalog.regclass AND c.relkind = 'r' AND c.relnatts = 8 AND c.relchecks = 0
        AND NOT (c.relhastriggers OR c.relhasrules OR c.relrowsecurity OR c.relhassubclass)
        AND ARRAY(SELECT i.indisprimary AND i.indimmediate AND i.indkey[0] = 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid) = '{t}'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
            WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid AND d.deptype = 'n')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p
            WHERE p.oid >= 16384 AND pg_catalog.strpos(pg_catalog.lower(p.prosrc), '_prisma_migrations') > 0)"#;

/// A migration that runs, or ran.
#[derive(Clone, Copy)]
pub(super) struct Begun<'a> {
    pub(super) id: Uuid,
    pub(super) started_at: DateTime<Utc>,
    pub(super) migration: &'a Migration,
}

/// When rows begin, each later than every row before it, whatever has become of the clock: by this time the rows are read in order.
pub(super) struct Clock {
    last: DateTime<Utc>,
    /// The table may have rows that are later than the clock's time.
    may_be_behind: bool,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { last: DateTime::UNIX_EPOCH, may_be_behind: true }
    }

    /// A time later than all before it.
    pub(super) fn tick(&mut self) -> DateTime<Utc> {
        self.last = Utc::now().max(self.last + TimeDelta::microseconds(1));
        self.last
    }

    /// The row of a migration that begins. As long as the clock may be behind, this asks the table, and answers a row where it is:
    /// asking costs twice as much as the row itself.
    pub(super) fn began(&self, begun: &Begun<'_>) -> String {
        let Begun { id, started_at, migration } = begun;
        let at = written(*started_at);
        let (started_at, ask) = match self.may_be_behind {
            true => (
                format!(
                    "greatest('{at}'::pg_catalog.timestamptz, (SELECT pg_catalog.max(\"started_at\") FROM {TABLE}) + '1 microsecond'::pg_catalog.interval)"
                ),
                format!(
                    "; SELECT FROM {TABLE} WHERE \"id\" = '{id}' AND \"started_at\" > '{at}'::pg_catalog.timestamptz"
                ),
            ),
            false => (format!("'{at}'"), String::new()),
        };
        format!(
            "INSERT INTO {TABLE} (\"id\", \"checksum\", \"started_at\", \"migration_name\") VALUES ('{id}', {}, {started_at}, {}){ask}",
            Literal(migration.checksum.as_str()),
            Literal(&migration.name)
        )
    }

    /// How many rows the last one was answered with.
    pub(super) fn answered(&mut self, rows: usize) {
        self.may_be_behind &= rows > 0;
    }
}

/// Says of a row that is there that its migration ended. The clock's time and not the server's `now()`, which stands still in a transaction that a file left open.
pub(super) fn end(begun: &Begun<'_>, finished_at: DateTime<Utc>) -> String {
    format!(
        "UPDATE {TABLE} SET \"applied_steps_count\" = \"applied_steps_count\" + 1, \"finished_at\" = '{}' WHERE \"id\" = '{}'",
        written(finished_at),
        begun.id
    )
}

/// Writes whole rows of migrations that ended, or did not, which does no harm if they are there. None of none.
pub(super) fn whole<'a>(ran: impl Iterator<Item = (&'a Begun<'a>, Option<DateTime<Utc>>)>) -> Option<String> {
    let columns = r#""id", "checksum", "started_at", "migration_name", "finished_at", "applied_steps_count""#;
    let rows: Vec<String> = ran.map(row).collect();
    (!rows.is_empty()).then(|| {
        let rows = rows.join(", ");
        format!("INSERT INTO {TABLE} ({columns}) VALUES {rows} ON CONFLICT (\"id\") DO NOTHING")
    })
}

/// The values of a whole row.
fn row((begun, finished_at): (&Begun<'_>, Option<DateTime<Utc>>)) -> String {
    let Begun { id, started_at, migration } = begun;
    let (checksum, name) = (Literal(migration.checksum.as_str()), Literal(&migration.name));
    let ended = finished_at.map_or("NULL, 0".to_owned(), |at| format!("'{}', 1", written(at)));
    format!("('{id}', {checksum}, '{}', {name}, {ended})", written(*started_at))
}

/// Rows together, so that what is refused of them leaves a failed transaction behind, in which the server refuses what was sent after it as well. What is deferred to
/// the end is looked at before: the end itself leaves none.
pub(super) fn in_a_block(rows: &str) -> String {
    format!("BEGIN; {rows}; SET CONSTRAINTS ALL IMMEDIATE; COMMIT")
}

/// Keeps the text of a failure.
pub(super) fn log(id: Uuid, text: &str) -> String {
    format!("UPDATE {TABLE} SET \"logs\" = {} WHERE \"id\" = '{id}'", Literal(text))
}

/// Answers a row where the table is plain and holds nothing that is later than `now`.
pub(super) fn may_wait(now: DateTime<Utc>) -> String {
    let now = written(now);
    format!(
        "{IS_PLAIN} AND NOT EXISTS (SELECT FROM {TABLE} WHERE \"started_at\" >= '{now}'::pg_catalog.timestamptz)"
    )
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
