//! Microsoft Sentinel: rows of a Log Analytics table by the Logs Ingestion API (api-version 2023-01-01) of Azure Monitor.

mod assertion;
mod entra;

pub use entra::{Application, Proof};

use crate::https::{self, Answer, Client, Connection, MAX_ANSWER};
use crate::{Delivery, Limits, Message, PauseReason, Place, Refused, Sink, Trouble};
use async_trait::async_trait;
use entra::Entra;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What tokens are for in the public cloud.
const AUDIENCE: &str = "https://monitor.azure.com";
const API_VERSION: &str = "2023-01-01";

/// A stream of a data collection rule, and who writes to it.
#[derive(Debug)]
pub struct Options {
    /// The logs ingestion endpoint of the rule, or a data collection endpoint: `https://host`.
    pub endpoint: String,
    /// The rule's immutable id, `dcr-...`.
    pub rule: String,
    /// The stream as the rule declares it, `Custom-...`.
    pub stream: String,
    /// What tokens are for, where it is not the public cloud: `https://monitor.azure.us` or `https://monitor.azure.cn`.
    pub audience: Option<String>,
    /// Who writes.
    pub application: Application,
    /// Trust, client certificate, networks and time.
    pub connection: Connection,
}

/// Why a stream cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The certificate of the application cannot be read.
    #[error("the application's certificate is not PEM")]
    Certificate,
    /// The private key of the application cannot be used.
    #[error("the application's key is not an RSA key in PEM")]
    Key,
    /// It cannot be reached.
    #[error(transparent)]
    Connection(#[from] https::ConnectError),
}

/// Writes one row an event. Azure Monitor answers before it has transformed and stored the rows, and what it drops then
/// shows in its own `DCRLogErrors` alone.
#[derive(Debug)]
pub struct SentinelSink {
    client: Client,
    url: Url,
    entra: Entra,
}

impl SentinelSink {
    /// Makes no call yet.
    ///
    /// # Errors
    /// [`OpenError`] where the options cannot be used.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let client = Client::new(&options.connection)?;
        let mut url = client.address(&options.endpoint).map_err(https::ConnectError::from)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["dataCollectionRules", &options.rule, "streams", &options.stream]);
        }
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        let audience = options.audience.as_deref().unwrap_or(AUDIENCE);
        let entra = Entra::new(client.clone(), audience, options.application)?;
        Ok(Self { client, url, entra })
    }
}

#[async_trait]
impl Sink for SentinelSink {
    fn delivery(&self) -> Delivery {
        Delivery::Transmitted
    }

    /// A call has at most 1 MB; quotes in a body are escaped, and each row has its columns.
    fn limits(&self) -> Limits {
        Limits { messages: 500, bytes: 640 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let rows: Vec<Row<'_>> = batch.iter().map(Row::of).collect();
        let body = serde_json::to_vec(&rows).expect("invariant: strings and numbers are JSON");
        let authorization = self.entra.authorization().await?;
        let request = self.client.post(self.url.clone()).header(AUTHORIZATION, authorization);
        let answer = self.client.send(request.header(CONTENT_TYPE, "application/json").body(body), MAX_ANSWER).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.entra.forget() {
            // A token that was good may have been revoked; a new one tells.
            return Err(Trouble::Retry { after: None });
        }
        taken(answer).map(|()| Vec::new())
    }
}

/// 204, and nothing else, says that the rows were taken in.
fn taken(answer: Answer) -> Result<(), Trouble> {
    if answer.status == StatusCode::BAD_REQUEST && names_no_stream(&answer) {
        return Err(Trouble::Paused(PauseReason::NotFound));
    }
    match answer.accepted()?.status {
        StatusCode::NO_CONTENT => Ok(()),
        _ => Err(Trouble::Retry { after: None }),
    }
}

/// Whether what is wrong is the stream's name, which no event is to blame for.
fn names_no_stream(answer: &Answer) -> bool {
    let error = serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.error);
    error.is_ok_and(|error| error.code == "InvalidStream")
}

#[derive(Deserialize)]
struct Refusal {
    error: Code,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// The columns of `docs/SINKS.md`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row<'a> {
    time_generated: String,
    event_id: &'a str,
    origin: &'a str,
    tenant: &'a str,
    event_index: Option<u64>,
    event_name: &'static str,
    event_severity: &'static str,
    body: Cow<'a, str>,
}

impl<'a> Row<'a> {
    fn of(message: &'a Message) -> Self {
        Self {
            time_generated: message.time(),
            event_id: &message.id,
            origin: message.origin.as_str(),
            tenant: message.tenant(),
            event_index: match message.place {
                Place::Event(index) => Some(index),
                Place::Checkpoint(_) | Place::Test => None,
            },
            event_name: message.name,
            event_severity: message.severity.as_str(),
            body: message.text(),
        }
    }
}
