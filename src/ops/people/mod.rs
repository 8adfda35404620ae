//! People who administer: appointed, invited, signed in; their tokens, and what they sign.

pub mod acts;
pub mod break_glass;
pub mod join;
pub mod sign_in;
pub mod sso;
pub mod tokens;
pub mod told;

use super::admin::require_tenant;
use crate::broker::Broker;
use crate::caller::{AdminCaller, Source};
use crate::clock::Timestamp;
use crate::commit::{PasskeyCount, Proposal, Rare};
use crate::digest::sha256;
use crate::error::{Error, Refusal};
use crate::ops::from_source;
use crate::roster::{self, Admin, AdminState, INSTALLATION, Invitation};
use crate::sessions::random;
use crate::store::passkey_counters::{self, COPIED};
use crate::store::{Connection, StoreError};
use audit::event::{Event, Kind, Outcome};
use identity::passkey::{Assertion, Passkey};
use notices::Notice;
use policies::admin::Role;
use uuid::Uuid;

/// How long an invitation counts, in milliseconds: three days.
const INVITED: i64 = 3 * 24 * 3_600 * 1_000;

/// Who is to administer.
#[derive(Debug)]
pub struct Appointment {
    /// Unique in the tenant.
    pub name: String,
    /// Where notices go.
    pub email: Option<String>,
    /// What they may do.
    pub roles: Vec<Role>,
    /// Who they are to the tenant's issuer.
    pub subject: Option<String>,
    /// Their own account among the tenant's users.
    pub user: Option<String>,
}

/// Appoints a person and gives what their invitation carries: shown once, and good for one first passkey.
pub async fn appoint(
    broker: &Broker,
    caller: &AdminCaller,
    tenant: &str,
    appointment: Appointment,
) -> Result<(Admin, String), Error> {
    require_tenant(broker, tenant).await?;
    let now = broker.clock.now();
    let (invitation, text) = invitation(now);
    let Appointment { name, email, roles, subject, user } = appointment;
    let admin = Admin {
        id: Uuid::now_v7(),
        tenant: tenant.into(),
        name,
        version: 1,
        email,
        roles,
        subject,
        user,
        state: AdminState::Invited,
        invitation: Some(invitation),
        passkeys: Vec::new(),
        created_at: now,
    };
    let notice = Notice::AdminAppointed {
        admin: admin.actor(),
        role: roles_of(&admin).replace(' ', ", "),
        by: caller.actor.clone(),
        page: format!("{}/console/tenants/{tenant}/admins", broker.public_url),
    };
    let change =
        changed(broker, caller, &admin, Kind::AdminAppointed).telling(told::told(broker, tenant, notice).await?);
    broker.committer.commit_rare(change).await?;
    Ok((admin, text))
}

/// Other roles from now on. Whoever approved with a role that is gone has not approved.
pub async fn assign(
    broker: &Broker,
    caller: &AdminCaller,
    (tenant, id): (&str, Uuid),
    roles: Vec<Role>,
) -> Result<Admin, Error> {
    let admin = Admin { roles, ..find(broker, tenant, id).await?.next() };
    keep_an_owner(broker, &admin).await?;
    store(broker, caller, &admin, Kind::AdminRolesChanged).await?;
    Ok(admin)
}

/// Takes all passkeys away and invites anew: for who has lost theirs.
pub async fn invite_again(
    broker: &Broker,
    caller: &AdminCaller,
    tenant: &str,
    id: Uuid,
) -> Result<(Admin, String), Error> {
    let (invitation, text) = invitation(broker.clock.now());
    let admin = find(broker, tenant, id).await?.next();
    let admin = Admin { state: AdminState::Invited, invitation: Some(invitation), passkeys: Vec::new(), ..admin };
    keep_an_owner(broker, &admin).await?;
    store(broker, caller, &admin, Kind::AdminInvited).await?;
    broker.sessions.end(|session| session.admin == id);
    Ok((admin, text))
}

/// Ends all that a person may do, for good, and their sessions with it.
pub async fn revoke(broker: &Broker, caller: &AdminCaller, tenant: &str, id: Uuid) -> Result<Admin, Error> {
    let admin = find(broker, tenant, id).await?.next();
    let admin = Admin { state: AdminState::Revoked, invitation: None, passkeys: Vec::new(), ..admin };
    keep_an_owner(broker, &admin).await?;
    store(broker, caller, &admin, Kind::AdminRevoked).await?;
    broker.sessions.end(|session| session.admin == id);
    Ok(admin)
}

/// Everybody who administers there.
pub async fn list(broker: &Broker, tenant: &str) -> Result<Vec<Admin>, Error> {
    roster::admins_of(&broker.keys, &mut *broker.store.reader().await?, tenant).await
}

/// Everybody who can sign in and whose word counts there: of the tenant, and of the installation.
pub async fn in_charge(broker: &Broker, tenant: &str) -> Result<Vec<Admin>, Error> {
    let mut everybody = list(broker, tenant).await?;
    if tenant != INSTALLATION {
        everybody.extend(list(broker, INSTALLATION).await?);
    }
    everybody.retain(|admin| admin.state == AdminState::Active);
    Ok(everybody)
}

/// The person, if that is where they administer and they were not revoked.
pub async fn find(broker: &Broker, tenant: &str, id: Uuid) -> Result<Admin, Error> {
    let admin = one(broker, tenant, id).await?;
    Some(admin).filter(|admin| admin.state != AdminState::Revoked).ok_or(Error::NotFound)
}

/// The person, if that is where they administer, or did.
pub async fn one(broker: &Broker, tenant: &str, id: Uuid) -> Result<Admin, Error> {
    let admin = roster::admin(&broker.keys, &mut *broker.store.reader().await?, id).await?;
    admin.filter(|admin| admin.tenant == tenant).ok_or(Error::NotFound)
}

/// The installation must never be without an owner who can sign in.
async fn keep_an_owner(broker: &Broker, changed: &Admin) -> Result<(), Error> {
    let is_owner = |admin: &Admin| admin.state == AdminState::Active && admin.roles.contains(&Role::Owner);
    if changed.tenant != INSTALLATION || is_owner(changed) {
        return Ok(());
    }
    let others = list(broker, INSTALLATION).await?;
    let is_left = others.iter().any(|admin| admin.id != changed.id && is_owner(admin));
    if is_left { Ok(()) } else { Err(Refusal::LastOwner.into()) }
}

async fn store(broker: &Broker, caller: &AdminCaller, admin: &Admin, kind: Kind) -> Result<(), Error> {
    broker.committer.commit_rare(changed(broker, caller, admin, kind)).await?;
    Ok(())
}

fn changed(broker: &Broker, caller: &AdminCaller, admin: &Admin, kind: Kind) -> Proposal<Rare> {
    let event = event(kind, admin, &caller.source).actor(&*caller.actor).policy(roles_of(admin));
    proposed(broker, admin, event)
}

fn roles_of(admin: &Admin) -> String {
    admin.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ")
}

/// What happened to this person, or was done by them.
fn event(kind: Kind, admin: &Admin, source: &Source) -> Event {
    from_source(Event::new(kind, Outcome::OK), source).correlation(admin.id).reason(admin.actor())
}

async fn commit(broker: &Broker, admin: &Admin, event: Event) -> Result<(), Error> {
    broker.committer.commit_rare(proposed(broker, admin, event)).await?;
    Ok(())
}

fn proposed(broker: &Broker, admin: &Admin, event: Event) -> Proposal<Rare> {
    Proposal::new(&*admin.tenant, Rare::StoreAdmin(admin.sealed(&broker.keys)), event, Kind::AdminDenied)
}

/// What a person did without being changed by it.
async fn commit_note(broker: &Broker, admin: &Admin, event: Event) -> Result<(), Error> {
    broker.committer.commit_rare(Proposal::new(&*admin.tenant, Rare::Note, event, Kind::AdminDenied)).await?;
    Ok(())
}

fn invitation(now: Timestamp) -> (Invitation, String) {
    let text = random();
    (Invitation { hash: sha256(text.as_bytes()), expires_at: now + INVITED }, text)
}

/// Whether the passkey was found to exist twice: nobody knows which of the two has signed.
pub(super) async fn is_copied(db: &mut Connection, credential: &str) -> Result<bool, StoreError> {
    Ok(passkey_counters::find(db, credential).await? == Some(COPIED))
}

/// Counts a signature, and says so in the log where the passkey turns out to exist twice.
async fn count(broker: &Broker, admin: &Admin, source: &Source, assertion: &Assertion) -> Result<(), Error> {
    let passkey = admin.passkeys.iter().find(|passkey| passkey.id() == assertion.credential);
    let registered = passkey.map_or(0, Passkey::registered_counter);
    let (credential, counter) = (assertion.credential.clone(), assertion.counter);
    if broker.committer.count_passkey(PasskeyCount { credential, registered, counter }).await? {
        return Ok(());
    }
    let mut event = event(Kind::AdminDenied, admin, source).actor(admin.actor());
    event.outcome = Outcome::from_static(Refusal::PasskeyCloned.as_str());
    commit_note(broker, admin, event).await?;
    Err(Refusal::PasskeyCloned.into())
}
