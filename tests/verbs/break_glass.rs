//! A key that is kept for emergencies: it stops and approves, and nobody uses it unseen.

use crate::harness::mail::{subject, told};
use crate::harness::person::Person;
use crate::harness::{Raw, TENANT, outcomes};
use serde_json::{Value, json};

const ACME: &str = "/v1/admin/tenants/acme";

async fn appoint(root: &mut Person, (name, role, email): (&str, &str, &str)) -> String {
    let body = json!({"name": name, "roles": [role], "email": email});
    root.act_ok(&format!("{ACME}/admins"), &body).await["link"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_when_it_is_used_and_it_receives_no_key() {
    let (broker, server, vkey) = told().await;
    let mut root = Person::first(&broker).await;
    let link = appoint(&mut root, ("glass", "break_glass", "glass@corp.example")).await;
    let mut glass = Person::new(&broker).joined(&link, None).await;
    for (name, role) in [("bea", "security_officer"), ("carl", "auditor")] {
        let link = appoint(&mut root, (name, role, &format!("{name}@corp.example"))).await;
        Person::new(&broker).joined(&link, None).await;
    }
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;

    // To look is not to use; and there is nothing else that it may do.
    assert_eq!(glass.get(&format!("{ACME}/restores")).await.0, 200);
    for path in ["records", "keks", "events?from=0", "admins"] {
        assert_eq!(glass.get(&format!("{ACME}/{path}")).await.0, 403, "{path}");
    }
    let code = glass.act(&format!("{ACME}/enrolment-codes"), &json!({"user": "alice"})).await;
    assert_eq!(code.0, 403, "a device of its own would be a way to a key");
    assert_eq!(server.taken().len(), 0);

    let target = json!({"target": {"kind": "device", "id": device.id()}, "reason": "stolen"});
    glass.act_ok(&format!("{ACME}/revocations"), &target).await;
    let mails = server.taken_at_least(3).await;
    let mut to: Vec<_> = mails.iter().map(|mail| mail["to"][0].as_str().unwrap().to_owned()).collect();
    to.sort();
    assert_eq!(to, ["bea@corp.example", "carl@corp.example", "glass@corp.example"]);
    assert!(mails.iter().all(|mail| subject(mail) == "a break-glass key was used"), "{mails:?}");
    let log = broker.verified_log(TENANT, &vkey);
    let used = log.iter().position(|event| event["evt"] == "admin.broke_glass").expect("it is in the log");
    assert_eq!(log[used + 1]["evt"], "device.revoked", "told before it was done: {log:?}");

    // Who may do it anyhow uses no glass.
    let other = Raw::enrol(&broker, TENANT, "alice").await;
    let target = json!({"target": {"kind": "device", "id": other.id()}, "reason": "stolen"});
    root.act_ok(&format!("{ACME}/revocations"), &target).await;
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "admin.broke_glass").len(), 1);
    assert_eq!(glass.send("POST", &format!("{ACME}/revocations"), (&Value::Null, None)).await.0, 403);
}
