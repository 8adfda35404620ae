//! HPKE from outside: sealed payloads, and public keys to seal to.
#![no_main]

use keyfold_fuzz::{context, opening_key, wrapping_secret};
use libfuzzer_sys::fuzz_target;
use protocol::{
    record::WrappingSecret,
    sealing::{Info, OpeningKey, Sealed, SealingKey, seal},
};
use std::sync::LazyLock;

static KEY: LazyLock<OpeningKey> = LazyLock::new(opening_key);
static INFO: LazyLock<Info> = LazyLock::new(|| Info::wrap(&context()));

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, sealed)) => open(sealed.to_vec()),
        Some((_, key)) => seal_to(key.to_vec()),
        None => {}
    }
});

/// Only the payload of the seeds was ever sealed to this key.
fn open(bytes: Vec<u8>) {
    let Ok(sealed) = Sealed::try_from(bytes) else { return };
    if let Ok(payload) = KEY.open(&INFO, &sealed) {
        WrappingSecret::from_payload(payload, &context()).expect("nobody else sealed to this key");
    }
}

/// Every key that is accepted is written as it was read, and can be sealed to.
fn seal_to(bytes: Vec<u8>) {
    let Ok(key) = SealingKey::try_from(bytes.clone()) else { return };
    assert_eq!(key.as_ref(), bytes);
    seal(&key, &INFO, &wrapping_secret().payload(&context())).expect("a payload has its length");
}
