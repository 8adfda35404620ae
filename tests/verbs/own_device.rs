//! Another device of the user approves, with the code that the device that asks shows.

use crate::harness::demanding::{Demanding, say};
use crate::harness::{Raw, TENANT, outcomes};
use device::Error;
use protocol::messages::{RestoreOpened, RestoreState};
use serde_json::json;

/// What a device is answered that approves with this code.
async fn approve(device: &Raw, opened: &RestoreOpened, code: &str) -> (u16, String) {
    let answer = device.approve(opened, code).await;
    (answer.status, answer.code())
}

fn code(opened: &RestoreOpened) -> String {
    opened.match_code.expect("a device may approve").to_string()
}

/// Another code than the one that is shown.
fn wrong(opened: &RestoreOpened) -> String {
    let shown: u8 = code(opened).parse().unwrap();
    format!("{:02}", (shown + 1) % 100)
}

fn refused(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_device_approves_with_the_code_that_the_first_shows() {
    let scene = Demanding::start("own").await;
    let mut phone = scene.broker.enrol(TENANT, "alice").await;
    let (opened, _) = scene.device.open("own").await;
    assert_eq!((opened.state, opened.needs.own_device), (RestoreState::Pending, true));
    scene.waits(&opened).await;
    let seen = phone.status().await.unwrap().restores.remove(0);
    assert_eq!((seen.restore, seen.transcript), (opened.restore, opened.transcript));
    let mistyped = phone.approve(&seen, wrong(&opened).parse().unwrap()).await;
    assert!(matches!(mistyped, Err(Error::Refused(problem)) if problem.code == "match_code_wrong"));
    for _ in 0..2 {
        phone.approve(&seen, opened.match_code.unwrap()).await.unwrap();
    }
    let now = scene.status(&opened).await;
    assert_eq!((now.state, now.needs.own_device, now.match_code), (RestoreState::Approved, false, None));
    assert_eq!(scene.device.release(&opened).await.status, 200);
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "restore.approved"), ["ok"]);
    let released = log.iter().find(|event| event["evt"] == "restore.released").unwrap();
    assert_eq!(released["disclosed"]["actor"], format!("device:{}", phone.id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_wrong_codes_end_it_also_after_a_restart() {
    let mut scene = Demanding::start("either").await;
    let phone = Raw::enrol(&scene.broker, TENANT, "alice").await;
    let (opened, _) = scene.device.open("either").await;
    for _ in 0..3 {
        assert_eq!(approve(&phone, &opened, &wrong(&opened)).await, refused(403, "match_code_wrong"));
        scene.broker.stop();
        scene.broker.run(&[]).await;
    }
    assert_eq!(approve(&phone, &opened, &code(&opened)).await, refused(403, "match_codes_spent"));
    let now = scene.status(&opened).await;
    assert_eq!((now.state, now.match_code), (RestoreState::Pending, None));
    scene.waits(&opened).await;
    assert_eq!(scene.root.sign_in().await.0, 200);
    let mut carol = scene.approver("carol", None).await;
    assert_eq!(say(&mut carol, &opened, "approve").await, (204, String::new()), "people still may");
    assert_eq!(scene.device.release(&opened).await.status, 200);
    let denied = outcomes(&scene.broker.verified_log(TENANT, &scene.vkey), "restore.fetch_denied");
    assert_eq!(denied, ["match_code_wrong", "match_code_wrong", "match_code_wrong", "match_codes_spent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_another_active_device_of_the_user_approves() {
    let scene = Demanding::start("own").await;
    scene.broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    scene.broker.tenant("other", "alice").await;
    let bob = Raw::enrol(&scene.broker, TENANT, "bob").await;
    let stranger = Raw::enrol(&scene.broker, "other", "alice").await;
    let phone = Raw::enrol(&scene.broker, TENANT, "alice").await;
    let (opened, _) = scene.device.open("own").await;
    for thief in [&bob, &stranger] {
        assert_eq!(approve(thief, &opened, &code(&opened)).await, refused(404, "restore_unknown"));
    }
    assert_eq!(approve(&scene.device, &opened, &code(&opened)).await, refused(403, "own_restore"));
    let mut other = opened.clone();
    other.transcript.0 = [7; 32].into();
    assert_eq!(approve(&phone, &other, &code(&opened)).await, refused(409, "transcript_mismatch"));
    scene.waits(&opened).await;

    assert_eq!(approve(&phone, &opened, &code(&opened)).await, (204, String::new()));
    assert_eq!(scene.status(&opened).await.state, RestoreState::Approved);
    scene.broker.revoke(TENANT, "device", Some(&phone.id().to_string())).await;
    scene.waits(&opened).await;
    assert_eq!(approve(&phone, &opened, &code(&opened)).await, refused(403, "device_inactive"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_signed_is_for_one_restore_and_one_code() {
    let scene = Demanding::start("own").await;
    let phone = Raw::enrol(&scene.broker, TENANT, "alice").await;
    let [(first, _), (second, _)] = [scene.device.open("own").await, scene.device.open("own").await];
    assert_eq!(approve(&phone, &first, &code(&first)).await, (204, String::new()));
    let copy = "INSERT INTO approvals SELECT restores.id, approver, by_device, decision, signature, given_at
                FROM approvals, restores WHERE restores.id <> approvals.restore";
    scene.broker.sql(copy).await;
    scene.waits(&second).await;
    scene.broker.sql("UPDATE restores SET match_code = CASE match_code WHEN '07' THEN '08' ELSE '07' END").await;
    scene.waits(&first).await;
    scene.broker.sql("UPDATE approvals SET by_device = 0").await;
    scene.waits(&first).await;
}
