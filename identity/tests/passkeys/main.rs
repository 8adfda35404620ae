//! Passkeys: what an authenticator makes is taken once it is right in everything, and refused for each thing that is wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod attestation;
mod oracle;
mod registration;
mod signature;

use counterparts::authenticator::Authenticator;
use keyfold_identity::passkey::{Passkey, Person, RelyingParty};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

const ORIGIN: &str = "https://keyfold.example";
const CHALLENGE: [u8; 32] = [7; 32];
/// 22 November 2026, in Unix milliseconds.
const NOW: i64 = 1_795_305_600_000;

fn relying_party() -> RelyingParty {
    RelyingParty::new(&Url::parse(ORIGIN).unwrap(), "Keyfold").unwrap()
}

fn person(name: &str) -> Person {
    Person { id: Uuid::new_v4(), name: format!("{name}@acme.example"), display: name.to_owned() }
}

fn registered(authenticator: &mut Authenticator, person: &Person) -> Passkey {
    let (options, registration) = relying_party().begin_registration(person, &[], None).unwrap();
    let answer = authenticator.create(&options);
    relying_party().finish_registration(&registration, &bytes(&answer), NOW).unwrap()
}

fn bytes(answer: &Value) -> Vec<u8> {
    answer.to_string().into_bytes()
}
