//! What the targets and their seeds share: fixed keys, a log, and the list of messages.

use audit::{
    Origin,
    event::{Event, Kind, Outcome},
    leaf::{EventKey, SignedEvent, Stamp},
    note::LogKey,
};
use protocol::{
    ceremony::{OaepHash, Parameters, WrappingMechanism},
    encoding::{Base64Url, Malformed, from_json},
    messages::{
        Acknowledge, DeviceStatus, Enrol, Enrolled, OpenRestore, Problem, RecordList, Release, Released, RestoreOpened,
        Wrap, Wrapped,
    },
    names::TenantId,
    record::{Context, KeySchedule, RecordName, SUITE, WrappingSecret},
    sealing::OpeningKey,
};
use secret::Secret;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The seed of the key that signs checkpoints.
pub const LOG_SEED: [u8; 32] = [2; 32];

/// The log's name.
#[must_use]
pub fn origin() -> Origin {
    Origin::new("broker.example/acme").expect("invariant: the name is a log's")
}

/// An event key; 1 is the one that opens the log.
#[must_use]
pub fn event_key(seed: u8) -> EventKey {
    EventKey::from_seed(&Secret::copied_from(&[seed; 32])).expect("invariant: a seed has 32 bytes")
}

/// The key that signs checkpoints.
#[must_use]
pub fn log_key() -> LogKey {
    LogKey::from_seed(&origin(), &Secret::copied_from(&LOG_SEED)).expect("invariant: a seed has 32 bytes")
}

/// `event`, signed as the one at `index`.
#[must_use]
pub fn signed(index: u64, event: &Event, key: &EventKey) -> SignedEvent {
    let stamp = Stamp { origin: origin(), boot: Uuid::from_u128(1), at_ms: 1_800_000_000_000 + index * 1000 };
    event.sign(&stamp, key)
}

/// A release, with a text in a field that is disclosed.
#[must_use]
pub fn release() -> Event {
    Event::new(Kind::RestoreReleased, Outcome::OK)
        .correlation(Uuid::from_u128(7))
        .kek("kek-1", 3)
        .reason("new \"phone\"")
}

/// The context of the one record that the targets know.
#[must_use]
pub fn context() -> Context {
    let tenant: TenantId = "acme".parse().expect("invariant: a tenant's id");
    let user = "alice@example.org".parse().expect("invariant: a user's id");
    let kind = "identity".parse().expect("invariant: a kind");
    let (record, device) = (Uuid::from_u128(1), Uuid::from_u128(2));
    RecordName { tenant, user, kind, generation: 1, record, device, suite: SUITE }.context()
}

/// The wrapping secret of that record.
#[must_use]
pub fn wrapping_secret() -> WrappingSecret {
    Secret::copied_from(&[3; 32]).try_into().expect("invariant: a wrapping secret has 32 bytes")
}

/// The keys of that record.
#[must_use]
pub fn record_keys() -> KeySchedule {
    KeySchedule::new(&wrapping_secret(), None, &context())
}

/// The key that sealed payloads are opened with.
#[must_use]
pub fn opening_key() -> OpeningKey {
    OpeningKey::from_seed(&Secret::copied_from(&[4; 32])).expect("invariant: a seed has 32 bytes")
}

/// Parameters of a ceremony with this wrapping key.
#[must_use]
pub fn import_parameters(wrapping_key: &[u8]) -> Parameters {
    Parameters {
        tenant: "acme".parse().expect("invariant: a tenant's id"),
        provider: "hsm".parse().expect("invariant: a printable text"),
        key: "customer-key".parse().expect("invariant: a printable text"),
        wrapping_key: Base64Url(wrapping_key.to_vec()),
        mechanism: WrappingMechanism::RsaAesKeyWrap,
        hash: OaepHash::Sha256,
        token: Base64Url(Vec::new()),
        expires_at: None,
    }
}

/// Reads a message.
pub type Reader = fn(&[u8]) -> Result<(), Malformed>;

/// One reader for each message there is.
pub const MESSAGES: &[Reader] = &[
    reread_request::<Enrol>,
    reread_answer::<Enrolled>,
    reread_answer::<DeviceStatus>,
    reread_request::<Wrap>,
    reread_answer::<Wrapped>,
    reread_answer::<RecordList>,
    reread_request::<OpenRestore>,
    reread_answer::<RestoreOpened>,
    reread_request::<Release>,
    reread_answer::<Released>,
    reread_request::<Acknowledge>,
    reread_answer::<Problem>,
];

/// As [`reread`]; and every member that was read is known, so that nothing is signed that nobody looks at.
fn reread_request<T: Serialize + DeserializeOwned>(json: &[u8]) -> Result<(), Malformed> {
    let written = reread::<T>(json)?;
    let read: Map<String, Value> = serde_json::from_slice(json).expect("a request is a JSON object");
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    assert!(read.iter().all(|(name, value)| written.contains_key(name) || empty(value)));
    Ok(())
}

fn reread_answer<T: Serialize + DeserializeOwned>(json: &[u8]) -> Result<(), Malformed> {
    reread::<T>(json).map(|_| ())
}

/// What is read and written again says the same when it is read once more.
pub fn reread<T: Serialize + DeserializeOwned>(json: &[u8]) -> Result<Map<String, Value>, Malformed> {
    let message: T = from_json(json)?;
    let written = serde_json::to_vec(&message).expect("a message is JSON");
    let again: T = from_json(&written).expect("a message that was written is a message");
    assert_eq!(serde_json::to_vec(&again).expect("a message is JSON"), written);
    Ok(serde_json::from_slice(&written).expect("a message is a JSON object"))
}
