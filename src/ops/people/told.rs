//! What everybody in charge of a tenant is told, by mail, and whoever has a webhook.

use super::in_charge;
use crate::broker::Broker;
use crate::error::Error;
use crate::outbox::Told;
use crate::roster::Admin;
use crate::store::notices::SealedNotice;
use notices::{Address, Notice};

/// The notice for each of them; to be stored with the event that it tells of.
pub async fn told(broker: &Broker, tenant: &str, notice: Notice) -> Result<Vec<SealedNotice>, Error> {
    if !broker.outbox.is_used(tenant) {
        return Ok(Vec::new());
    }
    let everybody = in_charge(broker, tenant).await?;
    let emails = everybody.iter().filter_map(Admin::address);
    let told = Told { tenant, user: "", emails: &emails.collect::<Vec<Address>>(), notice };
    Ok(broker.outbox.seal(&broker.keys, &told, broker.clock.now()))
}
