//! A tenant in which something happens all the time, for whoever wants to look around in the console.

use crate::broker::{Broker, TENANT};
use crate::error::Error;
use crate::stage::Stage;
use device::{Broker as Address, Device, DeviceInfo, RestoreRequest, Selection};
use secret::Secret;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::interval;

/// Whose phones they are, and why they lose them.
const PEOPLE: [(&str, &str); 4] =
    [("bob", "phone stolen"), ("carol", "phone fell into a lake"), ("dan", "new phone"), ("erin", "phone lost")];
/// Something happens so often.
const PACE: Duration = Duration::from_secs(3);

/// Puts `[policies]` into the configuration: as by default, but the release of `messages` waits for one approval.
pub(crate) fn demand_approvals(stage: &Stage) -> Result<(), Error> {
    const DEFAULTS: [&str; 4] = [
        include_str!("../../policies/default/approve.cedar"),
        include_str!("../../policies/default/enrol.cedar"),
        include_str!("../../policies/default/restore.cedar"),
        include_str!("../../policies/default/wrap.cedar"),
    ];
    const MESSAGES: &str = "@id(\"messages-wait\")\n\
        @description(\"One person, or another device of the user, approves the release of messages.\")\n\
        @needs_approvals(\"1\")\n@own_device_counts(\"yes\")\n@notify(\"user approvers\")\n\
        permit (principal, action == Action::\"restore\", resource) when { resource.kind == \"messages\" };\n";
    stage.write("broker/policies.cedar", (DEFAULTS.concat() + MESSAGES).as_bytes())?;
    // Four people who lose their phones all day long.
    const QUOTA: &str = "[[quota]]\nrestores_per_day = 10000\ntenant_restores_per_hour = 10000\n";
    let sections = format!("\n[policies]\ndefault = \"policies.cedar\"\n{QUOTA}");
    stage.append("broker/keyfold.toml", sections.as_bytes())
}

/// Four people back up; now and then one loses the phone and asks for the keys on a new one. Never ends by itself.
pub(crate) async fn play(stage: &Stage, broker: &Broker<'_>) -> Result<Infallible, Error> {
    let mut phones = Vec::new();
    for (user, _) in PEOPLE {
        broker.create_user(user).await?;
        phones.push(enrol(stage, broker, user).await?);
    }
    let mut beats = interval(PACE);
    let mut beat = 0;
    loop {
        beats.tick().await;
        beat += 1;
        let (user, reason) = PEOPLE[beat % PEOPLE.len()];
        let phone = &mut phones[beat % PEOPLE.len()];
        if beat % 7 != 0 {
            let kind = if beat % 3 == 0 { "archive" } else { "messages" };
            phone.backup(&kind.parse()?, &Secret::random(64), None).await?;
            continue;
        }
        *phone = enrol(stage, broker, user).await?;
        ask(phone, reason, beat % 2 == 0).await?;
    }
}

async fn enrol(stage: &Stage, broker: &Broker<'_>, user: &str) -> Result<Device, Error> {
    let address = Address { url: broker.url(), roots_pem: stage.read("broker/ca.pem")? };
    let info = DeviceInfo { name: format!("{user}s-phone").parse()?, platform: "demo".parse()? };
    let code = broker.enrolment_code(user).await?;
    Ok(Device::enrol(address, TENANT.parse()?, code, info, Some(&broker.log_key()?)).await?)
}

/// Archives are released at once; messages wait for people, who may be looking at the console.
async fn ask(phone: &mut Device, reason: &str, wants_messages: bool) -> Result<(), Error> {
    let kind = if wants_messages { "messages" } else { "archive" };
    let selection = Selection::Kinds(vec![kind.parse()?]);
    match phone.restore(RestoreRequest { selection, reason: reason.parse()? }).await {
        Ok(pending) if !wants_messages => {
            pending.release(None).await?;
            Ok(pending.acknowledge().await?)
        }
        // Whoever has backed up nothing of that kind yet is refused.
        Ok(_) | Err(device::Error::Refused(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
