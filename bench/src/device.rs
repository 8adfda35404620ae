//! A device: enrols, signs, backs up and restores by the protocol, with as little work in the timed part as it can.

use crate::Failure;
use crate::https::{Connection, Endpoint};
use crate::load::Operation;
use bytes::Bytes;
use http::{Request, header};
use protocol::encoding::{Base64Url, from_json, to_base64url};
use protocol::enrolment::EnrolmentCode;
use protocol::jws::{CONTENT_TYPE, DeviceKey, Signer};
use protocol::messages::{Enrol, Enrolled, Released, RestoreOpened, Wrap};
use protocol::names::Kind;
use protocol::record::{KeySchedule, RecordName, SUITE, WrappingSecret, seal_bundle};
use protocol::sealing::{Info, OpeningKey, seal};
use secret::Secret;
use serde::Serialize;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread;
use uuid::Uuid;

/// Bytes of key material in a backup: a signature key and what belongs to it.
const MATERIAL_LEN: usize = 128;
/// Of so many restores, one is opened and compared with what was backed up; opening costs the shared CPU.
const CHECKED: usize = 64;

/// An enrolled device with a P-256 key and one connection.
pub struct Device {
    key: DeviceKey,
    signer: Signer,
    enrolled: Enrolled,
    connection: Connection,
    base: String,
    nonce: String,
}

impl Device {
    /// Enrols with a one-time code.
    pub async fn enrol(endpoint: &Endpoint, tenant: &str, code: EnrolmentCode) -> Result<Self, Failure> {
        let key = DeviceKey::generate_p256();
        let mut connection = endpoint.connect().await?;
        let answer = connection.send(Request::get("/v1/nonce"), Vec::new()).await?;
        let enrol = Enrol { code, name: "bench".parse()?, platform: "bench".parse()? };
        let signer = Signer::Jwk(key.public().clone());
        let path = format!("/v1/tenants/{tenant}/devices");
        let url = endpoint.url() + &path;
        let body = key.sign_request(&signer, nonce(&answer.headers)?, &url, &serde_json::to_vec(&enrol)?);
        let answer = connection.send(Request::post(path).header(header::CONTENT_TYPE, CONTENT_TYPE), body).await?;
        let enrolled: Enrolled = from_json(&answer.body)?;
        let signer = Signer::Kid(enrolled.device.to_string());
        let nonce = nonce(&answer.headers)?.to_owned();
        Ok(Self { key, signer, enrolled, connection, base: endpoint.url(), nonce })
    }

    /// Takes up a new connection, and a nonce that is not about to expire.
    pub async fn reconnect(&mut self, endpoint: &Endpoint) -> Result<(), Failure> {
        self.connection = endpoint.connect().await?;
        let answer = self.connection.send(Request::get("/v1/nonce"), Vec::new()).await?;
        self.nonce = nonce(&answer.headers)?.to_owned();
        Ok(())
    }

    /// Signs and sends a payload to a path below the tenant's.
    async fn post(&mut self, below: &str, payload: &impl Serialize) -> Result<Bytes, Failure> {
        let path = format!("/v1/tenants/{}{below}", self.enrolled.tenant);
        let url = format!("{}{path}", self.base);
        let body = self.key.sign_request(&self.signer, &self.nonce, &url, &serde_json::to_vec(payload)?);
        let request = Request::post(path).header(header::CONTENT_TYPE, CONTENT_TYPE);
        let answer = self.connection.send(request, body).await?;
        self.nonce.clear();
        self.nonce.push_str(nonce(&answer.headers)?);
        Ok(answer.body)
    }

    /// Backs up new key material as the first generation of `kind`.
    pub async fn back_up(&mut self, kind: &str) -> Result<(), Failure> {
        let wrap = self.wrap(&kind.parse()?, 1)?;
        self.post("/records", &wrap).await?;
        Ok(())
    }

    fn wrap(&self, kind: &Kind, generation: u64) -> Result<Wrap, Failure> {
        let name = self.record(kind, generation, (Uuid::new_v4(), self.enrolled.device));
        let (secret, context) = (WrappingSecret::generate(), name.context());
        let keys = KeySchedule::new(&secret, None, &context);
        let sealed = seal(&self.enrolled.ingress.key.0, &Info::wrap(&context), &secret.payload(&context))?;
        let bundle = seal_bundle(&keys, &Secret::random(MATERIAL_LEN))?;
        Ok(Wrap {
            record: name.record,
            kind: name.kind,
            generation,
            suite: SUITE,
            ingress: self.enrolled.ingress.id.clone(),
            sealed: Base64Url(sealed),
            commitment: Base64Url(*keys.commitment()),
            bundle: Base64Url(bundle.try_into()?),
        })
    }

    fn record(&self, kind: &Kind, generation: u64, (record, device): (Uuid, Uuid)) -> RecordName {
        let (tenant, user) = (self.enrolled.tenant.clone(), self.enrolled.user.clone());
        RecordName { tenant, user, kind: kind.clone(), generation, record, device, suite: SUITE }
    }

    /// Opens what was released, and checks that it is what the commitment says.
    fn check(&self, released: &Released, opened: &RestoreOpened, receive: &OpeningKey) -> Result<(), Failure> {
        for record in &released.records {
            let name = self.record(&record.kind, record.generation, (record.record, record.device));
            let context = name.context();
            let payload = receive.open(&Info::release(&context, &opened.transcript.0), &record.sealed.0)?;
            let secret = WrappingSecret::from_payload(payload, &context)?;
            if KeySchedule::new(&secret, None, &context).commitment() != &record.commitment.0 {
                return Err("another secret came back than the one that was backed up".into());
            }
        }
        Ok(())
    }
}

fn nonce(headers: &http::HeaderMap) -> Result<&str, Failure> {
    Ok(headers.get("replay-nonce").ok_or("an answer without a nonce")?.to_str()?)
}

/// A key for one restore, made before the clock starts: the seed, and the public half in base64url.
struct ReceiveKey {
    seed: Secret,
    public: String,
}

impl ReceiveKey {
    fn make() -> Self {
        let key = OpeningKey::generate();
        Self { seed: key.to_seed(), public: to_base64url(key.public().as_ref()) }
    }
}

/// Receive keys for the restores to come, each used once.
#[derive(Clone)]
pub struct ReceiveKeys(Arc<Mutex<Vec<ReceiveKey>>>);

impl ReceiveKeys {
    /// Makes `count` keys on all cores.
    pub fn make(count: usize) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let some = || (0..count.div_ceil(threads)).map(|_| ReceiveKey::make()).collect::<Vec<_>>();
        let keys = thread::scope(|scope| {
            let makers: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
            makers.into_iter().flat_map(|maker| maker.join().expect("invariant: key generation cannot fail")).collect()
        });
        Self(Arc::new(Mutex::new(keys)))
    }

    fn take(&self) -> ReceiveKey {
        let kept = self.0.lock().expect("invariant: nothing panics while holding this lock").pop();
        kept.unwrap_or_else(ReceiveKey::make)
    }
}

/// Whole restores, one after the other: asked for, released, acknowledged.
pub struct Restores {
    /// Who restores.
    pub device: Device,
    /// What is restored, in turns: the newest record of one kind.
    pub kinds: Vec<String>,
    /// With which keys.
    pub keys: ReceiveKeys,
    /// Restores so far.
    pub done: usize,
}

impl Operation for Restores {
    async fn once(&mut self) -> Result<(), Failure> {
        let key = self.keys.take();
        let kind = &self.kinds[self.done % self.kinds.len()];
        let opened = self.device.post("/restores", &question(kind, &key)).await?;
        let opened: RestoreOpened = from_json(&opened)?;
        let transcript = json!({"transcript": opened.transcript});
        let path = format!("/restores/{}", opened.restore);
        let released = self.device.post(&format!("{path}/release"), &transcript).await?;
        if self.done.is_multiple_of(CHECKED) {
            self.device.check(&from_json(&released)?, &opened, &OpeningKey::from_seed(&key.seed)?)?;
        }
        self.device.post(&format!("{path}/ack"), &transcript).await?;
        self.done += 1;
        Ok(())
    }
}

fn question(kind: &str, key: &ReceiveKey) -> serde_json::Value {
    json!({"kinds": [kind], "receive_key": key.public, "reason": "new phone"})
}

/// Restores asked for and left alone: one durable leaf each.
pub struct Questions(pub Restores);

impl Operation for Questions {
    async fn once(&mut self) -> Result<(), Failure> {
        let Restores { device, kinds, keys, done } = &mut self.0;
        device.post("/restores", &question(&kinds[*done % kinds.len()], &keys.take())).await?;
        *done += 1;
        Ok(())
    }
}

/// Backups, one after the other, each the next generation of one kind.
pub struct Wraps {
    /// Who backs up.
    pub device: Device,
    kind: Kind,
    generation: u64,
    prepared: VecDeque<Wrap>,
}

impl Wraps {
    /// Makes `count` backups ready; more are made when these are spent.
    pub fn prepare(device: Device, kind: &str, count: u64) -> Result<Self, Failure> {
        let kind: Kind = kind.parse()?;
        let prepared = (1..=count).map(|generation| device.wrap(&kind, generation)).collect::<Result<_, _>>()?;
        Ok(Self { device, kind, generation: 0, prepared })
    }
}

impl Operation for Wraps {
    async fn once(&mut self) -> Result<(), Failure> {
        self.generation += 1;
        let wrap = match self.prepared.pop_front() {
            Some(wrap) => wrap,
            None => self.device.wrap(&self.kind, self.generation)?,
        };
        self.device.post("/records", &wrap).await?;
        Ok(())
    }
}
