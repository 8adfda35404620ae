//! What a device may look at: itself, and its user's records.

use super::enrol::{ingress, shown};
use super::restore::{entry, seconds};
use super::wrap::user_id;
use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::commit::check_standing;
use crate::error::{Error, Refusal};
use crate::store::records;
use protocol::encoding::Base64Url;
use protocol::messages::{DeviceStatus, RecordList};
use uuid::Uuid;

/// The device as the broker knows it, and the key to seal to from now on.
pub async fn device(broker: &Broker, caller: &DeviceCaller, id: Uuid) -> Result<DeviceStatus, Error> {
    admit(caller, id)?;
    let device = &caller.device;
    let corrupt = |column| Error::Store(crate::store::StoreError::Corrupt { column });
    Ok(DeviceStatus {
        device: device.id,
        tenant: caller.tenant.clone(),
        user: user_id(&device.user)?,
        name: device.name.parse().map_err(|_| corrupt("name"))?,
        platform: device.platform.parse().map_err(|_| corrupt("platform"))?,
        state: shown(device.state),
        enrolled_at: seconds(device.enrolled_at),
        ingress: ingress(&*broker.keys.of_tenant(&device.tenant).await?)?,
        policy: Base64Url(broker.policies.digest()),
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
