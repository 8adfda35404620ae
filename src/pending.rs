//! What was begun and waits for its second half: ceremonies with a passkey, and acts that wait for a signature. In memory: a
//! restart costs a second try.

use crate::clock::Timestamp;
use crate::roster::Admin;
use identity::passkey::Registration;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// How long anything waits, in milliseconds.
pub const LIFETIME: i64 = 5 * 60 * 1_000;
/// Most that waits at a time; then the oldest goes.
const MOST: usize = 10_000;

/// A passkey that a browser was asked to make.
#[derive(Debug)]
pub struct Joining {
    /// For whom.
    pub admin: Admin,
    /// What the browser's answer is held against.
    pub registration: Registration,
}

/// An act that waits for its signature.
#[derive(Debug)]
pub struct PendingAct {
    /// Whose session may sign it.
    pub session: Uuid,
    /// Hash of the request that will be made.
    pub request: [u8; 32],
    /// What has to be signed.
    pub challenge: [u8; 32],
}

/// Things under ids that nobody can guess; each is taken once.
#[derive(Debug)]
pub struct Pending<T>(Mutex<HashMap<Uuid, (Timestamp, T)>>);

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Pending<T> {
    /// Keeps it, and gives the id to ask for it by.
    pub fn put(&self, thing: T, now: Timestamp) -> Uuid {
        let id = Uuid::new_v4();
        self.put_as(id, thing, now);
        id
    }

    /// Keeps it under an id that is already part of it.
    pub fn put_as(&self, id: Uuid, thing: T, now: Timestamp) {
        let mut pending = self.lock();
        pending.retain(|_, (expires_at, _)| now < *expires_at);
        if pending.len() >= MOST
            && let Some(oldest) = pending.iter().min_by_key(|(_, (expires_at, _))| *expires_at).map(|(id, _)| *id)
        {
            pending.remove(&oldest);
        }
        pending.insert(id, (now + LIFETIME, thing));
    }

    /// Takes it: nobody gets it twice.
    pub fn take(&self, id: Uuid, now: Timestamp) -> Option<T> {
        self.lock().remove(&id).filter(|(expires_at, _)| now < *expires_at).map(|(_, thing)| thing)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, (Timestamp, T)>> {
        self.0.lock().expect("invariant: nothing panics while holding this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::{LIFETIME, MOST, Pending};

    #[test]
    fn each_is_taken_once_and_in_time() {
        let pending = Pending::default();
        let (one, other) = (pending.put("one", 0), pending.put("other", 0));
        assert_eq!(pending.take(one, 1), Some("one"));
        assert_eq!(pending.take(one, 1), None);
        assert_eq!(pending.take(other, LIFETIME), None);
    }

    #[test]
    fn there_are_never_too_many() {
        let pending = Pending::default();
        let first = pending.put(0, 0);
        for i in 1..=MOST {
            pending.put(i, 1);
        }
        assert_eq!(pending.lock().len(), MOST);
        assert_eq!(pending.take(first, 2), None);
    }
}
