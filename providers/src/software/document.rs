//! What the keystore file says: JSON, every key wrapped and bound to its name and state.

use super::client::{KEK_LEN, Kek};
use crate::{Context, payload::Payload};
use argon2::Params;
use aws_lc_rs::{digest, rand};
use base64::prelude::{BASE64_STANDARD, Engine};
use secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const FORMAT: u32 = 1;

/// The whole file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    format: u32,
    argon2id: Cost,
    /// Random bytes wrapped under the passphrase: opens for the right passphrase only, also when there are no keys.
    check: Blob,
    keys: BTreeMap<String, Entry>,
}

impl Document {
    /// A keystore without keys, and the key that its passphrase stands for.
    pub(super) fn create(passphrase: &Secret) -> (Self, Kek) {
        let argon2id = Cost::recommended();
        let root = argon2id.derive(passphrase).expect("invariant: the recommended cost is accepted");
        let check = wrap_bound(&root, &Secret::random(KEK_LEN), &check_context());
        (Self { format: FORMAT, argon2id, check, keys: BTreeMap::new() }, root)
    }

    /// The key that `passphrase` stands for; `None` for another format or a cost that is not accepted.
    pub(super) fn derive(&self, passphrase: &Secret) -> Option<Kek> {
        if self.format == FORMAT { self.argon2id.derive(passphrase) } else { None }
    }

    /// Whether `root` is the key of this keystore's passphrase.
    pub(super) fn belongs_to(&self, root: &Kek) -> bool {
        unwrap_bound(root, &self.check, &check_context()).is_some()
    }

    /// Each name with its key, `None` for a disabled one. Fails with the name of an entry that has been altered.
    pub(super) fn open(&self, root: &Kek) -> Result<BTreeMap<String, Option<Kek>>, String> {
        let open = |(name, entry): (&String, &Entry)| match entry.open(root, name) {
            Some(kek) => Ok((name.clone(), (entry.state == State::Enabled).then_some(kek))),
            None => Err(name.clone()),
        };
        self.keys.iter().map(open).collect()
    }

    /// Adds a random key; `false`, and no change, when the name is taken.
    pub(super) fn add(&mut self, root: &Kek, name: &str) -> bool {
        let free = !self.keys.contains_key(name);
        if free {
            self.keys.insert(name.to_owned(), Entry::wrap(root, name, State::Enabled, &Secret::random(KEK_LEN)));
        }
        free
    }

    /// Enables or disables a key; `false`, and no change, when there is none of that name.
    pub(super) fn set_state(&mut self, root: &Kek, name: &str, enabled: bool) -> bool {
        let state = if enabled { State::Enabled } else { State::Disabled };
        let key = self.keys.get(name).and_then(|entry| entry.key(root, name));
        let known = key.is_some();
        if let Some(key) = key {
            self.keys.insert(name.to_owned(), Entry::wrap(root, name, state, &key));
        }
        known
    }

    /// Removes a key for good; `false` when there is none of that name.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.keys.remove(name).is_some()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Blob,
}

impl Cost {
    /// A file that asks for more than this is refused, so that opening it cannot exhaust the host.
    const MAX_MEMORY_KIB: u32 = 1 << 20;
    const MAX_PASSES: u32 = 64;

    /// OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane.
    fn recommended() -> Self {
        let mut salt = vec![0; 16];
        rand::fill(&mut salt).expect("invariant: the system random number generator works");
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1, salt: Blob(salt) }
    }

    fn derive(&self, passphrase: &Secret) -> Option<Kek> {
        if self.memory_kib > Self::MAX_MEMORY_KIB || self.passes > Self::MAX_PASSES {
            return None;
        }
        let cost = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEK_LEN)).ok()?;
        Kek::derive(passphrase, &self.salt.0, cost)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    state: State,
    key: Blob,
}

impl Entry {
    fn wrap(root: &Kek, name: &str, state: State, key: &Secret) -> Self {
        Self { state, key: wrap_bound(root, key, &state.context(name)) }
    }

    /// `None` when the key was not wrapped for this name and state.
    fn key(&self, root: &Kek, name: &str) -> Option<Secret> {
        unwrap_bound(root, &self.key, &self.state.context(name))
    }

    fn open(&self, root: &Kek, name: &str) -> Option<Kek> {
        self.key(root, name).and_then(|key| Kek::new(&key))
    }
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    Enabled,
    Disabled,
}

impl State {
    /// Binds an entry to its name and state: who edits the file can neither swap keys nor enable one.
    fn context(self, name: &str) -> Context {
        match self {
            Self::Enabled => context("enabled", name),
            Self::Disabled => context("disabled", name),
        }
    }
}

fn check_context() -> Context {
    context("check", "")
}

/// The purpose has no zero byte, so no two pairs collide.
fn context(purpose: &str, name: &str) -> Context {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in ["keyfold/1 keystore", "\0", purpose, "\0", name] {
        hash.update(part.as_bytes());
    }
    Context::new(hash.finish().as_ref().try_into().expect("invariant: SHA-256 has 32 bytes"))
}

fn wrap_bound(root: &Kek, key: &Secret, context: &Context) -> Blob {
    let payload = Payload::bind(key, context).expect("invariant: a key in a keystore has the length of a secret");
    Blob(root.wrap(payload.bytes()))
}

fn unwrap_bound(root: &Kek, wrapped: &Blob, context: &Context) -> Option<Secret> {
    root.unwrap(&wrapped.0).and_then(|bytes| Payload::unwrapped(bytes).release(context).ok())
}

/// Bytes that are base64 text in the file.
#[derive(Serialize, Deserialize, Clone)]
#[serde(try_from = "String", into = "String")]
struct Blob(Vec<u8>);

impl TryFrom<String> for Blob {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64_STANDARD.decode(text).map(Self)
    }
}

impl From<Blob> for String {
    fn from(blob: Blob) -> Self {
        BASE64_STANDARD.encode(blob.0)
    }
}
