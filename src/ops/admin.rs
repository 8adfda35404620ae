//! What administrators make: tenants, enrolment codes.

use super::from_source;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::clock::Timestamp;
use crate::commit::{Proposal, Rare};
use crate::error::{Error, Refusal};
use crate::inventory::Code;
use crate::store::Standing;
use crate::store::broker_keys::Purpose;
use crate::store::tenants::{self, Tenant};
use audit::event::{Event, Kind, Outcome};
use protocol::enrolment::EnrolmentCode;
use std::sync::Arc;

pub(super) fn proposal(tenant: &str, admin: &AdminCaller, change: Rare, event: Event) -> Proposal<Rare> {
    let event = from_source(event, &admin.source).actor(admin.actor.clone());
    Proposal::new(tenant, change, event, Kind::AdminDenied)
}

/// A new tenant with a log of its own; its first leaf says who made it and announces the event key.
pub async fn create_tenant(
    broker: &Broker,
    admin: &AdminCaller,
    (id, name, unattested_days): (&str, &str, Option<u32>),
) -> Result<Tenant, Error> {
    let now = broker.clock.now();
    let tenant = Tenant {
        id: id.into(),
        name: name.into(),
        state: Standing::Active,
        protection: None,
        unattested_days,
        policy: None,
        created_at: now,
    };
    let rows = vec![broker.keys.make(id, Purpose::Log, now), broker.keys.make(id, Purpose::Ingress, now)];
    let keys = Arc::new(broker.keys.open_tenant(id, &rows)?);
    let sealed = broker.keys.make_subject(id, "");
    let subject = broker.keys.open_subject(id, "", &sealed)?;
    let event = Event::new(Kind::LogOpened, Outcome::OK)
        .event_key(broker.keys.event.public_key().clone())
        .policy_digest(broker.policies.default_rules().digest)
        .policy(
            unattested_days
                .map_or("unattested devices: never".into(), |days| format!("unattested devices: {days} days")),
        );
    let change = Rare::CreateTenant(tenant.clone(), rows, sealed);
    broker.committer.commit_with_keys(proposal(id, admin, change, event), keys, subject).await?;
    Ok(tenant)
}

/// A one-time code with which one device of the user may enrol before `expires_at`. Shown once; only its hash is kept.
pub async fn create_code(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (user, expires_at): (&str, Timestamp),
) -> Result<EnrolmentCode, Error> {
    require_tenant(broker, tenant).await?;
    let code = EnrolmentCode::generate();
    let (hash, by_help_desk) = (code.hash(), admin.is_help_desk());
    let document = Code { tenant: tenant.into(), user: user.into(), by_help_desk, expires_at };
    let stored = broker.inventory.seal_code(hash, &document);
    let event = Event::new(Kind::EnrolmentCodeCreated, Outcome::OK).user(user);
    let subject = broker.keys.of_subject(tenant, user).await.map_err(|_| Refusal::UserInactive)?;
    let keys = broker.keys.of_tenant(tenant).await?;
    let proposal = proposal(tenant, admin, Rare::CreateCode(stored), event).about(user);
    broker.committer.commit_with_keys(proposal, keys, subject).await?;
    Ok(code)
}

/// The tenant, active or not.
pub async fn require_tenant(broker: &Broker, tenant: &str) -> Result<Tenant, Error> {
    tenants::find(&mut *broker.store.reader().await?, tenant).await?.ok_or(Error::NotFound)
}
