//! Values that must not be printed, and how they are kept at rest.

use std::fmt;

use chacha20poly1305::aead::{Aead, Generate, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::Deserialize;

/// A password, token, key or connection URL. Neither `Debug` nor `Display` shows it; only [`Secret::expose`] does.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// A random password of 40 letters and digits, about 238 bits.
    pub fn generate() -> Self {
        use rand::distr::{Alphanumeric, SampleString};
        Self(Alphanumeric.sample_string(&mut rand::rng(), 40))
    }

    /// The value itself, for the one place that must send or compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Encrypts and decrypts what is kept at rest, with XChaCha20-Poly1305 under one key.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

/// Why something that was encrypted cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the key is not 64 hexadecimal digits (32 bytes)")]
    MalformedKey,
    #[error(
        "a stored credential cannot be decrypted: OFFSHOOT_SECRET_KEY is not the key it was encrypted with"
    )]
    WrongKey,
}

const NONCE_LENGTH: usize = 24;

impl Vault {
    /// A vault under a key of 64 hexadecimal digits.
    pub fn new(key: &Secret) -> Result<Self, VaultError> {
        let bytes = hex::decode(key.expose().trim()).map_err(|_| VaultError::MalformedKey)?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| VaultError::MalformedKey)?;
        Ok(Self { cipher })
    }

    /// A fresh key, as its 64 hexadecimal digits.
    pub fn generate_key() -> Secret {
        Secret(hex::encode(rand::random::<[u8; 32]>()))
    }

    /// The nonce, then the ciphertext with its tag.
    pub fn encrypt(&self, secret: &Secret) -> Vec<u8> {
        let nonce = XNonce::generate();
        let sealed = self.cipher.encrypt(&nonce, secret.0.as_bytes()).expect("a short text can be encrypted");
        [nonce.as_slice(), sealed.as_slice()].concat()
    }

    pub fn decrypt(&self, stored: &[u8]) -> Result<Secret, VaultError> {
        let (nonce, sealed) = stored.split_at_checked(NONCE_LENGTH).ok_or(VaultError::WrongKey)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| VaultError::WrongKey)?;
        let opened = self.cipher.decrypt(&nonce, sealed).map_err(|_| VaultError::WrongKey)?;
        String::from_utf8(opened).map(Secret).map_err(|_| VaultError::WrongKey)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let vault = Vault::new(&Vault::generate_key()).unwrap();
        let secret = Secret::new("postgres://a:b@c/d");
        let stored = vault.encrypt(&secret);
        assert_eq!(vault.decrypt(&stored).unwrap(), secret);
        let other = Vault::new(&Vault::generate_key()).unwrap();
        assert!(matches!(other.decrypt(&stored), Err(VaultError::WrongKey)));
        assert!(matches!(vault.decrypt(b"short"), Err(VaultError::WrongKey)));
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
