//! The `_bulk` API of Elasticsearch and OpenSearch.

use crate::https::{Answer, Client, ConnectError, Connection, credential};
use crate::{Delivery, Limits, Message, PauseReason, Refused, Sink, Trouble};
use async_trait::async_trait;
use audit::event::Outcome;
use base64::prelude::{BASE64_STANDARD, Engine};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secret::Secret;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

/// Some hundred bytes an item where all are refused.
const MAX_ANSWER: usize = 1024 * 1024;
/// The parts of the answer that are read; without documents or words of the receiver.
const PARTS: &str = "items.*.status,items.*.error.type";

/// Which index or data stream, and who writes to it.
#[derive(Debug)]
pub struct Options {
    /// `https://host:port`, with the path of a proxy where there is one.
    pub url: String,
    /// The data stream or index.
    pub target: String,
    /// Who writes.
    pub login: Login,
    /// How it is reached.
    pub connection: Connection,
}

/// Who writes.
#[derive(Debug)]
pub enum Login {
    /// An API key as Elasticsearch gives it out under `encoded`.
    ApiKey(Secret),
    /// A user with a password.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// A data stream or index. Confirmed: the primary shard and its replicas in sync have the events on disk, unless
/// `index.translog.durability` is `async`.
#[derive(Debug)]
pub struct ElasticsearchSink {
    client: Client,
    bulk: Url,
    authorization: HeaderValue,
}

impl ElasticsearchSink {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Address, certificates or credentials cannot be used.
    pub fn open(options: &Options) -> Result<Self, ConnectError> {
        let client = Client::new(&options.connection)?;
        let mut bulk = client.address(&options.url)?;
        if let Ok(mut path) = bulk.path_segments_mut() {
            path.pop_if_empty().push(&options.target).push("_bulk");
        }
        bulk.set_query(Some(&format!("filter_path={PARTS}")));
        let authorization = options.login.header()?;
        Ok(Self { client, bulk, authorization })
    }
}

impl Login {
    fn header(&self) -> Result<HeaderValue, ConnectError> {
        match self {
            Self::ApiKey(key) => credential("ApiKey", key),
            Self::Basic { user, password } => credential("Basic", &basic(user, password)),
        }
    }
}

/// `base64(user:password)` (RFC 7617).
fn basic(user: &str, password: &Secret) -> Secret {
    let mut pair = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
    pair.extend_from_slice(user.as_bytes());
    pair.push(b':');
    #[expect(clippy::disallowed_methods, reason = "the receiver is shown its password")]
    pair.extend_from_slice(password.expose());
    Secret::new(BASE64_STANDARD.encode(&*pair).into_bytes().into_boxed_slice())
}

#[async_trait]
impl Sink for ElasticsearchSink {
    fn delivery(&self) -> Delivery {
        Delivery::Confirmed
    }

    fn limits(&self) -> Limits {
        Limits { messages: 2_048, bytes: 4 * 1024 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let mut body = Vec::with_capacity(batch.iter().map(|message| message.body.len() + 256).sum());
        batch.iter().for_each(|message| write_item(message, &mut body));
        let request = self
            .client
            .post(self.bulk.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(body);
        let answer = self.client.send(request, MAX_ANSWER).await?;
        outcome(answer, batch.len())
    }
}

/// `create`, not `index`: what is there already is never overwritten.
fn write_item(message: &Message, body: &mut Vec<u8>) {
    body.extend_from_slice(json!({ "create": { "_id": message.id } }).to_string().as_bytes());
    body.push(b'\n');
    write_document(message, body);
    body.push(b'\n');
}

/// The body with a `@timestamp`, which data streams want and only some formats have; text becomes `message`.
fn write_document(message: &Message, body: &mut Vec<u8>) {
    let timestamp = || format!("{{\"@timestamp\":\"{}\",", message.time());
    match message.body.strip_prefix(b"{") {
        Some(members) if has_timestamp(members) => body.extend_from_slice(&message.body),
        Some(members) => {
            body.extend_from_slice(timestamp().as_bytes());
            body.extend_from_slice(members);
        }
        None => {
            body.extend_from_slice(timestamp().as_bytes());
            body.extend_from_slice(b"\"message\":");
            message.write_json(body);
            body.push(b'}');
        }
    }
}

/// Inside of a JSON string the quotation marks would have backslashes.
fn has_timestamp(members: &[u8]) -> bool {
    const NAME: &[u8] = b"\"@timestamp\":";
    members.windows(NAME.len()).any(|window| window == NAME)
}

#[derive(Deserialize)]
struct Reply {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Created,
}

#[derive(Deserialize)]
struct Created {
    status: u16,
    error: Option<ItemError>,
}

#[derive(Deserialize)]
struct ItemError {
    #[serde(rename = "type")]
    kind: String,
}

fn outcome(answer: Answer, sent: usize) -> Result<Vec<Refused>, Trouble> {
    // The API answers 400 to what it cannot parse as a whole. That is never one event's fault.
    let answer = answer.accepted().map_err(|trouble| match trouble {
        Trouble::Refused(reason) if reason.as_str() == "http_400" => Trouble::Paused(PauseReason::Misconfigured),
        trouble @ (Trouble::Refused(_) | Trouble::Retry { .. } | Trouble::Paused(_)) => trouble,
    })?;
    let reply = serde_json::from_slice::<Reply>(&answer.body).ok().filter(|reply| reply.items.len() == sent);
    let reply = reply.ok_or(Trouble::Retry { after: None })?;
    let mut refused = Vec::new();
    for (position, Item { create }) in reply.items.iter().enumerate() {
        match create.status {
            // 409: an event with this id is there already. Before it, it was sent and no answer came.
            200..=299 | 409 => {}
            400 | 413 | 422 => refused.push(Refused { position, reason: create.reason() }),
            401 | 403 => return Err(Trouble::Paused(PauseReason::Unauthorized)),
            404 => return Err(Trouble::Paused(PauseReason::NotFound)),
            // Those that were taken will be 409 the next time.
            _ => return Err(Trouble::Retry { after: answer.retry_after() }),
        }
    }
    Ok(refused)
}

impl Created {
    /// The receiver's word where it is one that is known: its answers may hold parts of events.
    fn reason(&self) -> Outcome {
        match self.error.as_ref().map(|error| error.kind.as_str()) {
            Some("mapper_parsing_exception") => const { Outcome::from_static("mapper_parsing_exception") },
            Some("document_parsing_exception") => const { Outcome::from_static("document_parsing_exception") },
            Some("strict_dynamic_mapping_exception") => const { Outcome::from_static("strict_dynamic_mapping") },
            Some("illegal_argument_exception") => const { Outcome::from_static("illegal_argument_exception") },
            Some(_) | None => const { Outcome::from_static("http_400") },
        }
    }
}
