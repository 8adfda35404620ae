//! What a person is shown before they sign, and that it is what they then ask for.

use super::count;
use crate::broker::Broker;
use crate::caller::{Person, Signed, Source};
use crate::digest::sha256;
use crate::error::{Error, Refusal};
use crate::pending::PendingAct;
use identity::passkey::Passkey;
use protocol::encoding::hash_fields;
use serde_json::Value;
use uuid::Uuid;

/// A request, as far as its signature covers it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `POST` and the like.
    pub method: &'a str,
    /// With the query, if any.
    pub path: &'a str,
    /// Byte for byte.
    pub body: &'a [u8],
}

/// What a person reads before they sign.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What will happen, in a sentence.
    pub title: String,
    /// To what: a name and a value each.
    pub lines: Vec<(String, String)>,
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub enum Challenge {
    /// All that is shown, and exactly this request.
    Act,
    /// A decision on a restore: the signature is verified again at the release, when nothing else is known of the act.
    Approval([u8; 32]),
}

/// Keeps the act until it is signed. Gives its id and what the browser needs.
///
/// # Errors
/// [`Refusal::PasskeyRefused`] where the tenant takes none of the person's passkeys.
pub fn begin(
    broker: &Broker,
    (person, tenant): (&Person, Option<&str>),
    request: Request<'_>,
    (shown, challenge): (&Shown, Challenge),
) -> Result<(Uuid, Value), Refusal> {
    let passkeys = accepted(broker, person, tenant);
    if passkeys.is_empty() {
        return Err(Refusal::PasskeyRefused);
    }
    let id = Uuid::new_v4();
    let request = hash(request);
    let challenge = match challenge {
        Challenge::Act => challenge_of(broker, (id, person), &request, shown),
        Challenge::Approval(challenge) => challenge,
    };
    let options = broker.relying_party.ask(&passkeys, &challenge);
    let act = PendingAct { session: person.session.id, request, challenge };
    broker.acts.put_as(id, act, broker.clock.now());
    Ok((id, options))
}

/// The person's passkeys that count there.
fn accepted(broker: &Broker, person: &Person, tenant: Option<&str>) -> Vec<Passkey> {
    broker.attestation.accepted(&person.admin, tenant.unwrap_or(&person.admin.tenant))
}

/// `hash_fields("keyfold/1 act", id, where, who, request, title, lines)`.
fn challenge_of(broker: &Broker, (id, person): (Uuid, &Person), request: &[u8; 32], shown: &Shown) -> [u8; 32] {
    let lines: Vec<_> = shown.lines.iter().map(|(name, value)| format!("{name}\n{value}\n")).collect();
    hash_fields(
        "keyfold/1 act",
        &[
            id.as_bytes(),
            broker.public_url.as_bytes(),
            person.admin.id.as_bytes(),
            request,
            shown.title.as_bytes(),
            lines.concat().as_bytes(),
        ],
    )
}

fn hash(request: Request<'_>) -> [u8; 32] {
    let body = sha256(request.body);
    hash_fields("keyfold/1 request", &[request.method.as_bytes(), request.path.as_bytes(), &body])
}

/// Verifies that this person signed exactly this request, just now, once.
pub async fn redeem(
    broker: &Broker,
    (person, source): (&Person, &Source),
    tenant: Option<&str>,
    request: Request<'_>,
    (id, assertion): (Uuid, Vec<u8>),
) -> Result<Signed, Error> {
    let act = broker.acts.take(id, broker.clock.now()).filter(|act| act.session == person.session.id);
    let act = act.ok_or(Refusal::PasskeyNeeded)?;
    if act.request != hash(request) {
        return Err(Refusal::PasskeyNeeded.into());
    }
    let verified = broker.relying_party.verify(&accepted(broker, person, tenant), &act.challenge, &assertion);
    let verified = verified.map_err(|_| Refusal::PasskeyNeeded)?;
    count(broker, &person.admin, source, &verified).await?;
    Ok(Signed { assertion })
}
