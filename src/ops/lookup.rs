//! One thing of a tenant by its id, and what an id may be the id of.

use super::events::index_of_id;
use crate::broker::Broker;
use crate::directory::{self, User};
use crate::error::Error;
use crate::inventory::Device;
use crate::store::records::{self, RecordSummary};
use crate::store::restores::{self, Restore};
use crate::store::users;
use crate::store::wraps::{self, Wrap};
use crate::store::{keks, log, rewraps};
use uuid::Uuid;

/// Most users that one search gives.
const USERS: i64 = 20;

/// The tenant's user of this id.
pub async fn user(broker: &Broker, tenant: &str, id: &str) -> Result<User, Error> {
    directory::user(&broker.keys, &mut *broker.store.reader().await?, tenant, id).await?.ok_or(Error::NotFound)
}

/// The tenant's device of this id.
pub async fn device(broker: &Broker, tenant: &str, id: Uuid) -> Result<Device, Error> {
    let found = broker.inventory.find(&mut *broker.store.reader().await?, id).await?.map(|(device, _)| device);
    found.filter(|device| device.tenant == tenant).ok_or(Error::NotFound)
}

/// The tenant's record of this id, with what opens it.
pub async fn record(broker: &Broker, tenant: &str, id: Uuid) -> Result<(RecordSummary, Vec<Wrap>), Error> {
    let mut db = broker.store.reader().await?;
    let found = records::find_all(&mut db, &[id]).await?.pop().filter(|record| record.tenant == tenant);
    let record = found.ok_or(Error::NotFound)?;
    Ok((record.summary(), wraps::of_records(&mut db, &[id]).await?))
}

/// The tenant's restore of this id.
pub async fn restore(broker: &Broker, tenant: &str, id: Uuid) -> Result<Restore, Error> {
    let found = restores::find(&mut *broker.store.reader().await?, id).await?;
    found.filter(|restore| restore.tenant == tenant).ok_or(Error::NotFound)
}

/// What a search has found: each is one thing of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hit {
    /// A user.
    User(String),
    /// A device.
    Device(Uuid),
    /// A record.
    Record(Uuid),
    /// A restore.
    Restore(Uuid),
    /// A KEK.
    Kek(Uuid),
    /// A rewrap.
    Rewrap(Uuid),
    /// An event, by its index.
    Event(u64),
}

/// What of the tenant has this id; users also where theirs begins so, events also by index or event id.
pub async fn search(broker: &Broker, tenant: &str, text: &str) -> Result<Vec<Hit>, Error> {
    super::admin::require_tenant(broker, tenant).await?;
    let mut hits = match text.parse() {
        Ok(id) => by_uuid(broker, tenant, id).await?,
        Err(_) => Vec::new(),
    };
    let mut db = broker.store.reader().await?;
    if let Some(index) = index(broker, tenant, text) {
        let size = log::head(&mut db, tenant).await?.map_or(0, |head| head.size);
        hits.extend((index < size).then_some(Hit::Event(index)));
    }
    let users = users::beginning_with(&mut db, tenant, text, USERS).await?;
    hits.extend(users.into_iter().map(Hit::User));
    Ok(hits)
}

/// The index that the text is, or that it ends with where it is an event id.
fn index(broker: &Broker, tenant: &str, text: &str) -> Option<u64> {
    let origin = broker.keys.origin(tenant).ok()?;
    let number = text.strip_prefix(&format!("{origin}#")).or_else(|| text.strip_prefix('#')).unwrap_or(text);
    number.parse().ok()
}

async fn by_uuid(broker: &Broker, tenant: &str, id: Uuid) -> Result<Vec<Hit>, Error> {
    let hits = [
        there(device(broker, tenant, id).await)?.map(|_| Hit::Device(id)),
        there(record(broker, tenant, id).await)?.map(|_| Hit::Record(id)),
        there(restore(broker, tenant, id).await)?.map(|_| Hit::Restore(id)),
        keks::find(&mut *broker.store.reader().await?, id)
            .await?
            .filter(|kek| kek.tenant == tenant)
            .map(|_| Hit::Kek(id)),
        rewraps::find(&mut *broker.store.reader().await?, tenant, id).await?.map(|_| Hit::Rewrap(id)),
        index_of_id(broker, tenant, id).await?.map(Hit::Event),
    ];
    Ok(hits.into_iter().flatten().collect())
}

fn there<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
