//! A ceremony's files, as JSON; and a wrapping key inside parameters that are good otherwise.
#![no_main]

use keyfold_fuzz::{import_parameters, reread};
use libfuzzer_sys::fuzz_target;
use protocol::ceremony::{CeremonyError, Fingerprint, Material, Parameters, WrappingMechanism};
use protocol::encoding::from_json;
use secret::Secret;

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, json)) => {
            if reread::<Parameters>(json).is_ok() {
                wrap(&from_json(json).expect("it was read before"));
            }
        }
        Some((1, json)) => {
            let _ = reread::<Material>(json);
        }
        Some((_, key)) => wrap(&import_parameters(key)),
        None => {}
    }
});

/// Only the wrapping key that was compared wraps, and the material has the length of its mechanism.
fn wrap(parameters: &Parameters) {
    let other: Fingerprint = "00".repeat(32).parse().expect("64 digits");
    assert!(matches!(parameters.confirm(&other, 0), Err(CeremonyError::OtherWrappingKey { .. })));
    let Ok(confirmed) = parameters.confirm(&parameters.fingerprint(), 0) else { return };
    let Ok(made) = confirmed.wrap(&Secret::copied_from(&[7; 32])) else { return };
    let after_oaep = match parameters.mechanism {
        WrappingMechanism::RsaAesKeyWrap => 40,
        WrappingMechanism::RsaOaep => 0,
    };
    let modulus = made.material.0.len() - after_oaep;
    assert!(modulus >= 256, "a modulus of {modulus} bytes");
    assert_eq!(made.check_value.to_string(), "0a4dee");
}
