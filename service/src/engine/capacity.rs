//! What of the branch server is used up: disk, sessions.

use super::Engine;
use super::error::EngineError;

/// The file system of the server's data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    pub free_bytes: i64,
    pub size_bytes: i64,
}

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

impl Engine {
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
        let disk = disk(&client).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the branch server does not tell its disk");
            None
        });
        Ok(Capacity {
            disk,
            connections: row.get("connections"),
            connection_limit: row.get("connection_limit"),
        })
    }
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

    #[test]
    fn df_is_read() {
        let disk = read("/dev/vda1  51290592 12345678  38928530      25% /var/lib/post gres").unwrap();
        assert_eq!(disk, Disk { free_bytes: 38_928_530 * 1024, size_bytes: 51_290_592 * 1024 });
        for odd in ["", "df: not found", "/dev/vda1 - - - - /"] {
            assert_eq!(read(odd), None);
        }
    }
}
