//! An HTTPS webhook after Standard Webhooks 1.0.0: one POST a batch, signed with every key there is.

use crate::https::{self, Client, Connection, MAX_ANSWER};
use crate::{Delivery, Limits, Message, Refused, Sink, Trouble};
use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use aws_lc_rs::{digest, hmac};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use bytes::Bytes;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use secret::Secret;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of all bodies in one request: what most servers take without being told to.
const MAX_BYTES: usize = 512 * 1024;

/// Where events are posted, and what proves that they are from here.
#[derive(Debug)]
pub struct Options {
    /// The whole address, which is posted to as it is.
    pub url: String,
    /// `whsec_` secrets (HMAC-SHA256) and `whsk_` keys (Ed25519). Each signs, so that receivers may change over at leisure.
    pub keys: Vec<Secret>,
    /// Messages in one request, at most.
    pub max_messages: usize,
    /// How it is reached.
    pub connection: Connection,
}

/// Why a webhook is not used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The address or the certificates cannot be used.
    #[error(transparent)]
    Connect(#[from] https::ConnectError),
    /// Nobody could tell the requests from forged ones.
    #[error("a webhook needs a key to sign with")]
    NoKey,
    /// The text is not a key.
    #[error("a key is `whsec_` and 24 to 64 bytes, or `whsk_` and an Ed25519 key of 32 or 64 bytes, in base64")]
    Key,
}

/// An address that signed JSON documents are posted to.
#[derive(Debug)]
pub struct Endpoint {
    client: Client,
    url: Url,
    keys: Vec<Key>,
}

impl Endpoint {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Address, certificates or keys cannot be used.
    pub fn open(url: &str, keys: &[Secret], connection: &Connection) -> Result<Self, OpenError> {
        let client = Client::new(connection)?;
        let url = client.address(url).map_err(https::ConnectError::from)?;
        let keys = keys.iter().map(Key::read).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(OpenError::NoKey);
        }
        Ok(Self { client, url, keys })
    }

    /// What receivers verify `v1a` signatures with, one for each `whsk_` key.
    #[must_use]
    pub fn public_keys(&self) -> Vec<String> {
        self.keys.iter().filter_map(Key::public).collect()
    }

    /// Posts what `write` appends, once. Receivers remove duplicates by `id`: visible ASCII without a dot.
    ///
    /// # Errors
    /// The receiver has not answered with a status of success.
    pub async fn post(&self, id: &str, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Trouble> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        let body_at = signed.len();
        write(&mut signed);
        let signatures: Vec<_> = self.keys.iter().map(|key| key.sign(&signed)).collect();
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(Bytes::from(signed).slice(body_at..));
        self.client.send(request, MAX_ANSWER).await?.accepted().map(drop)
    }
}

/// A receiver that takes a batch as one signed JSON document. Confirmed: it answered with a status of success.
#[derive(Debug)]
pub struct WebhookSink {
    endpoint: Endpoint,
    max_messages: usize,
}

impl WebhookSink {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Address, certificates or keys cannot be used.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let endpoint = Endpoint::open(&options.url, &options.keys, &options.connection)?;
        Ok(Self { endpoint, max_messages: options.max_messages })
    }

    /// [`Endpoint::public_keys`].
    #[must_use]
    pub fn public_keys(&self) -> Vec<String> {
        self.endpoint.public_keys()
    }
}

#[async_trait]
impl Sink for WebhookSink {
    fn delivery(&self) -> Delivery {
        Delivery::Confirmed
    }

    fn limits(&self) -> Limits {
        Limits { messages: self.max_messages, bytes: MAX_BYTES }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        self.endpoint.post(&batch_id(batch), |body| write_batch(batch, body)).await?;
        Ok(Vec::new())
    }
}

/// Depends on the messages' ids alone: the same batch has the same over retries and replays.
fn batch_id(batch: &[Message]) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for message in batch {
        hash.update(message.id.as_bytes());
        hash.update(b"\n");
    }
    format!("msg_{}", BASE64_URL_SAFE_NO_PAD.encode(&hash.finish().as_ref()[..18]))
}

/// `{"type", "timestamp", "data": [..]}`.
fn write_batch(batch: &[Message], out: &mut Vec<u8>) {
    out.reserve(batch.iter().map(|message| message.body.len() + 1).sum::<usize>() + 128);
    let began = batch.first().map(Message::time).unwrap_or_default();
    out.extend_from_slice(format!(r#"{{"type":"keyfold.events","timestamp":"{began}","data":["#).as_bytes());
    for (position, message) in batch.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        message.write_json(out);
    }
    out.extend_from_slice(b"]}");
}

/// What signs.
#[derive(Debug)]
enum Key {
    /// `v1`.
    Hmac(Box<hmac::Key>),
    /// `v1a`.
    Ed25519(Box<Ed25519KeyPair>),
}

impl Key {
    fn read(text: &Secret) -> Result<Self, OpenError> {
        #[expect(clippy::disallowed_methods, reason = "the key is read from its text")]
        let text = text.expose();
        if let Some(encoded) = text.strip_prefix(b"whsec_") {
            let bytes = decode(encoded)?;
            let key = || Self::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
            return (24..=64).contains(&bytes.len()).then(key).ok_or(OpenError::Key);
        }
        let bytes = decode(text.strip_prefix(b"whsk_").ok_or(OpenError::Key)?)?;
        let pair = match bytes.split_at_checked(32) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err(OpenError::Key),
        };
        Ok(Self::Ed25519(Box::new(pair.map_err(|_| OpenError::Key)?)))
    }

    fn sign(&self, content: &[u8]) -> String {
        match self {
            Self::Hmac(key) => format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(key, content))),
            Self::Ed25519(pair) => format!("v1a,{}", BASE64_STANDARD.encode(pair.sign(content))),
        }
    }

    fn public(&self) -> Option<String> {
        match self {
            Self::Hmac(_) => None,
            Self::Ed25519(pair) => Some(format!("whpk_{}", BASE64_STANDARD.encode(pair.public_key()))),
        }
    }
}

fn decode(encoded: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    BASE64_STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| OpenError::Key)
}
