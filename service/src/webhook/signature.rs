//! GitHub's signature of a delivery: HMAC-SHA256 over the body as it was sent.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

const SCHEME: &str = "sha256=";

/// Whether `X-Hub-Signature-256` was made over these bytes with one of the secrets; while a secret is being changed there
/// are two. The comparison takes the same time wherever they differ.
pub fn is_valid(header: &str, body: &[u8], secrets: &[Secret]) -> bool {
    let Some(tag) = header.strip_prefix(SCHEME).and_then(|digits| hex::decode(digits).ok()) else {
        return false;
    };
    secrets.iter().filter(|secret| !secret.expose().is_empty()).any(|secret| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
        mac.expect("a key of any length is one of HMAC's").chain_update(body).verify_slice(&tag).is_ok()
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The header that GitHub would send.
    pub(in super::super) fn sign(body: &[u8], secret: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
        format!("{SCHEME}{}", hex::encode(mac.finalize().into_bytes()))
    }

    /// From GitHub's page on validating deliveries.
    const EXAMPLE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn github_s_own_example_is_valid() {
        assert!(is_valid(EXAMPLE, b"Hello, World!", &[Secret::new("It's a Secret to Everybody")]));
    }

    #[test]
    fn either_secret_is_good_while_it_is_being_changed() {
        let secrets = [Secret::new("new"), Secret::new("old")];
        for secret in ["new", "old"] {
            assert!(is_valid(&sign(b"{}", secret), b"{}", &secrets), "{secret}");
        }
        assert!(!is_valid(&sign(b"{}", "another"), b"{}", &secrets));
    }

    #[test]
    fn all_else_is_not_valid() {
        let secrets = [Secret::new("s")];
        let good = sign(b"{}", "s");
        for bad in
            ["", "sha256=", "sha256=zz", &good[7..], &good[..good.len() - 2], &good.replace("256", "1")]
        {
            assert!(!is_valid(bad, b"{}", &secrets), "{bad}");
        }
        assert!(!is_valid(&good, b"{ }", &secrets), "another body");
        assert!(!is_valid(&sign(b"{}", ""), b"{}", &[Secret::new("")]), "an empty secret is none");
        assert!(!is_valid(&good, b"{}", &[]));
    }
}
