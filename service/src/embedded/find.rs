//! Where a PostgreSQL's programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::EmbeddedError;

const OLDEST: u32 = 14;
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// A directory with a server's programs, and which version they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    pub(super) bin: PathBuf,
    pub(super) major: u32,
    /// As the server says it: `18.6`.
    pub(super) version: String,
}

/// The directory asked for, else the newest installation found; of `major` where a data directory already asks for it.
pub(super) fn find(asked: Option<&Path>, major: Option<u32>) -> Result<Installation, EmbeddedError> {
    if let Some(bin) = asked {
        return probe(bin).map_err(|why| EmbeddedError::UnusableServer { bin: bin.to_owned(), why });
    }
    let candidates = candidates();
    let found: Vec<Installation> = candidates.iter().filter_map(|bin| probe(bin).ok()).collect();
    let fits = |installation: &&Installation| major.is_none_or(|major| installation.major == major);
    let best = newest(found.iter().filter(fits)).or_else(|| newest(found.iter()));
    best.cloned().ok_or_else(|| EmbeddedError::NoServer {
        looked_in: ".tools/postgresql/*/bin, /usr/lib/postgresql/*/bin, /usr/local/pgsql/bin, PATH"
            .to_owned(),
    })
}

/// The first of the highest version, so that the order of the places decides between equals.
fn newest<'i>(installations: impl Iterator<Item = &'i Installation>) -> Option<&'i Installation> {
    installations.reduce(
        |best, other| {
            if numbers(&other.version) > numbers(&best.version) { other } else { best }
        },
    )
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// First what is beside us or where we were called, in a repository's `.tools`, then what the system has.
fn candidates() -> Vec<PathBuf> {
    let places = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    let own = places.iter().flatten().flat_map(|place| place.ancestors());
    let mut bins: Vec<PathBuf> = own.flat_map(|root| versions_in(&root.join(".tools/postgresql"))).collect();
    bins.extend(versions_in(Path::new("/usr/lib/postgresql")));
    bins.push(PathBuf::from("/usr/local/pgsql/bin"));
    bins.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    bins.retain(|bin| PROGRAMS.iter().all(|program| bin.join(program).is_file()));
    bins
}

fn versions_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join("bin")).collect()
}

/// Asks a directory's server for its version.
fn probe(bin: &Path) -> Result<Installation, String> {
    if let Some(missing) = PROGRAMS.iter().find(|program| !bin.join(program).is_file()) {
        return Err(format!("it holds no {missing}"));
    }
    let bin = bin.canonicalize().map_err(|error| error.to_string())?;
    let output =
        Command::new(bin.join("postgres")).arg("--version").output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = parse_version(&text).ok_or_else(|| {
        format!(
            "`postgres --version` says {:?}",
            format!("{text}{}", String::from_utf8_lossy(&output.stderr)).trim()
        )
    })?;
    let major = numbers(&version).first().copied().unwrap_or_default();
    if major < OLDEST {
        return Err(format!(
            "it is PostgreSQL {version}, and {OLDEST} is the oldest that Offshoot works with"
        ));
    }
    Ok(Installation { bin, major, version })
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15.14; `… 19beta1` is 19.
fn parse_version(text: &str) -> Option<String> {
    let rest = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    (end > 0).then(|| rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_servers_write_them() {
        let version = |text| parse_version(text);
        assert_eq!(version("postgres (PostgreSQL) 18.6\n").as_deref(), Some("18.6"));
        assert_eq!(version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)").as_deref(), Some("15.14"));
        assert_eq!(version("postgres (PostgreSQL) 19beta1").as_deref(), Some("19"));
        assert_eq!(version("mysqld 8"), None);
    }

    #[test]
    fn the_highest_version_wins_and_the_first_place_between_equals() {
        let installation = |bin: &str, version: &str| Installation {
            bin: bin.into(),
            major: numbers(version)[0],
            version: version.to_owned(),
        };
        let found = [
            installation("a", "15.14"),
            installation("b", "18.6"),
            installation("c", "18.6"),
            installation("d", "9.6"),
        ];
        assert_eq!(newest(found.iter()).unwrap().bin, Path::new("b"));
    }

    #[test]
    fn a_directory_without_a_server_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let error = find(Some(directory.path()), None).unwrap_err().to_string();
        assert!(error.contains("it holds no postgres") && error.contains("OFFSHOOT_POSTGRES_BIN"), "{error}");
    }
}
