//! How many restores users and tenants may ask for, and what locks them: nothing goes out, and nothing is lost.

use crate::harness::demanding::{Demanding, code, demanding, say, write_policies};
use crate::harness::mail::{ALICE, letter, told_with};
use crate::harness::person::Person;
use crate::harness::{Answer, Broker, Raw, TENANT, UNLIMITED, keyfold, outcomes, text};
use protocol::sealing::OpeningKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KIND: &str = "identity";

/// A configuration with this quota in the place of the harness's, which stops nobody.
fn quota(config: &str, quota: &str) -> String {
    assert!(config.contains(UNLIMITED));
    config.replace(UNLIMITED, &format!("[[quota]]\n{quota}\n"))
}

async fn ask(device: &Raw) -> Answer {
    ask_for(device, KIND).await
}

async fn ask_for(device: &Raw, kind: &str) -> Answer {
    device.ask(json!({"kinds": [kind]}), OpeningKey::generate().public()).await
}

/// A failure: there is no such record.
async fn fail(device: &Raw) -> (u16, String) {
    refused(&ask_for(device, "nothing").await)
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

fn problem(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

/// A device of `user` that has backed up a key.
async fn backed_up(broker: &Broker, user: &str) -> Raw {
    let device = Raw::enrol(broker, TENANT, user).await;
    device.backup(KIND, 1, b"the key").await;
    device
}

/// Asks, and has what was asked for over at once.
async fn ask_and_end(broker: &Broker, device: &Raw) {
    let (opened, _) = device.open(KIND).await;
    broker.revoke(TENANT, "restore", Some(&opened.restore.to_string())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_open_and_asks_so_often() {
    let broker =
        Broker::start_with(|config| quota(&config, "open_restores = 2\nrestores_per_day = 5\nfailures_per_day = 2"))
            .await;
    let vkey = broker.with_tenant().await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    let (alice, bob) = (backed_up(&broker, "alice").await, backed_up(&broker, "bob").await);
    let ((first, _), (second, _)) = (alice.open(KIND).await, alice.open(KIND).await);
    let spent = problem(403, "quota_spent");
    assert_eq!(refused(&ask(&alice).await), spent, "two are open");
    let other = Raw::enrol(&broker, TENANT, "alice").await;
    assert_eq!(refused(&ask(&other).await), spent, "another device is the same user");
    assert_eq!(alice.release(&first).await.status, 200);
    assert_eq!(refused(&ask(&alice).await), spent, "released is not over");
    assert_eq!(alice.acknowledge(&first).await.status, 204);
    ask_and_end(&broker, &alice).await;
    broker.revoke(TENANT, "restore", Some(&second.restore.to_string())).await;
    ask_and_end(&broker, &alice).await;
    ask_and_end(&broker, &alice).await;
    assert_eq!(refused(&ask(&alice).await), spent, "five a day");
    assert_eq!(refused(&ask(&alice).await), spent, "to ask in vain is no failure that locks");
    alice.backup("archive", 1, b"another key").await;
    assert_eq!(ask(&bob).await.status, 201, "another user has a quota of his own");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.denied"), ["quota_spent"; 5]);
    assert_eq!(outcomes(&log, "user.locked"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_ask_at_once_none_is_one_too_many() {
    let broker = Broker::start_with(|config| {
        quota(&config, "open_restores = 100\nrestores_per_day = 10\nfailures_per_day = 100")
    })
    .await;
    let vkey = broker.with_tenant().await;
    let alice = backed_up(&broker, "alice").await;
    let answers = futures_util::future::join_all((0..40).map(|_| ask(&alice))).await;
    let opened = answers.iter().filter(|answer| answer.status == 201).count();
    let spent = answers.iter().filter(|answer| answer.code() == "quota_spent").count();
    assert_eq!((opened, spent), (10, 30));
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "restore.requested").len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_too_often_is_locked_until_a_person_unlocks_them() {
    let (mut broker, mail, vkey) = told_with(|config| quota(&config, "failures_per_day = 3")).await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    let (alice, bob) = (backed_up(&broker, "alice").await, backed_up(&broker, "bob").await);
    let (opened, _) = alice.open(KIND).await;
    for _ in 0..3 {
        assert_eq!(fail(&alice).await, problem(404, "record_unknown"));
    }
    let locked = problem(403, "user_locked");
    let unwraps = broker.unwraps().await;
    assert_eq!(refused(&ask(&alice).await), locked);
    assert_eq!(refused(&alice.release(&opened).await), locked, "also what was approved before");
    assert_eq!(broker.unwraps().await, unwraps);
    assert_eq!(fail(&alice).await, problem(404, "record_unknown"), "that is no other lock");
    alice.backup("archive", 1, b"another key").await;
    assert_eq!(ask(&bob).await.status, 201);

    let told = letter(&mail, "a user is locked").await;
    assert!(told["text"].as_str().unwrap().contains("3 failures within a day"), "{told}");
    assert!(told["to"].to_string().contains(ALICE), "{told}");
    broker.kill();
    broker.run(&[]).await;
    assert_eq!(refused(&ask(&alice).await), locked, "a restart forgets nothing");
    assert!(text(&broker.run_admin(&["restore", "locks", TENANT]).stdout).contains("alice"));

    let mut root = Person::first(&broker).await;
    let unlock = format!("/v1/admin/tenants/{TENANT}/locks/unlock");
    let body = json!({"user": "alice", "reason": "it was she"});
    let unsigned = root.send("POST", &unlock, (&body, None)).await;
    assert_eq!(code(unsigned), problem(403, "passkey_required"));
    root.act_ok(&unlock, &body).await;
    assert_eq!(code(root.act(&unlock, &body).await), problem(409, "not_locked"));
    assert_eq!(alice.release(&opened).await.status, 200);
    for _ in 0..2 {
        assert_eq!(fail(&alice).await, problem(404, "record_unknown"), "the quota is whole again");
    }
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "user.locked"), ["too_many_failures"]);
    assert_eq!(outcomes(&log, "user.unlocked"), ["ok"]);
    let place = log.iter().position(|event| event["evt"] == "user.locked").unwrap();
    assert_eq!((&log[place - 1]["evt"], &log[place - 1]["out"]), (&json!("restore.denied"), &json!("record_unknown")));
    assert_eq!(log[place]["disclosed"]["user"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_rejections_and_vetoes_are_failures() {
    let mut broker = Broker::prepared(|config| demanding(quota(&config, "failures_per_day = 3\nopen_restores = 10")));
    write_policies(&broker);
    broker.run(&[]).await;
    let vkey = broker.with_tenant().await;
    let mut scene = Demanding::of(broker, vkey, "either").await;
    let mut carol = scene.approver("carol", None).await;
    let other = Raw::enrol(&scene.broker, TENANT, "alice").await;
    let (guessed, _) = scene.device.open("either").await;
    let shown: u8 = guessed.match_code.unwrap().to_string().parse().unwrap();
    let wrong = format!("{:02}", (shown + 1) % 100);
    assert_eq!(refused(&other.approve(&guessed, &wrong).await), problem(403, "match_code_wrong"));
    let ((rejected, _), (vetoed, _)) = (scene.device.open("either").await, scene.device.open("either").await);
    assert_eq!(say(&mut carol, &rejected, "reject").await, problem(204, ""));
    assert_eq!(ask_for(&scene.device, "either").await.status, 201, "two failures do not lock");
    let veto = other.post(&other.path(&format!("/restores/{}/veto", vetoed.restore)), &json!({})).await;
    assert_eq!(veto.status, 204, "{veto:?}");
    assert_eq!(refused(&ask_for(&scene.device, "either").await), problem(403, "user_locked"));
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "user.locked"), ["too_many_failures"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_asks_too_fast_is_frozen_and_people_are_told() {
    let (broker, mail, vkey) = told_with(|config| quota(&config, "tenant_restores_per_hour = 3")).await;
    let mut root = Person::first(&broker).await;
    let officer = json!({"name": "officer", "roles": ["security_officer"], "email": "officer@corp.example"});
    let invited = root.act_ok(&format!("/v1/admin/tenants/{TENANT}/admins"), &officer).await;
    let _officer = Person::new(&broker).joined(invited["link"].as_str().unwrap(), None).await;
    let users: Vec<String> = (0..4).map(|number| format!("user-{number}")).collect();
    let mut devices = Vec::new();
    for user in &users {
        broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": user})).await;
        devices.push(backed_up(&broker, user).await);
    }
    let mut opened = Vec::new();
    for device in &devices[..3] {
        opened.push(device.open(KIND).await.0);
    }
    assert_eq!(devices[0].release(&opened[0]).await.status, 200);
    let frozen = problem(403, "tenant_frozen");
    assert_eq!(refused(&ask(&devices[3]).await), frozen);
    let unwraps = broker.unwraps().await;
    assert_eq!(refused(&devices[0].release(&opened[0]).await), frozen, "nor is an answer given again");
    assert_eq!(refused(&devices[1].release(&opened[1]).await), frozen);
    assert_eq!(broker.unwraps().await, unwraps);
    devices[1].backup("archive", 1, b"another key").await;

    let told = letter(&mail, "restores are frozen").await;
    assert!(told["text"].as_str().unwrap().contains("more than 3 were asked for within an hour"), "{told}");
    assert!(broker.text("/metrics").await.contains("keyfold_frozen_tenants 1"));
    broker.tenant("elsewhere", "erin").await;
    let erin = Raw::enrol(&broker, "elsewhere", "erin").await;
    erin.backup(KIND, 1, b"the key").await;
    assert_eq!(ask(&erin).await.status, 201, "another tenant is not concerned");

    let unlock = format!("/v1/admin/tenants/{TENANT}/locks/unlock");
    root.act_ok(&unlock, &json!({"reason": "a lost shipment of phones"})).await;
    assert_eq!(devices[1].release(&opened[1]).await.status, 200);
    assert_eq!(ask(&devices[3]).await.status, 201, "the quota is whole again");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "tenant.frozen"), ["too_many_restores"]);
    assert_eq!(outcomes(&log, "tenant.thawed"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_stops_everything_at_once_and_only_a_person_lets_it_go_on() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let alice = backed_up(&broker, "alice").await;
    let (opened, _) = alice.open(KIND).await;
    let mut root = Person::first(&broker).await;
    let made = root
        .act_ok(
            &format!("/v1/admin/tenants/{TENANT}/tokens"),
            &json!({"name": "stop", "acts": ["restores:lock"], "days": 1}),
        )
        .await;
    let by_token = |path: &str, body: Value| {
        let request = broker.http().post(broker.url(&format!("/v1/admin/tenants/{TENANT}/{path}")));
        request.bearer_auth(made["token"].as_str().unwrap()).json(&body).send()
    };
    let why = json!({"reason": "something is wrong"});
    assert_eq!(by_token("locks", why.clone()).await.unwrap().status(), 201);
    assert_eq!(refused(&alice.release(&opened).await), problem(403, "tenant_frozen"));
    assert_eq!(by_token("locks/unlock", why.clone()).await.unwrap().status(), 403, "a token stops, and starts nothing");
    let lock = json!({"user": "alice", "reason": "she called"});
    assert_eq!(by_token("locks", lock.clone()).await.unwrap().status(), 201);
    assert_eq!(by_token("locks", json!({"user": "nobody", "reason": "test"})).await.unwrap().status(), 404);
    root.act_ok(&format!("/v1/admin/tenants/{TENANT}/locks/unlock"), &why).await;
    assert_eq!(refused(&alice.release(&opened).await), problem(403, "user_locked"), "she is locked still");
    let listed = broker.admin(&format!("/{TENANT}/locks?user=alice"), None).await.1;
    assert_eq!((&listed["items"][0]["user"], &listed["items"][0]["by_admin"]), (&json!("alice"), &json!(true)));
    let done = broker.run_admin(&["restore", "unlock", TENANT, "--user", "alice", "--reason", "found again"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(alice.release(&opened).await.status, 200);
    let log = broker.verified_log(TENANT, &vkey);
    let kinds: BTreeSet<_> = log.iter().filter_map(|event| event["evt"].as_str()).collect();
    for kind in ["tenant.frozen", "tenant.thawed", "user.locked", "user.unlocked"] {
        assert!(kinds.contains(kind), "{kind}");
    }
}

#[test]
fn a_quota_is_for_all_or_for_one_tenant_once() {
    let broker = Broker::prepared(|config| config + "\n[[quota]]\ntenant = \"corp\"\n[[quota]]\ntenant = \"corp\"\n");
    let done = keyfold(&["serve", "--config", broker.path("keyfold.toml").to_str().unwrap()]);
    assert!(!done.status.success());
    assert!(text(&done.stderr).contains("two `[[quota]]` are for the same"), "{}", text(&done.stderr));
}
