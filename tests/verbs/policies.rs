//! Policies of a tenant: two people put them in force, what may be weaker waits, and the database alone changes nothing.

use crate::harness::person::Person;
use crate::harness::{Broker, Raw, TENANT, text};
use protocol::encoding::to_base64url;
use protocol::sealing::OpeningKey;
use serde_json::{Value, json};

const POLICIES: &str = "/v1/admin/tenants/acme/policies";
pub const NO_ARCHIVES: &str = "@id(\"no-archives\")\n@description(\"Archives are released to nobody.\")\n\
                           forbid (principal, action == Action::\"restore\", resource)\nwhen { resource.kind == \"archive\" };\n";
pub const EVERYTHING: &str = "@id(\"everything\") permit (principal, action, resource);";

/// A broker with a tenant, two people who may change its policies, and a device with two records.
pub struct Office {
    pub broker: Broker,
    vkey: String,
    pub one: Person,
    pub other: Person,
    device: Raw,
}

impl Office {
    pub async fn open() -> Self {
        let broker = Broker::start().await;
        let vkey = broker.with_tenant().await;
        let mut one = Person::first(&broker).await;
        let other = one.appoint(&broker, "installation", ("other", &["security_officer"])).await;
        let device = Raw::enrol(&broker, TENANT, "alice").await;
        device.backup("identity", 1, b"the key").await;
        device.backup("archive", 1, b"another").await;
        Self { broker, vkey, one, other, device }
    }

    /// A draft of the defaults with this before them.
    pub async fn draft(&mut self, text: &str) -> Value {
        let text = format!("{text}\n{}", self.in_force().await["text"].as_str().unwrap());
        self.draft_of(&text).await
    }

    pub async fn draft_of(&mut self, text: &str) -> Value {
        self.one.act_ok(POLICIES, &json!({"text": text, "note": "a test"})).await
    }

    async fn in_force(&self) -> Value {
        let (status, in_force) = self.broker.admin("/acme/policies/in-force", None).await;
        assert_eq!(status, 200, "{in_force}");
        in_force
    }

    async fn state(&self, version: &Value) -> String {
        let (_, found) = self.broker.admin(&format!("/acme/policies/{}", version["version"]), None).await;
        found["state"].as_str().unwrap().into()
    }

    /// One proposes it, the other activates it.
    pub async fn agree(&mut self, version: &Value) -> Value {
        let (path, seen) = step(version);
        self.one.act_ok(&format!("{path}/propose"), &seen).await;
        self.other.act_ok(&format!("{path}/activate"), &seen).await
    }

    /// Restarts the broker 25 hours later: sessions are gone, delays are over.
    async fn a_day_later(&mut self) {
        self.broker.stop();
        let faketime = std::env::var("KEYFOLD_FAKETIME")
            .unwrap_or_else(|_| "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1".into());
        let preload = format!("LD_PRELOAD={faketime}");
        self.broker.run(&["env", &preload, "FAKETIME=+25h", "FAKETIME_DONT_FAKE_MONOTONIC=1"]).await;
    }

    /// What becomes of a restore of this kind.
    pub async fn restore(&self, kind: &str) -> (u16, String) {
        let opened = self.device.ask(json!({"kinds": [kind]}), OpeningKey::generate().public()).await;
        if opened.status != 201 {
            return (opened.status, opened.code());
        }
        let released = self.device.release(&opened.json()).await;
        (released.status, if released.status == 200 { String::new() } else { released.code() })
    }
}

/// The path of a version, and what says that its caller has read it.
pub fn step(version: &Value) -> (String, Value) {
    (format!("{POLICIES}/{}", version["version"]), json!({"digest": version["digest"]}))
}

pub fn code((status, problem): (u16, Value)) -> (u16, String) {
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

pub fn refused(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

fn of_kind<'l>(log: &'l [Value], kind: &str) -> Vec<&'l Value> {
    log.iter().filter(|event| event["evt"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_put_stricter_policies_in_force_at_once() {
    let mut office = Office::open().await;
    let before = office.in_force().await;
    assert_eq!(before["version"], Value::Null);
    assert_eq!(office.restore("archive").await, (200, String::new()));
    let draft = office.draft(NO_ARCHIVES).await;
    assert_eq!((&draft["state"], &draft["version"]), (&json!("draft"), &json!(1)));
    let (path, seen) = step(&draft);
    let activate = format!("{path}/activate");
    assert_eq!(
        code(office.other.act(&activate, &seen).await),
        refused(409, "policy_version_over"),
        "nobody proposed it"
    );
    let wrong = json!({"digest": to_base64url(&[0; 32])});
    assert_eq!(code(office.one.act(&format!("{path}/propose"), &wrong).await), refused(409, "policy_version_changed"));
    office.one.act_ok(&format!("{path}/propose"), &seen).await;

    let alone = office.one.act(&activate, &seen).await;
    assert_eq!(code(alone), refused(403, "second_administrator_needed"));
    let unsigned = office.other.send("POST", &activate, (&seen, None)).await;
    assert_eq!(code(unsigned), refused(403, "passkey_required"));
    let by_token =
        office.broker.admin(&format!("/acme/policies/{}/activate", draft["version"]), Some(seen.clone())).await;
    assert_eq!(code(by_token), refused(403, "not_allowed"));
    assert_eq!(office.in_force().await, before);

    let active = office.other.act_ok(&activate, &seen).await;
    assert_eq!((&active["state"], &active["activated_by"]), (&json!("active"), &json!("admin:installation/other")));
    assert_eq!(office.restore("archive").await, refused(403, "policy_denied"));
    assert_eq!(office.restore("identity").await, (200, String::new()));

    let log = office.broker.verified_log(TENANT, &office.vkey);
    for kind in ["policy.drafted", "policy.proposed", "policy.changed"] {
        let [told] = of_kind(&log, kind)[..] else { panic!("{kind} once") };
        assert_eq!((&told["cfg"], &told["cor"]), (&draft["digest"], &draft["cor"]), "{kind}");
    }
    let released = of_kind(&log, "restore.released");
    assert_eq!((&released[0]["cfg"], &released[1]["cfg"]), (&before["digest"], &draft["digest"]));
    assert_eq!(of_kind(&log, "restore.denied")[0]["cfg"], draft["digest"]);
    assert_eq!(of_kind(&log, "admin.denied")[0]["out"], "second_administrator_needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_by_a_token_counts_as_its_makers() {
    let mut office = Office::open().await;
    let ask = json!({"name": "ci", "acts": ["policies:write"], "days": 1});
    let token = office.one.act_ok("/v1/admin/tenants/acme/tokens", &ask).await;
    let text = format!("{NO_ARCHIVES}{}", office.in_force().await["text"].as_str().unwrap());
    let request = office.broker.http().post(office.broker.url(POLICIES)).bearer_auth(token["token"].as_str().unwrap());
    let answer = request.json(&json!({"text": text, "note": "by a pipeline"})).send().await.unwrap();
    let draft: Value = answer.json().await.unwrap();
    assert_eq!(draft["made_by"], "admin:installation/root", "{draft}");
    let (path, seen) = step(&draft);
    office.other.act_ok(&format!("{path}/propose"), &seen).await;
    let makers = office.one.act(&format!("{path}/activate"), &seen).await;
    assert_eq!(code(makers), refused(403, "second_administrator_needed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn weaker_policies_wait_and_are_withdrawn_or_take_effect() {
    let mut office = Office::open().await;
    let strict = office.draft(NO_ARCHIVES).await;
    office.agree(&strict).await;
    let weak = office.draft_of(EVERYTHING).await;
    let scheduled = office.agree(&weak).await;
    assert_eq!(scheduled["state"], "scheduled");
    let delay = scheduled["effective_at"].as_i64().unwrap() - scheduled["created_at"].as_i64().unwrap();
    assert!((86_400_000..86_460_000).contains(&delay), "{delay}");
    assert_eq!(office.restore("archive").await, refused(403, "policy_denied"));
    let withdrawn = office.other.act_ok(&format!("{}/withdraw", step(&weak).0), &Value::Null).await;
    assert_eq!(withdrawn["state"], "withdrawn");
    let again = office.draft_of(EVERYTHING).await;
    office.agree(&again).await;

    office.a_day_later().await;
    wait_for(&office, &again, "active").await;
    assert_eq!(office.state(&weak).await, "withdrawn");
    assert_eq!(office.state(&strict).await, "retired");
    assert_eq!(office.restore("archive").await, (200, String::new()));

    let (opened, _) = office.device.open("archive").await;
    office.broker.revoke(TENANT, "device", Some(&office.device.id().to_string())).await;
    let answer = office.device.release(&opened).await;
    assert_eq!((answer.status, answer.code()), refused(403, "device_inactive"), "whatever policies permit");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compared_with_other_policies_than_those_of_then_does_not_take_effect() {
    let mut office = Office::open().await;
    let strict = office.draft(NO_ARCHIVES).await;
    office.agree(&strict).await;
    let weak = office.draft_of(EVERYTHING).await;
    assert_eq!(office.agree(&weak).await["state"], "scheduled");
    let stricter = office.draft(&NO_ARCHIVES.replace("archive", "mail")).await;
    assert_eq!(office.agree(&stricter).await["state"], "active");

    office.a_day_later().await;
    wait_for(&office, &weak, "withdrawn").await;
    assert_eq!(office.in_force().await["digest"], stricter["digest"]);
    let log = office.broker.verified_log(TENANT, &office.vkey);
    let [told] = of_kind(&log, "policy.withdrawn")[..] else { panic!("once") };
    assert_eq!((&told["out"], &told["cor"]), (&json!("superseded"), &weak["cor"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_allowed_until_yesterday_waits_like_anything_weaker() {
    let mut office = Office::open().await;
    let strict = office.draft(NO_ARCHIVES).await;
    office.agree(&strict).await;
    office.a_day_later().await;
    for person in [&mut office.one, &mut office.other] {
        assert_eq!(person.sign_in().await.0, 200);
    }
    let proposed = office.one.act_ok(&format!("{POLICIES}/roll-back"), &Value::Null).await;
    let (path, seen) = step(&proposed);
    let agreed = office.other.act_ok(&format!("{path}/activate"), &seen).await;
    assert_eq!((&agreed["state"], &agreed["undoes"]), (&json!("scheduled"), &strict["version"]));
    assert_eq!(office.restore("archive").await, refused(403, "policy_denied"));
}

/// The broker looks every ten seconds.
async fn wait_for(office: &Office, version: &Value, state: &str) {
    let mut found = String::new();
    for _ in 0..150 {
        found = office.state(version).await;
        if found == state {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("{found}, not {state}: {}", office.broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_restore_is_decided_by_the_policies_of_now() {
    let mut office = Office::open().await;
    let (archive, _) = office.device.open("archive").await;
    let (identity, _) = office.device.open("identity").await;
    let strict = office.draft(NO_ARCHIVES).await;
    office.agree(&strict).await;
    let (denied, released) = (office.device.release(&archive).await, office.device.release(&identity).await);
    assert_eq!((denied.status, denied.code()), refused(403, "policy_denied"));
    assert_eq!(released.status, 200, "{released:?}");

    let (waiting, _) = office.device.open("identity").await;
    let text = office.in_force().await["text"]
        .as_str()
        .unwrap()
        .replace("@id(\"restore-attested\")", "@id(\"attested\") @needs_approvals(\"2\")");
    let text = text.replace("@id(\"restore-unattested\")", "@id(\"unattested\") @needs_approvals(\"2\")");
    let demanding = office.draft_of(&text).await;
    assert_eq!(office.agree(&demanding).await["state"], "active");
    let answer = office.device.release(&waiting).await;
    assert_eq!((answer.status, answer.code()), refused(409, "restore_pending"), "nobody has approved it");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_act_goes_back_to_what_is_nowhere_weaker_and_two_to_anything_else() {
    let mut office = Office::open().await;
    let roll_back = format!("{POLICIES}/roll-back");
    assert_eq!(code(office.one.act(&roll_back, &Value::Null).await), refused(409, "nothing_to_roll_back"));
    let before = office.in_force().await;
    let strict = office.draft(NO_ARCHIVES).await;
    office.agree(&strict).await;

    let proposed = office.one.act_ok(&roll_back, &Value::Null).await;
    assert_eq!((&proposed["state"], &proposed["undoes"]), (&json!("proposed"), &strict["version"]));
    assert_eq!(office.restore("archive").await, refused(403, "policy_denied"));
    let (path, seen) = step(&proposed);
    let alone = office.one.act(&format!("{path}/activate"), &seen).await;
    assert_eq!(code(alone), refused(403, "second_administrator_needed"));
    let active = office.other.act_ok(&format!("{path}/activate"), &seen).await;
    assert_eq!(active["state"], "active", "what was in force a moment ago need not wait");
    assert_eq!(office.in_force().await["digest"], before["digest"]);
    assert_eq!(office.restore("archive").await, (200, String::new()));

    let stricter = office.other.act_ok(&roll_back, &Value::Null).await;
    assert_eq!((&stricter["state"], &stricter["activated_by"]), (&json!("active"), &json!("admin:installation/other")));
    assert_eq!(office.in_force().await["digest"], strict["digest"]);
    assert_eq!(office.restore("archive").await, refused(403, "policy_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_tried_on_the_past() {
    let office = Office::open().await;
    for kind in ["archive", "identity", "archive"] {
        assert_eq!(office.restore(kind).await.0, 200);
    }
    let defaults = office.in_force().await["text"].as_str().unwrap().to_owned();
    let two = "@id(\"two\") @needs_approvals(\"2\") @delay_seconds(\"60\") permit (principal, action == Action::\"restore\", \
               resource) when { resource.kind == \"identity\" };";
    let text = format!("{defaults}{NO_ARCHIVES}{two}");
    let tried = office.broker.admin_ok("/acme/policies/dry-run", json!({"text": text, "days": 7})).await;
    let figures = ["looked_at", "complete", "refused", "needs_more", "needs_less", "allowed"].map(|name| &tried[name]);
    assert_eq!(json!(figures), json!([3, true, 2, 1, 0, 0]));
    let refused_ones = tried["changed"].as_array().unwrap().iter().filter(|one| one["then"]["allowed"] == false);
    assert!(refused_ones.clone().all(|one| one["then"]["policies"] == json!(["no-archives"])), "{tried}");
    let [more] = &tried["changed"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["then"]["allowed"] == true)
        .collect::<Vec<_>>()[..]
    else {
        panic!("{tried}")
    };
    assert_eq!((&more["now"]["approvals"], &more["then"]["approvals"]), (&json!(0), &json!(2)));
    assert_eq!(more["then"]["delay_seconds"], 60);

    let nothing = office.broker.admin_ok("/acme/policies/dry-run", json!({"text": defaults, "days": 1})).await;
    assert_eq!((&nothing["looked_at"], &nothing["changed"]), (&json!(3), &json!([])));
    let closed = office.broker.admin("/acme/policies/dry-run", Some(json!({"days": 1}))).await;
    assert_eq!(code(closed), refused(400, "malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_told_with_its_place() {
    let office = Office::open().await;
    let wrong = "@id(\"fine\")\npermit (principal, action, resource);\n\n@id(\"typed\")\nforbid (principal, action, resource)\n\
                 when { context.now < \"yesterday\" };";
    let told = office.broker.admin_ok("/acme/policies/validate", json!({"text": wrong})).await;
    let mistake = &told["mistake"];
    assert_eq!(json!([mistake["policy"], mistake["line"], mistake["column"]]), json!(["typed", 6, 22]), "{told}");
    assert!(mistake["message"].as_str().unwrap().contains("type"), "{told}");
    let drafted = office.broker.admin("/acme/policies", Some(json!({"text": wrong, "note": "wrong"}))).await;
    assert_eq!(code(drafted.clone()), refused(400, "policy_invalid"));
    assert!(drafted.1["detail"].as_str().unwrap().starts_with("line 6, column 22, policy `typed`"), "{}", drafted.1);

    let defaults = office.in_force().await;
    for (text, nowhere_weaker) in [(defaults["text"].as_str().unwrap(), true), (EVERYTHING, false)] {
        let told = office.broker.admin_ok("/acme/policies/validate", json!({"text": text})).await;
        assert_eq!((&told["nowhere_weaker"], &told["mistake"]), (&json!(nowhere_weaker), &Value::Null));
    }
    let ask = json!({"text": defaults["text"], "library": ["country", "login-age"], "note": "from the library"});
    let draft = office.broker.admin_ok("/acme/policies", ask).await;
    assert!(draft["text"].as_str().unwrap().contains("@id(\"login-age\")"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_the_help_desk_let_in_is_known_as_such() {
    let mut office = Office::open().await;
    let mut desk = office.one.appoint(&office.broker, TENANT, ("desk", &["help_desk"])).await;
    let text = "@id(\"no-desk\") forbid (principal, action == Action::\"restore\", resource) when { principal.enrolled_by_help_desk };";
    let strict = office.draft(text).await;
    office.agree(&strict).await;
    assert_eq!(office.restore("identity").await, (200, String::new()));
    let made = desk.act_ok("/v1/admin/tenants/acme/enrolment-codes", &json!({"user": "alice"})).await;
    office.device = Raw::enrol_with(&office.broker, TENANT, made["code"].as_str().unwrap()).await;
    assert_eq!(office.restore("identity").await, refused(403, "policy_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_reads_and_tries_policies() {
    let mut office = Office::open().await;
    let strict = office.draft(NO_ARCHIVES).await;
    office.agree(&strict).await;
    let run = |words: &[&str]| {
        let done = office.broker.run_admin(&[&["policy"], words].concat());
        (done.status.success(), text(&done.stdout), text(&done.stderr))
    };
    let (_, listed, _) = run(&["list", TENANT]);
    assert!(listed.contains("active") && listed.contains("admin:installation/other"), "{listed}");
    let (_, shown, _) = run(&["show", TENANT, "1"]);
    assert!(shown.contains("no-archives") && shown == run(&["show", TENANT]).1, "{shown}");
    let file = office.broker.path("own.cedar");
    std::fs::write(&file, EVERYTHING).unwrap();
    let file = file.to_str().unwrap();
    assert!(run(&["validate", TENANT, file]).1.contains("it would wait"));
    let (done, _, told) = run(&["dry-run", TENANT, file, "--days", "7"]);
    assert!(done && told.starts_with("0 restores: 0 refused"), "{told}");
    std::fs::write(file, "permit (principal, action, resource);").unwrap();
    let (done, _, told) = run(&["validate", TENANT, file]);
    assert!(!done && told.contains("own.cedar:1:1: the policy has no `@id"), "{told}");
}
