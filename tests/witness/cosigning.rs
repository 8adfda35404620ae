//! A log that only grows is cosigned, whatever becomes of witness and broker meanwhile.

use crate::harness::{Raw, TENANT, keyfold, text};
use crate::watch::{Watch, broker, configure, metric, until, until_witnessed, watched};
use audit::Origin;
use audit::cosignature::{Cosigner, CosignerKey, cosignatures};
use secret::Secret;
use serde_json::json;
use std::fs;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn each_checkpoint_is_cosigned_and_an_export_shows_by_whom() {
    let (broker, vkey, watch) = watched().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    for generation in 1..300 {
        device.backup("identity", generation, b"key").await;
    }
    let witnessed = until_witnessed(&broker, &vkey).await;
    assert_eq!(cosignatures(&witnessed, &[Cosigner::parse(&watch.vkey).unwrap()]).unwrap().len(), 1);
    let lag = "keyfold_witness_lag_events{witness=\"own\"} ";
    until("nothing is behind", async || metric(&broker, lag).await == Some(0.0)).await;

    let out = TempDir::new().unwrap();
    let dir = out.path().join("export");
    let export = broker.run_admin(&["export", TENANT, "--vkey", &vkey, "--out", dir.to_str().unwrap(), "--witnessed"]);
    assert!(export.status.success(), "{}", text(&export.stderr));
    let verify =
        |witness: &str| keyfold(&["verify", dir.to_str().unwrap(), "--vkey", &vkey, "--json", "--witness", witness]);
    let verified = verify(&watch.vkey);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    assert!(text(&verified.stdout).contains("\"witness.example/w1\""), "{}", text(&verified.stdout));
    let stranger = CosignerKey::from_seed(&Origin::new("witness.example/w2").unwrap(), &Secret::random(32)).unwrap();
    let refused = verify(&stranger.cosigner().to_string());
    assert!(text(&refused.stderr).contains("not cosigned by `witness.example/w2`"), "{}", text(&refused.stderr));

    let checkpoint = dir.join("log/checkpoint");
    let note = fs::read_to_string(&checkpoint).unwrap();
    let (log, cosignature) = note.rsplit_once("\u{2014} ").unwrap();
    let at = cosignature.len() / 2;
    let other = if &cosignature[at..=at] == "A" { "B" } else { "A" };
    for (bad, says) in [
        (log.to_owned(), "not cosigned"),
        (format!("{log}\u{2014} {}{other}{}", &cosignature[..at], &cosignature[at + 1..]), "does not verify"),
    ] {
        fs::write(&checkpoint, bad).unwrap();
        let refused = verify(&watch.vkey);
        assert!(!refused.status.success() && text(&refused.stderr).contains(says), "{}", text(&refused.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_where_the_other_is_asks_and_goes_on() {
    let (mut broker, vkey, watch) = watched().await;
    let before = watch.remembered();
    broker.stop();
    broker.sql("DELETE FROM cosignatures").await;
    broker.run(&[]).await;
    let user = json!({"id": "bob"});
    broker.admin_ok(&format!("/{TENANT}/users"), user).await;
    until_witnessed(&broker, &vkey).await;
    assert!(watch.remembered() > before);
    assert_eq!(metric(&broker, "keyfold_witness_requests_total{witness=\"own\",outcome=\"forgotten\"} ").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_killed_between_its_memory_and_its_answer_has_not_forgotten() {
    // The first sync is that of the file before it gets its name, the second that of the folder after.
    for (sync, remembers) in [(1, false), (2, true)] {
        let (broker, vkey, mut watch) = watched().await;
        let before = watch.remembered();
        watch.kill_at(sync).await;
        broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
        until("the witness dies", async || watch.has_ended()).await;
        assert_eq!(watch.remembered() > before, remembers, "sync {sync}");
        watch.kill();
        watch.run().await;
        let witnessed = until_witnessed(&broker, &vkey).await;
        assert_eq!(watch.remembered(), crate::watch::size(&witnessed));
        assert_eq!(metric(&broker, "keyfold_log_frozen").await, None, "{}", broker.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_the_witness_does_not_know_raises_an_alarm_and_no_more() {
    let (mut broker, _) = broker().await;
    let watch = Watch::start(&[]).await;
    broker.stop();
    configure(&broker, &watch.entry());
    broker.run(&[]).await;
    until("the alarm", async || metric(&broker, "keyfold_witness_refused_logs{witness=\"own\"} ").await == Some(1.0))
        .await;
    assert!(broker.log().contains("a witness does not take a log"));
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"key").await;
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_has_lost_its_folder_is_noticed_and_never_starts_without_one() {
    let (broker, vkey, mut watch) = watched().await;
    watch.kill();
    fs::rename(watch.path("state"), watch.path("lost")).unwrap();
    let refused = keyfold(&["witness", "serve", "--config", watch.path("witness.toml").to_str().unwrap()]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("folder cannot be used"));
    fs::create_dir(watch.path("state")).unwrap();
    watch.run().await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    until_witnessed(&broker, &vkey).await;
    let forgotten = "keyfold_witness_requests_total{witness=\"own\",outcome=\"forgotten\"} ";
    assert_eq!(metric(&broker, forgotten).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_proven_keeps_back_no_other() {
    let (mut broker, vkey) = broker().await;
    let other = broker.tenant("aaa", "carol").await;
    let watch = Watch::start(&[&vkey, &other]).await;
    broker.stop();
    configure(&broker, &watch.entry());
    broker.run(&[]).await;
    until_witnessed(&broker, &vkey).await;
    broker.stop();
    // The leaves that a proof from any earlier size needs; the tenant comes first in every round.
    broker.sql("DELETE FROM leaves WHERE tenant = 'aaa'").await;
    broker.sql("UPDATE log_heads SET size = size + 1 WHERE tenant = 'aaa'").await;
    broker.run(&[]).await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    until_witnessed(&broker, &vkey).await;
    let unreadable = "keyfold_witness_requests_total{witness=\"own\",outcome=\"unreadable\"} ";
    assert!(metric(&broker, unreadable).await >= Some(1.0), "{}", broker.log());
}
