//! Encryption at rest, under a key that can be replaced while everything stands.

use std::fmt;

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use super::Secret;

/// Begins what is sealed since keys have names. Before, a ciphertext began with its nonce.
const VERSION: u8 = 1;
const ID_LENGTH: usize = 8;
const HEADER_LENGTH: usize = 1 + ID_LENGTH;
const NONCE_LENGTH: usize = 24;

/// The name of a key: the beginning of its hash, which says nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; ID_LENGTH]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Encrypts under one key, and decrypts what was encrypted under that or an earlier one; with XChaCha20-Poly1305.
#[derive(Clone)]
pub struct Vault {
    current: Key,
    previous: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// Why something that was encrypted cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the key is not 64 hexadecimal digits (32 bytes)")]
    MalformedKey,
    #[error(
        "a stored credential cannot be decrypted: it was encrypted with another key than OFFSHOOT_SECRET_KEY and OFFSHOOT_SECRET_KEY_PREVIOUS"
    )]
    WrongKey,
}

impl Key {
    fn new(digits: &Secret) -> Result<Self, VaultError> {
        let bytes = hex::decode(digits.expose().trim()).map_err(|_| VaultError::MalformedKey)?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| VaultError::MalformedKey)?;
        let digest = Sha256::new_with_prefix(b"offshoot key id").chain_update(&bytes).finalize();
        let mut id = [0; ID_LENGTH];
        id.copy_from_slice(&digest[..ID_LENGTH]);
        Ok(Self { id: KeyId(id), cipher })
    }

    fn header(&self) -> [u8; HEADER_LENGTH] {
        let mut header = [VERSION; HEADER_LENGTH];
        header[1..].copy_from_slice(&self.id.0);
        header
    }

    /// The header is authenticated: a ciphertext cannot be passed off as another key's.
    fn open(&self, header: &[u8], nonce_and_sealed: &[u8]) -> Option<Secret> {
        let (nonce, msg) = nonce_and_sealed.split_at_checked(NONCE_LENGTH)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let opened = self.cipher.decrypt(&nonce, Payload { msg, aad: header }).ok()?;
        String::from_utf8(opened).ok().map(Secret)
    }
}

impl Vault {
    /// A vault under a key of 64 hexadecimal digits.
    pub fn new(key: &Secret) -> Result<Self, VaultError> {
        Ok(Self { current: Key::new(key)?, previous: Vec::new() })
    }

    /// The same, which also opens what was sealed under earlier keys.
    pub fn with_previous(self, keys: &[Secret]) -> Result<Self, VaultError> {
        let previous = keys.iter().map(Key::new).collect::<Result<_, _>>()?;
        Ok(Self { previous, ..self })
    }

    /// A fresh key, as its 64 hexadecimal digits.
    pub fn generate_key() -> Secret {
        Secret(hex::encode(rand::random::<[u8; 32]>()))
    }

    /// The name of the key that seals.
    pub fn key_id(&self) -> KeyId {
        self.current.id
    }

    /// Whether there are keys besides the one that seals.
    pub fn has_previous(&self) -> bool {
        !self.previous.is_empty()
    }

    /// What everything begins with that is sealed under the current key.
    pub fn current_header(&self) -> [u8; HEADER_LENGTH] {
        self.current.header()
    }

    /// Version and key's name, then the nonce, then the ciphertext with its tag.
    pub fn encrypt(&self, secret: &Secret) -> Vec<u8> {
        let (nonce, header) = (XNonce::generate(), self.current.header());
        let payload = Payload { msg: secret.0.as_bytes(), aad: &header };
        let sealed = self.current.cipher.encrypt(&nonce, payload).expect("a short text can be encrypted");
        [header.as_slice(), nonce.as_slice(), sealed.as_slice()].concat()
    }

    pub fn decrypt(&self, stored: &[u8]) -> Result<Secret, VaultError> {
        let keys = || std::iter::once(&self.current).chain(&self.previous);
        if let Some((header, sealed)) = stored.split_at_checked(HEADER_LENGTH)
            && let Some(key) = keys().find(|key| key.header() == *header)
            && let Some(secret) = key.open(header, sealed)
        {
            return Ok(secret);
        }
        keys().find_map(|key| key.open(&[], stored)).ok_or(VaultError::WrongKey)
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

    fn vault(key: &Secret) -> Vault {
        Vault::new(key).unwrap()
    }

    /// As it was sealed before keys had names.
    fn sealed_without_header(key: &Secret, secret: &str) -> Vec<u8> {
        let nonce = XNonce::generate();
        let sealed = Key::new(key).unwrap().cipher.encrypt(&nonce, secret.as_bytes()).unwrap();
        [nonce.as_slice(), sealed.as_slice()].concat()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let (key, other) = (Vault::generate_key(), Vault::generate_key());
        let secret = Secret::new("postgres://a:b@c/d");
        let stored = vault(&key).encrypt(&secret);
        assert_eq!(vault(&key).decrypt(&stored).unwrap(), secret);
        assert!(matches!(vault(&other).decrypt(&stored), Err(VaultError::WrongKey)));
        assert!(matches!(vault(&key).decrypt(b"short"), Err(VaultError::WrongKey)));
        assert!(matches!(Vault::new(&Secret::new("ab")), Err(VaultError::MalformedKey)));
    }

    #[test]
    fn an_earlier_key_opens_and_no_longer_seals() {
        let (old, new) = (Vault::generate_key(), Vault::generate_key());
        let secret = Secret::new("s3cret");
        let rotating = vault(&new).with_previous(std::slice::from_ref(&old)).unwrap();
        for stored in [vault(&old).encrypt(&secret), sealed_without_header(&old, "s3cret")] {
            assert_eq!(rotating.decrypt(&stored).unwrap(), secret);
            assert!(!stored.starts_with(&rotating.current_header()));
        }
        let again = rotating.encrypt(&secret);
        assert!(again.starts_with(&rotating.current_header()));
        assert_eq!(vault(&new).decrypt(&again).unwrap(), secret);
        assert!(vault(&old).decrypt(&again).is_err());
    }

    #[test]
    fn nothing_of_a_ciphertext_can_be_changed() {
        let key = Vault::generate_key();
        let stored = vault(&key).encrypt(&Secret::new("s3cret"));
        for at in 0..stored.len() {
            let mut forged = stored.clone();
            forged[at] ^= 1;
            assert!(vault(&key).decrypt(&forged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_key_s_name_does_not_tell_the_key() {
        let key = Vault::generate_key();
        assert!(!key.expose().contains(&vault(&key).key_id().to_string()));
        assert_eq!(vault(&key).key_id(), vault(&key).key_id());
        assert_ne!(vault(&key).key_id(), vault(&Vault::generate_key()).key_id());
    }
}
