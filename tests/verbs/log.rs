//! The log over HTTP is the log that is exported, and the one that devices hold receipts of.

use crate::harness::{Broker, Raw, TENANT};
use audit::note::Verifier;
use audit::receipt::Receipt;
use audit::tile::{decode_tile, entries};
use protocol::enrolment::EnrolmentCode;
use protocol::messages::Wrapped;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A resource of the log, with the operator's token.
async fn resource(broker: &Broker, path: &str) -> (u16, Vec<u8>) {
    let url = broker.url(&format!("/v1/tenants/{TENANT}/log/{path}"));
    let answer = broker.http().get(url).bearer_auth(broker.token()).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().into())
}

/// The names of all files below a folder.
fn files(folder: &Path, below: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.join(below)).unwrap().map(Result::unwrap);
    let names = entries
        .map(|entry| (entry.file_type().unwrap().is_dir(), format!("{below}/{}", entry.file_name().to_string_lossy())));
    names.flat_map(|(is_dir, name)| if is_dir { files(folder, &name) } else { vec![name] }).collect()
}

/// A log of more than one full tile.
async fn long_log() -> (Broker, String, Raw) {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    for user in 0..260 {
        broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": format!("user-{user}")})).await;
    }
    (broker, vkey, device)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tile_and_the_checkpoint_are_those_of_the_export() {
    let (broker, vkey, _) = long_log().await;
    let out = TempDir::new().unwrap();
    let dir = out.path().join("export");
    broker.export(TENANT, &vkey, &dir);
    let tiles = files(&dir.join("log"), "tile");
    assert!(tiles.len() >= 5, "full and partial tiles, two bundles, a level above: {tiles:?}");
    for name in tiles.iter().map(String::as_str).chain(["checkpoint"]) {
        let (status, served) = resource(&broker, name).await;
        assert_eq!(status, 200, "{name}");
        assert_eq!(served, fs::read(dir.join("log").join(name)).unwrap(), "{name}");
    }
    let (_, narrower) = resource(&broker, "tile/0/000.p/3").await;
    let (_, full) = resource(&broker, "tile/0/000").await;
    assert_eq!(decode_tile(&narrower).unwrap(), &decode_tile(&full).unwrap()[..3], "a tile was once narrower");
    assert_eq!(entries(&resource(&broker, "tile/entries/000").await.1).count(), 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_has_not_is_not_found_and_the_log_is_not_for_everybody() {
    let (broker, _, device) = long_log().await;
    for name in [
        "tile/0/002",
        "tile/0/001",
        "tile/0/001.p/255",
        "tile/1/000",
        "tile/1/000.p/2",
        "tile/63/000.p/1",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/0",
        "tile/entries/001",
        "tile/entries/x999/x999/x999/x999/x999/x999/999",
        "tile/entries/000%2f..%2f..%2fcheckpoint",
        "tile/data/000",
        "vkey",
        "",
    ] {
        assert_eq!(resource(&broker, name).await.0, 404, "{name}");
    }
    for path in ["/v1/tenants/acme/log/checkpoint", "/v1/tenants/acme/log/tile/0/000", "/v1/admin/tenants/acme/events"]
    {
        for token in ["", "wrong", &device.id().to_string()] {
            let answer = broker.http().get(broker.url(path)).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
        }
        let nobody = broker.http().get(broker.url(&path.replace("acme", "nobody"))).bearer_auth(broker.token());
        assert_eq!(nobody.send().await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_proves_its_leaf_in_the_log_that_grew_since() {
    let (broker, vkey, device) = long_log().await;
    let wrap = device.wrap("identity", 1, b"key");
    let early: Wrapped = device.send_wrap(&wrap).await.json();
    for generation in 2..10 {
        device.backup("identity", generation, b"key").await;
    }
    let late: Wrapped = device.send_wrap(&wrap).await.json();
    let verifier = [Verifier::parse(&vkey).unwrap()];
    let (early_proof, late_proof) = (Receipt::parse(&early.receipt).unwrap(), Receipt::parse(&late.receipt).unwrap());
    let sizes = [&early_proof, &late_proof].map(|proof| proof.verify(early.leaf.as_bytes(), &verifier).unwrap().size);
    assert!(sizes[0] < sizes[1], "the later receipt leads to the later checkpoint: {sizes:?}");
    assert_eq!((early_proof.index, &early.leaf), (late_proof.index, &late.leaf));
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(log[usize::try_from(early_proof.index).unwrap()]["leaf"], early.leaf);
    let mut other = early.leaf.clone();
    other.pop();
    assert!(early_proof.verify(other.as_bytes(), &verifier).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_and_tell_only_what_may_be_told() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    let material = b"planted-material-91c2";
    device.backup("identity", 1, material).await;
    let (opened, _) = device.open("identity").await;
    device.release(&opened).await;
    device.acknowledge(&opened).await;

    let log = broker.verified_log(TENANT, &vkey);
    let kinds: Vec<_> = log.iter().map(|event| event["evt"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "log.opened",
            "kek.registered",
            "user.created",
            "enrolment.code_created",
            "device.enrolled",
            "record.wrapped",
            "restore.requested",
            "restore.intent",
            "restore.released",
            "restore.acknowledged"
        ]
    );
    let story: Vec<_> = log[6..].iter().map(|event| event["cor"].as_str().unwrap()).collect();
    assert!(story.iter().all(|cor| *cor == opened.restore.to_string()), "one restore, one `cor`: {story:?}");
    let told = |index: usize, field: &str| log[index]["disclosed"][field].as_str().map(str::to_owned);
    assert_eq!(told(8, "user").as_deref(), Some("alice"));
    assert_eq!(told(8, "device"), Some(device.id().to_string()));
    assert_eq!(told(6, "reason").as_deref(), Some("test"));
    assert_eq!(log[8]["exposure"], "sealed_to_device");
    let text = Value::Array(log).to_string();
    for secret in [&broker.token(), std::str::from_utf8(material).unwrap()] {
        assert!(!text.contains(secret));
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    assert!(!words.any(|word| word.parse::<EnrolmentCode>().is_ok()));

    let (_, page) = broker.admin(&format!("/{TENANT}/events?from=7"), None).await;
    let indices: Vec<_> = page["events"].as_array().unwrap().iter().map(|event| event["index"].as_u64()).collect();
    assert_eq!(indices, [Some(7), Some(8), Some(9)]);
    for query in ["from=-1", "from=x", "from=1&from=2", "until=x", "page=3", "from=18446744073709551616"] {
        let (status, problem) = broker.admin(&format!("/{TENANT}/events?{query}"), None).await;
        assert_eq!((status, &problem["code"]), (400, &"malformed".into()), "{query}");
    }
    let (status, page) = broker.admin(&format!("/{TENANT}/events?from=9223372036854775807"), None).await;
    assert_eq!((status, page), (200, json!({"events": []})));
}
