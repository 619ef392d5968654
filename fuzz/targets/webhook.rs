//! A delivery from anybody: only the secret's holder signs, and no body makes the reader panic.

#![no_main]

use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use offshoot::secret::Secret;
use offshoot::webhook::{payload, signature};
use sha2::Sha256;

const EVENTS: [&str; 9] = [
    "pull_request",
    "push",
    "issue_comment",
    "check_run",
    "check_suite",
    "repository",
    "installation",
    "installation_repositories",
    "anything_else",
];
const SECRET: &str = "it is a secret to everybody";

// The first byte, a digit, chooses the event; the rest is the body.
fuzz_target!(|delivery: &[u8]| {
    let Some((digit, body)) = delivery.split_first() else { return };
    let event = EVENTS[usize::from(digit.wrapping_sub(b'0')) % EVENTS.len()];
    signatures(body);
    if let Ok(received) = payload::read(event, body) {
        assert!(received.job.is_some() || received.outcome.is_some(), "nothing came of it, without a word");
        let told = payload::told(event, body);
        // What is put off until its job runs can be read then.
        assert!(received.subject.is_none() || told.is_ok(), "{event} was stored and is unreadable: {told:?}");
    }
});

fn signatures(body: &[u8]) {
    let secrets = [Secret::new("the next one"), Secret::new(SECRET)];
    let signed = |secret: &str| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length is one");
        format!("sha256={}", hex::encode(mac.chain_update(body).finalize().into_bytes()))
    };
    assert!(signature::is_valid(&signed(SECRET), body, &secrets));
    assert!(!signature::is_valid(&signed("somebody else's"), body, &secrets));
    // A header that the body itself makes up.
    let made_up = String::from_utf8_lossy(body);
    assert!(!signature::is_valid(&made_up, body, &secrets));
    assert!(!signature::is_valid(&format!("sha256={made_up}"), body, &secrets));
}
