//! A restore is released exactly once, to the device that asked.

use crate::harness::{Answer, Broker, Raw, TENANT, outcomes};
use audit::note::Verifier;
use audit::receipt::Receipt;
use device::{Error, RestoreRequest, Selection};
use futures_util::future::join_all;
use protocol::encoding::{Base64Url, to_base64url};
use protocol::messages::{Released, RestoreOpened};
use protocol::record::BundleError;
use protocol::sealing::{Info, OpeningKey};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use uuid::Uuid;

/// A broker, its log's verifier key, and a device with one record that has opened a restore of it.
async fn opened() -> (Broker, String, Raw, RestoreOpened) {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;
    let (opened, _) = device.open("identity").await;
    (broker, vkey, device, opened)
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_get_one_release_and_after_the_acknowledgement_nothing() {
    let (broker, vkey, device, opened) = opened().await;
    let answers = join_all((0..50).map(|_| device.release(&opened))).await;
    let released: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!released.is_empty());
    let sealed = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["records"].clone();
    assert!(released.iter().all(|answer| sealed(&answer.body) == sealed(&released[0].body)));
    let busy = answers.iter().filter(|answer| answer.status != 200);
    assert!(busy.map(|answer| answer.code()).all(|code| code == "restore_in_progress"));
    // One for the canary of the registration, one for the release.
    assert_eq!(broker.unwraps().await, 2);

    assert_eq!(device.acknowledge(&opened).await.status, 204);
    assert_eq!(refusal(&device.release(&opened).await), (410, "restore_over".into()));
    assert_eq!(broker.sql("SELECT CAST(COUNT(*) AS TEXT) FROM restores WHERE answer IS NOT NULL").await.unwrap(), "0");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.intent"), ["ok"]);
    assert_eq!(outcomes(&log, "restore.released"), ["ok"]);
    assert_eq!(outcomes(&log, "restore.acknowledged"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_released_opens_for_this_restore_only() {
    let (broker, vkey, device, _) = opened().await;
    let (opened, receive) = device.open("identity").await;
    let released: Released = device.release(&opened).await.json();
    let [record] = &released.records[..] else { panic!("one record was asked for") };
    let wrap = device.wrap_as(record.record, "identity", 1, b"the key");
    let name = protocol::record::RecordName {
        tenant: TENANT.parse().unwrap(),
        user: "alice".parse().unwrap(),
        kind: wrap.kind,
        generation: 1,
        record: record.record,
        device: device.id(),
        suite: record.suite,
    };
    let context = name.context();
    let other = device.open("identity").await.0.transcript.0;
    assert!(receive.open(&Info::release(&context, &other), &record.sealed.0).is_err());
    assert!(OpeningKey::generate().open(&Info::release(&context, &opened.transcript.0), &record.sealed.0).is_err());
    let payload = receive.open(&Info::release(&context, &opened.transcript.0), &record.sealed.0).unwrap();
    assert_eq!(payload.len(), 64, "a wrapping secret and its context");
    let receipt = Receipt::parse(&released.receipt).unwrap();
    receipt.verify(released.leaf.as_bytes(), &[Verifier::parse(&vkey).unwrap()]).unwrap();
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(log[usize::try_from(receipt.index).unwrap()]["leaf"], released.leaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_transcript_releases_nothing() {
    let (broker, vkey, device, opened) = opened().await;
    let (mut foreign, _) = device.open("identity").await;
    foreign.restore = opened.restore;
    assert_eq!(refusal(&device.release(&foreign).await), (409, "transcript_mismatch".into()));
    assert_eq!(refusal(&device.acknowledge(&foreign).await), (409, "transcript_mismatch".into()));
    assert_eq!(refusal(&device.acknowledge(&opened).await), (409, "restore_not_released".into()));
    let path = device.path(&format!("/restores/{}/release", opened.restore));
    for transcript in [json!(null), json!(""), json!(to_base64url(&[7; 31])), json!([7, 7])] {
        let refused = device.post(&path, &json!({"transcript": transcript})).await;
        assert_eq!(refusal(&refused), (400, "malformed".into()), "{transcript}");
    }
    assert_eq!(broker.unwraps().await, 1, "the canary's alone");
    assert_eq!(device.release(&opened).await.status, 200, "nothing was lost");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(
        outcomes(&log, "restore.denied"),
        ["transcript_mismatch", "transcript_mismatch", "restore_not_released"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_elses_restore_can_be_seen_released_or_ended() {
    let (broker, vkey, device, opened) = opened().await;
    let other_vkey = broker.tenant("other", "mallory").await;
    broker.admin_ok("/acme/users", json!({"id": "bob"})).await;
    let second = Raw::enrol(&broker, TENANT, "alice").await;
    let bob = Raw::enrol(&broker, TENANT, "bob").await;
    let mallory = Raw::enrol(&broker, "other", "mallory").await;
    let mut unknown = opened.clone();
    unknown.restore = Uuid::now_v7();
    for thief in [&second, &bob, &mallory] {
        for restore in [&opened, &unknown] {
            let status = thief.path(&format!("/restores/{}", restore.restore));
            for answer in [
                thief.release(restore).await,
                thief.acknowledge(restore).await,
                thief.post(&status, &Value::Null).await,
            ] {
                assert_eq!(refusal(&answer), (404, "restore_unknown".into()), "{}", thief.enrolled.user);
            }
        }
    }
    assert_eq!(device.release(&opened).await.status, 200, "nothing was lost");
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "restore.released"), ["ok"]);
    // The other tenant's log must not tell it which records or KEKs of this one are behind a restore's id.
    let records: Vec<_> = opened.records.iter().map(|entry| entry.record.to_string()).collect();
    let kek = broker.admin("/acme/keks", None).await.1["items"][0]["id"].as_str().unwrap().to_owned();
    for event in broker.verified_log("other", &other_vkey) {
        let text = event.to_string();
        assert!(!text.contains(&kek) && !records.iter().any(|record| text.contains(record)), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_elses_record_and_no_older_one_can_be_asked_for() {
    let (broker, vkey, device, opened) = opened().await;
    let old = opened.records[0].record;
    device.backup("identity", 2, b"the next key").await;
    broker.tenant("other", "mallory").await;
    broker.admin_ok("/acme/users", json!({"id": "bob"})).await;
    let bob = Raw::enrol(&broker, TENANT, "bob").await;
    let mallory = Raw::enrol(&broker, "other", "mallory").await;
    let receive = OpeningKey::generate();
    let receive = receive.public();
    for thief in [&bob, &mallory] {
        for selection in
            [json!({"records": [old]}), json!({"records": [Uuid::new_v4()]}), json!({"kinds": ["identity"]})]
        {
            assert_eq!(refusal(&thief.ask(selection, receive).await), (404, "record_unknown".into()));
        }
    }
    let older = device.ask(json!({"records": [old]}), receive).await;
    assert_eq!(refusal(&older), (403, "policy_denied".into()));
    let late = device.release(&opened).await;
    assert_eq!(refusal(&late), (403, "policy_denied".into()), "newest when it was asked for, and not any more");
    let twice = json!({"kinds": ["identity", "identity"]});
    for selection in [json!({}), json!({"records": [], "kinds": []}), json!({"records": [old], "kinds": ["a"]}), twice]
    {
        assert_eq!(refusal(&device.ask(selection.clone(), receive).await), (400, "malformed".into()), "{selection}");
    }
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(
        outcomes(&log, "restore.denied"),
        ["record_unknown", "record_unknown", "record_unknown", "policy_denied", "policy_denied"]
    );
    assert_eq!(broker.unwraps().await, 2, "the canaries' alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_runs_out_before_its_release_and_after_it() {
    let mut broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;
    let ((waiting, _), (released, _)) = (device.open("identity").await, device.open("identity").await);
    assert_eq!(device.release(&released).await.status, 200);
    broker.stop();
    broker.sql("UPDATE restores SET expires_at = changed_at").await;
    broker.run(&[]).await;
    assert_eq!(refusal(&device.release(&waiting).await), (410, "restore_over".into()));
    assert_eq!(refusal(&device.release(&released).await), (410, "restore_over".into()));
    assert_eq!(broker.unwraps().await, 0);
    swept(&broker).await;
    let log = broker.verified_log(TENANT, &vkey);
    let mut expired = outcomes(&log, "restore.expired");
    expired.sort();
    assert_eq!(expired, ["not_acknowledged", "ok"]);
    assert_eq!(broker.sql("SELECT CAST(COUNT(*) AS TEXT) FROM restores WHERE answer IS NOT NULL").await.unwrap(), "0");
}

/// Waits for the sweep that ends what has run out.
async fn swept(broker: &Broker) {
    for _ in 0..150 {
        let open = "SELECT CAST(COUNT(*) AS TEXT) FROM restores WHERE state IN ('approved', 'released')";
        if broker.sql(open).await.as_deref() == Some("0") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("nothing was swept: {}", broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_time_is_not_released() {
    let (mut broker, vkey, device, pending) = opened().await;
    let (early, _) = device.open("identity").await;
    broker.stop();
    broker.sql("UPDATE restores SET not_before = not_before + 3600000").await;
    broker.run(&[]).await;
    for restore in [&pending, &early] {
        assert_eq!(refusal(&device.release(restore).await), (409, "restore_pending".into()));
        assert_eq!(refusal(&device.acknowledge(restore).await), (409, "restore_not_released".into()));
    }
    assert_eq!(broker.unwraps().await, 0);
    assert!(outcomes(&broker.verified_log(TENANT, &vkey), "restore.intent").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_commitment_is_found_by_the_device_before_it_decrypts() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let (raw, mut sdk) = (Raw::enrol(&broker, TENANT, "alice").await, broker.enrol(TENANT, "alice").await);
    let mut wrap = raw.wrap("identity", 1, b"the key");
    wrap.commitment = Base64Url([7; 32]);
    assert_eq!(raw.send_wrap(&wrap).await.status, 201, "only devices can tell");
    // The bundle itself is sound: it is the commitment alone that stops the device.
    let selection = Selection::Kinds(vec!["identity".parse().unwrap()]);
    let pending = sdk.restore(RestoreRequest { selection, reason: "test".parse().unwrap() }).await.unwrap();
    let refused = pending.release(None).await;
    assert!(matches!(refused, Err(Error::Bundle(BundleError::Commitment))), "{refused:?}");
}

/// Sends a request over a connection of its own and reads nothing.
async fn send_unread(broker: &Broker, path: &str, body: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(broker.path("ca.pem")).unwrap()).unwrap();
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(("127.0.0.1", broker.port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jose+json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// The body of a release, and where it goes.
async fn release_body(device: &Raw, opened: &RestoreOpened) -> (String, Vec<u8>) {
    let path = device.path(&format!("/restores/{}/release", opened.restore));
    let payload = json!({"transcript": serde_json::to_value(opened.transcript).unwrap()}).to_string();
    let body = device.sign(&path, &device.nonce().await, payload.as_bytes());
    (path, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_got_lost_is_fetched_again_without_a_second_unwrap() {
    let (broker, vkey, device, opened) = opened().await;
    let (path, body) = release_body(&device, &opened).await;
    let unread = send_unread(&broker, &path, &body).await;
    while broker.unwraps().await < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(unread);
    let again = fetched(&device, &opened).await;
    let third = fetched(&device, &opened).await;
    assert_eq!(again.records, third.records, "the same sealed bytes");
    assert_eq!(again.leaf, third.leaf);
    for answer in [&again, &third] {
        let receipt = Receipt::parse(&answer.receipt).unwrap();
        receipt.verify(answer.leaf.as_bytes(), &[Verifier::parse(&vkey).unwrap()]).unwrap();
    }
    assert_eq!(broker.unwraps().await, 2);
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.released"), ["ok"]);
    assert_eq!(outcomes(&log, "restore.fetched"), ["ok", "ok"]);
    let released = log.iter().find(|event| event["evt"] == "restore.released").unwrap();
    assert_eq!(released["leaf"], again.leaf, "the receipt is that of the release");
}

/// Asks until the release that is under way has ended.
async fn fetched(device: &Raw, opened: &RestoreOpened) -> Released {
    loop {
        let answer = device.release(opened).await;
        if answer.status == 200 {
            return answer.json();
        }
        assert_eq!(answer.code(), "restore_in_progress");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_stops_nothing_half_way() {
    let (broker, vkey, device, _) = opened().await;
    let mut restores = Vec::new();
    for round in 0..24 {
        let (opened, _) = device.open("identity").await;
        let (path, body) = release_body(&device, &opened).await;
        let unread = send_unread(&broker, &path, &body).await;
        tokio::time::sleep(Duration::from_millis(round / 2)).await;
        drop(unread);
        restores.push(opened);
    }
    for opened in &restores {
        fetched(&device, opened).await;
    }
    assert_eq!(broker.unwraps().await, 1 + 24, "one for each restore, and the canary");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.intent"), ["ok"; 24]);
    assert_eq!(outcomes(&log, "restore.released"), ["ok"; 24]);
    assert!(outcomes(&log, "restore.failed").is_empty());
}
