//! A database's schema and bookkeeping as lines that can be compared.

mod parts;

use super::Engine;
use super::error::EngineError;
use super::failure::ReplayError;
use super::instance::{Access, InstanceNames};
use crate::domain::bookkeeping::BookkeepingRow;
use crate::domain::chain::Migration;
use crate::domain::fingerprint::Fingerprint;
use crate::postgres::Watched;

/// Set by the connection, so that they go before what the role's own SQL may have set for it. Every name that is not the
/// catalogs' own is then printed with its schema.
const OPTIONS: &str = "-c search_path=pg_catalog -c statement_timeout=60s -c default_transaction_read_only=on \
                       -c client_encoding=UTF8 -c quote_all_identifiers=off -c DateStyle=ISO -c IntervalStyle=postgres \
                       -c TimeZone=UTC -c extra_float_digits=1 -c bytea_output=hex";

impl Engine {
    /// What is in an instance: every object with its owner, privileges and comment, and the bookkeeping's rows, in a session of the
    /// instance's own role. Of two instances that hold the same, it is the same: names of their own roles and object ids are left out.
    pub async fn fingerprint(
        &self,
        names: &InstanceNames,
        access: &Access,
    ) -> Result<Fingerprint, ReplayError> {
        let doing = format!("read the schema of {}", names.database);
        let Watched { client, .. } = self.connect_as(access, OPTIONS).await?;
        let version = self.server().version_num;
        let mut lines = Vec::new();
        for part in parts::all(version) {
            let rows = client.query(part.as_str(), &[]).await.map_err(EngineError::refused(doing.clone()))?;
            for row in rows {
                let line: String = row.try_get("line").map_err(EngineError::refused(doing.clone()))?;
                lines.push(anonymous(&line, names));
            }
        }
        let rows = self.bookkeeping(access).await?;
        lines.extend(rows.iter().enumerate().map(|(at, row)| recorded(at, row)));
        Ok(Fingerprint::of(lines))
    }
}

/// A row of the bookkeeping, without its times and its id.
fn recorded(at: usize, row: &BookkeepingRow) -> String {
    let Migration { name, checksum } = &row.migration;
    let BookkeepingRow { finished, rolled_back, steps, has_logs, .. } = row;
    format!(
        "migration {} {name} checksum {} finished {finished} rolled back {rolled_back} steps {steps} logs {has_logs}",
        at + 1,
        checksum.as_str()
    )
}

/// A line without what only this instance is called.
fn anonymous(line: &str, names: &InstanceNames) -> String {
    // The reader's name begins with the role's, which is the database's as well.
    line.replace(names.reader.as_str(), "(reader)").replace(names.role.as_str(), "(owner)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_its_own_are_left_out() {
        let names = InstanceNames::new("7").unwrap();
        let line = "grant SELECT on t to offshoot_instance_7_ro by offshoot_instance_7";
        assert_eq!(anonymous(line, &names), "grant SELECT on t to (reader) by (owner)");
    }
}
