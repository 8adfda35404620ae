//! A person who was invited makes their first passkey; one who is in makes further ones.

use super::{commit, event};
use crate::broker::Broker;
use crate::caller::{AdminCaller, Person, Source};
use crate::digest::sha256;
use crate::error::{Error, Refusal};
use crate::ops;
use crate::pending::Joining;
use crate::roster::{self, Admin, AdminState, INSTALLATION};
use crate::sessions::{Session, random};
use audit::event::Kind;
use identity::passkey::{self, PasskeyError, Registration};
use policies::admin::Role;
use serde_json::Value;
use uuid::Uuid;

/// What the link for the first person carries; `None` where two people can sign in.
pub async fn bootstrap(broker: &Broker) -> Result<Option<String>, Error> {
    if joined(broker).await? >= 2 {
        return Ok(None);
    }
    let text = random();
    broker.bootstrap.set(sha256(text.as_bytes()));
    Ok(Some(text))
}

async fn joined(broker: &Broker) -> Result<usize, Error> {
    let all = super::list(broker, INSTALLATION).await?;
    Ok(all.iter().filter(|admin| admin.state == AdminState::Active).count())
}

/// The ceremony, what the browser needs for it, and whom it is for. `name` is for the first person, who names themselves.
pub async fn begin(
    broker: &Broker,
    source: &Source,
    (invitation, name): (&str, Option<&str>),
) -> Result<(Uuid, Value, Admin), Error> {
    let Some(admin) = invited(broker, invitation, name).await? else {
        broker.limits.count_failure(source.ip)?;
        return Err(Refusal::InvitationInvalid.into());
    };
    let (options, registration) = register(broker, &admin)?;
    let ceremony = broker.joining.put(Joining { admin: admin.clone(), registration }, broker.clock.now());
    Ok((ceremony, options, admin))
}

async fn invited(broker: &Broker, invitation: &str, name: Option<&str>) -> Result<Option<Admin>, Error> {
    let now = broker.clock.now();
    if broker.bootstrap.is(&sha256(invitation.as_bytes())) && joined(broker).await? < 2 {
        let name = name.ok_or(Error::Malformed("the first administrator names themselves: `name`"))?;
        return Ok(Some(first(name, sha256(invitation.as_bytes()), now)));
    }
    let admin = roster::invited(&broker.keys, &mut *broker.store.reader().await?, invitation).await?;
    Ok(admin.filter(|admin| admin.invitation.as_ref().is_some_and(|invitation| now < invitation.expires_at)))
}

fn first(name: &str, hash: [u8; 32], now: i64) -> Admin {
    Admin {
        id: Uuid::now_v7(),
        tenant: INSTALLATION.into(),
        name: name.into(),
        version: 0,
        email: None,
        roles: vec![Role::Owner, Role::SecurityOfficer],
        subject: None,
        user: None,
        state: AdminState::Invited,
        invitation: Some(roster::Invitation { hash, expires_at: now }),
        passkeys: Vec::new(),
        created_at: now,
    }
}

fn register(broker: &Broker, admin: &Admin) -> Result<(Value, Registration), Error> {
    let person = passkey::Person { id: admin.id, name: admin.name.clone(), display: admin.name.clone() };
    let begun =
        broker.relying_party.begin_registration(&person, &admin.passkeys, broker.attestation.roots(&admin.tenant));
    begun.map_err(|error| refused(&error))
}

/// What exactly is wrong with it is for the journal.
fn refused(error: &PasskeyError) -> Error {
    tracing::info!(error = error as &dyn std::error::Error, "a passkey was not taken");
    Refusal::PasskeyRefused.into()
}

/// Keeps the passkey that the browser made, and signs its person in. Gives the session's cookie.
pub async fn finish(
    broker: &Broker,
    source: &Source,
    ceremony: Uuid,
    answer: &[u8],
) -> Result<(String, Session, Admin), Error> {
    let now = broker.clock.now();
    let Joining { admin, registration } = broker.joining.take(ceremony, now).ok_or(Refusal::CeremonyOver)?;
    let passkey =
        broker.relying_party.finish_registration(&registration, answer, now).map_err(|error| refused(&error))?;
    if admin.version == 0 {
        open_installation(broker, source, &admin).await?;
    }
    let joined = Admin { state: AdminState::Active, invitation: None, passkeys: vec![passkey], ..admin.next() };
    let event = event(Kind::AdminJoined, &joined, source).actor(joined.actor());
    commit(broker, &joined, event).await?;
    let (cookie, session) = broker.sessions.begin((joined.id, None), (source.ip, source.agent.clone()), now);
    Ok((cookie, session, joined))
}

/// The first person: the link is used up, and what they do is written to a log of its own.
async fn open_installation(broker: &Broker, source: &Source, admin: &Admin) -> Result<(), Error> {
    let hash = admin.invitation.as_ref().map(|invitation| invitation.hash).unwrap_or_default();
    if !broker.bootstrap.take(&hash) {
        return Err(Refusal::InvitationInvalid.into());
    }
    let bootstrap = AdminCaller::configured("bootstrap", source.clone());
    match ops::admin::create_tenant(broker, &bootstrap, (INSTALLATION, "This installation", None)).await {
        Ok(_) | Err(Error::Refused(Refusal::Taken)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A further passkey for who is signed in: the ceremony, and what the browser needs.
pub fn begin_further(broker: &Broker, person: &Person) -> Result<(Uuid, Value), Error> {
    let (options, registration) = register(broker, &person.admin)?;
    let joining = Joining { admin: person.admin.clone(), registration };
    Ok((broker.joining.put(joining, broker.clock.now()), options))
}

/// Keeps a further passkey under this name.
pub async fn finish_further(
    broker: &Broker,
    (person, source): (&Person, &Source),
    (ceremony, name): (Uuid, String),
    answer: &[u8],
) -> Result<Admin, Error> {
    let now = broker.clock.now();
    let joining = broker.joining.take(ceremony, now).filter(|joining| joining.admin.id == person.admin.id);
    let Joining { admin, registration } = joining.ok_or(Refusal::CeremonyOver)?;
    let mut passkey =
        broker.relying_party.finish_registration(&registration, answer, now).map_err(|error| refused(&error))?;
    passkey.name = name;
    let mut admin = admin.next();
    admin.passkeys.push(passkey);
    commit(broker, &admin, event(Kind::PasskeyAdded, &admin, source).actor(admin.actor())).await?;
    Ok(admin)
}

/// Forgets a passkey of who is signed in; the last one stays.
pub async fn remove(broker: &Broker, (person, source): (&Person, &Source), credential: &str) -> Result<Admin, Error> {
    let mut admin = person.admin.next();
    admin.passkeys.retain(|passkey| passkey.id() != credential);
    if admin.passkeys.len() == person.admin.passkeys.len() {
        return Err(Error::NotFound);
    }
    if admin.passkeys.is_empty() {
        return Err(Refusal::LastPasskey.into());
    }
    commit(broker, &admin, event(Kind::PasskeyRemoved, &admin, source).actor(admin.actor())).await?;
    Ok(admin)
}
