//! An administrator: a person with a session, or an API token.

use super::{Source, counted};
use crate::broker::Broker;
use crate::digest::sha256;
use crate::error::{Error, Refusal};
use crate::roster::{self, Admin, AdminState, Token};
use crate::sessions::Session;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use policies::admin::{Act, Role, may};

/// An administrator who was let in.
#[derive(Debug, Clone)]
pub struct AdminCaller {
    /// What events call them.
    pub actor: String,
    /// Whose hand it is: what needs two people compares this. A token counts as who made it.
    pub person: String,
    /// Where from.
    pub source: Source,
    /// By what they are known.
    pub hand: Hand,
}

/// By what an administrator is known.
#[derive(Debug, Clone)]
pub enum Hand {
    /// By a token of the configuration file, or nobody: the broker itself.
    Configured,
    /// By a token that a person made.
    Token(Box<Token>),
    /// By a session.
    Person(Box<Person>),
}

/// A person who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub admin: Admin,
    /// In which session.
    pub session: Session,
    /// What they signed for this request, where it needs that.
    pub signed: Option<Signed>,
}

/// A request that was signed with a passkey.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The WebAuthn assertion, as it came.
    pub assertion: Vec<u8>,
}

/// What a request brings to be let in with.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'a> {
    /// `Authorization: Bearer`.
    Bearer(&'a str),
    /// The session's cookie.
    Cookie(&'a str),
    /// The same, of a stream that goes on by itself: nobody need sit there.
    Watching(&'a str),
}

impl AdminCaller {
    /// A caller that only the configuration file knows.
    #[must_use]
    pub fn configured(name: &str, source: Source) -> Self {
        let actor = format!("token:{name}");
        Self { person: actor.clone(), actor, source, hand: Hand::Configured }
    }

    /// Refuses what the caller's roles, or the token's scope, do not hold, and whatever lies in another tenant; `None` is
    /// what concerns the whole installation.
    pub fn check(&self, act: Act, tenant: Option<&str>) -> Result<(), Error> {
        let (reaches, may) = match &self.hand {
            Hand::Configured => (true, !act.is_for_people() || leaves_to_operators(act)),
            Hand::Token(token) => (token.reaches(tenant), token.acts.contains(&act) && !act.is_for_people()),
            Hand::Person(person) => (person.admin.reaches(tenant), may(&person.admin.roles, act)),
        };
        match (reaches, may) {
            // Whether another tenant exists is nobody's business.
            (false, _) if tenant.is_some() => Err(Error::NotFound),
            (true, true) => Ok(()),
            (false, _) | (true, false) => Err(Refusal::NotAllowed.into()),
        }
    }

    /// Whether it is a person of the help desk, who has no further say: somebody may have talked them into it.
    #[must_use]
    pub fn is_help_desk(&self) -> bool {
        match &self.hand {
            Hand::Person(person) => {
                let roles = &person.admin.roles;
                roles.contains(&Role::HelpDesk) && !may(roles, Act::UsersWrite)
            }
            Hand::Configured | Hand::Token(_) => false,
        }
    }

    /// The person, where it is one.
    pub fn person(&self) -> Result<&Person, Error> {
        match &self.hand {
            Hand::Person(person) => Ok(person),
            Hand::Configured | Hand::Token(_) => Err(Refusal::PersonNeeded.into()),
        }
    }
}

/// What is for people, but releases nothing and appoints nobody: the token of the configuration file may do it, for its
/// holder could as well delete the database.
fn leaves_to_operators(act: Act) -> bool {
    matches!(act, Act::KeksDestroy | Act::RestoresUnlock | Act::LogThaw | Act::SubjectsErase)
}

/// Finds out who asks; too many failures from one address are answered as such.
pub async fn administrator(broker: &Broker, proof: Option<Proof<'_>>, source: Source) -> Result<AdminCaller, Error> {
    let known = match proof {
        Some(Proof::Bearer(token)) => by_token(broker, token, &source).await,
        Some(Proof::Cookie(cookie)) => {
            by_session(broker, broker.sessions.touch(cookie, broker.clock.now()), &source).await
        }
        Some(Proof::Watching(cookie)) => {
            by_session(broker, broker.sessions.look(cookie, broker.clock.now()), &source).await
        }
        None => Err(Error::Unproven),
    };
    counted(broker, &source, known)
}

async fn by_token(broker: &Broker, sent: &str, source: &Source) -> Result<AdminCaller, Error> {
    if let Some(name) = broker.admins.name_of(sent) {
        return Ok(AdminCaller::configured(name, source.clone()));
    }
    let token = roster::token(&broker.keys, &mut *broker.store.reader().await?, sent).await?;
    let token = token.filter(|token| broker.clock.now() < token.expires_at).ok_or(Error::Unproven)?;
    let (actor, person) = (format!("token:{}", token.name), token.made_by.clone());
    Ok(AdminCaller { actor, person, source: source.clone(), hand: Hand::Token(Box::new(token)) })
}

async fn by_session(broker: &Broker, session: Option<Session>, source: &Source) -> Result<AdminCaller, Error> {
    let session = session.ok_or(Error::Unproven)?;
    let admin = roster::admin(&broker.keys, &mut *broker.store.reader().await?, session.admin).await?;
    let admin = admin.filter(|admin| admin.state == AdminState::Active).ok_or(Error::Unproven)?;
    let actor = admin.actor();
    let person = Person { admin, session, signed: None };
    Ok(AdminCaller { person: actor.clone(), actor, source: source.clone(), hand: Hand::Person(Box::new(person)) })
}

/// The administrators of the configuration: the name of each, and SHA-256 of their API token.
#[derive(Debug)]
pub struct Administrators(Vec<(String, [u8; 32])>);

/// One administrator is in the configuration twice: one person would count as two.
#[derive(Debug, thiserror::Error)]
#[error("two administrators have one name or one token")]
pub struct SameAdministrator;

impl Administrators {
    /// Keeps the hashes only; each token is at least 32 characters of randomness.
    pub fn new<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = (String, T)>) -> Result<Self, SameAdministrator> {
        let mut known: Vec<(String, [u8; 32])> = Vec::new();
        for (name, token) in tokens {
            let hash = sha256(token.as_ref());
            if known.iter().any(|(other, others)| *other == name || *others == hash) {
                return Err(SameAdministrator);
            }
            known.push((name, hash));
        }
        Ok(Self(known))
    }

    fn name_of(&self, token: &str) -> Option<&str> {
        let hash = sha256(token.as_bytes());
        let is_theirs = |theirs: &[u8; 32]| verify_slices_are_equal(theirs, &hash).is_ok();
        self.0.iter().find(|(_, theirs)| is_theirs(theirs)).map(|(name, _)| name.as_str())
    }
}
