//! A user is told that a device asks for their keys, and stops it: by the link in the mail, or by another device.

use crate::harness::mail::{ALICE, subject, told, told_with, veto_path};
use crate::harness::{Broker, Raw, TENANT, outcomes};
use counterparts::smtp::Smtp;
use device::{Device, DeviceInfo, Error, RestoreRequest, Selection};
use protocol::messages::{DeviceStatus, RestoreOpened, RestoreState};
use reqwest::header::{CONTENT_SECURITY_POLICY, HeaderMap};
use serde_json::{Value, json};
use uuid::Uuid;

/// A broker that tells `alice`, a device of hers that has opened a restore, and the path of the link that she was mailed.
async fn asked() -> (Broker, Smtp, String, Raw, RestoreOpened, String) {
    let (broker, server, vkey) = told().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;
    let (opened, _) = device.open("identity").await;
    let mail = server.taken_at_least(1).await.remove(0);
    assert_eq!((subject(&mail).as_str(), &mail["to"]), ("a device has asked for your keys", &json!([ALICE])));
    let path = veto_path(&mail, &broker);
    (broker, server, vkey, device, opened, path)
}

/// What a browser is answered: status, headers, page.
async fn visit(broker: &Broker, path: &str) -> (u16, HeaderMap, String) {
    let answer = broker.http().get(broker.url(path)).send().await.unwrap();
    (answer.status().as_u16(), answer.headers().clone(), answer.text().await.unwrap())
}

/// What pressing the button is answered.
async fn press(broker: &Broker, path: &str) -> (u16, String) {
    let answer = broker.http().post(broker.url(path)).header("content-type", "application/x-www-form-urlencoded");
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn status(device: &Raw, opened: &RestoreOpened) -> RestoreState {
    let status: RestoreOpened =
        device.post(&device.path(&format!("/restores/{}", opened.restore)), &Value::Null).await.json();
    status.state
}

async fn veto(device: &Raw, restore: Uuid) -> (u16, String) {
    let answer = device.post(&device.path(&format!("/restores/{restore}/veto")), &json!({})).await;
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_behind_the_link_stops_the_restore_and_opening_the_link_does_not() {
    let (broker, server, vkey, device, opened, path) = asked().await;
    for _ in 0..3 {
        let (code, headers, page) = visit(&broker, &path).await;
        assert_eq!(code, 200);
        assert!(page.contains("<button type=\"submit\">Stop this restore</button>"), "{page}");
        assert!(page.contains(&opened.restore.to_string()) && !page.contains("<script") && !page.contains("style="));
        assert!(!page.contains("alice") && !page.contains(TENANT), "{page}");
        let policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
        assert_eq!(headers[CONTENT_SECURITY_POLICY], policy);
        let [referrer, cache] = ["referrer-policy", "cache-control"].map(|name| headers[name].to_str().unwrap());
        assert_eq!((referrer, cache), ("no-referrer", "no-store"));
    }
    assert_eq!(status(&device, &opened).await, RestoreState::Approved);
    for _ in 0..2 {
        let (code, page) = press(&broker, &path).await;
        assert_eq!(code, 200);
        assert!(page.contains("This restore is stopped"), "{page}");
    }
    assert_eq!(status(&device, &opened).await, RestoreState::Vetoed);
    assert_eq!(device.release(&opened).await.code(), "restore_over");
    assert_eq!(broker.unwraps().await, 1, "the canary's alone");
    assert!(visit(&broker, &path).await.2.contains("This restore is stopped"));

    let mails = server.taken_at_least(2).await;
    assert_eq!(mails.iter().map(subject).collect::<Vec<_>>()[1..], ["a restore was stopped"]);
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.vetoed"), ["ok"]);
    assert!(!broker.log().contains(&path["/veto/".len()..]), "the link's secret is logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_released_can_no_longer_be_stopped() {
    let (broker, server, _, device, opened, path) = asked().await;
    assert_eq!(device.release(&opened).await.status, 200);
    let mails = server.taken_at_least(2).await;
    assert_eq!(subject(&mails[1]), "your keys went out to a device");
    assert_eq!(veto(&device, opened.restore).await, (409, "restore_released".into()));
    for over in [RestoreState::Released, RestoreState::Acknowledged] {
        assert_eq!(status(&device, &opened).await, over);
        let (code, _, page) = visit(&broker, &path).await;
        assert!(code == 200 && !page.contains("<button") && page.contains("too late"), "{page}");
        let (code, page) = press(&broker, &path).await;
        assert!(code == 409 && page.contains("revoked and the keys replaced"), "{page}");
        let _idempotent = device.acknowledge(&opened).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_says_nothing_to_who_guesses_and_shows_no_markup_of_devices() {
    let (broker, server, _) =
        told_with(|config| config.replace("failures_per_minute", "visits_per_minute = 10\nfailures_per_minute")).await;
    let code = broker.code(TENANT, "alice").await.parse().unwrap();
    let name = "<script>alert(1)</script> \"'&";
    let info = DeviceInfo { name: name.parse().unwrap(), platform: "<b>".parse().unwrap() };
    let mut device = Device::enrol(broker.address(), TENANT.parse().unwrap(), code, info, None).await.unwrap();
    device.backup(&"identity".parse().unwrap(), &secret::Secret::copied_from(b"the key"), None).await.unwrap();
    let reason = "<img src=x onerror=alert(1)> https://evil.example".parse().unwrap();
    let selection = Selection::Kinds(vec!["identity".parse().unwrap()]);
    device.restore(RestoreRequest { selection, reason }).await.unwrap();
    let mail = server.taken_at_least(1).await.remove(0);
    assert!(!mail["text"].as_str().unwrap().contains("evil.example"), "{mail}");
    let page = visit(&broker, &veto_path(&mail, &broker)).await.2;
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{page}");
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"), "{page}");

    for guess in ["AAAAAAAAAAAAAAAAAAAAAA", "x", "AAAA/..", "%00"] {
        assert_eq!(press(&broker, &format!("/veto/{guess}")).await.0, 404, "{guess}");
    }
    let mut codes = Vec::new();
    for _ in 0..10 {
        codes.push(visit(&broker, "/veto/AAAAAAAAAAAAAAAAAAAAAA").await.0);
    }
    assert!(codes.starts_with(&[404]) && codes.ends_with(&[429, 429]), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_ran_out_is_told_and_its_link_stops_nothing() {
    let (broker, server, _, device, opened, path) = asked().await;
    broker.sql("UPDATE restores SET expires_at = 1").await;
    let mails = server.taken_at_least(2).await;
    assert_eq!(subject(&mails[1]), "a restore ran out");
    let (code, _, page) = visit(&broker, &path).await;
    assert!(code == 200 && page.contains("This restore is over") && !page.contains("<button"), "{page}");
    assert_eq!(press(&broker, &path).await.0, 410);
    assert_eq!(veto(&device, opened.restore).await, (410, "restore_over".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_of_the_user_sees_the_restore_and_stops_it() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    broker.admin_ok("/acme/users", json!({"id": "bob"})).await;
    broker.tenant("other", "alice").await;
    let asking = Raw::enrol(&broker, TENANT, "alice").await;
    asking.backup("identity", 1, b"the key").await;
    let (opened, _) = asking.open("identity").await;
    let mut phone = broker.enrol(TENANT, "alice").await;
    let (bob, stranger) = (Raw::enrol(&broker, TENANT, "bob").await, Raw::enrol(&broker, "other", "alice").await);
    for thief in [&bob, &stranger] {
        let status: DeviceStatus =
            thief.post(&thief.path(&format!("/devices/{}", thief.id())), &Value::Null).await.json();
        assert!(status.restores.is_empty());
        assert_eq!(veto(thief, opened.restore).await, (404, "restore_unknown".into()));
        assert_eq!(veto(thief, Uuid::now_v7()).await, (404, "restore_unknown".into()));
    }
    let seen = phone.status().await.unwrap().restores;
    let [seen] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((seen.restore, seen.device, seen.state), (opened.restore, asking.id(), RestoreState::Approved));
    assert_eq!((seen.device_name.as_str(), seen.reason.as_str()), ("raw", "test"));
    assert!(seen.asked_at.abs_diff(seen.not_before) <= 1 && seen.expires_at == opened.expires_at);
    let surprise = asking.path(&format!("/restores/{}/veto", opened.restore));
    assert_eq!(asking.post(&surprise, &json!({"surprise": 1})).await.code(), "malformed");

    phone.veto(opened.restore).await.unwrap();
    phone.veto(opened.restore).await.unwrap();
    assert!(phone.status().await.unwrap().restores.is_empty());
    assert_eq!(asking.release(&opened).await.code(), "restore_over");
    let (second, _) = asking.open("identity").await;
    broker.revoke(TENANT, "device", Some(&phone.id().to_string())).await;
    let refused = phone.veto(second.restore).await;
    assert!(matches!(refused, Err(Error::Refused(problem)) if problem.code == "device_inactive"));
    assert_eq!(asking.release(&second).await.status, 200);
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.vetoed"), ["ok"]);
    let denied = outcomes(&log, "restore.fetch_denied");
    assert_eq!(denied, ["restore_unknown", "restore_unknown", "device_inactive"], "the stranger's are in another log");
}
