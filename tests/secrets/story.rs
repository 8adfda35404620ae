//! Every verb once with success and once with failure, with secrets that the test knows.

use crate::harness::mail::veto_path;
use crate::harness::{Answer, Broker, Raw, TENANT};
use crate::hunt::Planted;
use crate::receivers::{FILES, Receivers};
use crate::rooms::Room;
use protocol::jws::DeviceKey;
use protocol::messages::{Released, RestoreOpened};
use protocol::record::{RecordName, SUITE, WrappingSecret};
use protocol::sealing::{Info, OpeningKey};
use reqwest::RequestBuilder;
use secret::Secret;
use serde_json::{Value, json};
use std::fs;

const MATERIAL: &[u8] = b"the planted key material of alice's phone";
/// A token that somebody tries who has none.
const WRONG_TOKEN: &str = "wrong-but-still-nobody-elses-business-0123456789";
/// Files that hold a secret on purpose; the configuration names them.
const SECRET_FILES: [&str; 3] = ["passphrase", "admin-token", "tls.key"];

/// A broker after it all, what it answered, and what must be found nowhere.
pub(crate) struct Story {
    pub(crate) broker: Broker,
    pub(crate) room: Room,
    pub(crate) receivers: Receivers,
    pub(crate) vkey: String,
    /// A device's id: no secret, and to be found in the database.
    pub(crate) visible: Vec<u8>,
    pub(crate) planted: Vec<Planted>,
    /// What stops a restore, as the user was mailed it: to be found in notices alone.
    pub(crate) veto: Vec<u8>,
    pub(crate) answers: Vec<(String, Vec<u8>)>,
}

impl Story {
    pub(crate) async fn play(room: Room) -> Self {
        let receivers = Receivers::start().await;
        let mut broker = Broker::prepared(|config| config + &room.provider() + &receivers.sections());
        receivers.equip(&broker);
        broker.run(&room.environment().iter().map(String::as_str).collect::<Vec<_>>()).await;
        let vkey = room.tenant(&broker).await;
        broker.admin_ok("/acme/users/alice/email", json!({"email": "alice@corp.example"})).await;
        let (visible, planted, answers) = (Vec::new(), Vec::new(), Vec::new());
        let veto = Vec::new();
        let mut story = Self { broker, room, receivers, vkey, visible, planted, veto, answers };
        story.plant("the key material", MATERIAL);
        story.plant("a wrong token", WRONG_TOKEN.as_bytes());
        for (name, file) in [("the passphrase", "passphrase"), ("the admin token", "admin-token")] {
            let secret = fs::read_to_string(story.broker.path(file)).unwrap();
            story.plant(name, secret.trim().as_bytes());
        }
        let device = story.enrol().await;
        story.visible = device.id().to_string().into_bytes();
        story.restore(&device).await;
        story.follow_link().await;
        story.fail(&device).await;
        story.administer(&device).await;
        story
    }

    /// Opens the link of the first mail, and presses its button: too late, for the restore is over.
    async fn follow_link(&mut self) {
        let path = veto_path(&self.receivers.first_mail().await, &self.broker);
        let url = self.broker.url(&path);
        assert_eq!(self.ask("the page of a link", self.broker.http().get(&url)).await, 200);
        assert_eq!(self.ask("the button of a link", self.broker.http().post(&url)).await, 409);
        self.veto = path.as_bytes()["/veto/".len()..].to_vec();
    }

    fn plant(&mut self, name: &'static str, secret: &[u8]) {
        self.planted.push(Planted::new(name, secret.to_vec()));
    }

    fn keep(&mut self, what: &str, answer: &Answer) {
        let headers =
            answer.headers.iter().map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes()].concat());
        let bytes = [headers.collect::<Vec<_>>().join(&b'\n'), answer.body.clone()].concat();
        self.answers.push((what.into(), bytes));
    }

    async fn enrol(&mut self) -> Raw {
        // The answer to this request is the one place where a code belongs.
        let code = self.broker.code(TENANT, "alice").await;
        self.plant("the enrolment code", &raw_code(&code));
        self.plant("the enrolment code's text", code.as_bytes());
        let unused = self.broker.code(TENANT, "alice").await;
        self.plant("an unused enrolment code", &raw_code(&unused));
        let key = DeviceKey::generate_p256();
        let answer = Raw::try_enrol(&self.broker, TENANT, &code, &key).await;
        self.keep("the answer to an enrolment", &answer);
        let again = Raw::try_enrol(&self.broker, TENANT, &code, &DeviceKey::generate_p256()).await;
        assert_eq!(again.code(), "enrolment_code_invalid");
        self.keep("the answer to a second enrolment", &again);
        let elsewhere = Raw::try_enrol(&self.broker, "nowhere", &unused, &key).await;
        self.keep("the answer of no tenant", &elsewhere);
        Raw::enrol(&self.broker, TENANT, "alice").await
    }

    /// Wrap, restore, fetch again, acknowledge. What was wrapped is known to the device alone.
    async fn restore(&mut self, device: &Raw) {
        let wrapped = device.send_wrap(&device.wrap("identity", 1, MATERIAL)).await;
        self.keep("the answer to a wrap", &wrapped);
        let (opened, receive) = device.open("identity").await;
        let released = device.release(&opened).await;
        let s_kms = wrapping_secret(device, &opened, &receive, &released.json());
        self.plant("a wrapping secret", &s_kms);
        self.keep("the answer to a release", &released);
        let again = device.release(&opened).await;
        assert_eq!(again.status, 200);
        self.keep("the answer to a second release", &again);
        let acknowledged = device.acknowledge(&opened).await;
        assert_eq!(acknowledged.status, 204);
        self.keep("the answer to an acknowledgement", &acknowledged);
        let over = device.release(&opened).await;
        self.keep("the answer after an acknowledgement", &over);
    }

    async fn fail(&mut self, device: &Raw) {
        let stale = device.send_wrap(&device.wrap("identity", 1, MATERIAL)).await;
        self.keep("a stale generation", &stale);
        self.disable(device).await;
        let garbage = device.send(&device.path("/records"), b"{not even json".to_vec()).await;
        self.keep("a request that is none", &garbage);
        let unknown = device.post(&device.path("/records"), &json!({"surprise": 1})).await;
        assert_eq!(unknown.code(), "malformed");
        self.keep("a request of unknown form", &unknown);
    }

    /// Elsewhere, what a disabled key is told as is for the tests of faults.
    async fn disable(&mut self, device: &Raw) {
        if !matches!(self.room, Room::Software) {
            return;
        }
        let (opened, _) = device.open("identity").await;
        self.broker.keystore(&["disable", TENANT]);
        let disabled = [device.release(&opened).await, device.send_wrap(&device.wrap("identity", 2, MATERIAL)).await];
        self.broker.keystore(&["enable", TENANT]);
        for answer in disabled {
            assert_eq!(answer.code(), "kek_disabled");
            self.keep("a disabled KEK", &answer);
        }
    }

    async fn administer(&mut self, device: &Raw) {
        for below in
            ["", "/acme/keks", "/acme/users", "/acme/devices", "/acme/records", "/acme/restores", "/acme/events"]
        {
            let url = self.broker.url(&format!("/v1/admin/tenants{below}"));
            let right = self.broker.http().get(&url).bearer_auth(self.broker.token());
            self.ask(below, right).await;
            let wrong = self.broker.http().get(&url).bearer_auth(WRONG_TOKEN);
            assert_eq!(self.ask(below, wrong).await, 401);
        }
        let unknown = json!({"id": "x", "name": "x", "surprise": 1});
        let url = self.broker.url("/v1/admin/tenants");
        let unknown = self.broker.http().post(url).bearer_auth(self.broker.token()).json(&unknown);
        assert_eq!(self.ask("a tenant of unknown form", unknown).await, 400);
        let path = device.path(&format!("/devices/{}/records", device.id()));
        let records = device.post(&path, &Value::Null).await;
        self.keep("the records", &records);
        self.broker.revoke(TENANT, "device", Some(&device.id().to_string())).await;
        let revoked = device.send_wrap(&device.wrap("identity", 2, MATERIAL)).await;
        self.keep("a revoked device", &revoked);
    }

    async fn ask(&mut self, what: &str, request: RequestBuilder) -> u16 {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        self.keep(what, &Answer { status, headers, body: answer.bytes().await.unwrap().into() });
        status
    }

    /// Every file of the broker's folder: database, write-ahead log, keystore, sink. Not those that hold secrets on purpose.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.broker.path("")).unwrap().map(|entry| entry.unwrap());
        let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
        let on_purpose = |name: &str| SECRET_FILES.contains(&name) || FILES.contains(&name);
        let named = named.filter(|(name, path)| path.is_file() && !on_purpose(name));
        let files: Vec<_> = named.map(|(name, path)| (name, fs::read(path).unwrap())).collect();
        assert!(files.iter().any(|(name, _)| name == "keyfold.db-wal"));
        files
    }
}

/// `s_kms`, as the device that asked for it opens it.
fn wrapping_secret(device: &Raw, opened: &RestoreOpened, receive: &OpeningKey, released: &Released) -> Vec<u8> {
    let record = &released.records[0];
    let name = RecordName {
        tenant: device.enrolled.tenant.clone(),
        user: device.enrolled.user.clone(),
        kind: record.kind.clone(),
        generation: record.generation,
        record: record.record,
        device: record.device,
        suite: SUITE,
    };
    let context = name.context();
    let payload = receive.open(&Info::release(&context, &opened.transcript.0), &record.sealed.0).unwrap();
    let secret = Secret::from(WrappingSecret::from_payload(payload, &context).unwrap());
    #[expect(clippy::disallowed_methods, reason = "the test looks for these very bytes")]
    secret.expose().to_vec()
}

/// The 16 bytes that the text of a code stands for: Crockford's base 32, of which the last 12 bits are a checksum.
fn raw_code(text: &str) -> Vec<u8> {
    let symbols = text.strip_prefix("KF-").unwrap().bytes().filter(|byte| *byte != b'-');
    let value = |symbol: u8| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".iter().position(|other| *other == symbol).unwrap();
    let bits = symbols.fold((0_u128, 0), |(bits, taken), symbol| {
        let missing = 128_usize.saturating_sub(taken).min(5);
        (bits << missing | (value(symbol) >> (5 - missing)) as u128, taken + missing)
    });
    bits.0.to_be_bytes().to_vec()
}
