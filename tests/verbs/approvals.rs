//! People decide on restores: each signs exactly one, and what they signed is verified again when it counts.

use crate::harness::demanding::{Demanding, code, decide, demanding, say, write_policies};
use crate::harness::mail::{ALICE, subject, told_by};
use crate::harness::{Broker, TENANT, keyfold, outcomes, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::messages::RestoreState;
use serde_json::{Value, json};
use sqlx::{Connection, Row};
use std::fs;

const OK: (u16, String) = (204, String::new());

fn refused(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

/// Spoils the signature in the database, as one bit of it.
async fn alter_signature(broker: &Broker) {
    let mut database = broker.database().await;
    let row = sqlx::query("SELECT signature FROM approvals").fetch_one(&mut database).await.unwrap();
    let mut assertion: Value = serde_json::from_slice(&row.get::<Vec<u8>, _>(0)).unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(assertion["response"]["signature"].as_str().unwrap()).unwrap();
    *signature.last_mut().unwrap() ^= 1;
    assertion["response"]["signature"] = URL_SAFE_NO_PAD.encode(signature).into();
    let altered = assertion.to_string().into_bytes();
    sqlx::query("UPDATE approvals SET signature = $1").bind(altered).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_let_a_restore_through_and_the_log_names_them() {
    let mut scene = Demanding::start("two").await;
    let (mut carol, mut dave) = (scene.approver("carol", Some("carol")).await, scene.approver("dave", None).await);
    let (opened, _) = scene.device.open("two").await;
    assert_eq!((opened.state, opened.needs.approvals, opened.match_code), (RestoreState::Pending, 2, None));
    scene.waits(&opened).await;

    let (_, begun) = carol.begin(&decide(&opened), &json!({"decision": "approve"})).await;
    let lines = begun["shown"]["lines"].as_array().unwrap();
    for (name, value) in [("user", "alice"), ("keys", "two"), ("reason", "test"), ("decision", "approve")] {
        assert!(lines.iter().any(|line| line["name"] == name && line["value"] == value), "{name}: {begun}");
    }
    assert_eq!(say(&mut carol, &opened, "approve").await, OK);
    assert_eq!(say(&mut carol, &opened, "approve").await, refused(409, "already_approved"));
    assert_eq!(scene.status(&opened).await.needs.approvals, 1);
    scene.waits(&opened).await;
    assert_eq!(say(&mut scene.root, &opened, "approve").await, refused(403, "not_allowed"), "an owner is no approver");
    let path = format!("/{TENANT}/restores/{}/decide", opened.restore);
    let by_token = scene.broker.admin(&path, Some(json!({"decision": "approve"}))).await;
    assert_eq!(code(by_token), refused(403, "not_allowed"), "no token approves");
    let unsigned = dave.send("POST", &decide(&opened), (&json!({"decision": "approve"}), None)).await;
    assert_eq!(code(unsigned), refused(403, "passkey_required"));

    let shown = scene.approvals(&opened).await;
    let demand = json!({"demand": "approvals", "needed": 2, "missing": 1, "own_device_counts": false,
        "policies": [{"id": "two-people", "description": "Two people approve."}]});
    assert_eq!((&shown["demands"], &shown["allowed"]), (&json!([demand]), &json!(true)));
    assert_eq!(
        (&shown["decisions"][0]["name"], &shown["decisions"][0]["counts"]),
        (&json!("admin:carol"), &json!(true))
    );
    let restore = opened.restore.to_string();
    let printed = text(&scene.broker.run_admin(&["restore", "show", TENANT, &restore]).stdout);
    assert!(printed.contains("needs approvals: 2, missing 1 (policy two-people)"), "{printed}");
    assert!(printed.contains(&format!("/console/tenants/{TENANT}/restores/{restore}")), "{printed}");

    assert_eq!(say(&mut dave, &opened, "approve").await, OK);
    assert_eq!(scene.status(&opened).await.state, RestoreState::Approved);
    assert_eq!(scene.device.release(&opened).await.status, 200);
    assert_eq!(say(&mut dave, &opened, "reject").await, refused(409, "restore_released"));
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "restore.approved"), ["ok", "ok"]);
    let released = log.iter().find(|event| event["evt"] == "restore.released").unwrap();
    assert_eq!(released["disclosed"]["actor"], "admin:carol admin:dave");
    assert!(released["disclosed"]["policy"].as_str().unwrap().contains("two-people"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_for_themselves_and_one_person_counts_once() {
    let mut scene = Demanding::start("two").await;
    let mut alice = scene.approver("alice-admin", Some("alice")).await;
    let (mut bob, mut bob_again) =
        (scene.approver("bob", Some("bob")).await, scene.approver("bob-2", Some("bob")).await);
    let (opened, _) = scene.device.open("two").await;
    assert_eq!(say(&mut alice, &opened, "approve").await, refused(403, "own_restore"));
    assert_eq!(say(&mut bob, &opened, "approve").await, OK);
    assert_eq!(say(&mut bob_again, &opened, "approve").await, OK);
    assert_eq!(scene.status(&opened).await.needs.approvals, 1, "it is one person with two passkeys");
    scene.waits(&opened).await;
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "admin.denied"), ["own_restore"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_good_for_one_restore_only() {
    let mut scene = Demanding::start("one").await;
    let mut carol = scene.approver("carol", None).await;
    let [(first, _), (second, _)] = [scene.device.open("one").await, scene.device.open("one").await];
    let approve = json!({"decision": "approve"});
    let signed = carol.signed(&decide(&first), &approve).await.unwrap();
    let replayed = carol.send("POST", &decide(&second), (&approve, signed.as_ref())).await;
    assert_eq!(code(replayed), refused(403, "passkey_required"));
    let signed = carol.signed(&decide(&first), &approve).await.unwrap();
    let reject = json!({"decision": "reject"});
    let turned = carol.send("POST", &decide(&first), (&reject, signed.as_ref())).await;
    assert_eq!(code(turned), refused(403, "passkey_required"), "another decision than the one signed");

    assert_eq!(say(&mut carol, &first, "approve").await, OK);
    let copy = "INSERT INTO approvals SELECT restores.id, approver, by_device, decision, signature, given_at
                FROM approvals, restores WHERE restores.id <> approvals.restore";
    scene.broker.sql(copy).await;
    scene.waits(&second).await;
    assert_eq!(scene.approvals(&second).await["decisions"][0]["counts"], false);
    assert_eq!(scene.device.release(&first).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_says_of_an_approval_is_not_believed() {
    let mut scene = Demanding::start("one").await;
    let mut carol = scene.approver("carol", None).await;
    let (opened, _) = scene.device.open("one").await;
    scene.broker.sql("UPDATE restores SET state = 'approved', not_before = 0").await;
    scene.waits(&opened).await;
    assert_eq!(say(&mut carol, &opened, "approve").await, OK);
    scene.broker.sql("UPDATE approvals SET decision = 'reject'").await;
    scene.waits(&opened).await;
    scene.broker.sql("UPDATE approvals SET decision = 'approve'").await;
    alter_signature(&scene.broker).await;
    scene.waits(&opened).await;
    assert!(outcomes(&scene.broker.verified_log(TENANT, &scene.vkey), "restore.intent").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_cannot_become_something_else() {
    let mut scene = Demanding::start("one").await;
    let mut carol = scene.approver("carol", None).await;
    let (opened, _) = scene.device.open("one").await;
    let (other, _) = scene.device.open("one").await;
    assert_eq!(say(&mut carol, &opened, "approve").await, OK);
    for (change, back) in [
        ("UPDATE restores SET reason = 'another'", "UPDATE restores SET reason = 'test'"),
        ("UPDATE restores SET nonce = nonce || 'A'", "UPDATE restores SET nonce = substr(nonce, 1, length(nonce) - 1)"),
    ] {
        scene.broker.sql(change).await;
        let answer = scene.device.release(&opened).await;
        assert_eq!((answer.status, answer.code()), refused(409, "transcript_mismatch"), "{change}");
        assert_eq!(say(&mut carol, &opened, "approve").await, refused(409, "transcript_mismatch"));
        scene.broker.sql(back).await;
    }
    // A whole row in the place of another: what it asks for is another restore.
    let (opened_id, other_id) = (opened.restore.to_string(), other.restore.to_string());
    let mut database = scene.broker.database().await;
    let swap = "UPDATE restores SET receive_key = (SELECT receive_key FROM restores WHERE id = $1) WHERE id = $2";
    sqlx::query(swap).bind(other_id).bind(opened_id).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let answer = scene.device.release(&opened).await;
    assert_eq!((answer.status, answer.code()), refused(409, "transcript_mismatch"));
    assert!(outcomes(&scene.broker.verified_log(TENANT, &scene.vkey), "restore.intent").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_passkey_approves_nothing() {
    let mut scene = Demanding::start("one").await;
    let mut carol = scene.approver("carol", None).await;
    let mut thief = carol.clone();
    let (opened, _) = scene.device.open("one").await;
    let (other, _) = scene.device.open("one").await;
    assert_eq!(say(&mut carol, &other, "approve").await, OK);
    assert_eq!(scene.status(&other).await.state, RestoreState::Approved);
    assert_eq!(say(&mut thief, &opened, "approve").await, refused(403, "passkey_cloned"));
    scene.waits(&opened).await;
    scene.waits(&other).await; // Nobody knows any more which of the two has approved it.
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "admin.denied"), ["passkey_cloned"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_who_was_demoted_has_not_approved() {
    let mut scene = Demanding::start("one").await;
    let (mut carol, mut dave) = (scene.approver("carol", None).await, scene.approver("dave", None).await);
    let (opened, _) = scene.device.open("one").await;
    assert_eq!(say(&mut carol, &opened, "approve").await, OK);
    assert_eq!(scene.status(&opened).await.state, RestoreState::Approved);
    let theirs = format!("/v1/admin/tenants/{TENANT}/admins/{}", carol.id);
    scene.root.act_ok(&format!("{theirs}/roles"), &json!({"roles": ["auditor"]})).await;
    scene.waits(&opened).await;
    scene.root.act_ok(&format!("{theirs}/roles"), &json!({"roles": ["approver"]})).await;
    assert_eq!(scene.status(&opened).await.state, RestoreState::Approved, "by the policy and the roles of now");
    scene.root.act_ok(&format!("{theirs}/revoke"), &Value::Null).await;
    scene.waits(&opened).await;
    assert_eq!(say(&mut dave, &opened, "approve").await, OK);
    assert_eq!(scene.device.release(&opened).await.status, 200);
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    let released = log.iter().find(|event| event["evt"] == "restore.released").unwrap();
    assert_eq!(released["disclosed"]["actor"], "admin:dave");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_enough_is_for_the_policies_of_now_to_say() {
    let mut scene = Demanding::start("one").await;
    let (mut carol, mut dave) = (scene.approver("carol", None).await, scene.approver("dave", None).await);
    let (opened, _) = scene.device.open("one").await;
    assert_eq!(say(&mut carol, &opened, "approve").await, OK);
    assert_eq!(scene.status(&opened).await.state, RestoreState::Approved);
    scene.broker.stop();
    let file = scene.broker.path("policies.cedar");
    let stricter = fs::read_to_string(&file).unwrap().replace("@needs_approvals(\"1\")", "@needs_approvals(\"2\")");
    fs::write(&file, stricter).unwrap();
    scene.broker.run(&[]).await;
    assert_eq!(scene.status(&opened).await.needs.approvals, 1);
    scene.waits(&opened).await;
    assert_eq!(dave.sign_in().await.0, 200);
    assert_eq!(say(&mut dave, &opened, "approve").await, OK);
    assert_eq!(scene.device.release(&opened).await.status, 200, "what was signed before still counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rejection_ends_a_restore_at_once() {
    let mut scene = Demanding::start("one").await;
    let (mut carol, mut dave) = (scene.approver("carol", None).await, scene.approver("dave", None).await);
    let (opened, _) = scene.device.open("one").await;
    assert_eq!(say(&mut carol, &opened, "approve").await, OK);
    assert_eq!(say(&mut carol, &opened, "reject").await, OK, "who approved may think again");
    assert_eq!(scene.status(&opened).await.state, RestoreState::Rejected);
    assert_eq!(scene.device.release(&opened).await.code(), "restore_over");
    assert_eq!(say(&mut dave, &opened, "approve").await, refused(410, "restore_over"));
    let foreign = format!("/v1/admin/tenants/{TENANT}/restores/{}/decide", uuid::Uuid::now_v7());
    assert_eq!(code(dave.act(&foreign, &json!({"decision": "reject"})).await), refused(404, "not_found"));
    let odd = dave.act(&decide(&opened), &json!({"decision": "maybe"})).await;
    assert_eq!(code(odd), refused(400, "malformed"));
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "restore.rejected"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_is_counted_from_the_request_whatever_the_row_says() {
    let scene = Demanding::start("slow").await;
    let (opened, _) = scene.device.open("slow").await;
    scene.waits(&opened).await;
    scene.broker.sql("UPDATE restores SET not_before = 0, state = 'approved'").await;
    scene.waits(&opened).await;
    let shown = scene.approvals(&opened).await;
    let demand = &shown["demands"][0];
    assert_eq!((&demand["demand"], &demand["needed"]), (&json!("delay"), &json!(3_600)));
    assert_eq!(demand["met_at"].as_i64().unwrap() - shown["asked_at"].as_i64().unwrap(), 3_600_000);
    assert_eq!(opened.not_before * 1_000 / 10_000, demand["met_at"].as_u64().unwrap() / 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn approvers_are_told_what_waits_and_the_user_what_was_decided() {
    let (broker, server, vkey) = told_by(demanding, write_policies).await;
    let mut scene = Demanding::of(broker, vkey, "one").await;
    let mut carol = scene.approver("carol", None).await;
    let _own = scene.approver("alice-admin", Some("alice")).await;
    let (opened, _) = scene.device.open("one").await;
    // One more: Carol was told of the other administrator.
    let mails = server.taken_at_least(3).await;
    let to = |wanted: &str| mails.iter().find(|mail| subject(mail) == wanted).map(|mail| mail["to"].clone());
    assert_eq!(to("a device has asked for your keys"), Some(json!([ALICE])));
    assert_eq!(to("a restore waits for you"), Some(json!(["carol@corp.example"])));
    let page = scene.approvals(&opened).await["page"].as_str().unwrap().to_owned();
    assert!(mails.iter().any(|mail| mail["text"].as_str().unwrap().contains(&page)), "{page}");
    assert_eq!(say(&mut carol, &opened, "approve").await, OK);
    assert_eq!(subject(&server.taken_at_least(4).await[3]), "your keys may go to a device");
    assert_eq!(say(&mut carol, &opened, "reject").await, OK);
    assert_eq!(subject(&server.taken_at_least(5).await[4]), "a restore was rejected");
}

#[test]
fn policies_that_cannot_be_read_stop_the_start() {
    let broker = Broker::prepared(demanding);
    write_policies(&broker);
    let file = broker.path("policies.cedar");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("@id(\"slow\")", "")).unwrap();
    let started = keyfold(&["serve", "--config", broker.path("keyfold.toml").to_str().unwrap()]);
    assert!(!started.status.success());
    let said = text(&started.stderr);
    assert!(said.contains("is not a set of policies") && said.contains("line "), "{said}");
}
