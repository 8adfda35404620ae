//! Many devices at once.

use crate::Failure;
use crate::broker::Broker;
use crate::device::{Device, ReceiveKeys, Restores};
use tokio::task::JoinSet;

/// Each device backs up each kind.
pub async fn backed_up(devices: Vec<Device>, kinds: &[String]) -> Result<Vec<Device>, Failure> {
    let mut backing_up = JoinSet::new();
    for mut device in devices {
        let kinds = kinds.to_vec();
        backing_up.spawn(async move {
            for kind in &kinds {
                device.back_up(kind).await?;
            }
            Ok(device)
        });
    }
    backing_up.join_all().await.into_iter().collect()
}

/// The loops of these devices, connected anew, with so many keys made before; each begins with another kind.
pub async fn restoring(
    broker: &Broker,
    devices: impl Iterator<Item = Device>,
    kinds: &[String],
    keys: usize,
) -> Result<Vec<Restores>, Failure> {
    let keys = ReceiveKeys::make(keys);
    let devices = connected(broker, devices).await?.into_iter().enumerate();
    Ok(devices.map(|(done, device)| Restores { device, kinds: kinds.to_vec(), keys: keys.clone(), done }).collect())
}

/// The broker ends connections that are idle for some seconds.
async fn connected(broker: &Broker, devices: impl Iterator<Item = Device>) -> Result<Vec<Device>, Failure> {
    let mut connected = Vec::new();
    for mut device in devices {
        device.reconnect(broker.endpoint()).await?;
        connected.push(device);
    }
    Ok(connected)
}
