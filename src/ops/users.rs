//! A tenant's users: made, and what is known of them changed.

use super::admin::{proposal, require_tenant};
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::Rare;
use crate::directory::{self, Particulars, User};
use crate::error::Error;
use crate::outbox::Told;
use crate::store::Standing;
use crate::store::notices::SealedNotice;
use crate::time_zone::TimeZone;
use audit::event::{Event, Kind, Outcome};
use notices::{Address, Notice};
use protocol::names::{Text, UserId};

/// A new user, with a key of their own for what the log says about them.
pub async fn create(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (id, particulars): (&UserId, Particulars),
) -> Result<User, Error> {
    require_tenant(broker, tenant).await?;
    check_managers(broker, (tenant, id.as_str()), &particulars.managers).await?;
    let (state, created_at) = (Standing::Active, broker.clock.now());
    let user = User { tenant: tenant.into(), id: id.to_string(), state, version: 1, particulars, created_at };
    let sealed = broker.keys.make_subject(tenant, &user.id);
    let subject = broker.keys.open_subject(tenant, &user.id, &sealed)?;
    let keys = broker.keys.of_tenant(tenant).await?;
    let event = Event::new(Kind::UserCreated, Outcome::OK).user(&*user.id);
    let proposal = proposal(tenant, admin, Rare::CreateUser(user.sealed(&broker.keys), sealed), event);
    broker.committer.commit_with_keys(proposal.about(&*user.id), keys, subject).await?;
    Ok(user)
}

/// Has a user told elsewhere, or nowhere. The address that was is told so: whoever changes it cannot do it in silence.
pub async fn set_email(
    broker: &Broker,
    admin: &AdminCaller,
    at: (&str, &str),
    email: Option<Address>,
) -> Result<User, Error> {
    let before = find(broker, at).await?;
    let user = before.with(Particulars { email, ..before.particulars.clone() });
    let notice = Notice::EmailChanged { user: user.id.clone() };
    let emails = before.particulars.email.as_slice();
    let told = Told { tenant: &user.tenant, user: &user.id, emails, notice };
    let told = broker.outbox.seal(&broker.keys, &told, broker.clock.now());
    store(broker, admin, user, (Kind::UserEmailChanged, told)).await
}

/// Says who is directly above a user in the reporting line.
///
/// # Errors
/// [`Error::Malformed`] where one of them is no user of the tenant, or the user.
pub async fn set_managers(
    broker: &Broker,
    admin: &AdminCaller,
    at: (&str, &str),
    managers: Vec<UserId>,
) -> Result<User, Error> {
    let before = find(broker, at).await?;
    check_managers(broker, at, &managers).await?;
    let user = before.with(Particulars { managers, ..before.particulars.clone() });
    store(broker, admin, user, (Kind::UserManagersChanged, Vec::new())).await
}

/// Says where a user's clocks are.
pub async fn set_time_zone(
    broker: &Broker,
    admin: &AdminCaller,
    at: (&str, &str),
    time_zone: Option<TimeZone>,
) -> Result<User, Error> {
    let before = find(broker, at).await?;
    let user = before.with(Particulars { time_zone, ..before.particulars.clone() });
    store(broker, admin, user, (Kind::UserTimeZoneChanged, Vec::new())).await
}

/// Says who a user is to the issuer where the tenant's users log in.
pub async fn set_subject(
    broker: &Broker,
    admin: &AdminCaller,
    at: (&str, &str),
    subject: Option<Text<255>>,
) -> Result<User, Error> {
    let before = find(broker, at).await?;
    let user = before.with(Particulars { subject, ..before.particulars.clone() });
    store(broker, admin, user, (Kind::UserSubjectChanged, Vec::new())).await
}

async fn find(broker: &Broker, (tenant, id): (&str, &str)) -> Result<User, Error> {
    let found = directory::user(&broker.keys, &mut *broker.store.reader().await?, tenant, id).await?;
    found.ok_or(Error::NotFound)
}

/// Who is no user now might become one with any name: a line that leads to nobody must not be followed later.
async fn check_managers(broker: &Broker, (tenant, id): (&str, &str), managers: &[UserId]) -> Result<(), Error> {
    if managers.iter().any(|manager| manager.as_str() == id) {
        return Err(Error::Malformed("`managers` names the user"));
    }
    let mut db = broker.store.reader().await?;
    if directory::are_users(&mut db, tenant, managers).await? {
        Ok(())
    } else {
        Err(Error::Malformed("`managers` names somebody who is no user of the tenant, or one twice"))
    }
}

async fn store(
    broker: &Broker,
    admin: &AdminCaller,
    user: User,
    (kind, told): (Kind, Vec<SealedNotice>),
) -> Result<User, Error> {
    let event = Event::new(kind, Outcome::OK).user(&*user.id);
    let proposal = proposal(&user.tenant, admin, Rare::StoreUser(user.sealed(&broker.keys)), event).about(&*user.id);
    broker.committer.commit_rare(proposal.telling(told)).await?;
    Ok(user)
}
