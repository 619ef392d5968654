//! The forms that settings take, and what is said of one that has another.

use std::time::Duration;

use anyhow::bail;
use tracing_subscriber::EnvFilter;

use crate::secret::Secret;

/// Takes anything: the parser's own errors would repeat the value. What is wrong with a secret is said where it is used.
pub(super) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Where to listen: a name or address of this machine, and a port; 0 takes a free one.
pub fn host_port(text: &str) -> Result<String, String> {
    address(text).map(|_| text.to_owned()).ok_or_else(|| {
        "it is not HOST:PORT, as `127.0.0.1:8080`, `localhost:8080` or `[::1]:8080`".to_owned()
    })
}

/// The address of a server elsewhere.
pub(super) fn remote_address(text: &str) -> Result<String, String> {
    match address(text) {
        Some((_, port)) if port > 0 => Ok(text.to_owned()),
        _ => Err("it is not HOST:PORT, as `db.acme.dev:5432` or `[fd00::7]:5432`".to_owned()),
    }
}

fn address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let is_name = |host: &str| {
        (1..=253).contains(&host.len())
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = bracketed.map_or_else(|| is_name(host), |host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    (is_host && digits).then_some((host, port.parse().ok()?))
}

/// The branches are looked at every ten minutes: a shorter time than an hour would be a rough one.
pub(super) fn idle_ttl(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_secs(60 * 60);
    const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    let ttl = humantime::parse_duration(text.trim())
        .map_err(|error| format!("{error}; write it as `3d` or `12h`, or unset it"))?;
    if (SHORTEST..=LONGEST).contains(&ttl) {
        return Ok(ttl);
    }
    Err("it is not between an hour and a year; write it as `3d` or `12h`, or unset it".to_owned())
}

/// An extension's name, as its control file is called.
pub(super) fn extension(text: &str) -> Result<String, String> {
    let name = text.trim();
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if (1..=63).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(name.to_owned());
    }
    Err("it is not an extension's name, as in `pgcrypto,citext,uuid-ossp`".to_owned())
}

/// An API's base, which may have a path.
pub(super) fn http_url(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        Ok(_) => Err("it is not an http or https URL, as `https://github.acme.dev/api/v3`".to_owned()),
        Err(error) => Err(format!("{error}; write it as `https://github.acme.dev/api/v3`")),
    }
}

/// Checks the base of links and calls without repeating it: what should not be in it may be a password.
pub fn check_http_url(name: &str, text: &str) -> anyhow::Result<()> {
    const EXAMPLE: &str = "write it as `https://offshoot.acme.dev`";
    let url = match url::Url::parse(text) {
        Ok(url) => url,
        Err(error) => bail!("{name} is not a URL ({error}); {EXAMPLE}"),
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        bail!("{name} is not an http or https URL; {EXAMPLE}");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("{name} holds a user's name or password, which would be in every link; {EXAMPLE}");
    }
    if url.query().is_some() || url.fragment().is_some() || url.path() != "/" {
        bail!("{name} goes on after the host, and links are put behind it; {EXAMPLE}");
    }
    Ok(())
}

/// Checks a connection URL without ever repeating it: it holds a password.
pub(super) fn check_postgres_url(name: &str, url: Option<&Secret>) -> anyhow::Result<()> {
    const EXAMPLE: &str = "write it as `postgres://user:password@host:5432/database`";
    match url.map(|url| url::Url::parse(url.expose())) {
        None => Ok(()),
        Some(Ok(url)) if matches!(url.scheme(), "postgres" | "postgresql") => Ok(()),
        Some(Ok(_)) => bail!("{name} does not begin with postgres://; {EXAMPLE}"),
        Some(Err(error)) => bail!("{name}: {error}; {EXAMPLE}"),
    }
}

/// `RUST_LOG` is read by the logger, which would pass over what it cannot read.
pub(super) fn check_log_filter() -> anyhow::Result<()> {
    match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(text) => match EnvFilter::try_new(text) {
            Ok(_) => Ok(()),
            Err(error) => bail!("RUST_LOG: {error}; write it as `warn,offshoot=debug`"),
        },
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_names_or_numbers_with_a_port() {
        for good in ["localhost:8080", "127.0.0.1:0", "[::1]:8080", "db_1.acme.dev:5432", "0.0.0.0:80"] {
            assert!(host_port(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "8080",
            "localhost",
            ":8080",
            "::1:8080",
            "[::1]",
            "a b:1",
            "u:p@h:1",
            "h:+1",
            "h:65536",
            "h/x:1",
        ] {
            assert!(host_port(bad).is_err(), "{bad}");
        }
        assert!(remote_address("db.acme.dev:0").unwrap_err().contains("db.acme.dev:5432"));
    }

    #[test]
    fn a_public_url_is_a_scheme_and_a_host() {
        for good in ["https://offshoot.acme.dev", "http://localhost:8080/", "http://[::1]:8080"] {
            assert!(check_http_url("X", good).is_ok(), "{good}");
        }
        for bad in [
            "offshoot.acme.dev",
            "ftp://offshoot.acme.dev",
            "https://ann:hunter2@offshoot.acme.dev",
            "https://ann@offshoot.acme.dev",
            "https://offshoot.acme.dev/?token=hunter2",
            "https://offshoot.acme.dev/#hunter2",
            "https://offshoot.acme.dev/prefix",
            "",
        ] {
            let error = check_http_url("OFFSHOOT_PUBLIC_URL", bad).unwrap_err().to_string();
            let is_full =
                error.contains("OFFSHOOT_PUBLIC_URL") && error.contains("`https://offshoot.acme.dev`");
            assert!(is_full && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_extension_has_a_plain_name() {
        assert_eq!(extension(" uuid-ossp").as_deref(), Ok("uuid-ossp"));
        for bad in ["", "PgCrypto", "a b", "x\"; drop", &"x".repeat(64)] {
            assert!(extension(bad).is_err(), "{bad}");
        }
    }
}
