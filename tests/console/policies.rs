//! Policies are written, tried on the past, agreed to by two people, and then demand what they say.

use crate::harness::{Broker, Raw, TENANT};
use crate::visitor::{Visitor, first_link};
use serde_json::json;

/// Makes the permit that lets this device restore demand two people.
const DEMAND_TWO: &str = "const text = document.querySelector('#policy-text');
    text.value = text.value.replace('@id(\"restore-unattested\")', '@id(\"restore-unattested\") @needs_approvals(\"2\")');
    text.dispatchEvent(new Event('input'));
    return text.value.includes('@needs_approvals(\"2\")')";

/// What the editor reports.
async fn report(visitor: &Visitor, press: &str) -> String {
    visitor.browser.run("document.querySelector('#policy-report').replaceChildren()", json!([])).await;
    visitor.browser.find(press).await.click().await;
    let said = visitor.browser.wait_until("return document.querySelector('#policy-report').innerText || null").await;
    said.as_str().unwrap().to_owned()
}

/// Writes policies that demand two people; gives the page of the version.
async fn write_policies(officer: &Visitor) -> String {
    officer.open(&format!("/console/tenants/{TENANT}/policies/editor")).await;
    officer.browser.run("document.querySelector('#policy-text').value += '\\nforbid (nobody'", json!([])).await;
    let wrong = report(officer, "#policy-check").await;
    assert!(wrong.starts_with("Line "), "{wrong}");
    officer.open(&format!("/console/tenants/{TENANT}/policies/editor")).await;
    assert_eq!(officer.browser.run(DEMAND_TWO, json!([])).await, true);
    let right = report(officer, "#policy-check").await;
    assert!(right.contains("nowhere weaker"), "{right}");
    let tried = report(officer, "#policy-try").await;
    assert!(tried.contains("Of 1 restores, 0 would have been refused, 1 would have needed more"), "{tried}");
    officer.browser.find("#policy input[name=note]").await.type_text("two people for each restore").await;
    officer.browser.find("#policy > button").await.click().await;
    officer.browser.find("#act-go").await.click().await;
    officer.browser.wait_until("return /policies.[0-9]+$/.test(location.pathname)").await;
    let path = officer.browser.run("return location.pathname", json!([])).await;
    path.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_writes_policies_and_another_puts_them_in_force() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"alice's identity").await;
    device.open("identity").await;
    let olga = Visitor::join(&broker, &first_link(&broker), Some("olga")).await;
    olga.open("/console/tenants/installation/admins").await;
    let fields = [("name", "sam"), ("roles", "security_officer")];
    let link = olga.act_once("Appoint an administrator", &fields).await;
    let sam = Visitor::join(&broker, &link, None).await;

    let version = write_policies(&sam).await;
    sam.act("Propose this version", &[]).await;
    sam.open(&version).await;
    sam.begin("Put this version in force", &[]).await;
    sam.browser.find("#act-go").await.click().await;
    let problem = "return document.querySelector('#act-problem').textContent || null";
    sam.browser.wait_until(problem).await;
    sam.browser.complaints().await;
    assert_eq!(device.release(&device.open("identity").await.0).await.status, 200, "not by one person alone");

    olga.open(&version).await;
    assert!(olga.browser.count(".diff ins").await > 0, "what changes is seen before it is agreed to");
    olga.act("Put this version in force", &[]).await;
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.code(), "restore_pending");
    olga.open(&format!("/console/tenants/{TENANT}/policies")).await;
    olga.begin("Roll back", &[]).await;
    olga.leave().await;
    sam.leave().await;
}
