//! A tenant in which enough has happened for every page to have something to show.

use crate::harness::{Broker, Raw};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// The tenant.
pub const TENANT: &str = "acme";

/// What the pages of single things are about.
pub struct Sample {
    pub kek: String,
    pub rewrap: String,
    pub device: String,
    pub restore: String,
    pub record: String,
    /// Alice's phone; her restores wait for people where a policy says so.
    pub phone: Raw,
}

impl Sample {
    /// A route's path, with the sample's own where the route has names.
    pub fn path(&self, route: &str) -> String {
        let names = [
            ("tenant", TENANT),
            ("user", "alice"),
            ("device", &self.device),
            ("restore", &self.restore),
            ("record", &self.record),
            ("kek", &self.kek),
            ("rewrap", &self.rewrap),
            ("sink", "events"),
            ("index", "5"),
            ("version", "1"),
        ];
        names.iter().fold(route.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
    }
}

/// Makes the tenant with its KEKs, three people and their devices, backups, restores, revocations, an order to destroy.
pub async fn fill(broker: &Broker) -> Sample {
    broker.tenant(TENANT, "alice").await;
    for user in ["bob", "carol"] {
        broker.admin_ok(&path("/users"), json!({"id": user})).await;
    }
    broker.keystore(&["add", "standby"]);
    let standby = broker.admin_ok(&path("/keks"), json!({"provider": "software", "key": "standby"})).await;
    let (_, keks) = broker.admin(&path("/keks"), None).await;
    let kek = keks["items"][0]["id"].as_str().unwrap().to_owned();

    let phone = Raw::enrol(broker, TENANT, "alice").await;
    let tablet = Raw::enrol(broker, TENANT, "bob").await;
    let lost = Raw::enrol(broker, TENANT, "carol").await;
    let wrap = phone.backup("identity", 1, b"alice's identity").await;
    phone.backup("identity", 2, b"alice's new identity").await;
    tablet.backup("identity", 1, b"bob's identity").await;
    lost.backup("messages", 1, b"carol's messages").await;
    broker.admin_ok(&path("/protection"), json!({"kek": kek, "standby_kek": standby["id"]})).await;
    let rewrap = broker.admin_ok(&path("/rewraps"), json!({})).await;
    // While it runs, what would be lost with a KEK changes.
    let progress = path(&format!("/rewraps/{}", rewrap["id"].as_str().unwrap()));
    while broker.admin(&progress, None).await.1["state"] != "completed" {
        sleep(Duration::from_millis(20)).await;
    }

    let (restored, _) = phone.open("identity").await;
    assert_eq!(phone.release(&restored).await.status, 200);
    assert_eq!(phone.acknowledge(&restored).await.status, 204);
    tablet.open("identity").await;
    let lost = lost.id().to_string();
    broker.revoke(TENANT, "device", Some(&lost)).await;
    let order = json!({"reason": "the contract has ended"});
    broker.admin_ok(&path(&format!("/keks/{}/destructions", standby["id"].as_str().unwrap())), order).await;
    let (_, in_force) = broker.admin(&path("/policies/in-force"), None).await;
    let text = in_force["text"]
        .as_str()
        .unwrap()
        .replace("@id(\"restore-unattested\")", "@id(\"restore-unattested\") @needs_approvals(\"2\")");
    broker.admin_ok(&path("/policies"), json!({"text": text, "note": "two people for each restore"})).await;
    Sample {
        kek,
        rewrap: rewrap["id"].as_str().unwrap().to_owned(),
        device: phone.id().to_string(),
        restore: restored.restore.to_string(),
        record: wrap.record.to_string(),
        phone,
    }
}

fn path(below: &str) -> String {
    format!("/{TENANT}{below}")
}
