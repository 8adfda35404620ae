//! `kill -9` at random under load: what was answered is true, and nothing else ever went out.

use crate::harness::{Answer, Broker, Raw, TENANT};
use protocol::messages::{OpenRestore, Released, RestoreOpened, Wrapped};
use protocol::names::Kind;
use protocol::record::{KeySchedule, RecordName, SUITE, WrappingSecret, open_bundle};
use protocol::sealing::{Info, OpeningKey};
use protocol::{encoding::Base64Url, jws::CONTENT_TYPE};
use reqwest::{Client, header::CONTENT_TYPE as CONTENT_TYPE_HEADER};
use serde::Serialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use std::{env, fs};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const DEVICES: usize = 6;
/// Most kinds that one restore may ask for.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_under_load_it_keeps_what_it_has_promised() {
    let crashes: u32 = env::var("KEYFOLD_CRASHES").map_or(25, |text| text.parse().unwrap());
    let mut broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let mut devices = Vec::new();
    for _ in 0..DEVICES {
        devices.push(Worker::new(Raw::enrol(&broker, TENANT, "alice").await, &broker));
    }
    for crash in 1..=crashes {
        devices = work_until_killed(&mut broker, devices).await;
        broker.run(&[]).await;
        if crash % 20 == 0 {
            broker.verified_log(TENANT, &vkey);
        }
    }

    for device in &devices {
        device.restore_all().await;
    }
    let log = broker.verified_log(TENANT, &vkey);
    let promised = devices.iter().map(|device| &device.promised).fold(Promised::default(), Promised::and);
    eprintln!("{crashes} crashes, {} events, {} wraps, {} releases", log.len(), promised.wraps(), promised.releases());
    assert!(promised.wraps() > 0 && promised.releases() > 0);
    check_log(&log, &promised);
    check_sink(&broker, &log).await;
}

/// Lets every device work, kills the broker in the middle, and gives the devices back.
async fn work_until_killed(broker: &mut Broker, devices: Vec<Worker>) -> Vec<Worker> {
    let working: Vec<_> = devices.into_iter().map(|device| tokio::spawn(device.work())).collect();
    sleep(Duration::from_micros(u64::from(200_000 + random() % 1_300_000))).await;
    broker.kill();
    let mut devices = Vec::new();
    for device in working {
        devices.push(device.await.unwrap());
    }
    devices
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

/// Every release that a client saw has its intent before it; every leaf that a client holds is in the log.
fn check_log(log: &[Value], promised: &Promised) {
    let place = |kind: &str, restore: &Uuid| {
        let restore = restore.to_string();
        log.iter().position(|event| event["evt"] == kind && event["cor"] == *restore)
    };
    for restore in &promised.released {
        let (intent, released) = (place("restore.intent", restore), place("restore.released", restore));
        assert!(intent.is_some() && intent < released, "{restore}: {intent:?} {released:?}");
    }
    let leaves: HashSet<&str> = log.iter().map(|event| event["leaf"].as_str().unwrap()).collect();
    assert_eq!(leaves.len(), log.len(), "a leaf is there twice");
    assert!(promised.leaves.iter().all(|leaf| leaves.contains(leaf.as_str())), "a leaf with a receipt is gone");
    assert!((0..).zip(log).all(|(index, event)| event["index"] == index), "an index is missing or doubled");
}

/// The file has every event, whole, first seen in the log's order.
async fn check_sink(broker: &Broker, log: &[Value]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = fs::read_to_string(broker.path("events.ndjson")).unwrap();
        let messages = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = messages.filter(|message: &Value| message["evt"].is_string()).collect();
        let mut next = 0;
        for line in &lines {
            let index = usize::try_from(line["index"].as_u64().unwrap()).unwrap();
            assert!(index <= next, "event {index} is delivered before event {next}");
            assert_eq!(line["leaf"], log[index]["leaf"]);
            next = next.max(index + 1);
        }
        if next == log.len() {
            eprintln!("the sink has {} lines for {} events", lines.len(), log.len());
            return;
        }
        assert!(Instant::now() < deadline, "the sink stops at {next} of {}", log.len());
        sleep(Duration::from_millis(100)).await;
    }
}

/// What clients were told.
#[derive(Default, Clone)]
struct Promised {
    /// Kind and material of every wrap that was answered with 201.
    wrapped: HashMap<Kind, Vec<u8>>,
    /// Every restore whose release was answered with 200.
    released: HashSet<Uuid>,
    /// Every leaf that came with a receipt.
    leaves: HashSet<String>,
}

impl Promised {
    fn and(mut self, other: &Self) -> Self {
        self.wrapped.extend(other.wrapped.clone());
        self.released.extend(&other.released);
        self.leaves.extend(other.leaves.iter().cloned());
        self
    }

    fn wraps(&self) -> usize {
        self.wrapped.len()
    }

    fn releases(&self) -> usize {
        self.released.len()
    }
}

/// A device that works until the broker is gone, and remembers what it was told.
struct Worker {
    device: Raw,
    http: Client,
    base: String,
    promised: Promised,
}

impl Worker {
    fn new(device: Raw, broker: &Broker) -> Self {
        Self { device, http: broker.http().clone(), base: broker.url(""), promised: Promised::default() }
    }

    /// Wraps, restores and acknowledges in turn; ends with the first answer that does not come.
    async fn work(mut self) -> Self {
        while self.wrap_and_restore().await.is_some() {}
        self
    }

    async fn wrap_and_restore(&mut self) -> Option<()> {
        let material = Uuid::new_v4().as_bytes().to_vec();
        let wrap = self.device.wrap(&format!("k{}", Uuid::new_v4().simple())[..32], 1, &material);
        let answer = self.post("/records", &wrap).await?;
        assert_eq!(answer.status, 201, "{answer:?}");
        self.promised.leaves.insert(answer.json::<Wrapped>().leaf);
        self.promised.wrapped.insert(wrap.kind.clone(), material);
        let (opened, _) = self.open(std::slice::from_ref(&wrap.kind)).await?;
        self.release(&opened).await?;
        self.post(&format!("/restores/{}/ack", opened.restore), &transcript(&opened)).await.map(|_| ())
    }

    async fn open(&self, kinds: &[Kind]) -> Option<(RestoreOpened, OpeningKey)> {
        let receive = OpeningKey::generate();
        let (records, receive_key) = (Vec::new(), Base64Url(receive.public().clone()));
        let ask = OpenRestore {
            records,
            kinds: kinds.to_vec(),
            receive_key,
            reason: "crash".parse().unwrap(),
            id_token: None,
        };
        let answer = self.post("/restores", &ask).await?;
        assert_eq!(answer.status, 201, "{answer:?}");
        Some((answer.json(), receive))
    }

    async fn release(&mut self, opened: &RestoreOpened) -> Option<Released> {
        let answer = self.post(&format!("/restores/{}/release", opened.restore), &transcript(opened)).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let released: Released = answer.json();
        self.promised.released.insert(opened.restore);
        self.promised.leaves.insert(released.leaf.clone());
        Some(released)
    }

    /// Every acknowledged wrap comes back with the right bytes.
    async fn restore_all(&self) {
        let kinds: Vec<Kind> = self.promised.wrapped.keys().cloned().collect();
        for kinds in kinds.chunks(AT_ONCE) {
            let (opened, receive) = self.open(kinds).await.unwrap();
            let answer = self.post(&format!("/restores/{}/release", opened.restore), &transcript(&opened)).await;
            let released: Released = answer.unwrap().json();
            assert_eq!(released.records.len(), kinds.len());
            self.check(&opened, &receive, &released);
        }
    }

    fn check(&self, opened: &RestoreOpened, receive: &OpeningKey, released: &Released) {
        let enrolled = &self.device.enrolled;
        for record in &released.records {
            let name = RecordName {
                tenant: enrolled.tenant.clone(),
                user: enrolled.user.clone(),
                kind: record.kind.clone(),
                generation: record.generation,
                record: record.record,
                device: record.device,
                suite: SUITE,
            };
            let context = name.context();
            let payload = receive.open(&Info::release(&context, &opened.transcript.0), &record.sealed.0).unwrap();
            let keys = KeySchedule::new(&WrappingSecret::from_payload(payload, &context).unwrap(), None, &context);
            let material = open_bundle(&keys, &record.commitment.0, record.bundle.0.as_ref()).unwrap();
            assert!(material.matches(&self.promised.wrapped[&record.kind]));
        }
    }

    /// `None` when the broker is gone before it has answered.
    async fn post(&self, below: &str, message: &impl Serialize) -> Option<Answer> {
        let path = self.device.path(below);
        let nonce = self.http.get(format!("{}/v1/nonce", self.base)).send().await.ok()?;
        let nonce = nonce.headers()["replay-nonce"].to_str().unwrap().to_owned();
        let body = self.device.sign(&path, &nonce, &serde_json::to_vec(message).unwrap());
        let request = self.http.post(format!("{}{path}", self.base)).header(CONTENT_TYPE_HEADER, CONTENT_TYPE);
        let answer = request.body(body).send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Some(Answer { status, headers, body: answer.bytes().await.ok()?.into() })
    }
}

fn transcript(opened: &RestoreOpened) -> Value {
    serde_json::json!({"transcript": opened.transcript})
}
