//! What policies know of users, and of where a request comes from: the library's texts do what they say.

use crate::harness::demanding::{Demanding, code, say};
use crate::harness::faketime::{FakeClock, Stopwatch};
use crate::harness::person::Person;
use crate::harness::{Broker, Raw, TENANT, keyfold, outcomes, text};
use protocol::messages::RestoreState;
use protocol::sealing::OpeningKey;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs};

const USERS: &str = "/v1/admin/tenants/acme/users";
/// Friday, 26 March 2027, 16:30 UTC. In the night to Sunday the clocks of Europe went forward.
const FRIDAY: u64 = 1_806_078_600;
const HOUR: u64 = 3_600;

fn refused(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

/// Puts a text of the library before the policies in force: two people want it.
async fn put_in_force(broker: &Broker, root: &mut Person, name: &str) {
    const POLICIES: &str = "/v1/admin/tenants/acme/policies";
    let mut other = root.appoint(broker, "installation", ("other", &["security_officer"])).await;
    let library = fs::read_to_string(format!("{}/policies/library/{name}.cedar", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (_, before) = broker.admin("/acme/policies/in-force", None).await;
    let all = format!("{library}\n{}", before["text"].as_str().unwrap());
    let draft = root.act_ok(POLICIES, &json!({"text": all, "note": name})).await;
    let (path, seen) = (format!("{POLICIES}/{}", draft["version"]), json!({"digest": draft["digest"]}));
    root.act_ok(&format!("{path}/propose"), &seen).await;
    let active = other.act_ok(&format!("{path}/activate"), &seen).await;
    assert_eq!(active["state"], "active");
}

/// Makes a user who reports to these.
async fn user(broker: &Broker, id: &str, managers: &[&str]) {
    broker.admin_ok("/acme/users", json!({"id": id, "managers": managers})).await;
}

/// What becomes of a restore of the identity.
async fn restore(device: &Raw) -> (u16, String) {
    let opened = device.ask(json!({"kinds": ["identity"]}), OpeningKey::generate().public()).await;
    if opened.status != 201 {
        return (opened.status, opened.code());
    }
    let released = device.release(&opened.json()).await;
    (released.status, if released.status == 200 { String::new() } else { released.code() })
}

/// Alice's devices ask; bob is above her, and carol above him. Dave reports to bob too, erin to alice.
async fn company() -> Demanding {
    let mut scene = Demanding::start("one").await;
    for (id, managers) in [("carol", &[][..]), ("bob", &["carol"]), ("dave", &["bob"]), ("erin", &["alice"])] {
        user(&scene.broker, id, managers).await;
    }
    scene.root.act_ok(&format!("{USERS}/alice/managers"), &json!({"managers": ["bob"]})).await;
    put_in_force(&scene.broker, &mut scene.root, "reporting-line").await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_for_those_above_or_below_them() {
    let mut scene = company().await;
    let (opened, _) = scene.device.open("one").await;
    for (name, of) in [("bob", "her manager"), ("carol", "her manager's manager"), ("erin", "who reports to her")] {
        let mut person = scene.approver(name, Some(name)).await;
        assert_eq!(say(&mut person, &opened, "approve").await, refused(403, "policy_denied"), "{of}");
    }
    let mut stranger = scene.approver("stranger", Some("nobody")).await;
    let unknown = say(&mut stranger, &opened, "approve").await;
    assert_eq!(unknown, refused(403, "policy_denied"), "nobody knows the line of an account that is no user");
    let mut dave = scene.approver("dave", Some("dave")).await;
    assert_eq!(say(&mut dave, &opened, "approve").await, (204, String::new()), "a colleague");

    // Who becomes her manager has not approved, and who is so no longer has.
    scene.root.act_ok(&format!("{USERS}/carol/managers"), &json!({"managers": ["dave"]})).await;
    scene.waits(&opened).await;
    scene.root.act_ok(&format!("{USERS}/carol/managers"), &json!({"managers": []})).await;
    assert_eq!(scene.device.release(&opened).await.status, 200);
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "admin.denied"), ["policy_denied"; 4]);
    assert_eq!(outcomes(&log, "user.managers_changed"), ["ok"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_above_themselves_ends_the_line() {
    let mut scene = company().await;
    scene.root.act_ok(&format!("{USERS}/carol/managers"), &json!({"managers": ["bob"]})).await;
    let (opened, _) = scene.device.open("one").await;
    let mut dave = scene.approver("dave", Some("dave")).await;
    assert_eq!(say(&mut dave, &opened, "approve").await, (204, String::new()));
    scene.root.act_ok(&format!("{USERS}/carol/managers"), &json!({"managers": ["alice"]})).await;
    let mut carol = scene.approver("carol", Some("carol")).await;
    assert_eq!(say(&mut carol, &opened, "approve").await, refused(403, "policy_denied"), "each is above the other");
    scene.waits(&opened).await; // Of dave, too, alice is now above.
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_the_database_takes_nobody_out_of_a_line() {
    let mut scene = company().await;
    let mut carol = scene.approver("carol", Some("carol")).await;
    let (opened, _) = scene.device.open("one").await;
    scene.broker.sql("CREATE TABLE kept AS SELECT * FROM users").await;
    for (altered, what) in [
        ("UPDATE users SET sealed = (SELECT sealed FROM kept WHERE id = 'carol') WHERE id = 'alice'", "another's"),
        ("UPDATE users SET version = 1 WHERE id = 'alice'", "as an older version"),
        ("UPDATE users SET sealed = x'' WHERE id = 'bob'", "none, of who is in between"),
        ("DELETE FROM users WHERE id = 'bob'", "who is in between is no user"),
    ] {
        scene.broker.sql(altered).await;
        assert_eq!(say(&mut carol, &opened, "approve").await, refused(503, "storage_unavailable"), "{what}");
        assert_eq!(scene.device.release(&opened).await.code(), "storage_unavailable", "{what}");
        let asked = scene.device.ask(json!({"kinds": ["one"]}), OpeningKey::generate().public()).await;
        assert_eq!((asked.status, asked.code()), refused(503, "storage_unavailable"), "{what}");
        scene.broker.sql("DELETE FROM users").await;
        scene.broker.sql("INSERT INTO users SELECT * FROM kept").await;
    }
    scene.waits(&opened).await;
    assert!(outcomes(&scene.broker.verified_log(TENANT, &scene.vkey), "restore.intent").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_user_is_not_written_by_the_database() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.admin_ok("/acme/users/alice/email", json!({"email": "alice@corp.example"})).await;
    broker.admin_ok("/acme/users", json!({"id": "mallory", "email": "mallory@evil.example"})).await;
    let user = async |id: &str| broker.admin(&format!("/{TENANT}/users/{id}"), None).await;
    assert_eq!(user("alice").await.1["email"], "alice@corp.example");
    for statement in [
        "UPDATE users SET sealed = (SELECT sealed FROM users WHERE id = 'mallory') WHERE id = 'alice'",
        "UPDATE users SET version = 1, sealed = (SELECT sealed FROM users WHERE id = 'mallory') WHERE id = 'alice'",
    ] {
        broker.sql(statement).await;
        assert_eq!(code(user("alice").await), refused(503, "storage_unavailable"), "{statement}");
    }
    assert_eq!(user("mallory").await.1["email"], "mallory@evil.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_user_is_signed_by_who_says_it() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    user(&broker, "bob", &[]).await;
    let mut root = Person::first(&broker).await;
    for (part, body) in [("managers", json!({"managers": ["bob"]})), ("time-zone", json!({"time_zone": "Asia/Tokyo"}))]
    {
        let path = format!("{USERS}/alice/{part}");
        let unsigned = root.send("POST", &path, (&body, None)).await;
        assert_eq!(code(unsigned), refused(403, "passkey_required"), "{part}");
        root.act_ok(&path, &body).await;
    }
    let (_, shown) = broker.admin("/acme/users/alice", None).await;
    assert_eq!((&shown["managers"], &shown["time_zone"]), (&json!(["bob"]), &json!("Asia/Tokyo")));
    for (part, body) in [
        ("managers", json!({"managers": ["nobody"]})),
        ("managers", json!({"managers": ["alice"]})),
        ("managers", json!({"managers": ["bob", "bob"]})),
        ("managers", json!({"managers": ["no user"]})),
        ("managers", json!({"managers": vec!["bob"; 17]})),
        ("time-zone", json!({"time_zone": "Europe/Atlantis"})),
    ] {
        let wrong = broker.admin(&format!("/acme/users/alice/{part}"), Some(body.clone())).await;
        assert_eq!(code(wrong), refused(400, "malformed"), "{body}");
    }
    assert_eq!(broker.admin("/acme/users/alice", None).await.1, shown);

    let words =
        ["user", "create", TENANT, "erin", "--manager", "bob", "--manager", "alice", "--time-zone", "europe/rome"];
    assert!(broker.run_admin(&words).status.success());
    let managers = broker.run_admin(&["user", "managers", TENANT, "alice"]);
    let zone = broker.run_admin(&["user", "time-zone", TENANT, "alice", "America/New_York"]);
    assert_eq!((text(&managers.stdout).trim(), text(&zone.stdout).trim()), ("", "America/New_York"));
    let printed = text(&broker.run_admin(&["user", "list", TENANT]).stdout);
    assert!(printed.contains("bob alice") && printed.contains("Europe/Rome"), "{printed}");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "user.managers_changed").len() + outcomes(&log, "user.time_zone_changed").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn offices_are_open_on_the_clocks_of_the_user() {
    let mut broker = Broker::prepared(|config| config);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let shift = |to: u64| format!("{:+}", i128::from(to) - i128::from(now));
    let clock = FakeClock::new(&broker, Stopwatch::Steady, &shift(FRIDAY - HOUR));
    clock.run(&mut broker).await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;
    broker.admin_ok("/acme/users/alice/time-zone", json!({"time_zone": "Europe/Berlin"})).await;
    put_in_force(&broker, &mut Person::first(&broker).await, "office-hours").await;
    let (saturday, monday) = (FRIDAY + 24 * HOUR, FRIDAY + 72 * HOUR);
    for (at, open, when) in [
        (FRIDAY, true, "17:30"),
        (FRIDAY + HOUR, false, "18:30, and 17:30 in UTC"),
        (saturday - 8 * HOUR, false, "a Saturday"),
        (monday - 11 * HOUR, false, "7:30"),
        (monday - 10 * HOUR, true, "8:30 in summer; 7:30 in winter, 6:30 in UTC"),
        (monday, false, "18:30 in summer; 17:30 in winter, 16:30 in UTC"),
    ] {
        clock.set(&shift(at));
        let wanted = if open { (200, String::new()) } else { refused(403, "policy_denied") };
        assert_eq!(restore(&device).await, wanted, "{when}");
    }
}

/// Writes the database that has the loopback networks in `country`, or in none, and puts it in place at once.
fn place_loopback(file: &Path, country: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let oracles = env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
    let fresh = file.with_extension("new");
    let mut python = Command::new(oracles.join("bin/python"));
    let written = python.arg(root.join("tests/oracles/countries.py")).arg(&fresh).arg(country).output().unwrap();
    assert!(written.status.success(), "{}", text(&written.stderr));
    fs::rename(fresh, file).unwrap();
}

/// Waits until restores are answered so: the file is read again within ten seconds.
async fn until(device: &Raw, wanted: (u16, String)) {
    for _ in 0..150 {
        if restore(device).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("restores are not answered with {wanted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_released_to_some_countries() {
    let mut broker = Broker::prepared(|config| config + "\n[country]\ndatabase = \"countries.mmdb\"\n");
    let file = broker.path("countries.mmdb");
    place_loopback(&file, "DE");
    broker.run(&[]).await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;
    put_in_force(&broker, &mut Person::first(&broker).await, "country").await;
    assert_eq!(restore(&device).await, (200, String::new()));
    let (opened, _) = device.open("identity").await;

    place_loopback(&file, "FR");
    until(&device, refused(403, "policy_denied")).await;
    let released = device.release(&opened).await;
    assert_eq!((released.status, released.code()), refused(403, "policy_denied"), "the release comes from elsewhere");
    let approvals = format!("/{TENANT}/restores/{}/approvals", opened.restore);
    let (_, shown) = broker.admin(&approvals, None).await;
    assert_eq!(shown["allowed"], true, "as it was asked for: {shown}");

    place_loopback(&file, "AT");
    until(&device, (200, String::new())).await;
    fs::write(&file, "no database").unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(restore(&device).await, (200, String::new()), "what was read before stays in use");
    assert!(broker.log().contains("is no database in MaxMind's format"), "{}", broker.log());
    place_loopback(&file, "");
    until(&device, refused(403, "policy_denied")).await;

    // What is kept of the request is not what the database says.
    broker.sql("UPDATE restores SET circumstances = (SELECT circumstances FROM restores ORDER BY id LIMIT 1)").await;
    assert_eq!(code(broker.admin(&approvals, None).await), refused(503, "storage_unavailable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_no_country_is_known() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;
    let (opened, _) = device.open("identity").await;
    assert_eq!(opened.state, RestoreState::Approved);
    put_in_force(&broker, &mut Person::first(&broker).await, "country").await;
    let released = device.release(&opened).await;
    assert_eq!((released.status, released.code()), refused(403, "policy_denied"));
    assert_eq!(restore(&device).await, refused(403, "policy_denied"));
}

#[test]
fn a_country_database_that_cannot_be_read_stops_the_start() {
    let broker = Broker::prepared(|config| config + "\n[country]\ndatabase = \"countries.mmdb\"\n");
    let config = broker.path("keyfold.toml");
    for (bytes, said) in [(None, "cannot be read"), (Some("nothing"), "is no database in MaxMind's format")] {
        if let Some(bytes) = bytes {
            fs::write(broker.path("countries.mmdb"), bytes).unwrap();
        }
        let ended = keyfold(&["serve", "--config", config.to_str().unwrap()]);
        assert!(!ended.status.success());
        let journal = text(&ended.stderr);
        assert!(journal.contains("countries.mmdb") && journal.contains(said), "{journal}");
    }
}
