//! What a pull request's SQL may use up, as the operator sets it.

use std::time::Duration;

use clap::Args;

use crate::domain::size::{ByteSize, InvalidSize};
use crate::engine::Limits;

const MEGABYTE: u64 = 1024 * 1024;

/// Limits of a branch and of its roles. Durations as `90s`, `5m`, `1h`; sizes as `512MB`, `10GB`.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// One statement of a branch's role
    #[arg(long, env = "OFFSHOOT_STATEMENT_TIMEOUT", default_value = "60s", value_name = "DURATION", value_parser = duration)]
    pub statement_timeout: Duration,

    /// A statement's wait for a lock; `0s` waits for ever
    #[arg(long, env = "OFFSHOOT_LOCK_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = duration_or_none)]
    pub lock_timeout: Duration,

    /// A session that has begun a transaction and does nothing in it
    #[arg(long, env = "OFFSHOOT_IDLE_IN_TRANSACTION_TIMEOUT", default_value = "5m", value_name = "DURATION", value_parser = duration)]
    pub idle_in_transaction_timeout: Duration,

    /// All migrations, or all seeds, of one run together; also one transaction of any session
    #[arg(long, env = "OFFSHOOT_JOB_TIMEOUT", default_value = "5m", value_name = "DURATION", value_parser = duration)]
    pub job_timeout: Duration,

    /// Sessions at the same time, of a branch's role and of its reader each
    #[arg(long, env = "OFFSHOOT_CONNECTION_LIMIT", default_value_t = 20, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub connection_limit: u32,

    /// Temporary files of one session
    #[arg(long, env = "OFFSHOOT_TEMP_FILE_LIMIT", default_value = "1GB", value_name = "SIZE", value_parser = megabytes)]
    pub temp_file_limit: u32,

    /// One branch's database
    #[arg(long, env = "OFFSHOOT_SIZE_LIMIT", default_value = "10GB", value_name = "SIZE", value_parser = megabytes)]
    pub size_limit: u32,
}

impl LimitArgs {
    /// The limits as the engine knows them.
    pub fn limits(&self) -> Limits {
        Limits {
            statement_timeout: self.statement_timeout,
            lock_timeout: Some(self.lock_timeout).filter(|timeout| !timeout.is_zero()),
            idle_in_transaction: self.idle_in_transaction_timeout,
            connections: self.connection_limit,
            temp_file_megabytes: self.temp_file_limit,
            size_megabytes: self.size_limit,
            job_timeout: self.job_timeout,
        }
    }
}

impl Default for LimitArgs {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            statement_timeout: limits.statement_timeout,
            lock_timeout: limits.lock_timeout.unwrap_or_default(),
            idle_in_transaction_timeout: limits.idle_in_transaction,
            job_timeout: limits.job_timeout,
            connection_limit: limits.connections,
            temp_file_limit: limits.temp_file_megabytes,
            size_limit: limits.size_megabytes,
        }
    }
}

/// A timeout that PostgreSQL can count in its 31 bits of milliseconds, and that is one: 0 would switch it off.
fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_none(text)? {
        Duration::ZERO => Err("0 would be no limit at all; write it as `90s` or `5m`".to_owned()),
        timeout => Ok(timeout),
    }
}

fn duration_or_none(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text.trim())
        .map_err(|error| format!("{error}; write it as `90s`, `5m` or `1h 30m`"))?;
    match i32::try_from(timeout.as_millis()) {
        Ok(0) if !timeout.is_zero() => Err("it is shorter than a millisecond".to_owned()),
        Ok(_) => Ok(timeout),
        Err(_) => Err("it is longer than the 24 days that PostgreSQL can count".to_owned()),
    }
}

/// A size in whole megabytes, no more than PostgreSQL can count in kilobytes.
fn megabytes(text: &str) -> Result<u32, String> {
    let ByteSize(bytes) = text.parse().map_err(|error: InvalidSize| error.to_string())?;
    match u32::try_from(bytes / MEGABYTE) {
        Ok(0) => Err("it is less than a megabyte; write it as `512MB` or `10GB`".to_owned()),
        Ok(size) if u64::from(size) <= u64::from(i32::MAX as u32) * 1024 / MEGABYTE => Ok(size),
        _ => Err("it is more than the 2 TB that PostgreSQL can count".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn parse(line: &[&str]) -> Result<Limits, clap::Error> {
        let line = Line::try_parse_from(std::iter::once(&"serve").chain(line))?;
        Ok(line.limits.limits())
    }

    #[test]
    fn the_defaults_are_the_engine_s() {
        assert_eq!(parse(&[]).unwrap(), Limits::default());
        assert_eq!(LimitArgs::default().limits(), Limits::default());
    }

    #[test]
    fn limits_are_written_as_people_write_them() {
        let line = ["--statement-timeout", "1m 30s", "--lock-timeout", "0s", "--size-limit", "2 GB"];
        let limits = parse(&line).unwrap();
        assert_eq!(limits.statement_timeout, Duration::from_secs(90));
        assert_eq!((limits.lock_timeout, limits.size_megabytes), (None, 2048));
        for (name, wrong) in [
            ("--statement-timeout", "90"),
            ("--statement-timeout", "0s"),
            ("--job-timeout", "1year"),
            ("--temp-file-limit", "1"),
            ("--temp-file-limit", "0MB"),
            ("--size-limit", "99999999TB"),
            ("--size-limit", "much"),
            ("--connection-limit", "0"),
        ] {
            let error = parse(&[name, wrong]).unwrap_err().to_string();
            assert!(error.contains(name), "{name} {wrong}: {error}");
        }
    }
}
