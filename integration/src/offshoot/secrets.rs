//! The secrets that a test knows of, and that must appear nowhere but where they belong.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};

use super::{API_TOKEN, Credentials, Options, Server};

/// Encrypts credentials at rest where the control database is the test's own.
pub(super) const SECRET_KEY: &str = "5ec2e7000000000000000000000000000000000000000000000000000000c0de";

/// What an installation's tokens begin with.
const INSTALLATION_TOKEN: &str = "ghs_";

#[derive(Debug, Default)]
pub struct Secrets(Mutex<BTreeSet<String>>);

impl Secrets {
    pub(super) fn of(options: &Options) -> Self {
        let secrets = Self::default();
        for secret in [&options.webhook_secret, API_TOKEN, SECRET_KEY, INSTALLATION_TOKEN] {
            secrets.add(secret);
        }
        match &options.credentials {
            Credentials::Token(token) => secrets.add(token),
            // Any line of the key is as bad as the whole.
            Credentials::App(app) => {
                let lines = app.private_key_pem.lines().filter(|line| !line.starts_with("---"));
                lines.filter(|line| line.len() > 30).for_each(|line| secrets.add(line));
            }
        }
        if let Server::At(url) | Server::Behind { url, .. } = &options.server {
            secrets.add_password_of(url);
        }
        secrets
    }

    pub fn add(&self, secret: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
    }

    /// Remembers a URL's password.
    pub fn add_password_of(&self, url: &str) {
        let password = url.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
        let password = password.and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            self.add(password);
        }
    }

    /// Fails with the place, and with no more of the secret than its beginning.
    pub fn ensure_absent(&self, place: &str, text: &str) -> Result<()> {
        for secret in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            ensure!(
                !text.contains(secret.as_str()),
                "{place} holds a secret: {}…",
                &secret[..secret.len().min(4)]
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_s_password_is_remembered_and_found() {
        let secrets = Secrets::default();
        secrets.add_password_of("postgres://acme_shop_pr_1:hunter22@127.0.0.1:5432/acme_shop_pr_1");
        assert!(secrets.ensure_absent("the log", "acme_shop_pr_1 is ready").is_ok());
        let error = secrets.ensure_absent("the log", "password=hunter22").unwrap_err().to_string();
        assert_eq!(error, "the log holds a secret: hunt…");
    }
}
