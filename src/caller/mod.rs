//! Who asks: a device that signed its request, or an administrator.

mod admin;

pub use admin::{AdminCaller, Administrators, Hand, Person, Proof, Signed, administrator};

use crate::broker::Broker;
use crate::error::{Error, Refusal};
use crate::inventory::Device;
use crate::rulebook::{Rules, RulesError};
use crate::store::devices::Membership;
use crate::store::nonces::SpentNonce;
use protocol::encoding::from_json;
use protocol::jws::{PublicJwk, Signer, Unverified, Verified};
use protocol::names::TenantId;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Where a request came from; goes into events, withheld by default.
#[derive(Debug, Clone)]
pub struct Source {
    /// The peer's address.
    pub ip: IpAddr,
    /// What the client calls itself.
    pub agent: Option<String>,
}

/// A signed request as it came in.
#[derive(Debug)]
pub struct SignedRequest {
    /// The tenant of the route.
    pub tenant: TenantId,
    /// The path of the route.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    /// Where from.
    pub source: Source,
}

/// A device that has proven who it is; whether it may act is for the gate to say.
#[derive(Debug)]
pub struct DeviceCaller {
    /// The tenant of the route, which is the device's.
    pub tenant: TenantId,
    /// The device as it is stored.
    pub device: Device,
    /// What its user and tenant were when it proved itself.
    pub membership: Membership,
    /// The tenant's policies; `None` where nobody can say which are in force.
    rules: Option<Arc<Rules>>,
    /// To be spent with the effect.
    pub nonce: SpentNonce,
    /// The nonce as it was sent: part of a transcript.
    pub nonce_text: String,
    /// Where from.
    pub source: Source,
}

impl DeviceCaller {
    /// What decides whether it may.
    pub fn rules(&self) -> Result<&Arc<Rules>, Refusal> {
        self.rules.as_ref().ok_or(Refusal::PolicyUnsound)
    }
}

/// A key that has proven itself but is not enrolled.
#[derive(Debug)]
pub struct Newcomer {
    /// The tenant of the route.
    pub tenant: TenantId,
    /// The key that signed.
    pub key: PublicJwk,
    /// To be spent with the effect.
    pub nonce: SpentNonce,
    /// Where from.
    pub source: Source,
}

/// Proves which device signed the request, and gives its payload.
pub async fn device(broker: &Broker, request: SignedRequest) -> Result<(DeviceCaller, Vec<u8>), Error> {
    let proven = prove_device(broker, &request).await;
    let ((device, membership), verified, nonce) = counted(broker, &request.source, proven)?;
    broker.limits.count(request.tenant.as_str(), device.id)?;
    let SignedRequest { tenant, source, .. } = request;
    let rules = match broker.policies.of(&device.tenant, membership.policy).await {
        Err(RulesError::Store(error)) => return Err(error.into()),
        rules => rules.ok(),
    };
    let caller = DeviceCaller { tenant, device, membership, rules, nonce, nonce_text: verified.nonce, source };
    Ok((caller, verified.payload))
}

/// Proves that the sender holds the key it wants to enrol, and gives the payload.
pub fn newcomer(broker: &Broker, request: SignedRequest) -> Result<(Newcomer, Vec<u8>), Error> {
    let proven = prove_newcomer(broker, &request);
    let (key, verified, nonce) = counted(broker, &request.source, proven)?;
    Ok((Newcomer { tenant: request.tenant, key, nonce, source: request.source }, verified.payload))
}

/// Too many failed proofs from one address are answered as such, whatever they were.
fn counted<T>(broker: &Broker, source: &Source, proven: Result<T, Error>) -> Result<T, Error> {
    if matches!(proven, Err(Error::Unproven)) {
        broker.limits.count_failure(source.ip)?;
    }
    proven
}

type Known = (Device, Membership);

async fn prove_device(broker: &Broker, request: &SignedRequest) -> Result<(Known, Verified, SpentNonce), Error> {
    let unverified = Unverified::parse(&request.body).map_err(Error::Jws)?;
    let Signer::Kid(kid) = &unverified.signer else { return Err(Error::Malformed("`kid` is due here, not `jwk`")) };
    let id = Uuid::try_parse(kid).ok();
    let known = match id {
        Some(id) => broker.inventory.find(&mut *broker.store.reader().await?, id).await?,
        None => None,
    };
    let known = known.filter(|(device, _)| device.tenant == request.tenant.as_str());
    let key = known.as_ref().and_then(|(device, _)| from_json::<PublicJwk>(device.jwk.as_bytes()).ok());
    // An unknown device costs a verification too, so that its answer takes as long as that for a wrong signature.
    let verified = unverified.verify(key.as_ref().unwrap_or(&broker.decoy));
    let (Some(known), Ok(verified)) = (known, verified) else { return Err(Error::Unproven) };
    let nonce = check_use(broker, request, &verified)?;
    Ok((known, verified, nonce))
}

fn prove_newcomer(broker: &Broker, request: &SignedRequest) -> Result<(PublicJwk, Verified, SpentNonce), Error> {
    let unverified = Unverified::parse(&request.body).map_err(Error::Jws)?;
    let Signer::Jwk(key) = unverified.signer.clone() else {
        return Err(Error::Malformed("`jwk` is due here, not `kid`"));
    };
    let verified = unverified.verify(&key).map_err(|_| Error::Unproven)?;
    let nonce = check_use(broker, request, &verified)?;
    Ok((key, verified, nonce))
}

/// A signature counts for the URL and the nonce that it covers, and for nothing else.
fn check_use(broker: &Broker, request: &SignedRequest, verified: &Verified) -> Result<SpentNonce, Error> {
    let here = verified.url.strip_prefix(&*broker.public_url) == Some(request.path.as_str());
    if !here {
        return Err(Error::UrlMismatch);
    }
    broker.nonces.recognise(&verified.nonce, broker.clock.now()).ok_or(Error::BadNonce)
}
