//! What people do in the console, from the first invitation on.

use crate::harness::Broker;
use crate::sample::{self, TENANT};
use crate::visitor::{Visitor, first_link};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_join_and_run_a_tenant() {
    let broker = Broker::start().await;
    let sample = sample::fill(&broker).await;
    let olga = Visitor::join(&broker, &first_link(&broker), Some("olga")).await;

    olga.open("/console/tenants/installation/admins").await;
    let fields = [("name", "sam"), ("email", "sam@example.com"), ("roles", "security_officer")];
    let link = olga.act_once("Appoint an administrator", &fields).await;
    let sam = Visitor::join(&broker, &link, None).await;
    assert!(sam.browser.text().await.contains("sam"), "who is signed in is on every page");
    assert_eq!(sam.browser.count("nav a[href$='/tokens']").await, 0, "there is no tenant here yet");

    // Officers revoke; the passkey signs what the dialog says.
    sam.open(&sample.path("/console/tenants/{tenant}/devices/{device}")).await;
    sam.begin("Revoke this device", &[("reason", "lost in a train")]).await;
    let dialog = sam.browser.find("#act").await.text().await;
    assert!(dialog.contains(&sample.device) && dialog.contains("lost in a train"), "{dialog}");
    let violations = sam.browser.axe().await;
    assert!(violations.is_empty(), "{violations:#?}");
    sam.browser.find("#act-cancel").await.click().await;
    sam.act("Revoke this device", &[("reason", "lost in a train")]).await;
    let (_, device) = broker.admin(&format!("/{TENANT}/devices/{}", sample.device), None).await;
    assert_eq!(device["state"], "revoked");

    // To whom somebody reports, and where their clocks are, is signed too; the form begins with what is so.
    sam.open(&format!("/console/tenants/{TENANT}/people/alice")).await;
    sam.act("Change who the person reports to", &[("managers", "bob, carol")]).await;
    sam.act("Change the person's time zone", &[("time_zone", "Europe/Berlin")]).await;
    assert!(sam.browser.text().await.contains("Europe/Berlin"));
    assert_eq!(sam.browser.count("input[name=managers][value='bob carol']").await, 1);

    // They appoint nobody: the form is not there, and the API refuses.
    sam.open("/console/tenants/installation/admins").await;
    assert_eq!(sam.browser.count("form.act[data-path$='/admins']").await, 0);
    olga.open(&format!("/console/tenants/{TENANT}/tokens")).await;
    let token = olga.act_once("Make an API token", &[("name", "watch"), ("days", "1"), ("acts", "log:read")]).await;
    let asked = broker.http().get(broker.url(&format!("/v1/admin/tenants/{TENANT}/events"))).bearer_auth(token);
    assert_eq!(asked.send().await.unwrap().status(), 200);
    sam.leave().await;
    olga.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_arrives_live_and_is_verified_in_the_page() {
    let broker = Broker::start().await;
    sample::fill(&broker).await;
    let olga = Visitor::join(&broker, &first_link(&broker), Some("olga")).await;
    olga.open(&format!("/console/tenants/{TENANT}")).await;
    olga.browser.wait_until("return document.querySelector('#stream-state').textContent.startsWith('Waiting')").await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "dora"})).await;
    let first = "return [...document.querySelectorAll('#stream li')].find(li => li.innerText.includes('user.created'))";
    olga.browser.wait_until(&format!("{first}?.innerText")).await;
    olga.browser.find("#stream li a").await.click().await;
    olga.browser.wait_until("return location.pathname.includes('/events/')").await;
    assert_eq!(verify(&olga).await, Ok(4), "{}", olga.browser.text().await);

    // Each part is needed: whoever changes one on its way is found out.
    for (part, what) in [
        ("answer.event.leaf = answer.event.leaf.replace(/.{6}$/, 'AAAAAA')", "not in the tree"),
        ("answer.event.disclosures = answer.event.disclosures.map(text => text.slice(0, -4) + 'AAAA')", "disclosed"),
        ("answer.proof = answer.proof.replace(/\\n.{43}=\\n/, '\\n' + 'A'.repeat(43) + '=\\n')", "not in the tree"),
        (
            "answer.proof = answer.proof.replace(/\\n(\\d+)\\n/, (_, size) => '\\n' + (Number(size) + 1) + '\\n')",
            "signature is wrong",
        ),
    ] {
        alter(&olga, part).await;
        let refused = verify(&olga).await.unwrap_err();
        assert!(refused.contains(what) || what == "disclosed" && !refused.is_empty(), "{part}: {refused}");
    }
    olga.leave().await;
}

/// Presses the button; how many things were verified, or what was not.
async fn verify(visitor: &Visitor) -> Result<usize, String> {
    visitor.browser.find("#check button:enabled").await.click().await;
    let ended = "const said = [...document.querySelectorAll('#check-results li')].map(li => li.innerText);
        return said.some(text => /^(failed|note)/.test(text)) && said";
    let said = visitor.browser.wait_until(ended).await;
    let said: Vec<String> = serde_json::from_value(said).unwrap();
    match said.iter().find(|text| text.starts_with("failed")) {
        Some(failed) => Err(failed.clone()),
        None => Ok(said.iter().filter(|text| text.starts_with("verified")).count()),
    }
}

/// Opens the page anew, and has somebody between broker and browser who changes `answer` of this event.
async fn alter(visitor: &Visitor, change: &str) {
    visitor.browser.run("location.reload()", json!([])).await;
    visitor.browser.wait_until("return document.querySelector('#check button:enabled') !== null").await;
    let patch = format!(
        "const real = window.fetch; const own = location.pathname.split('/').pop();
         window.fetch = async (path, rest) => {{
             const response = await real(path, rest);
             if (!path.endsWith('/events/' + own)) return response;
             const answer = await response.json();
             {change};
             return new Response(JSON.stringify(answer), {{status: 200}});
         }};"
    );
    visitor.browser.run(&patch, json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_sees_the_pages_that_are_for_it() {
    let broker = Broker::start().await;
    let sample = sample::fill(&broker).await;
    let olga = Visitor::join(&broker, &first_link(&broker), Some("olga")).await;
    for (role, forbidden) in [
        ("help_desk", vec!["/keks", "/sinks", "/findings", "/events", "/admins", "/tokens"]),
        ("approver", vec!["/keks", "/sinks", "/findings", "/admins", "/tokens"]),
        ("break_glass", vec!["/records", "/keks", "/sinks", "/findings", "/events", "/admins", "/tokens"]),
        ("auditor", vec![]),
    ] {
        olga.open(&format!("/console/tenants/{TENANT}/admins")).await;
        let name = role.replace('_', "-");
        let link = olga.act_once("Appoint an administrator", &[("name", &name), ("roles", role)]).await;
        let person = Visitor::join_at(&broker, &link, &format!("/console/tenants/{TENANT}")).await;
        let links = "return [...document.querySelectorAll('nav[aria-label=Pages] a')].map(a => a.getAttribute('href'))";
        let links: Vec<String> = serde_json::from_value(person.browser.run(links, json!([])).await).unwrap();
        for page in forbidden {
            let path = format!("/console/tenants/{TENANT}{page}");
            assert!(!links.contains(&path), "{role} is led to {page}");
            assert_eq!(person.status_of(&path).await, 403, "{role} {page}");
        }
        for path in links.iter().chain(&[sample.path("/console/tenants/{tenant}/restores/{restore}")]) {
            assert_eq!(person.status_of(path).await, 200, "{role} {path}");
        }
        assert_eq!(person.status_of("/console/tenants/installation").await, 404, "{role}");
        person.browser.complaints().await;
        person.leave().await;
    }
    olga.leave().await;
}
