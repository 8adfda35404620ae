//! Who is signed in. In memory: nobody can write a session into a database, and a restart signs everybody out.

use crate::clock::Timestamp;
use crate::digest::sha256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secret::Secret;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// A session that nobody uses ends after so long, in milliseconds.
pub const IDLE: i64 = 15 * 60 * 1_000;
/// Every session ends after so long, in milliseconds.
pub const WHOLE: i64 = 8 * 3_600 * 1_000;
/// Most sessions of one person; then the oldest ends.
const EACH: usize = 10;

/// One session.
#[derive(Debug, Clone)]
pub struct Session {
    /// What people call it by.
    pub id: Uuid,
    /// Whose.
    pub admin: Uuid,
    /// The session at the issuer that signed the person on, if one did.
    pub sso: Option<SsoSession>,
    /// To be repeated by every request that changes anything.
    pub csrf: String,
    /// Where it began.
    pub ip: IpAddr,
    /// With what.
    pub agent: Option<String>,
    /// Unix milliseconds.
    pub began_at: Timestamp,
    /// Unix milliseconds.
    pub seen_at: Timestamp,
}

/// Where a person was signed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsoSession {
    /// The issuer.
    pub issuer: String,
    /// Who they are there.
    pub subject: String,
    /// Which session there.
    pub sid: Option<String>,
}

impl Session {
    /// Unix milliseconds; from then on it is over, unless it is used before.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        (self.seen_at + IDLE).min(self.began_at + WHOLE)
    }
}

/// All sessions, by the hash of their cookie.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

impl Sessions {
    /// Begins one, and gives its cookie's value. A session that the browser had before is none of this one's.
    pub fn begin(
        &self,
        (admin, sso): (Uuid, Option<SsoSession>),
        (ip, agent): (IpAddr, Option<String>),
        now: Timestamp,
    ) -> (String, Session) {
        let (cookie, csrf) = (random(), random());
        let id = Uuid::now_v7();
        let session = Session { id, admin, sso, csrf, ip, agent, began_at: now, seen_at: now };
        let mut sessions = self.current(now);
        let own = sessions.iter().filter(|(_, session)| session.admin == admin);
        let mut own: Vec<_> = own.map(|(hash, session)| (session.id, *hash)).collect();
        own.sort_unstable();
        for (_, hash) in own.iter().rev().skip(EACH - 1) {
            sessions.remove(hash);
        }
        sessions.insert(sha256(cookie.as_bytes()), session.clone());
        (cookie, session)
    }

    /// The session of a cookie, used just now.
    pub fn touch(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let mut sessions = self.current(now);
        let session = sessions.get_mut(&sha256(cookie.as_bytes()))?;
        session.seen_at = now;
        Some(session.clone())
    }

    /// The session of a cookie, without its being used.
    pub fn look(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        self.current(now).get(&sha256(cookie.as_bytes())).cloned()
    }

    /// The sessions of this person, newest first.
    pub fn of(&self, admin: Uuid, now: Timestamp) -> Vec<Session> {
        let mut own: Vec<_> = self.current(now).values().filter(|session| session.admin == admin).cloned().collect();
        own.sort_by_key(|session| std::cmp::Reverse(session.id));
        own
    }

    /// Ends those; tells how many.
    pub fn end(&self, which: impl Fn(&Session) -> bool) -> usize {
        let mut sessions = self.lock();
        let before = sessions.len();
        sessions.retain(|_, session| !which(session));
        before - sessions.len()
    }

    fn current(&self, now: Timestamp) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        let mut sessions = self.lock();
        sessions.retain(|_, session| now < session.expires_at());
        sessions
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().expect("invariant: nothing panics while holding this lock")
    }
}

/// 256 bits of randomness, as base64url.
#[must_use]
pub fn random() -> String {
    #[expect(clippy::disallowed_methods, reason = "it is handed out: the broker keeps a hash")]
    URL_SAFE_NO_PAD.encode(Secret::random(32).expose())
}

#[cfg(test)]
mod tests {
    use super::{EACH, IDLE, Sessions, WHOLE};
    use std::net::Ipv4Addr;
    use uuid::Uuid;

    const FROM: (std::net::IpAddr, Option<String>) = (std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), None);

    #[test]
    fn ends_when_idle_and_after_a_day_of_work() {
        let sessions = Sessions::default();
        let (cookie, _) = sessions.begin((Uuid::nil(), None), FROM, 0);
        assert!(sessions.touch("another", 1).is_none());
        let mut now = 0;
        while now + IDLE <= WHOLE {
            now += IDLE - 1;
            assert!(sessions.touch(&cookie, now).is_some(), "at {now}");
        }
        assert!(sessions.touch(&cookie, WHOLE).is_none());
        let (cookie, _) = sessions.begin((Uuid::nil(), None), FROM, 0);
        assert!(sessions.look(&cookie, IDLE - 1).is_some());
        assert!(sessions.touch(&cookie, IDLE).is_none(), "looking is not using");
    }

    #[test]
    fn a_person_has_no_more_than_ten() {
        let sessions = Sessions::default();
        let (first, _) = sessions.begin((Uuid::nil(), None), FROM, 0);
        for _ in 0..EACH {
            sessions.begin((Uuid::nil(), None), FROM, 1);
        }
        assert_eq!(sessions.of(Uuid::nil(), 2).len(), EACH);
        assert!(sessions.touch(&first, 2).is_none());
    }

    #[test]
    fn is_ended_by_others() {
        let sessions = Sessions::default();
        let (cookie, session) = sessions.begin((Uuid::nil(), None), FROM, 0);
        assert_eq!(sessions.end(|other| other.id == session.id), 1);
        assert!(sessions.touch(&cookie, 1).is_none());
    }
}
