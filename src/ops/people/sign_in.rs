//! Signing in with a passkey, without a name.

use super::{commit_note, count, event};
use crate::broker::Broker;
use crate::caller::Source;
use crate::error::Error;
use crate::roster::{self, Admin, AdminState};
use crate::sessions::Session;
use audit::event::Kind;
use aws_lc_rs::rand;
use serde_json::Value;
use uuid::Uuid;

/// The ceremony, and what the browser needs for it.
pub fn begin(broker: &Broker) -> Result<(Uuid, Value), Error> {
    let mut challenge = [0; 32];
    rand::fill(&mut challenge).map_err(|_| Error::Interrupted)?;
    let options = broker.relying_party.ask(&[], &challenge);
    Ok((broker.signing_in.put(challenge, broker.clock.now()), options))
}

/// Whose passkey signed, with a new session and its cookie. Whatever is wrong gets the same answer.
pub async fn finish(
    broker: &Broker,
    source: &Source,
    ceremony: Uuid,
    assertion: &[u8],
) -> Result<(String, Session, Admin), Error> {
    let now = broker.clock.now();
    let Some(admin) = prove(broker, source, ceremony, assertion).await? else {
        broker.limits.count_failure(source.ip)?;
        return Err(Error::Unproven);
    };
    commit_note(broker, &admin, event(Kind::AdminSignedIn, &admin, source).actor(admin.actor())).await?;
    let (cookie, session) = broker.sessions.begin((admin.id, None), (source.ip, source.agent.clone()), now);
    Ok((cookie, session, admin))
}

async fn prove(broker: &Broker, source: &Source, ceremony: Uuid, assertion: &[u8]) -> Result<Option<Admin>, Error> {
    let Some(challenge) = broker.signing_in.take(ceremony, broker.clock.now()) else { return Ok(None) };
    let Ok(person) = broker.relying_party.claimed_person(assertion) else { return Ok(None) };
    let admin = roster::admin(&broker.keys, &mut *broker.store.reader().await?, person).await?;
    let Some(admin) = admin.filter(|admin| admin.state == AdminState::Active) else { return Ok(None) };
    match broker.relying_party.verify(&admin.passkeys, &challenge, assertion) {
        Ok(assertion) => count(broker, &admin, source, &assertion).await.map(|()| Some(admin)),
        Err(_) => Ok(None),
    }
}
