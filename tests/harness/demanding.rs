//! A broker whose policies demand something for some kinds of keys, and people who may give it.

use super::person::Person;
use super::{Broker, Raw, TENANT};
use protocol::messages::{RestoreOpened, RestoreState};
use serde_json::{Value, json};
use std::fs;

/// Beside the defaults: what each kind of key demands.
const DEMANDS: &str = r#"
@id("one-person") @needs_approvals("1") @notify("approvers")
permit (principal, action == Action::"restore", resource) when { resource.kind == "one" };
@id("two-people") @description("Two people approve.") @needs_approvals("2")
permit (principal, action == Action::"restore", resource) when { resource.kind == "two" };
@id("own-device") @needs_own_device("yes")
permit (principal, action == Action::"restore", resource) when { resource.kind == "own" };
@id("either") @needs_approvals("1") @own_device_counts("yes")
permit (principal, action == Action::"restore", resource) when { resource.kind == "either" };
@id("slow") @delay_seconds("3600")
permit (principal, action == Action::"restore", resource) when { resource.kind == "slow" };
"#;

/// What must still happen before a restore of the kind `one`, `two`, `own`, `either` or `slow`: see `DEMANDS`.
pub struct Demanding {
    pub broker: Broker,
    /// Of the tenant's log.
    pub vkey: String,
    /// May appoint, and approves nothing.
    pub root: Person,
    /// Alice's, with a record of the kind.
    pub device: Raw,
}

impl Demanding {
    /// A broker, and a device of `alice` that has backed up a key of this kind.
    pub async fn start(kind: &str) -> Self {
        let mut broker = Broker::prepared(demanding);
        write_policies(&broker);
        broker.run(&[]).await;
        let vkey = broker.with_tenant().await;
        Self::of(broker, vkey, kind).await
    }

    /// The same, on a broker that was configured by [`demanding`] and has `alice`.
    pub async fn of(broker: Broker, vkey: String, kind: &str) -> Self {
        let root = Person::first(&broker).await;
        let device = Raw::enrol(&broker, TENANT, "alice").await;
        device.backup(kind, 1, b"the key").await;
        Self { broker, vkey, root, device }
    }

    /// Somebody who may approve, with an account of their own where one is named.
    pub async fn approver(&mut self, name: &str, user: Option<&str>) -> Person {
        let mut body = json!({"name": name, "roles": ["approver"], "email": format!("{name}@corp.example")});
        if let Some(user) = user {
            body["user"] = user.into();
        }
        let invited = self.root.act_ok(&format!("/v1/admin/tenants/{TENANT}/admins"), &body).await;
        Person::new(&self.broker).joined(invited["link"].as_str().unwrap(), None).await
    }

    /// How the restore stands, as its device is told.
    pub async fn status(&self, opened: &RestoreOpened) -> RestoreOpened {
        self.device.post(&self.device.path(&format!("/restores/{}", opened.restore)), &Value::Null).await.json()
    }

    /// What approvers see of it.
    pub async fn approvals(&self, opened: &RestoreOpened) -> Value {
        let (status, shown) =
            self.broker.admin(&format!("/{TENANT}/restores/{}/approvals", opened.restore), None).await;
        assert_eq!(status, 200, "{shown}");
        shown
    }

    /// Nothing goes out: the release is refused so, and the restore says that it waits.
    pub async fn waits(&self, opened: &RestoreOpened) {
        let unwraps = self.broker.unwraps().await;
        let answer = self.device.release(opened).await;
        assert_eq!((answer.status, answer.code()), (409, "restore_pending".to_owned()), "{answer:?}");
        assert_eq!(self.status(opened).await.state, RestoreState::Pending);
        assert_eq!(self.broker.unwraps().await, unwraps);
    }
}

/// A configuration with policies in a file of their own.
pub fn demanding(config: String) -> String {
    config + "\n[policies]\ndefault = \"policies.cedar\"\n"
}

/// That file.
pub fn write_policies(broker: &Broker) {
    let defaults = ["enrol", "wrap", "restore", "approve"].map(|name| {
        fs::read_to_string(format!("{}/policies/default/{name}.cedar", env!("CARGO_MANIFEST_DIR"))).unwrap()
    });
    fs::write(broker.path("policies.cedar"), defaults.concat() + DEMANDS).unwrap();
}

/// Where decisions on a restore are made.
pub fn decide(opened: &RestoreOpened) -> String {
    format!("/v1/admin/tenants/{TENANT}/restores/{}/decide", opened.restore)
}

/// What somebody says to it: status and code.
pub async fn say(person: &mut Person, opened: &RestoreOpened, decision: &str) -> (u16, String) {
    code(person.act(&decide(opened), &json!({"decision": decision})).await)
}

/// Status and code of an answer.
pub fn code((status, problem): (u16, Value)) -> (u16, String) {
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}
