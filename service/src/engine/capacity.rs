//! What of the branch server is used up: disk, sessions.

use std::time::Instant;

use tokio_postgres::error::SqlState;

use super::Engine;
use super::error::EngineError;
use crate::domain::room::Disk;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// None where the server's machine has no `df`, or keeps it from the server.
    pub disk: Option<Disk>,
    pub connections: i64,
    pub connection_limit: i64,
}

/// PostgreSQL knows no disk, so it is asked to run `df`, in its data directory. The table stays with the pooled session: a new one each time
/// would wear out the catalogue.
const TABLE: &str = "create temporary table if not exists offshoot_disk (line text) on commit delete rows";
const ASK: &str = "begin; copy pg_temp.offshoot_disk from program 'df -Pk . | tail -n 1'";

/// What the service keeps for itself: sessions for administration and for the control database, and those in which it replays.
const OWN: u32 = 40;

/// Sessions that there can be of roles that are no superuser's.
pub(super) async fn room(client: &tokio_postgres::Client) -> Result<u32, EngineError> {
    let sql = "select greatest(0, current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
                   - coalesce(current_setting('reserved_connections', true)::bigint, 0)) as room";
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(EngineError::refused("ask how many connections the branch server has"))?;
    Ok(u32::try_from(row.get::<_, i64>("room")).unwrap_or(u32::MAX))
}

/// How many of them all branches together may have. On a server that has few, half.
pub(super) fn for_branches(room: u32) -> u32 {
    room.saturating_sub(OWN).max(room / 2)
}

/// How many of those one role may have that asks for so many: a branch has two, its owner and its reader.
pub(super) fn share(for_branches: u32, asked: u32) -> u32 {
    asked.min((for_branches / 2).max(2))
}

impl Engine {
    /// Whether what others hold of the table of locks is so much that somebody who ran out of room there need not be to blame.
    pub(super) async fn is_short_of_locks(&self) -> Result<bool, EngineError> {
        let doing = "ask how many locks are held";
        let client = self.client(doing).await?;
        // The table's size by PostgreSQL's own rule. What is fast-path is not in it.
        let sql = "select count(*) * 2 > pg_catalog.current_setting('max_locks_per_transaction')::bigint
                       * (pg_catalog.current_setting('max_connections')::bigint + pg_catalog.current_setting('max_prepared_transactions')::bigint)
                       as short
                   from pg_catalog.pg_locks where not fastpath";
        let row = client.query_one(sql, &[]).await.map_err(EngineError::refused(doing))?;
        Ok(row.get("short"))
    }

    /// What is used and what there is.
    pub async fn capacity(&self) -> Result<Capacity, EngineError> {
        let doing = "ask what of the branch server is used";
        let client = self.client(doing).await?;
        let row = client
            .query_one(
                "select count(*) as connections, pg_catalog.current_setting('max_connections')::bigint as connection_limit
                 from pg_catalog.pg_stat_activity where backend_type = 'client backend'",
                &[],
            )
            .await
            .map_err(EngineError::refused(doing))?;
        let begun = Instant::now();
        let disk = disk(&client).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the branch server does not tell its disk");
            let known = self.room.ledger().last_disk();
            error.code().filter(|code| is_out_of_space(code)).map(|_| full(known))
        });
        self.room.ledger().measured(disk, begun);
        Ok(Capacity {
            disk,
            connections: row.get("connections"),
            connection_limit: row.get("connection_limit"),
        })
    }
}

/// What `df` says is read by way of a table, which cannot be written where not a byte is left: that says enough.
fn is_out_of_space(code: &SqlState) -> bool {
    *code == SqlState::DISK_FULL
}

/// Of the size that is known; where none is, of one that has the largest usual floor.
fn full(known: Option<Disk>) -> Disk {
    Disk { free_bytes: 0, size_bytes: known.map_or(i64::MAX, |disk| disk.size_bytes) }
}

async fn disk(client: &tokio_postgres::Client) -> Result<Option<Disk>, tokio_postgres::Error> {
    let line = async {
        client.batch_execute(TABLE).await?;
        client.batch_execute(ASK).await?;
        client.query_opt("select line from pg_temp.offshoot_disk", &[]).await
    };
    let line = line.await;
    // Whatever came of it, the session goes back to the pool outside a transaction.
    client.batch_execute("rollback").await?;
    Ok(line?.and_then(|row| read(row.get("line"))))
}

/// Reads a line of `df -Pk`: file system, 1024-blocks, used, available, capacity, mounted on.
fn read(line: &str) -> Option<Disk> {
    let mut fields = line.split_whitespace().skip(1);
    let mut bytes = || fields.next()?.parse::<i64>().ok()?.checked_mul(1024);
    let (size_bytes, _used, free_bytes) = (bytes()?, bytes()?, bytes()?);
    Some(Disk { free_bytes, size_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::room::Floor;

    #[test]
    fn a_disk_that_cannot_be_written_to_is_full_and_no_unknown_one() {
        assert!(is_out_of_space(&SqlState::DISK_FULL) && !is_out_of_space(&SqlState::INSUFFICIENT_PRIVILEGE));
        let known = Disk { free_bytes: 7, size_bytes: 100 };
        assert_eq!(full(Some(known)), Disk { free_bytes: 0, ..known });
        assert!(Floor::Usual.of(&full(None)) > 0, "there is a floor even where the size was never told");
    }

    #[test]
    fn branches_leave_connections_to_the_service() {
        let shared = |room, asked| (for_branches(room), share(for_branches(room), asked));
        // The embedded server's, PostgreSQL's own default, and a very small one.
        assert_eq!(shared(297, 20), (257, 20));
        assert_eq!(shared(97, 20), (57, 20));
        assert_eq!(shared(97, 10_000), (57, 28));
        assert_eq!(shared(10, 20), (5, 2));
        assert_eq!(shared(0, 20), (0, 2));
    }

    #[test]
    fn df_is_read() {
        let disk = read("/dev/vda1  51290592 12345678  38928530      25% /var/lib/post gres").unwrap();
        assert_eq!(disk, Disk { free_bytes: 38_928_530 * 1024, size_bytes: 51_290_592 * 1024 });
        for odd in ["", "df: not found", "/dev/vda1 - - - - /"] {
            assert_eq!(read(odd), None);
        }
    }
}
