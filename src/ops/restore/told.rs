//! What people are told of a restore: its user and those who may approve it by mail, and whoever has a webhook.

use super::kind;
use crate::broker::Broker;
use crate::directory;
use crate::error::Error;
use crate::inventory::Inventory;
use crate::keys::KeyError;
use crate::ops::people::in_charge;
use crate::outbox::Told;
use crate::roster::Admin;
use crate::store::notices::SealedNotice;
use crate::store::restores::Restore;
use crate::store::{Connection, StoreError, records};
use notices::{Address, Notice, Time};
use policies::Role;

/// What `notice` makes of the restore, for its user; to be stored with the event that it tells of.
pub async fn told(
    broker: &Broker,
    restore: &Restore,
    notice: impl FnOnce(notices::Restore) -> Notice,
) -> Result<Vec<SealedNotice>, Error> {
    if !broker.outbox.is_used(&restore.tenant) {
        return Ok(Vec::new());
    }
    let mut db = broker.store.reader().await?;
    let emails: Vec<_> =
        address_of_user(broker, &mut db, (&restore.tenant, &restore.user)).await?.into_iter().collect();
    let notice = notice(described(&mut db, &broker.inventory, restore).await?);
    Ok(sealed(broker, restore, &emails, notice))
}

/// Where nobody knows because the row was altered, the others are still told: what stops a restore must not fail on that.
pub async fn address_of_user(
    broker: &Broker,
    db: &mut Connection,
    (tenant, user): (&str, &str),
) -> Result<Option<Address>, Error> {
    match directory::user(&broker.keys, db, tenant, user).await {
        Ok(user) => Ok(user.and_then(|user| user.particulars.email)),
        Err(Error::Keys(error @ KeyError::Document(_))) => {
            tracing::error!(tenant, error = &error as &dyn std::error::Error, "a user is not told");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// That the restore waits for so many approvals, for everybody who may give one.
pub(super) async fn told_approvers(
    broker: &Broker,
    restore: &Restore,
    approvals: u32,
) -> Result<Vec<SealedNotice>, Error> {
    if !broker.outbox.is_used(&restore.tenant) {
        return Ok(Vec::new());
    }
    let mut db = broker.store.reader().await?;
    let admins = in_charge(broker, &restore.tenant).await?;
    let approves = |admin: &&Admin| {
        let own = admin.user.as_deref() == Some(&*restore.user);
        admin.roles.contains(&Role::Approver) && !own
    };
    let emails = admins.iter().filter(approves).filter_map(Admin::address);
    let emails: Vec<Address> = emails.collect();
    let (page, restore_facts) = (page(broker, restore), described(&mut db, &broker.inventory, restore).await?);
    let notice = Notice::ApprovalWanted { restore: restore_facts, approvals, page };
    Ok(sealed(broker, restore, &emails, notice))
}

/// The console's page about the restore, where people decide on it.
pub fn page(broker: &Broker, restore: &Restore) -> String {
    format!("{}/console/tenants/{}/restores/{}", broker.public_url, restore.tenant, restore.id)
}

fn sealed(broker: &Broker, restore: &Restore, emails: &[Address], notice: Notice) -> Vec<SealedNotice> {
    let told = Told { tenant: &restore.tenant, user: &restore.user, emails, notice };
    broker.outbox.seal(&broker.keys, &told, broker.clock.now())
}

/// What may be said of the restore to those concerned.
pub(super) async fn described(
    db: &mut Connection,
    inventory: &Inventory,
    restore: &Restore,
) -> Result<notices::Restore, Error> {
    let (device, _) = inventory.find(db, restore.device).await?.ok_or(StoreError::Corrupt { column: "device" })?;
    let records = records::of_user_among(db, (&restore.tenant, &restore.user), &restore.records).await?;
    let kinds = records.iter().map(|(record, _)| Ok(kind(&record.kind)?.to_string())).collect::<Result<_, Error>>()?;
    Ok(notices::Restore {
        restore: restore.id,
        user: restore.user.clone(),
        device: device.id,
        device_name: device.name,
        platform: device.platform,
        kinds,
        reason: restore.reason.clone(),
        asked_at: Time::from_ms(super::asked_at(restore)),
        not_before: Time::from_ms(restore.not_before),
        expires_at: Time::from_ms(restore.expires_at),
    })
}
