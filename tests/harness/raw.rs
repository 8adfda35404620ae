//! A device that says exactly what a test wants said: right, wrong or twice.

use super::Broker;
use super::document::assert_documented;
use protocol::encoding::{Base64Url, from_json};
use protocol::jws::{CONTENT_TYPE, DeviceKey, Signer};
use protocol::messages::{Enrol, Enrolled, RestoreOpened, Wrap};
use protocol::record::{KeySchedule, RecordName, SUITE, WrappingSecret, seal_bundle};
use protocol::sealing::{Info, OpeningKey, SealingKey, seal};
use reqwest::header;
use secret::Secret;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use uuid::Uuid;

/// An enrolled device without an SDK.
pub struct Raw {
    pub key: DeviceKey,
    pub enrolled: Enrolled,
    http: reqwest::Client,
    base: String,
}

/// What the broker answered.
pub struct Answer {
    pub status: u16,
    pub headers: header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The `code` of a problem document; empty for a success.
    pub fn code(&self) -> String {
        if self.status < 400 {
            return String::new();
        }
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["code"].as_str().unwrap_or_default().into()
    }

    pub fn json<T: DeserializeOwned>(&self) -> T {
        assert!(self.status < 300, "{self:?}");
        from_json(&self.body).unwrap()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Raw {
    /// Enrols a new P-256 key.
    pub async fn enrol(broker: &Broker, tenant: &str, user: &str) -> Self {
        Self::enrol_key(broker, tenant, user, DeviceKey::generate_p256()).await
    }

    /// Enrols this key.
    pub async fn enrol_key(broker: &Broker, tenant: &str, user: &str, key: DeviceKey) -> Self {
        let code = broker.code(tenant, user).await;
        Self::enrol_by(broker, (tenant, &code), key).await
    }

    /// Enrols a new key by this code.
    pub async fn enrol_with(broker: &Broker, tenant: &str, code: &str) -> Self {
        Self::enrol_by(broker, (tenant, code), DeviceKey::generate_p256()).await
    }

    async fn enrol_by(broker: &Broker, (tenant, code): (&str, &str), key: DeviceKey) -> Self {
        let answer = Self::try_enrol(broker, tenant, code, &key).await;
        Self { key, enrolled: answer.json(), http: broker.http().clone(), base: broker.url("") }
    }

    /// Tries to enrol `key`.
    pub async fn try_enrol(broker: &Broker, tenant: &str, code: &str, key: &DeviceKey) -> Answer {
        let payload =
            Enrol { code: code.parse().unwrap(), name: "raw".parse().unwrap(), platform: "test".parse().unwrap() };
        let path = format!("/v1/tenants/{tenant}/devices");
        let nonce = nonce(broker.http(), &broker.url("")).await;
        let signer = Signer::Jwk(key.public().clone());
        let payload = serde_json::to_vec(&payload).unwrap();
        let body = key.sign_request(&signer, &nonce, &broker.url(&path), &payload);
        send(broker.http(), &broker.url(&path), body).await
    }

    pub fn id(&self) -> Uuid {
        self.enrolled.device
    }

    /// The path of this tenant's resources.
    pub fn path(&self, below: &str) -> String {
        format!("/v1/tenants/{}{below}", self.enrolled.tenant)
    }

    /// A fresh nonce.
    pub async fn nonce(&self) -> String {
        nonce(&self.http, &self.base).await
    }

    /// A correctly signed body for `path`.
    pub fn sign(&self, path: &str, nonce: &str, payload: &[u8]) -> Vec<u8> {
        let signer = Signer::Kid(self.id().to_string());
        self.key.sign_request(&signer, nonce, &format!("{}{path}", self.base), payload)
    }

    /// Sends a body as it is.
    pub async fn send(&self, path: &str, body: Vec<u8>) -> Answer {
        send(&self.http, &format!("{}{path}", self.base), body).await
    }

    /// Signs and sends a payload as any honest device would.
    pub async fn post(&self, path: &str, payload: &Value) -> Answer {
        let payload = if payload.is_null() { Vec::new() } else { serde_json::to_vec(payload).unwrap() };
        let body = self.sign(path, &self.nonce().await, &payload);
        self.send(path, body).await
    }

    /// A backup of `material` that this broker should accept.
    pub fn wrap(&self, kind: &str, generation: u64, material: &[u8]) -> Wrap {
        self.wrap_as(Uuid::new_v4(), kind, generation, material)
    }

    /// [`Self::wrap`] under a record id of the test's choice.
    pub fn wrap_as(&self, record: Uuid, kind: &str, generation: u64, material: &[u8]) -> Wrap {
        let name = RecordName {
            tenant: self.enrolled.tenant.clone(),
            user: self.enrolled.user.clone(),
            kind: kind.parse().unwrap(),
            generation,
            record,
            device: self.id(),
            suite: SUITE,
        };
        let (secret, context) = (WrappingSecret::generate(), name.context());
        let keys = KeySchedule::new(&secret, None, &context);
        let sealed = seal(&self.enrolled.ingress.key.0, &Info::wrap(&context), &secret.payload(&context)).unwrap();
        let bundle = seal_bundle(&keys, &Secret::copied_from(material)).unwrap();
        Wrap {
            record: name.record,
            kind: name.kind,
            generation,
            suite: SUITE,
            ingress: self.enrolled.ingress.id.clone(),
            sealed: Base64Url(sealed),
            commitment: Base64Url(*keys.commitment()),
            bundle: Base64Url(bundle.try_into().unwrap()),
        }
    }

    /// Sends a backup.
    pub async fn send_wrap(&self, wrap: &Wrap) -> Answer {
        self.post(&self.path("/records"), &serde_json::to_value(wrap).unwrap()).await
    }

    /// Backs up and succeeds.
    pub async fn backup(&self, kind: &str, generation: u64, material: &[u8]) -> Wrap {
        let wrap = self.wrap(kind, generation, material);
        let answer = self.send_wrap(&wrap).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        wrap
    }

    /// Opens a restore of the newest record of a kind and succeeds.
    pub async fn open(&self, kind: &str) -> (RestoreOpened, OpeningKey) {
        let receive = OpeningKey::generate();
        let answer = self.ask(json!({"kinds": [kind]}), receive.public()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        (answer.json(), receive)
    }

    /// Asks for a restore of `selection`: `{"kinds": [..]}` or `{"records": [..]}`.
    pub async fn ask(&self, mut selection: Value, receive: &SealingKey) -> Answer {
        selection["receive_key"] = serde_json::to_value(Base64Url(receive.clone())).unwrap();
        selection["reason"] = "test".into();
        self.post(&self.path("/restores"), &selection).await
    }

    /// Asks for the release of a restore.
    pub async fn release(&self, opened: &RestoreOpened) -> Answer {
        let path = self.path(&format!("/restores/{}/release", opened.restore));
        self.post(&path, &json!({"transcript": serde_json::to_value(opened.transcript).unwrap()})).await
    }

    /// Approves a restore of the same user's with this match code.
    pub async fn approve(&self, opened: &RestoreOpened, match_code: &str) -> Answer {
        let path = self.path(&format!("/restores/{}/approve", opened.restore));
        let transcript = serde_json::to_value(opened.transcript).unwrap();
        self.post(&path, &json!({"transcript": transcript, "match_code": match_code})).await
    }

    /// Acknowledges a restore.
    pub async fn acknowledge(&self, opened: &RestoreOpened) -> Answer {
        let path = self.path(&format!("/restores/{}/ack", opened.restore));
        self.post(&path, &json!({"transcript": serde_json::to_value(opened.transcript).unwrap()})).await
    }
}

async fn nonce(http: &reqwest::Client, base: &str) -> String {
    let answer = http.get(format!("{base}/v1/nonce")).send().await.unwrap();
    answer.headers()["replay-nonce"].to_str().unwrap().into()
}

async fn send(http: &reqwest::Client, url: &str, body: Vec<u8>) -> Answer {
    let answer = http.post(url).header(header::CONTENT_TYPE, CONTENT_TYPE).body(body).send().await.unwrap();
    let answered = answer.url().clone();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let answer = Answer { status, headers, body: answer.bytes().await.unwrap().into() };
    assert_documented("post", answered.path(), (status, &answer.code()));
    answer
}
