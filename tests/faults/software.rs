//! The software keystore's keys come and go, and wrapped records are moved about in the database.

use crate::harness::{Answer, Broker, Raw, TENANT, outcomes};
use crate::root::edit_database;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

async fn start() -> (Broker, Raw, String) {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    (broker, device, vkey)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_disabled_deleted_or_replaced_releases_nothing() {
    let (broker, device, vkey) = start().await;
    let (opened, _) = device.open("identity").await;
    broker.keystore(&["disable", TENANT]);
    assert_eq!(told(&device.release(&opened).await), (409, "kek_disabled".into()));
    assert_eq!(told(&device.send_wrap(&device.wrap("identity", 2, b"x")).await), (409, "kek_disabled".into()));
    broker.keystore(&["enable", TENANT]);
    assert_eq!(device.release(&opened).await.status, 200);

    let (opened, _) = device.open("identity").await;
    broker.keystore(&["delete", TENANT, "--confirm", TENANT]);
    assert_eq!(told(&device.release(&opened).await), (409, "kek_not_found".into()));
    broker.keystore(&["add", TENANT]);
    assert_eq!(told(&device.release(&opened).await), (409, "kek_mismatch".into()));
    assert_eq!(told(&device.release(&opened).await), (410, "restore_over".into()));

    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.failed"), ["kek_disabled", "kek_not_found", "kek_mismatch"]);
    assert_eq!(outcomes(&log, "wrap.failed"), ["kek_disabled"]);
    assert_eq!(outcomes(&log, "finding.raised"), ["wrapped_mismatch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keystore_that_others_may_read_is_not_used() {
    let (broker, device, vkey) = start().await;
    let (opened, _) = device.open("identity").await;
    let keystore = broker.path("keystore.json");
    fs::set_permissions(&keystore, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(told(&device.release(&opened).await), (502, "provider_broken".into()));
    fs::set_permissions(&keystore, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(device.release(&opened).await.status, 200);
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "restore.failed"), ["provider_broken"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_record_that_was_moved_raises_an_alarm_and_is_not_released() {
    let (broker, device, vkey) = start().await;
    let other = broker.tenant("other", "bob").await;
    let bob = Raw::enrol(&broker, "other", "bob").await;
    bob.backup("identity", 1, b"bob's key").await;
    device.backup("second", 1, b"another key").await;
    // `second` gets the wrapped bytes of `identity`, and bob gets alice's, with her KEK.
    edit_database(
        &broker,
        "UPDATE wraps SET (wrapped, kek) = (SELECT w.wrapped, w.kek FROM wraps w JOIN records r ON r.id = w.record
                                            WHERE r.tenant = 'acme' AND r.kind = 'identity')
         WHERE record IN (SELECT id FROM records WHERE tenant = 'other' OR kind = 'second')",
    );
    let (opened, _) = device.open("second").await;
    assert_eq!(told(&device.release(&opened).await), (409, "kek_mismatch".into()));
    assert_eq!(told(&device.release(&opened).await), (410, "restore_over".into()));
    let (opened, _) = bob.open("identity").await;
    assert_eq!(told(&bob.release(&opened).await), (403, "kek_inactive".into()), "a KEK of another tenant");

    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "finding.raised"), ["wrapped_mismatch"]);
    assert_eq!(outcomes(&log, "restore.released"), Vec::<String>::new());
    let log = broker.verified_log("other", &other);
    assert_eq!(outcomes(&log, "restore.denied"), ["kek_inactive"]);
    assert_eq!(outcomes(&log, "restore.intent"), Vec::<String>::new());
}
