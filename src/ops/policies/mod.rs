//! A tenant's policies: written, proposed by one person, put in force by another. What may be weaker waits first.

mod dry_run;
mod roll_back;

pub use dry_run::{Changed, DryRun, dry_run};
pub use roll_back::roll_back;

use super::admin::{proposal, require_tenant};
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{PolicyStep, Proposal, Rare, Succession};
use crate::error::{Error, Refusal};
use crate::ops::people;
use crate::rulebook::{PolicyVersion, Rules};
use crate::store::policy_versions::{self, PolicyState, Row};
use audit::event::{Event, Kind, Outcome};
use notices::{Notice, Time};
use policies::PolicySet;
use std::sync::Arc;
use uuid::Uuid;

/// What a text would mean.
#[derive(Debug)]
pub struct Judged {
    /// What events would call it.
    pub digest: [u8; 32],
    /// Whether it certainly allows nothing that is refused now, and demands no less.
    pub nowhere_weaker: bool,
}

/// Reads a text as if it were to be put in force.
pub async fn validate(broker: &Broker, tenant: &str, text: String) -> Result<Judged, Error> {
    require_tenant(broker, tenant).await?;
    let (set, rules) = (broker.policies.read(text).await?, broker.policies.in_force(tenant).await?);
    Ok(Judged { digest: set.digest(), nowhere_weaker: set.is_nowhere_weaker_than(&rules.set) })
}

/// Keeps a text as the tenant's next version. Nothing follows from it yet.
pub async fn draft(
    broker: &Broker,
    caller: &AdminCaller,
    tenant: &str,
    (text, note): (String, String),
) -> Result<PolicyVersion, Error> {
    require_tenant(broker, tenant).await?;
    let set = broker.policies.read(text).await?;
    let version = written(broker, caller, tenant, (&set, note)).await?;
    commit(broker, step(broker, caller, &version, Kind::PolicyDrafted)).await?;
    Ok(version)
}

/// A text as a new version: not stored yet.
async fn written(
    broker: &Broker,
    caller: &AdminCaller,
    tenant: &str,
    (set, note): (&PolicySet, String),
) -> Result<PolicyVersion, Error> {
    let newest = policy_versions::newest(&mut *broker.store.reader().await?, tenant).await?;
    Ok(PolicyVersion {
        id: Uuid::now_v7(),
        tenant: tenant.into(),
        version: newest + 1,
        revision: 1,
        state: PolicyState::Draft,
        text: set.text().into(),
        digest: set.digest(),
        note,
        made_by: caller.person.clone(),
        proposed_by: None,
        activated_by: None,
        replaces: None,
        undoes: None,
        effective_at: None,
        created_at: broker.clock.now(),
    })
}

/// A person wants a draft in force. `digest` is what they have read.
pub async fn propose(
    broker: &Broker,
    caller: &AdminCaller,
    (tenant, version): (&str, u64),
    digest: [u8; 32],
) -> Result<PolicyVersion, Error> {
    caller.person()?;
    let (draft, set) = seen(broker, (tenant, version), digest, PolicyState::Draft).await?;
    let proposed = PolicyVersion { proposed_by: Some(caller.person.clone()), ..draft.next(PolicyState::Proposed) };
    let (rules, _) = in_force(broker, tenant).await?;
    store_proposed(broker, caller, &proposed, set.is_nowhere_weaker_than(&rules.set)).await?;
    Ok(proposed)
}

/// Another person agrees: what is nowhere weaker than the policies in force takes their place at once, anything else after
/// the delay.
///
/// # Errors
/// [`Refusal::SecondAdministratorNeeded`] for who wrote or proposed it.
pub async fn activate(
    broker: &Broker,
    caller: &AdminCaller,
    (tenant, version): (&str, u64),
    digest: [u8; 32],
) -> Result<PolicyVersion, Error> {
    caller.person()?;
    let (proposed, set) = seen(broker, (tenant, version), digest, PolicyState::Proposed).await?;
    if proposed.made_by == caller.person || proposed.proposed_by.as_ref() == Some(&caller.person) {
        return Err(refuse(broker, caller, &proposed, Refusal::SecondAdministratorNeeded).await);
    }
    let (rules, current) = in_force(broker, tenant).await?;
    let agreed = PolicyVersion { activated_by: Some(caller.person.clone()), ..proposed };
    if set.is_nowhere_weaker_than(&rules.set) || roll_back::is_fresh_undoing(broker, &agreed, current.as_ref()) {
        return take_effect(broker, Some(caller), agreed, current).await;
    }
    let delay = i64::try_from(broker.weakening_delay.as_millis()).unwrap_or(i64::MAX / 2);
    let scheduled = PolicyVersion {
        replaces: rules.version,
        effective_at: Some(broker.clock.now() + delay),
        ..agreed.next(PolicyState::Scheduled)
    };
    let (policy, takes_effect_at) = (described(broker, &scheduled, false), Time::from_ms(broker.clock.now() + delay));
    let notice = Notice::PolicyScheduled { policy, takes_effect_at };
    store(broker, caller, &scheduled, (Kind::PolicyScheduled, notice)).await?;
    Ok(scheduled)
}

/// Nothing will follow from a version that is not in force yet.
pub async fn withdraw(broker: &Broker, caller: &AdminCaller, at: (&str, u64)) -> Result<PolicyVersion, Error> {
    let version = find(broker, at).await?;
    match version.state {
        PolicyState::Draft | PolicyState::Proposed | PolicyState::Scheduled => {}
        PolicyState::Active | PolicyState::Retired | PolicyState::Withdrawn => {
            return Err(Refusal::PolicyVersionOver.into());
        }
    }
    let withdrawn = version.next(PolicyState::Withdrawn);
    commit(broker, step(broker, caller, &withdrawn, Kind::PolicyWithdrawn)).await?;
    Ok(withdrawn)
}

/// Time has come for what was scheduled. Where other policies were put in force meanwhile, nobody has compared it with
/// those: it is withdrawn.
pub async fn take_due(broker: &Broker) -> Result<(), Error> {
    let scheduled = policy_versions::in_state(&mut *broker.store.reader().await?, PolicyState::Scheduled).await?;
    for row in scheduled {
        if let Err(error) = land(broker, &row).await {
            let (tenant, error) = (&*row.tenant, &error as &dyn std::error::Error);
            tracing::warn!(tenant, error, "policies could not take effect; the next sweep tries again");
        }
    }
    Ok(())
}

async fn land(broker: &Broker, row: &Row) -> Result<(), Error> {
    let version = PolicyVersion::open(&broker.keys, row)?;
    let due = version.effective_at.is_some_and(|at| at <= broker.clock.now());
    if !due || version.state != PolicyState::Scheduled {
        return Ok(());
    }
    let (rules, current) = in_force(broker, &version.tenant).await?;
    if broker.policies.is_withdrawn(&version).await? {
        return Err(Refusal::PolicyUnsound.into());
    }
    if rules.version == version.replaces {
        return take_effect(broker, None, version, current).await.map(drop);
    }
    let withdrawn = version.next(PolicyState::Withdrawn);
    let mut event = told(&withdrawn, Kind::PolicyWithdrawn);
    event.outcome = Outcome::from_static("superseded");
    let step = PolicyStep { version: withdrawn.sealed(&broker.keys), takes_effect: None };
    let change = Rare::StepPolicy(Box::new(step));
    commit(broker, Proposal::new(&*withdrawn.tenant, change, event, Kind::AdminDenied)).await
}

/// Puts a version in the place of what is in force; both documents, the tenant and the event in one transaction.
async fn take_effect(
    broker: &Broker,
    caller: Option<&AdminCaller>,
    version: PolicyVersion,
    current: Option<PolicyVersion>,
) -> Result<PolicyVersion, Error> {
    let replaces = current.as_ref().map(|current| current.version);
    let active =
        PolicyVersion { replaces, effective_at: Some(broker.clock.now()), ..version.next(PolicyState::Active) };
    let retired = current.map(|current| current.next(PolicyState::Retired).sealed(&broker.keys));
    let succession = Some(Succession { replaces, retired });
    let step = PolicyStep { version: active.sealed(&broker.keys), takes_effect: succession };
    let (change, event) = (Rare::StepPolicy(Box::new(step)), told(&active, Kind::PolicyChanged));
    let proposal = match caller {
        Some(caller) => proposal(&active.tenant, caller, change, event),
        None => Proposal::new(&*active.tenant, change, event, Kind::AdminDenied),
    };
    commit(broker, proposal).await?;
    Ok(active)
}

/// The policies in force, and their document where the tenant has its own.
async fn in_force(broker: &Broker, tenant: &str) -> Result<(Arc<Rules>, Option<PolicyVersion>), Error> {
    let rules = broker.policies.in_force(tenant).await?;
    let current = match rules.version {
        Some(version) => Some(find(broker, (tenant, version)).await?),
        None => None,
    };
    Ok((rules, current))
}

/// The version and what its text says, if it is in that state and what the caller has read.
async fn seen(
    broker: &Broker,
    at: (&str, u64),
    digest: [u8; 32],
    state: PolicyState,
) -> Result<(PolicyVersion, PolicySet), Error> {
    let version = find(broker, at).await?;
    if version.state != state || broker.policies.is_withdrawn(&version).await? {
        return Err(Refusal::PolicyVersionOver.into());
    }
    // What this program makes of the text, too: another program may have drafted it.
    if version.digest != digest {
        return Err(Refusal::PolicyVersionChanged.into());
    }
    let set = broker.policies.read(version.text.clone()).await?;
    if set.digest() == digest { Ok((version, set)) } else { Err(Refusal::PolicyVersionChanged.into()) }
}

/// One version of the tenant's policies.
pub async fn find(broker: &Broker, (tenant, version): (&str, u64)) -> Result<PolicyVersion, Error> {
    let row = policy_versions::find(&mut *broker.store.reader().await?, tenant, version).await?;
    Ok(PolicyVersion::open(&broker.keys, &row.ok_or(Error::NotFound)?)?)
}

/// The tenant's versions after this one, in order.
pub async fn list(broker: &Broker, tenant: &str, after: u64, limit: i64) -> Result<Vec<PolicyVersion>, Error> {
    require_tenant(broker, tenant).await?;
    let rows = policy_versions::page(&mut *broker.store.reader().await?, tenant, after, limit).await?;
    rows.iter().map(|row| Ok(PolicyVersion::open(&broker.keys, row)?)).collect()
}

async fn store_proposed(
    broker: &Broker,
    caller: &AdminCaller,
    proposed: &PolicyVersion,
    nowhere_weaker: bool,
) -> Result<(), Error> {
    let policy = described(broker, proposed, nowhere_weaker);
    store(broker, caller, proposed, (Kind::PolicyProposed, Notice::PolicyProposed { policy })).await
}

/// Keeps what a person makes of a version, and tells everybody in charge.
async fn store(
    broker: &Broker,
    caller: &AdminCaller,
    version: &PolicyVersion,
    (kind, notice): (Kind, Notice),
) -> Result<(), Error> {
    let notices = people::told::told(broker, &version.tenant, notice).await?;
    commit(broker, step(broker, caller, version, kind).telling(notices)).await
}

fn step(broker: &Broker, caller: &AdminCaller, version: &PolicyVersion, kind: Kind) -> Proposal<Rare> {
    let step = PolicyStep { version: version.sealed(&broker.keys), takes_effect: None };
    proposal(&version.tenant, caller, Rare::StepPolicy(Box::new(step)), told(version, kind))
}

fn described(broker: &Broker, version: &PolicyVersion, nowhere_weaker: bool) -> notices::Policy {
    let page = format!("{}/console/tenants/{}/policies/{}", broker.public_url, version.tenant, version.version);
    let proposed_by = version.proposed_by.clone().unwrap_or_default();
    notices::Policy { version: version.version, proposed_by, nowhere_weaker, page }
}

fn told(version: &PolicyVersion, kind: Kind) -> Event {
    let event = Event::new(kind, Outcome::OK).correlation(version.id).policy_digest(version.digest);
    event.policy(format!("version {}", version.version)).reason(&*version.note)
}

async fn commit(broker: &Broker, proposal: Proposal<Rare>) -> Result<(), Error> {
    broker.committer.commit_rare(proposal).await?;
    Ok(())
}

/// An attempt to decide alone what takes two is an event.
async fn refuse(broker: &Broker, caller: &AdminCaller, version: &PolicyVersion, refusal: Refusal) -> Error {
    let mut event = told(version, Kind::AdminDenied);
    event.outcome = Outcome::from_static(refusal.as_str());
    match commit(broker, proposal(&version.tenant, caller, Rare::Note, event)).await {
        Ok(()) => refusal.into(),
        Err(error) => error,
    }
}
