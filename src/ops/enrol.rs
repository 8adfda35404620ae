//! A new device proves by a one-time code whose it is.

use super::circumstances::Circumstances;
use super::standing::{self, Account, Asking};
use super::{from_source, wrap::user_id};
use crate::broker::Broker;
use crate::caller::{Newcomer, Source};
use crate::clock::Timestamp;
use crate::commit::{Change, Proposal, Rare};
use crate::error::{Error, Refusal};
use crate::inventory::Device;
use crate::keys::TenantKeys;
use crate::rulebook::Rules;
use crate::store::devices::Membership;
use crate::store::users;
use crate::store::{Standing as State, tenants};
use audit::event::{Event, Kind, Outcome};
use policies::Action;
use protocol::encoding::Base64Url;
use protocol::messages::{DeviceState, Enrol, Enrolled, IngressKey, LogKeys};
use protocol::names::IngressId;
use uuid::Uuid;

/// Enrols the key that signed the request. Whatever is wrong with code or tenant gets the same answer.
pub async fn enrol(broker: &Broker, newcomer: &Newcomer, ask: Enrol) -> Result<Enrolled, Error> {
    let now = broker.clock.now();
    let tenant = tenants::find(&mut *broker.store.reader().await?, newcomer.tenant.as_str()).await?;
    let Some(tenant) = tenant else { return Err(refuse_unproven(broker, &newcomer.source)) };
    let rules = broker.policies.of(&tenant.id, tenant.policy).await?;
    let mut db = broker.store.reader().await?;
    let hash = ask.code.hash();
    let Some(code) = broker.inventory.code(&mut db, (&tenant.id, &hash), now).await? else {
        drop(db); // The commit may need a reader of its own, and there are few.
        return Err(record_refusal(broker, (newcomer, &rules), Refusal::CodeInvalid, None).await);
    };
    let user = users::find(&mut db, &tenant.id, &code.user).await?.ok_or(Refusal::UserInactive)?;
    let account = Account::load(broker, &mut db, (&tenant.id, &user.id), rules.set.asks_for_reporting_lines()).await?;
    drop(db);

    let mut device = Device { by_help_desk: code.by_help_desk, ..device(newcomer, &ask, &user, now) };
    let (protection, unattested_days) = (tenant.protection, tenant.unattested_days);
    let policy = tenant.policy;
    // A lock keeps back what is released; the device may still store records.
    let (locked, frozen) = (false, false);
    let (user, tenant) = (user.state, tenant.state);
    let membership = Membership { user, tenant, protection, unattested_days, policy, locked, frozen };
    let circumstances = Circumstances::of(broker, &newcomer.source);
    let asking = Asking { device: &device, membership: &membership, account: &account, circumstances: &circumstances };
    let decision = standing::decide(now, &rules, asking, (Action::Enrol, &[]));
    if !decision.allowed {
        return Err(record_refusal(broker, (newcomer, &rules), Refusal::PolicyDenied, Some(device.user)).await);
    }
    if !decision.needs.nothing() {
        device.state = State::Pending;
    }
    let event = event((newcomer, &rules), Kind::DeviceEnrolled)
        .device(device.id.to_string())
        .user(&*device.user)
        .policy(decision.determined_by.join(" "));
    let change = Rare::Enrol(hash, broker.inventory.seal(&device));
    let proposal = Proposal::new(&*device.tenant, change, event, Kind::EnrolDenied).about(&*device.user);
    let proposal = Proposal { nonce: Some(newcomer.nonce), ..proposal };
    broker.committer.commit_rare(proposal).await?;
    enrolled(broker, (newcomer, &rules), &device).await
}

fn device(newcomer: &Newcomer, ask: &Enrol, user: &users::Row, now: Timestamp) -> Device {
    Device {
        id: Uuid::now_v7(),
        tenant: user.tenant.clone(),
        user: user.id.clone(),
        name: ask.name.as_str().into(),
        platform: ask.platform.as_str().into(),
        jwk: newcomer.key.to_json(),
        thumbprint: newcomer.key.thumbprint(),
        state: State::Active,
        attested: false,
        by_help_desk: false,
        enrolled_at: now,
    }
}

async fn enrolled(broker: &Broker, (newcomer, rules): (&Newcomer, &Rules), device: &Device) -> Result<Enrolled, Error> {
    let keys = broker.keys.of_tenant(&device.tenant).await?;
    Ok(Enrolled {
        device: device.id,
        tenant: newcomer.tenant.clone(),
        user: user_id(&device.user)?,
        state: shown(device.state),
        log: LogKeys { origin: keys.log.verifier().origin().to_string(), vkeys: vec![keys.log.vkey()] },
        ingress: ingress(&keys)?,
        policy: Base64Url(rules.digest),
    })
}

/// A device's state as messages say it.
pub(super) fn shown(state: State) -> DeviceState {
    match state {
        State::Active => DeviceState::Active,
        State::Pending => DeviceState::Pending,
        State::Revoked => DeviceState::Revoked,
    }
}

/// The key to seal to from now on.
pub(super) fn ingress(keys: &TenantKeys) -> Result<IngressKey, Error> {
    let newest =
        keys.ingress.first().ok_or(crate::keys::KeyError::Missing(crate::store::broker_keys::Purpose::Ingress))?;
    let id: IngressId = newest.id.to_string().parse().expect("invariant: a UUID is an ingress key id");
    let key = Base64Url(newest.opening.public().clone());
    Ok(IngressKey { id, key, endorsement: newest.endorsement.clone() })
}

fn event((newcomer, rules): (&Newcomer, &Rules), kind: Kind) -> Event {
    from_source(Event::new(kind, Outcome::OK), &newcomer.source).policy_digest(rules.digest)
}

/// A refused enrolment is evidence of guessing, so it is recorded, as often as failures are let through at all.
async fn record_refusal(
    broker: &Broker,
    (newcomer, rules): (&Newcomer, &Rules),
    refusal: Refusal,
    user: Option<String>,
) -> Error {
    if let Err(limited) = broker.limits.count_failure(newcomer.source.ip) {
        return limited;
    }
    let event = event((newcomer, rules), Kind::EnrolDenied);
    let event = user.iter().fold(event, |event, user| event.user(user));
    let change = Change::Refuse(refusal, None);
    let proposal = Proposal::new(newcomer.tenant.as_str(), change, event, Kind::EnrolDenied);
    let proposal = Proposal { nonce: Some(newcomer.nonce), ..proposal.about(user.unwrap_or_default()) };
    match broker.committer.commit(proposal).await {
        Ok(_) => refusal.into(),
        Err(error) => error,
    }
}

fn refuse_unproven(broker: &Broker, source: &Source) -> Error {
    broker.limits.count_failure(source.ip).err().unwrap_or(Refusal::CodeInvalid.into())
}
