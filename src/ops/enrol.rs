//! A new device proves by a one-time code whose it is.

use super::{from_source, wrap::user_id};
use crate::broker::Broker;
use crate::caller::{Newcomer, Source};
use crate::commit::{Change, Proposal, Rare};
use crate::error::{Error, Refusal};
use crate::keys::TenantKeys;
use crate::store::devices::Device;
use crate::store::{Standing, enrolment_codes, tenants};
use audit::event::{Event, Kind, Outcome};
use protocol::encoding::Base64Url;
use protocol::messages::{DeviceState, Enrol, Enrolled, IngressKey, LogKeys};
use protocol::names::IngressId;
use uuid::Uuid;

/// Enrols the key that signed the request. Whatever is wrong with code or tenant gets the same answer.
pub async fn enrol(broker: &Broker, newcomer: &Newcomer, ask: Enrol) -> Result<Enrolled, Error> {
    let tenant = newcomer.tenant.as_str();
    let now = broker.clock.now();
    if tenants::find(&mut *broker.store.reader().await?, tenant).await?.is_none() {
        return Err(refuse_unproven(broker, &newcomer.source));
    }
    let hash = ask.code.hash();
    let code = enrolment_codes::usable(&mut *broker.store.reader().await?, tenant, &hash, now).await?;
    let Some(code) = code else { return Err(record_refusal(broker, newcomer).await) };

    let device = Device {
        id: Uuid::now_v7(),
        tenant: tenant.into(),
        user: code.user.clone(),
        name: ask.name.as_str().into(),
        platform: ask.platform.as_str().into(),
        jwk: newcomer.key.to_json(),
        thumbprint: newcomer.key.thumbprint(),
        state: Standing::Active,
        attested: false,
        enrolled_at: now,
    };
    let event = event(broker, newcomer, Kind::DeviceEnrolled).device(device.id.to_string()).user(&*code.user);
    let proposal = Proposal {
        tenant: tenant.into(),
        nonce: Some(newcomer.nonce),
        principal: None,
        change: Rare::Enrol(hash, device.clone()),
        event,
        refused_as: Kind::EnrolDenied,
        subject: code.user,
    };
    broker.committer.commit_rare(proposal).await?;
    let keys = broker.keys.of_tenant(tenant).await?;
    Ok(Enrolled {
        device: device.id,
        tenant: newcomer.tenant.clone(),
        user: user_id(&device.user)?,
        state: DeviceState::Active,
        log: LogKeys { origin: keys.log.verifier().origin().to_string(), vkeys: vec![keys.log.vkey()] },
        ingress: ingress(&keys)?,
        policy: Base64Url(broker.policies.digest()),
    })
}

/// The key to seal to from now on.
pub(super) fn ingress(keys: &TenantKeys) -> Result<IngressKey, Error> {
    let newest =
        keys.ingress.first().ok_or(crate::keys::KeyError::Missing(crate::store::broker_keys::Purpose::Ingress))?;
    let id: IngressId = newest.id.to_string().parse().expect("invariant: a UUID is an ingress key id");
    Ok(IngressKey { id, key: Base64Url(newest.opening.public().clone()) })
}

fn event(broker: &Broker, newcomer: &Newcomer, kind: Kind) -> Event {
    from_source(Event::new(kind, Outcome::OK), &newcomer.source).policy_digest(broker.policies.digest())
}

/// A wrong code is evidence of guessing, so it is recorded, as often as failures are let through at all.
async fn record_refusal(broker: &Broker, newcomer: &Newcomer) -> Error {
    if let Err(limited) = broker.limits.count_failure(newcomer.source.ip) {
        return limited;
    }
    let proposal = Proposal {
        tenant: newcomer.tenant.as_str().into(),
        nonce: Some(newcomer.nonce),
        principal: None,
        change: Change::Refuse(Refusal::CodeInvalid, None),
        event: event(broker, newcomer, Kind::EnrolDenied),
        refused_as: Kind::EnrolDenied,
        subject: String::new(),
    };
    match broker.committer.commit(proposal).await {
        Ok(_) => Refusal::CodeInvalid.into(),
        Err(error) => error,
    }
}

fn refuse_unproven(broker: &Broker, source: &Source) -> Error {
    broker.limits.count_failure(source.ip).err().unwrap_or(Refusal::CodeInvalid.into())
}
