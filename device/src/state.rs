//! What a device knows, as JSON that only ever leaves the process encrypted.

use crate::{Broker, StateError};
use protocol::{
    encoding::{from_base64url, from_json, to_base64url},
    messages::{IngressKey, LogKeys, RestoreOpened},
    names::{Kind, TenantId, UserId},
};
use secret::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) version: u8,
    pub(crate) broker: Broker,
    /// The device key's PKCS#8.
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    pub(crate) key: Secret,
    pub(crate) device: Uuid,
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    /// Pinned at enrolment.
    pub(crate) log: LogKeys,
    pub(crate) ingress: IngressKey,
    /// The newest generation seen of each kind. Only grows.
    pub(crate) generations: BTreeMap<Kind, u64>,
    pub(crate) restore: Option<OpenedRestore>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenedRestore {
    pub(crate) opened: RestoreOpened,
    /// Seed of the key that receives this restore's answer, and no other's.
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    pub(crate) receive: Secret,
}

impl State {
    pub(crate) fn newest(&self, kind: &Kind) -> Option<u64> {
        self.generations.get(kind).copied()
    }

    pub(crate) fn learn(&mut self, kind: &Kind, generation: u64) {
        let newest = self.generations.entry(kind.clone()).or_default();
        *newest = generation.max(*newest);
    }

    pub(crate) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // A buffer that grows leaves copies behind, so it is counted first.
        let mut len = Count(0);
        serde_json::to_writer(&mut len, self).expect("invariant: a state is JSON");
        let mut json = Zeroizing::new(Vec::with_capacity(len.0));
        serde_json::to_writer(&mut *json, self).expect("invariant: a state is JSON");
        json
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, StateError> {
        let state: Self = from_json(json).map_err(|_| StateError::Content)?;
        if state.version == VERSION { Ok(state) } else { Err(StateError::Content) }
    }
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the state is encrypted before it leaves the process")]
fn write_secret<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(to_base64url(secret.expose())))
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    let bytes = Zeroizing::new(from_base64url(&text).map_err(de::Error::custom)?);
    Ok(Secret::copied_from(&bytes))
}
