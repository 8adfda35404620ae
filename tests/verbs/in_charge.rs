//! Whoever is in charge of a tenant is told of what may be turned against it: new administrators, other policies, a key that is
//! kept for emergencies.

use crate::harness::mail::{subject, told};
use crate::harness::person::Person;
use crate::harness::{Broker, Raw, TENANT, outcomes};
use counterparts::smtp::Smtp;
use serde_json::{Value, json};

const ACME: &str = "/v1/admin/tenants/acme";
const EVERYTHING: &str = "@id(\"everything\") permit (principal, action, resource);";

/// Somebody with a mail address, who has joined.
async fn appoint(broker: &Broker, root: &mut Person, (name, role): (&str, &str)) -> Person {
    let body = json!({"name": name, "roles": [role], "email": format!("{name}@corp.example")});
    let invited = root.act_ok(&format!("{ACME}/admins"), &body).await;
    Person::new(broker).joined(invited["link"].as_str().unwrap(), None).await
}

/// Whom the mails after the first `known` went to, and what they were about.
async fn mails(server: &Smtp, known: usize, count: usize) -> Vec<(String, String)> {
    let taken = server.taken_at_least(known + count).await;
    let mut mails: Vec<_> = taken[known..]
        .iter()
        .map(|mail| (mail["to"][0].as_str().unwrap().split('@').next().unwrap().to_owned(), subject(mail)))
        .collect();
    mails.sort();
    mails
}

fn to(people: &[&str], subject: &str) -> Vec<(String, String)> {
    people.iter().map(|person| ((*person).to_owned(), subject.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_glass_key_is_not_used_unseen_and_receives_no_key() {
    let (broker, server, vkey) = told().await;
    let mut root = Person::first(&broker).await;
    let mut glass = appoint(&broker, &mut root, ("glass", "break_glass")).await;
    appoint(&broker, &mut root, ("bea", "security_officer")).await;
    assert_eq!(mails(&server, 0, 1).await, to(&["glass"], "there is another administrator"));
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;

    // To look is not to use; and there is nothing else that it may do.
    assert_eq!(glass.get(&format!("{ACME}/restores")).await.0, 200);
    for path in ["records", "keks", "events?from=0", "admins"] {
        assert_eq!(glass.get(&format!("{ACME}/{path}")).await.0, 403, "{path}");
    }
    let code = glass.act(&format!("{ACME}/enrolment-codes"), &json!({"user": "alice"})).await;
    assert_eq!(code.0, 403, "a device of its own would be a way to a key");
    assert_eq!(server.taken().len(), 1);

    let target = json!({"target": {"kind": "device", "id": device.id()}, "reason": "stolen"});
    glass.act_ok(&format!("{ACME}/revocations"), &target).await;
    assert_eq!(mails(&server, 1, 2).await, to(&["bea", "glass"], "a break-glass key was used"));
    let log = broker.verified_log(TENANT, &vkey);
    let used = log.iter().position(|event| event["evt"] == "admin.broke_glass").expect("it is in the log");
    assert_eq!(log[used + 1]["evt"], "device.revoked", "told before it was done: {log:?}");

    // Who may do it anyhow uses no glass.
    let other = Raw::enrol(&broker, TENANT, "alice").await;
    let target = json!({"target": {"kind": "device", "id": other.id()}, "reason": "stolen"});
    root.act_ok(&format!("{ACME}/revocations"), &target).await;
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "admin.broke_glass").len(), 1);
    assert_eq!(glass.send("POST", &format!("{ACME}/revocations"), (&Value::Null, None)).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_policies_are_told_of_before_they_take_effect() {
    let (broker, server, _) = told().await;
    let mut root = Person::first(&broker).await;
    let mut bea = appoint(&broker, &mut root, ("bea", "security_officer")).await;
    let mut carl = appoint(&broker, &mut root, ("carl", "security_officer")).await;
    mails(&server, 0, 1).await;
    let drafted = bea.act_ok(&format!("{ACME}/policies"), &json!({"text": EVERYTHING, "note": "test"})).await;
    let (path, seen) = (format!("{ACME}/policies/{}", drafted["version"]), json!({"digest": drafted["digest"]}));
    bea.act_ok(&format!("{path}/propose"), &seen).await;
    let proposed = to(&["bea", "carl"], "a policy waits for its second person");
    assert_eq!(mails(&server, 1, 2).await, proposed);
    carl.act_ok(&format!("{path}/activate"), &seen).await;
    assert_eq!(mails(&server, 3, 2).await, to(&["bea", "carl"], "other policies will take effect"));
    carl.act_ok(&format!("{path}/withdraw"), &Value::Null).await;
}
