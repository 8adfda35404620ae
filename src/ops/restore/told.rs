//! What people are told of a restore: its user by mail, and whoever has a webhook.

use super::kind;
use crate::broker::Broker;
use crate::error::Error;
use crate::outbox::Told;
use crate::store::notices::SealedNotice;
use crate::store::restores::Restore;
use crate::store::{StoreError, devices, records, users};
use notices::{Notice, Time};

/// What `notice` makes of the restore, for each who is to be told; to be stored with the event that it tells of.
pub async fn told(
    broker: &Broker,
    restore: &Restore,
    notice: impl FnOnce(notices::Restore) -> Notice,
) -> Result<Vec<SealedNotice>, Error> {
    if !broker.outbox.is_used(&restore.tenant) {
        return Ok(Vec::new());
    }
    let (tenant, user) = (&*restore.tenant, &*restore.user);
    let mut db = broker.store.reader().await?;
    let emails: Vec<_> = users::find(&mut db, tenant, user).await?.and_then(|user| user.email).into_iter().collect();
    let (device, _) = devices::find(&mut db, restore.device).await?.ok_or(StoreError::Corrupt { column: "device" })?;
    let records = records::of_user_among(&mut db, (tenant, user), &restore.records).await?;
    drop(db);
    let kinds = records.iter().map(|(record, _)| Ok(kind(&record.kind)?.to_string())).collect::<Result<_, Error>>()?;
    let notice = notice(notices::Restore {
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
    });
    let told = Told { tenant, user, emails: &emails, notice };
    Ok(broker.outbox.seal(&broker.keys, &told, broker.clock.now()))
}
