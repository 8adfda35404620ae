//! The same troubles for the room of every cloud, through the broker: what the device is told, how often the vendor is
//! asked, what stands in the log, and that the same restore is released when it is over.

mod aws;
mod azure;
mod google;

use crate::harness::{Answer, Broker, Raw, outcomes};
use counterparts::front::{Fault, Front};
use serde_json::{Value, json};
use std::fmt::Debug;
use std::time::Duration;

/// The tenant whose KEK is at the vendor.
const CLOUD: &str = "cloud";
/// Another tenant, with another KEK at the same vendor.
const OTHER: &str = "other";

/// A vendor's counterpart, and what only its owner can do.
trait Vendor {
    /// What the owner of the KEK, or the vendor, does to break it.
    type Deed: Copy + Debug;

    /// The broker's provider `cloud`.
    fn provider(&self) -> String;
    /// What the broker is run under.
    fn environment(&self) -> &'static [&'static str];
    /// A new key for a tenant of this name; the name that the broker knows it by.
    async fn create_key(&self, name: &str) -> String;
    /// What all calls to the KMS pass.
    fn front(&self) -> &Front;
    async fn does(&self, deed: Self::Deed);
    async fn undoes(&self, deed: Self::Deed);
}

/// What goes wrong.
#[derive(Debug)]
enum Trouble<D> {
    Answers(Fault),
    Owner(D),
}

/// A trouble that passes: what the device is told, and how often the vendor is asked in it and after it.
struct Passing<D> {
    trouble: Trouble<D>,
    told: (u16, &'static str),
    requests: [usize; 2],
}

/// An answer that keeps coming.
fn answers<D>(fault: Fault, told: (u16, &'static str), requests: [usize; 2]) -> Passing<D> {
    Passing { trouble: Trouble::Answers(fault), told, requests }
}

/// A deed that is undone later.
fn owner<D>(deed: D, told: (u16, &'static str), requests: [usize; 2]) -> Passing<D> {
    Passing { trouble: Trouble::Owner(deed), told, requests }
}

const UNAVAILABLE: (u16, &str) = (503, "provider_unavailable");
const THROTTLED: (u16, &str) = (503, "provider_throttled");
const REFUSED: (u16, &str) = (502, "provider_refused");
const BROKEN: (u16, &str) = (502, "provider_broken");
const DISABLED: (u16, &str) = (409, "kek_disabled");
const PENDING_DELETION: (u16, &str) = (409, "kek_pending_deletion");
const NOT_FOUND: (u16, &str) = (409, "kek_not_found");
const MISMATCH: (u16, &str) = (409, "kek_mismatch");

/// What fails below HTTP, or in time, is the same for all: whatever may pass is tried four times within the deadline.
fn of_the_network<D>() -> Vec<Passing<D>> {
    vec![
        answers(Fault::Reset, UNAVAILABLE, [4, 1]),
        answers(Fault::CutMidAnswer, UNAVAILABLE, [4, 1]),
        // The deadline passes before there could be a second attempt.
        answers(Fault::Slow(Duration::from_secs(8)), UNAVAILABLE, [1, 1]),
        answers(Fault::Hang, UNAVAILABLE, [1, 1]),
    ]
}

/// Who writes the database makes of a record's wrap: bytes that the KEK never made, the wrap of another record under
/// the same KEK, a wrap under another KEK.
const FORGERIES: [(&str, &str); 3] = [
    (
        "altered",
        "UPDATE wraps SET wrapped = CAST(substr(wrapped, 1, length(wrapped) - 1) || CASE substr(wrapped, -1)
         WHEN x'01' THEN x'02' ELSE x'01' END AS BLOB) WHERE record = (SELECT id FROM records WHERE kind = 'altered')",
    ),
    (
        "moved",
        "UPDATE wraps SET (wrapped, vendor_version) = (SELECT wrapped, vendor_version FROM wraps WHERE record =
         (SELECT id FROM records WHERE kind = 'identity')) WHERE record = (SELECT id FROM records WHERE kind = 'moved')",
    ),
    (
        "foreign",
        "UPDATE wraps SET (wrapped, vendor_version) = (SELECT wrapped, vendor_version FROM wraps WHERE record =
         (SELECT id FROM records WHERE kind = 'theirs')) WHERE record = (SELECT id FROM records WHERE kind = 'foreign')",
    ),
];

/// A broker with a vendor, and a device with records.
struct Scene<V> {
    vendor: V,
    broker: Broker,
    vkey: String,
    device: Raw,
    /// The outcome of each restore that has failed so far.
    failed: Vec<String>,
}

impl<V: Vendor> Scene<V> {
    async fn start(vendor: V) -> Self {
        let provider = vendor.provider();
        let mut broker = Broker::prepared(|config| config + &provider);
        broker.run(vendor.environment()).await;
        let (_, other) = tenant(&broker, &vendor, OTHER).await;
        other.backup("theirs", 1, b"their key").await;
        let (vkey, device) = tenant(&broker, &vendor, CLOUD).await;
        for kind in ["identity", "altered", "moved", "foreign"] {
            device.backup(kind, 1, b"any key").await;
        }
        Self { vendor, broker, vkey, device, failed: Vec::new() }
    }

    /// The whole story of a vendor. A forgery costs as many requests as `forgeries` says.
    async fn play(mut self, passing: Vec<Passing<V::Deed>>, forgeries: [usize; 3]) {
        for trouble in &passing {
            self.passes(trouble).await;
        }
        for ((kind, statement), requests) in FORGERIES.into_iter().zip(forgeries) {
            self.forge(kind, statement, requests).await;
        }
        self.waits_for_a_minute().await;
        let log = self.broker.verified_log(CLOUD, &self.vkey);
        assert_eq!(outcomes(&log, "restore.failed"), self.failed);
        assert_eq!(outcomes(&log, "finding.raised"), ["wrapped_mismatch"; FORGERIES.len()]);
        let released = outcomes(&log, "restore.released").len();
        assert_eq!(released, passing.len() + 1);
        assert_eq!(outcomes(&log, "restore.intent").len(), released + self.failed.len());
    }

    async fn passes(&mut self, Passing { trouble, told, requests }: &Passing<V::Deed>) {
        let (opened, _) = self.device.open("identity").await;
        match trouble {
            Trouble::Answers(fault) => self.vendor.front().fail(None, fault.clone()),
            Trouble::Owner(deed) => self.vendor.does(*deed).await,
        }
        let (answer, asked) = self.counted(self.device.release(&opened)).await;
        assert_eq!((answer.status, &*answer.code(), asked), (told.0, told.1, requests[0]), "{trouble:?}");
        if told == &THROTTLED {
            assert_eq!(answer.headers["retry-after"], "1", "{trouble:?}");
        }
        self.failed.push(told.1.into());
        match trouble {
            Trouble::Answers(_) => self.vendor.front().heal(),
            Trouble::Owner(deed) => self.vendor.undoes(*deed).await,
        }
        let (answer, asked) = self.counted(self.device.release(&opened)).await;
        assert_eq!((answer.status, asked), (200, requests[1]), "after {trouble:?}: {}", answer.code());
        assert_eq!(self.device.acknowledge(&opened).await.status, 204);
    }

    /// A mismatch is an attack until proven otherwise: a finding, and the end of the restore.
    async fn forge(&mut self, kind: &str, statement: &'static str, requests: usize) {
        self.broker.sql(statement).await;
        let (opened, _) = self.device.open(kind).await;
        let (answer, asked) = self.counted(self.device.release(&opened)).await;
        assert_eq!((answer.status, &*answer.code(), asked), (MISMATCH.0, MISMATCH.1, requests), "{kind}");
        self.failed.push(MISMATCH.1.into());
        let (again, asked) = self.counted(self.device.release(&opened)).await;
        assert_eq!((again.status, &*again.code(), asked), (410, "restore_over", 0), "{kind}");
    }

    /// A wish that the deadline has no time for is told to the device, and kept; a broker started anew knows nothing of it.
    async fn waits_for_a_minute(&mut self) {
        let (opened, _) = self.device.open("identity").await;
        self.vendor.front().fail(None, busy(429, "60"));
        for requests in [1, 0] {
            let (answer, asked) = self.counted(self.device.release(&opened)).await;
            assert_eq!((answer.status, &*answer.code(), asked), (THROTTLED.0, THROTTLED.1, requests));
            let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((50..=60).contains(&wait), "{wait}");
            self.failed.push(THROTTLED.1.into());
            self.vendor.front().heal();
        }
        self.broker.stop();
        self.broker.run(self.vendor.environment()).await;
        assert_eq!(self.device.release(&opened).await.status, 200);
    }

    /// What the broker answers, and how many requests the vendor has seen meanwhile.
    async fn counted(&self, answer: impl Future<Output = Answer>) -> (Answer, usize) {
        let before = self.vendor.front().requests();
        let answer = answer.await;
        (answer, self.vendor.front().requests() - before)
    }
}

/// A tenant with a KEK at the vendor; the verifier key of its log, and a device.
async fn tenant(broker: &Broker, vendor: &impl Vendor, name: &str) -> (String, Raw) {
    let made = broker.admin_ok("", json!({"id": name, "name": name, "unattested_days": 30})).await;
    broker.admin_ok(&format!("/{name}/users"), json!({"id": "alice"})).await;
    let key = vendor.create_key(name).await;
    broker.admin_ok(&format!("/{name}/keks"), json!({"provider": "cloud", "key": key})).await;
    (made["vkey"].as_str().unwrap().into(), Raw::enrol(broker, name, "alice").await)
}

/// A page of whatever stands before the vendor, with a wish of this many seconds.
fn busy(status: u16, retry_after: &'static str) -> Fault {
    Fault::Answer { status, headers: vec![("retry-after", retry_after)], body: "<html>".into() }
}

/// The vendor's own words.
fn says(status: u16, body: &Value) -> Fault {
    Fault::Answer { status, headers: vec![("content-type", "application/json")], body: body.to_string() }
}
