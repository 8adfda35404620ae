//! The whole way: from the first invitation to a key that two people let go, and what the log says of it.

use crate::gallery::{Page, look_at};
use crate::harness::demanding::{demanding, write_policies};
use crate::harness::{Broker, Raw, TENANT};
use crate::visitor::{Visitor, first_link};
use serde_json::Value;

/// Invites somebody there; they join and begin at the page that is theirs.
async fn appoint(owner: &Visitor, broker: &Broker, (tenant, name, role): (&str, &str, &str)) -> Visitor {
    owner.open(&format!("/console/tenants/{tenant}/admins")).await;
    let link = owner.act_once("Appoint an administrator", &[("name", name), ("roles", role)]).await;
    match tenant {
        "installation" => Visitor::join(broker, &link, None).await,
        tenant => Visitor::join_at(broker, &link, &format!("/console/tenants/{tenant}")).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_let_a_key_go_and_the_log_says_so() {
    let mut broker = Broker::prepared(demanding);
    write_policies(&broker);
    broker.run(&[]).await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("two", 1, b"a key of alice's").await;
    let olga = Visitor::join(&broker, &first_link(&broker), Some("olga")).await;
    let sam = appoint(&olga, &broker, ("installation", "sam", "security_officer")).await;

    let carol = appoint(&olga, &broker, (TENANT, "carol", "approver")).await;
    let dave = appoint(&olga, &broker, (TENANT, "dave", "approver")).await;
    let (opened, _) = device.open("two").await;
    assert_eq!(device.release(&opened).await.code(), "restore_pending");
    let page = format!("/console/tenants/{TENANT}/restores/{}", opened.restore);
    carol.open(&page).await;
    assert!(carol.browser.text().await.contains("approvals by people"));
    look_at(&carol.browser, &Page { name: "restore-waiting", url: broker.url(&page), status: 200 }).await;
    carol.open(&page).await;
    carol.act("Approve this restore", &[]).await;
    assert_eq!(device.release(&opened).await.code(), "restore_pending", "one is not two");
    dave.open(&page).await;
    assert!(dave.browser.text().await.contains("carol"));
    dave.act("Approve this restore", &[]).await;
    assert_eq!(device.release(&opened).await.status, 200);

    sam.open(&format!("/console/tenants/{TENANT}/devices/{}", device.id())).await;
    sam.act("Revoke this device", &[("reason", "left in a taxi")]).await;
    assert_eq!(device.release(&opened).await.status, 403);
    audit(&olga, &opened.restore.to_string()).await;
    for visitor in [olga, sam, carol, dave] {
        visitor.leave().await;
    }
}

/// Looks for the release in the log, and verifies it in the page.
async fn audit(visitor: &Visitor, restore: &str) {
    visitor.open(&format!("/console/tenants/{TENANT}/events?evt=restore.released&cor={restore}")).await;
    assert!(visitor.browser.text().await.contains("admin:carol"), "the log names who agreed");
    visitor.browser.find("tbody th a").await.click().await;
    visitor.browser.find("#check button:enabled").await.click().await;
    let said = "const said = [...document.querySelectorAll('#check-results li')].map(li => li.innerText);
        return said.length === 5 && said";
    let said: Value = visitor.browser.wait_until(said).await;
    assert!(!said.to_string().contains("failed"), "{said}");
}
