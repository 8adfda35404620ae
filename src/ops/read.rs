//! What a device may look at: itself, and its user's records.

use super::enrol::{ingress, shown};
use super::restore::{asked_at, entry, seconds, state};
use super::wrap::user_id;
use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::commit::check_standing;
use crate::error::{Error, Refusal};
use crate::inventory::Device;
use crate::store::restores::{self, Restore};
use crate::store::{StoreError, records};
use protocol::encoding::Base64Url;
use protocol::messages::{DeviceStatus, RecordList, UserRestore};
use uuid::Uuid;

/// So many open restores of its user a device is told of.
const MAX_RESTORES: i64 = 32;

/// The device as the broker knows it, and the key to seal to from now on.
pub async fn device(broker: &Broker, caller: &DeviceCaller, id: Uuid) -> Result<DeviceStatus, Error> {
    admit(caller, id)?;
    let device = &caller.device;
    let corrupt = |column| Error::Store(StoreError::Corrupt { column });
    Ok(DeviceStatus {
        device: device.id,
        tenant: caller.tenant.clone(),
        user: user_id(&device.user)?,
        name: device.name.parse().map_err(|_| corrupt("name"))?,
        platform: device.platform.parse().map_err(|_| corrupt("platform"))?,
        state: shown(device.state),
        enrolled_at: seconds(device.enrolled_at),
        ingress: ingress(&*broker.keys.of_tenant(&device.tenant).await?)?,
        policy: Base64Url(caller.rules()?.digest),
        restores: open_restores(broker, device).await?,
    })
}

/// Those of the device's user, each with the device that asked.
async fn open_restores(broker: &Broker, device: &Device) -> Result<Vec<UserRestore>, Error> {
    let mut db = broker.store.reader().await?;
    let open = restores::open_of_user(&mut db, (&device.tenant, &device.user), MAX_RESTORES).await?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let asking: Vec<Uuid> = open.iter().map(|restore| restore.device).collect();
    let asking = broker.inventory.find_all(&mut db, &asking).await?;
    let show = |restore: &Restore| {
        let (asking, _) = asking.iter().find(|(asking, _)| asking.id == restore.device)?;
        Some(user_restore(restore, asking))
    };
    open.iter().map(|restore| show(restore).unwrap_or(Err(StoreError::Corrupt { column: "device" }.into()))).collect()
}

fn user_restore(restore: &Restore, asking: &Device) -> Result<UserRestore, Error> {
    let corrupt = |column| StoreError::Corrupt { column };
    Ok(UserRestore {
        restore: restore.id,
        device: asking.id,
        device_name: asking.name.parse().map_err(|_| corrupt("name"))?,
        platform: asking.platform.parse().map_err(|_| corrupt("platform"))?,
        reason: restore.reason.parse().map_err(|_| corrupt("reason"))?,
        transcript: Base64Url(restore.transcript.into()),
        state: state(restore.state),
        asked_at: seconds(asked_at(restore)),
        not_before: seconds(restore.not_before),
        expires_at: seconds(restore.expires_at),
    })
}

/// All records of the device's user, without their ciphertexts.
pub async fn records(broker: &Broker, caller: &DeviceCaller, id: Uuid) -> Result<RecordList, Error> {
    admit(caller, id)?;
    let device = &caller.device;
    let rows = records::of_user(&mut *broker.store.reader().await?, &device.tenant, &device.user).await?;
    Ok(RecordList { records: rows.iter().map(entry).collect::<Result<_, _>>()? })
}

fn admit(caller: &DeviceCaller, id: Uuid) -> Result<(), Error> {
    if id != caller.device.id {
        return Err(Refusal::DeviceInactive.into());
    }
    Ok(check_standing(&caller.device, &caller.membership)?)
}
