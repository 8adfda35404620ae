//! Crypto-shredding: two people, a count that both have seen, and nothing left behind.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use crate::keks::{further_kek, kek, step, told};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};
use tokio::time::sleep;

async fn start() -> (Broker, String, Raw) {
    let broker = Broker::start_with(|config| Broker::with_two_administrators(&config)).await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    (broker, vkey, device)
}

/// Asks for the destruction of a KEK; gives its path and the answer.
async fn request(broker: &Broker, kek: &str) -> (String, Value) {
    let (status, asked) = step(broker, kek, "destructions").await;
    assert_eq!(status, 201, "{asked}");
    (format!("/{TENANT}/destructions/{}", asked["id"].as_str().unwrap()), asked)
}

async fn confirm(broker: &Broker, order: &str, records: u64) -> (u16, Value) {
    broker.second_admin(&format!("{order}/confirm"), json!({"records": records})).await
}

/// Every wrap in the database, as hexadecimal text.
async fn wrapped(broker: &Broker) -> Vec<Vec<u8>> {
    let all = broker.sql("SELECT group_concat(hex(wrapped)) FROM wraps").await.unwrap_or_default();
    all.split(',').filter(|one| !one.is_empty()).map(|one| hex::decode(one).unwrap()).collect()
}

/// How many wraps the first KEK still has.
async fn left(broker: &Broker) -> u64 {
    let oldest = "SELECT CAST(COUNT(*) AS TEXT) FROM wraps WHERE kek = (SELECT id FROM keks ORDER BY id LIMIT 1)";
    broker.sql(oldest).await.unwrap().parse().unwrap()
}

/// How many of these byte strings are in the database's files.
fn found(broker: &Broker, needles: &[Vec<u8>]) -> usize {
    let files = ["keyfold.db", "keyfold.db-wal"].map(|name| fs::read(broker.path(name)).unwrap_or_default());
    let is_in = |needle: &&Vec<u8>| files.iter().any(|file| file.windows(needle.len()).any(|part| part == &needle[..]));
    needles.iter().filter(is_in).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_destroyed_kek_wrapped_is_gone_and_the_database_holds_no_trace() {
    let (broker, vkey, device) = start().await;
    let bundles: Vec<Vec<u8>> = {
        let mut bundles = Vec::new();
        for generation in 1..=40 {
            let wrap = device.backup("identity", generation, &[generation as u8; 300]).await;
            bundles.push(wrap.bundle.0.as_ref().to_vec());
        }
        bundles
    };
    let (opened, _) = device.open("identity").await;
    let wraps = wrapped(&broker).await;
    assert_eq!((wraps.len(), found(&broker, &wraps), found(&broker, &bundles)), (40, 40, 40));
    let doomed = kek(&broker, TENANT).await;
    let next = further_kek(&broker, "next").await;
    broker.admin_ok(&format!("/{TENANT}/protection"), json!({"kek": next})).await;
    device.backup("archive", 1, b"under the next KEK").await;

    let (order, asked) = request(&broker, &doomed).await;
    assert_eq!((&asked["lost"], &asked["kept"], &asked["wraps_new_records"]), (&json!(40), &json!(0), &json!(false)));
    assert_eq!(found(&broker, &wraps), 40, "nothing has happened yet");
    let (status, done) = confirm(&broker, &order, 40).await;
    assert_eq!((status, &done["lost"], &done["restores_ended"]), (201, &json!(40), &json!(1)), "{done}");

    assert_eq!((found(&broker, &wraps), found(&broker, &bundles)), (0, 0), "deleted bytes are left in the files");
    assert_eq!(device.release(&opened).await.code(), "record_shredded");
    let (opened, _) = device.open("identity").await;
    let gone = device.release(&opened).await;
    assert_eq!((gone.status, gone.code()), (410, "record_shredded".into()));
    let (other, _) = device.open("archive").await;
    assert_eq!(device.release(&other).await.status, 200, "another KEK's record is untouched");
    // Generations only grow, past those that are gone too; and nothing brings the KEK back.
    broker.revoke(TENANT, "restore", Some(&opened.restore.to_string())).await;
    device.backup("identity", 41, b"anew").await;
    assert_eq!(step(&broker, &doomed, "enable").await.1["code"], "kek_not_disabled");
    assert_eq!(step(&broker, &doomed, "destructions").await.1["code"], "kek_inactive");
    let revoke = json!({"target": {"kind": "kek", "id": doomed}, "reason": "test"});
    assert_eq!(told(&broker, &format!("/{TENANT}/revocations"), revoke).await.1, "unknown");
    let log = broker.verified_log(TENANT, &vkey);
    for kind in ["kek.destruction_requested", "kek.destroyed"] {
        let event = log.iter().find(|event| event["evt"] == kind).unwrap();
        assert_eq!((&event["out"], &event["kek"]["id"]), (&json!("ok"), &json!(doomed)), "{event}");
        assert_eq!(event["disclosed"]["record"], "40 lost, 0 kept");
    }
    assert_eq!(outcomes(&log, "restore.denied"), ["record_shredded", "record_shredded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_alone_destroys_nothing() {
    let (broker, vkey, device) = start().await;
    device.backup("identity", 1, b"any key").await;
    let kek = kek(&broker, TENANT).await;
    let (order, asked) = request(&broker, &kek).await;
    assert_eq!(asked["wraps_new_records"], true, "the answer warns");
    let own = told(&broker, &format!("{order}/confirm"), json!({"records": 1})).await;
    assert_eq!(own, (403, "second_administrator_needed".into()));
    let (status, problem) = confirm(&broker, &order, 2).await;
    assert_eq!((status, &problem["code"]), (409, &json!("count_changed")));

    device.backup("identity", 2, b"another").await;
    let (status, problem) = confirm(&broker, &order, 1).await;
    assert_eq!((status, &problem["code"]), (409, &json!("count_changed")));
    assert_eq!(problem["detail"], "2 records would be lost now");
    let foreign = order.replace(TENANT, "other");
    broker.tenant("other", "bob").await;
    assert_eq!(confirm(&broker, &foreign, 2).await.0, 404);

    broker.admin_ok(&format!("{order}/cancel"), json!({})).await;
    assert_eq!(confirm(&broker, &order, 2).await.1["code"], "destruction_over");
    let (late, _) = request(&broker, &kek).await;
    broker.sql("UPDATE destructions SET requested_at = requested_at - 86400000 WHERE state = 'requested'").await;
    assert_eq!(confirm(&broker, &late, 2).await.1["code"], "destruction_over");
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.status, 200, "nothing was destroyed");

    let (_, orders) = broker.admin(&format!("/{TENANT}/destructions"), None).await;
    let states: Vec<_> = orders["items"].as_array().unwrap().iter().map(|order| order["state"].clone()).collect();
    assert_eq!(states, ["cancelled", "requested"]);
    assert_eq!(orders["items"][0]["requested_by"], "token:operator");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "kek.destroyed"), [""; 0]);
    assert_eq!(outcomes(&log, "kek.destruction_cancelled"), ["ok"]);
    let refused =
        ["second_administrator_needed", "count_changed", "count_changed", "destruction_over", "destruction_over"];
    assert_eq!(outcomes(&log, "admin.denied"), refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_the_place_of_a_destroyed_kek_and_a_share_goes_with_the_other() {
    let (broker, _, device) = start().await;
    let (first, standby) = (kek(&broker, TENANT).await, further_kek(&broker, "standby").await);
    let protection = format!("/{TENANT}/protection");
    device.backup("alone", 1, b"any key").await;
    broker.admin_ok(&protection, json!({"kek": first, "standby_kek": standby})).await;
    device.backup("either", 1, b"any key").await;
    let third = further_kek(&broker, "third").await;
    broker.admin_ok(&protection, json!({"kek": third, "second_kek": first})).await;
    device.backup("both", 1, b"any key").await;

    let (order, asked) = request(&broker, &first).await;
    assert_eq!((&asked["lost"], &asked["kept"]), (&json!(2), &json!(1)));
    // A standby that was taken away for good is none.
    step(&broker, &standby, "disable").await;
    assert_eq!(request(&broker, &first).await.1["kept"], 1);
    assert_eq!(confirm(&broker, &order, 2).await.0, 201);
    let (opened, _) = device.open("either").await;
    assert_eq!(device.release(&opened).await.code(), "kek_inactive", "it is whole now, and disabled");
    step(&broker, &standby, "enable").await;
    assert_eq!(device.release(&opened).await.status, 200);
    for kind in ["alone", "both"] {
        let (opened, _) = device.open(kind).await;
        assert_eq!(device.release(&opened).await.code(), "record_shredded", "{kind}");
    }
    let left = broker.sql("SELECT group_concat(slot || ' ' || kek) FROM wraps").await.unwrap();
    assert_eq!(left, format!("whole {standby}"), "no share is left either");
    broker.revoke(TENANT, "kek", Some(&standby)).await;
    broker.admin_ok(&protection, json!({"kek": third, "standby_kek": further_kek(&broker, "fourth").await})).await;
    device.backup("either", 2, b"any key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_records_go_page_by_page_while_others_write_and_over_a_crash() {
    let (mut broker, vkey, device) = start().await;
    device.backup("identity", 1, b"any key").await;
    let doomed = kek(&broker, TENANT).await;
    let next = further_kek(&broker, "next").await;
    broker.admin_ok(&format!("/{TENANT}/protection"), json!({"kek": next})).await;
    // In no order, so that the database has to move rows about: a moved row may leave a copy behind.
    broker
        .sql(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
             INSERT INTO records SELECT printf('%08x-0000-7000-8000-%012x', random() & 0xffffffff, n), r.tenant, r.user_id,
               'archive', n, r.device, r.suite, r.commitment, CAST('trace of a bundle' || hex(randomblob(100)) AS BLOB),
               r.leaf_index, r.created_at FROM n, records r WHERE r.kind = 'identity'",
        )
        .await;
    broker
        .sql(
            "INSERT INTO wraps SELECT r.id, 'whole', w.kek, w.kek_version, w.vendor_version,
               CAST('trace of a wrap' || hex(randomblob(40)) AS BLOB) FROM records r, wraps w WHERE r.kind = 'archive'",
        )
        .await;
    let (order, asked) = request(&broker, &doomed).await;
    assert_eq!((&asked["lost"], &asked["kept"]), (&json!(100_001), &json!(0)));
    let (path, confirmation) = (format!("{order}/confirm"), json!({"records": 100_001}));
    let destroying = broker.second_admin(&path, confirmation);
    let beside = async {
        while left(&broker).await > 90_000 {}
        let started = Instant::now();
        device.backup("archive", 100_001, b"under the next KEK").await;
        assert!(left(&broker).await > 0, "the backup had to wait for the destruction: {:?}", started.elapsed());
    };
    tokio::select! {
        answer = destroying => panic!("destroyed before anybody else could write: {answer:?}"),
        () = beside => broker.kill(),
    }
    broker.run(&[]).await;
    let deadline = Instant::now() + Duration::from_secs(120);
    while left(&broker).await > 0 {
        assert!(Instant::now() < deadline, "the destruction does not go on after a crash");
        sleep(Duration::from_millis(100)).await;
    }
    let rest = broker.sql("SELECT group_concat(kek) FROM wraps").await;
    assert_eq!(rest, Some(next), "what another KEK wrapped is untouched");
    let kept = "SELECT CAST(COUNT(*) AS TEXT) FROM records WHERE bundle = CAST('' AS BLOB)";
    assert_eq!(broker.sql(kept).await.unwrap(), "100001", "rows stay, bundles do not");
    let traces = ["trace of a bundle", "trace of a wrap"].map(|trace| trace.as_bytes().to_vec());
    assert_eq!(found(&broker, &traces), 0);
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "kek.destroyed"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_revoked_tenant_left_can_still_be_destroyed() {
    let (broker, vkey, device) = start().await;
    device.backup("identity", 1, b"any key").await;
    let doomed = kek(&broker, TENANT).await;
    broker.revoke(TENANT, "tenant", None).await;
    let (order, asked) = request(&broker, &doomed).await;
    assert_eq!(asked["lost"], 1);
    assert_eq!(broker.admin(&format!("{order}/confirm"), Some(json!({"records": 1}))).await.0, 403, "by another");
    assert_eq!(confirm(&broker, &order, 1).await.0, 201);
    assert!(wrapped(&broker).await.is_empty());
    assert_eq!(step(&broker, &doomed, "enable").await.1["code"], "tenant_inactive", "nothing comes back");
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "kek.destroyed"), ["ok"]);
}
