use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    serve: ServeArgs,
}

const SECRET: &str = "0123456789abcdef";

fn line(more: &[&str]) -> Result<ServeArgs, clap::Error> {
    let usual = ["offshoot", "--github-webhook-secret", SECRET, "--github-token", "ghp_x"];
    let key = ["--secret-key", &"0".repeat(64)];
    Line::try_parse_from([&usual, &key[..], more].concat()).map(|line| line.serve)
}

/// What is said of a setting, whether the command line's parser or the check says it.
fn said(more: &[&str]) -> String {
    match line(more) {
        Ok(args) => args.check().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_usual_settings_are_good() {
    line(&["--listen", "localhost:8080", "--api-token", SECRET]).unwrap().check().unwrap();
    let proxies = line(&["--trusted-proxies", "10.0.0.0/8,fd00::1"]).unwrap().trusted_proxies;
    assert_eq!(proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "fd00::1/128"]);
}

/// A set-but-empty variable must let nobody in.
#[test]
fn an_empty_or_short_token_is_refused() {
    for short in ["", " ", "admin", "123456789012345", "              a"] {
        let error = said(&["--api-token", short]);
        assert!(error.contains("OFFSHOOT_API_TOKEN") && error.contains("openssl rand -hex 32"), "{error}");
    }
}

#[test]
fn what_is_malformed_is_named_with_an_example_and_not_repeated() {
    for (flag, value, name, example) in [
        ("--listen", "8080", "--listen", "localhost:8080"),
        (
            "--public-url",
            "https://ann:hunter2@offshoot.acme.dev",
            "OFFSHOOT_PUBLIC_URL",
            "https://offshoot.acme.dev",
        ),
        ("--branch-address", "postgres://db:5432", "--branch-address", "db.acme.dev:5432"),
        ("--allowed-extensions", "pgcrypto,Nope!", "--allowed-extensions", "pgcrypto,citext"),
        ("--trusted-proxies", "proxy", "--trusted-proxies", "10.0.0.0/8"),
        ("--github-api-url", "github.acme.dev", "--github-api-url", "https://github.acme.dev/api/v3"),
        (
            "--database-url",
            "mysql://ann:hunter2@db/x",
            "OFFSHOOT_DATABASE_URL",
            "postgres://user:password@host:5432/database",
        ),
    ] {
        let error = said(&[flag, value]);
        assert!(error.contains(name) && error.contains(example), "{flag} {value}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_webhook_secret_is_long_and_two_may_stand() {
    let with =
        |secret: &str| ServeArgs { github_webhook_secret: Some(Secret::new(secret)), ..line(&[]).unwrap() };
    assert_eq!(with(&format!("{SECRET}, {SECRET}x")).webhook_secrets().unwrap().len(), 2);
    for bad in ["", ",", "short", &format!("{SECRET},short")] {
        let error = with(bad).webhook_secrets().unwrap_err().to_string();
        assert!(error.contains("OFFSHOOT_GITHUB_WEBHOOK_SECRET"), "{error}");
    }
}

#[test]
fn of_two_keys_that_are_made_at_once_the_first_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let first = generated_key(directory.path()).unwrap();
    // Another process found none, and comes to keep its own.
    assert_eq!(keep_key(&directory.path().join("secret.key")).unwrap(), first);
    assert_eq!(generated_key(directory.path()).unwrap(), first);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}
