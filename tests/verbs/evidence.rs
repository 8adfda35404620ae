//! What can be proven afterwards: evidence for an auditor, and what a receiver exported, both through the program.

use crate::harness::{Broker, Raw, TENANT, keyfold, text};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// `keyfold audit export`.
fn audit_export(broker: &Broker, vkey: &str, out: &Path, words: &[&str]) -> Output {
    let (url, ca, token) = (broker.url(""), broker.path("ca.pem"), broker.path("admin-token"));
    let connection = ["--url", &url, "--ca", ca.to_str().unwrap(), "--token-file", token.to_str().unwrap()];
    let rest = [TENANT, "--for", "Auditor & Co", "--vkey", vkey, "--out", out.to_str().unwrap()];
    keyfold(&[&["audit", "export"], &connection[..], &rest, words].concat())
}

fn verified(words: &[&str]) -> Value {
    let output = keyfold(&[&["verify", "--json"], words].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(words: &[&str]) -> String {
    let output = keyfold(&[&["verify"], words].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

/// Alice and Bob have backed up, and Alice has restored.
async fn story(edit: impl FnOnce(String) -> String) -> (Broker, String) {
    let broker = Broker::start_with(edit).await;
    let vkey = broker.with_tenant().await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    let (opened, _) = device.open("identity").await;
    device.release(&opened).await;
    Raw::enrol(&broker, TENANT, "bob").await.backup("identity", 1, b"any key").await;
    (broker, vkey)
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_sees_what_was_chosen_and_the_log_says_who_was_shown_it() {
    let (broker, vkey) = story(|config| config).await;
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("evidence");
    let made = audit_export(&broker, &vkey, &out, &["--fields", "user,device", "--events", "restore.*", "--from", "2"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let (out, before) = (out.to_str().unwrap(), broker.verified_log(TENANT, &vkey));

    let report = verified(&[out, "--vkey", &vkey]);
    assert_eq!(
        (&report["pinned"], &report["manifest"]["from"], &report["other_policies"]),
        (&json!(true), &json!(2), &json!(0))
    );
    let shown = lines(&Path::new(out).join("events.ndjson"));
    assert_eq!(shown.len() as u64, report["manifest"]["to"].as_u64().unwrap() - 1, "all events but index 1");
    for event in &shown {
        let fields: Vec<_> = event["disclosed"].as_object().unwrap().keys().map(String::as_str).collect();
        let restore = event["evt"].as_str().unwrap().starts_with("restore.");
        assert_eq!(fields, if restore { ["device", "user"].as_slice() } else { &[] }, "{}", event["evt"]);
    }
    let told = before.iter().find(|event| event["evt"] == "audit.exported").unwrap();
    assert_eq!(told["cor"], report["manifest"]["export"]);
    assert_eq!(told["disclosed"]["actor"], "token:operator");
    let to = &report["manifest"]["to"];
    let expected = format!("fields=device,user events=restore.* from=2 to={to} for=Auditor & Co");
    assert_eq!(told["disclosed"]["reason"], expected);

    // By time: from the first event of the restore on.
    let restore = before.iter().find(|event| event["evt"] == "restore.requested").unwrap();
    let timed = folder.path().join("timed");
    let at = restore["time"].as_str().unwrap();
    assert!(audit_export(&broker, &vkey, &timed, &["--fields", "user", "--from", at]).status.success());
    let first = verified(&[timed.to_str().unwrap(), "--vkey", &vkey])["manifest"]["from"].as_u64().unwrap();
    let first = usize::try_from(first).unwrap();
    // On a fast machine all of it happened within one second.
    let earlier = first.checked_sub(1).map(|earlier| before[earlier]["time"].as_str().unwrap());
    assert!(before[first]["time"] == at && earlier.is_none_or(|earlier| earlier < at));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_evidence_is_told_who_was_erased_since() {
    let (broker, vkey) = story(|config| config).await;
    let folder = TempDir::new().unwrap();
    let (old, newer) = (folder.path().join("old"), folder.path().join("newer"));
    assert!(audit_export(&broker, &vkey, &old, &["--fields", "user"]).status.success());
    let alice: Vec<_> = lines(&old.join("events.ndjson"))
        .into_iter()
        .filter(|event| event["disclosed"]["user"] == "alice")
        .map(|event| event["index"].clone())
        .collect();
    assert!(alice.len() >= 5);
    broker.revoke(TENANT, "user", Some("alice")).await;
    let erased = broker.admin_ok(&format!("/{TENANT}/users/alice/erase"), json!({"reason": "request 4711"})).await;
    broker.export(TENANT, &vkey, &newer);
    let (old, newer) = (old.to_str().unwrap(), newer.to_str().unwrap());
    let report = verified(&[old, "--vkey", &vkey, "--newer", newer]);
    let since = report["erased_since"].as_array().unwrap();
    assert_eq!((since.len(), &since[0]["erasure"], &since[0]["events"]), (1, &erased["erasure"], &json!(alice)));

    // Evidence made now has nothing about her to give.
    let now = folder.path().join("now");
    assert!(audit_export(&broker, &vkey, &now, &["--fields", "user"]).status.success());
    let report = verified(&[now.to_str().unwrap(), "--vkey", &vkey]);
    assert!(report["manifest"]["erased"].as_u64().unwrap() > alice.len() as u64);
    assert!(!fs::read_to_string(now.join("events.ndjson")).unwrap().contains("alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_not_made_from_nothing_or_for_nobody() {
    let (broker, vkey) = story(|config| config).await;
    let ask = async |change: Value| {
        let mut ask = json!({"for": "auditor", "fields": ["user"]});
        ask.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        broker.admin(&format!("/{TENANT}/exports"), Some(ask)).await.0
    };
    for malformed in [
        json!({"for": ""}),
        json!({"fields": ["name"]}),
        json!({"events": ["nothing.*"]}),
        json!({"from": {"index": 7}, "to": {"index": 7}}),
        json!({"from": {"index": 7_000_000}}),
        json!({"from": {"time": i64::MAX}}),
        json!({"from": 7}),
    ] {
        assert_eq!(ask(malformed.clone()).await, 400, "{malformed}");
    }
    let nobody = broker.admin("/nobody/exports", Some(json!({"for": "auditor", "fields": []}))).await;
    assert_eq!(nobody.0, 404);
    assert!(broker.verified_log(TENANT, &vkey).iter().all(|event| event["evt"] != "audit.exported"));
    broker.revoke(TENANT, "tenant", None).await;
    assert_eq!(ask(json!({})).await, 201, "a tenant that is gone is still audited");
}

/// What the file sink has written, once it has all events of the export.
async fn delivered(broker: &Broker, events: usize) -> Vec<String> {
    loop {
        let text = fs::read_to_string(broker.path("siem.ndjson")).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("\"leaf\"")).map(str::to_owned).collect();
        if lines.len() >= events {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    gzip.wait_with_output().unwrap().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_exported_is_proven_or_the_bad_event_is_named() {
    let sink = "\n[[sinks]]\ntype = \"file\"\nname = \"siem\"\npath = \"siem.ndjson\"\nfields = [\"device\"]\n";
    let (broker, vkey) = story(|config| config + sink).await;
    let folder = TempDir::new().unwrap();
    let export = folder.path().join("export");
    broker.export(TENANT, &vkey, &export);
    let checkpoint = export.join("log/checkpoint");
    let events = delivered(&broker, lines(&export.join("events.ndjson")).len()).await;
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join("siem").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    };
    // As an S3 bucket and a Splunk search would give them: gzip, in folders, wrapped, backwards, some twice.
    let (first, second) = events.split_at(events.len() / 2);
    let object =
        file("2026/01/1.ndjson.gz", &[gzip(&(first[..2].join("\n") + "\n")), gzip(&first[1..].join("\n"))].concat());
    let wrapped = second.iter().rev().map(|line| json!({"result": {"_raw": line}}).to_string());
    let splunk = file("splunk.json", wrapped.collect::<Vec<_>>().join("\n").as_bytes());
    let siem = folder.path().join("siem");
    let common = ["--vkey", &vkey, "--checkpoint", checkpoint.to_str().unwrap()];
    let report = verified(&[&[siem.to_str().unwrap()], &common[..]].concat());
    assert_eq!(
        (&report["events"], &report["withheld"], &report["repeated"]),
        (&json!(events.len()), &json!(0), &json!(1))
    );
    assert_eq!(report["released"], 1);
    let both =
        verified(&[&[splunk.to_str().unwrap(), object.to_str().unwrap()], &common[..], &["--complete"]].concat());
    assert_eq!(both, report);

    let said = refused(&[&[splunk.to_str().unwrap()], &common[..]].concat());
    assert!(said.contains("event 0: missing"), "{said}");
    let forged = file("forged.json", events[7].replace("\"ok\"", "\"no\"").as_bytes());
    let said = refused(&[&[siem.to_str().unwrap()], &common[..]].concat());
    assert!(said.contains("event 7: "), "{said}");
    fs::remove_file(forged).unwrap();

    // Nothing is believed that was not checked.
    let siem = siem.to_str().unwrap();
    for (words, why) in [
        (vec![siem], "`--vkey` is due"),
        (vec![siem, "--vkey", &vkey], "no checkpoint"),
        (vec![siem, "--vkey", &vkey, "--older", checkpoint.to_str().unwrap()], "`--older` is not for"),
        (vec![export.to_str().unwrap(), "--complete"], "`--complete` is not for an export"),
    ] {
        let said = refused(&words);
        assert!(said.contains(why), "{said}");
    }
}

/// The newest checkpoint as the broker hands it out, in a file.
async fn newest_checkpoint(broker: &Broker, folder: &TempDir) -> PathBuf {
    let url = broker.url(&format!("/v1/tenants/{TENANT}/log/checkpoint"));
    let answer = broker.http().get(url).bearer_auth(broker.token()).send().await.unwrap();
    let path = folder.path().join("newest");
    fs::write(&path, answer.text().await.unwrap()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_put_back_is_seen_by_whoever_kept_what_was_delivered() {
    let sink = "\n[[sinks]]\ntype = \"file\"\nname = \"siem\"\npath = \"siem.ndjson\"\n";
    let (mut broker, vkey) = story(|config| config + sink).await;
    let folder = TempDir::new().unwrap();
    let copies = ["keyfold.db", "keyfold.db-wal"].map(|name| (broker.path(name), folder.path().join(name)));
    broker.stop();
    for (original, copy) in copies.iter().filter(|(original, _)| original.exists()) {
        fs::copy(original, copy).unwrap();
    }
    broker.run(&[]).await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "carol"})).await;
    let size = broker.verified_log(TENANT, &vkey).len();
    delivered(&broker, size).await;
    let before = fs::read_to_string(newest_checkpoint(&broker, &folder).await).unwrap();
    broker.stop();
    for (original, copy) in &copies {
        let _none = fs::remove_file(original);
        if copy.exists() {
            fs::copy(copy, original).unwrap();
        }
    }
    // The broker cannot know. It goes on, and gives an index a second time.
    broker.run(&[]).await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "dave"})).await;
    delivered(&broker, size + 1).await;
    let siem = broker.path("siem.ndjson");
    let newest = newest_checkpoint(&broker, &folder).await;
    let words = [siem.to_str().unwrap(), "--vkey", &vkey, "--checkpoint", newest.to_str().unwrap()];
    let said = refused(&words);
    assert!(said.contains("contradicts another that is signed alike"), "{said}");

    let (old, export) = (folder.path().join("old"), folder.path().join("export"));
    fs::write(&old, before).unwrap();
    broker.export(TENANT, &vkey, &export);
    let said = refused(&[export.to_str().unwrap(), "--vkey", &vkey, "--older", old.to_str().unwrap()]);
    assert!(said.contains("its history was rewritten") || said.contains("shorter than the older checkpoint"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_filters_is_counted_and_the_rest_is_proven() {
    let sink = "\n[[sinks]]\ntype = \"file\"\nname = \"siem\"\npath = \"siem.ndjson\"\nproof = true\n\
                events = [\"restore.*\", \"device.*\", \"log.*\"]\nfields = [\"device\"]\n";
    let mut broker = Broker::prepared(|config| config + sink);
    // The first run writes the log, the second delivers all of it at once, and then its checkpoint.
    let config = fs::read_to_string(broker.path("keyfold.toml")).unwrap();
    fs::write(broker.path("keyfold.toml"), config.replace(sink, "")).unwrap();
    broker.run(&[]).await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    let (opened, _) = device.open("identity").await;
    device.release(&opened).await;
    let log = broker.verified_log(TENANT, &vkey);
    broker.stop();
    fs::write(broker.path("keyfold.toml"), config).unwrap();
    broker.run(&[]).await;
    let siem = broker.path("siem.ndjson");
    while !fs::read_to_string(&siem).unwrap_or_default().contains("\"checkpoint\"") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let kept = log.iter().filter(|event| {
        let name = event["evt"].as_str().unwrap();
        ["restore.", "device.", "log."].iter().any(|group| name.starts_with(group))
    });
    let (kept, siem) = (kept.count(), siem.to_str().unwrap());
    let report = verified(&[siem, "--vkey", &vkey]);
    assert_eq!((&report["events"], &report["withheld"]), (&json!(kept), &json!(log.len() - kept)));
    assert!(refused(&[siem, "--vkey", &vkey, "--complete"]).contains("missing"));

    // One that was not filtered is missed, too.
    let text = fs::read_to_string(siem).unwrap();
    let less: Vec<_> = text.lines().filter(|line| !line.contains("restore.intent")).collect();
    fs::write(siem, less.join("\n")).unwrap();
    let said = refused(&[siem, "--vkey", &vkey]);
    assert!(said.contains("this event or a later one is missing"), "{said}");
}
