//! OpenTelemetry collectors: logs by OTLP/HTTP in its JSON encoding (OTLP 1.x, "OTLP/HTTP" and "JSON Protobuf Encoding").

use crate::gzip::gzip;
use crate::https::{Answer, Client, ConnectError, Connection, MAX_ANSWER, credential};
use crate::{Delivery, Limits, Message, Place, Refused, Severity, Sink, Trouble};
use async_trait::async_trait;
use audit::event::Outcome;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{StatusCode, Url};
use secret::Secret;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The receiver took the batch but for some records, and does not say which.
const PARTIAL_SUCCESS: Outcome = Outcome::from_static("partial_success");

/// A collector, and how it is reached.
#[derive(Debug)]
pub struct Options {
    /// The whole address for logs, as a rule `https://host:4318/v1/logs`.
    pub url: String,
    /// Headers that the collector asks for, credentials above all.
    pub headers: Vec<(String, Secret)>,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// Trust, client certificate, networks and time.
    pub connection: Connection,
}

/// Sends one log record an event. A collector answers before it has stored or passed anything on.
#[derive(Debug)]
pub struct OtlpSink {
    client: Client,
    url: Url,
    headers: HeaderMap,
    gzip: bool,
}

impl OtlpSink {
    /// Makes no call yet.
    ///
    /// # Errors
    /// [`ConnectError`] where the options cannot be used.
    pub fn open(options: &Options) -> Result<Self, ConnectError> {
        let client = Client::new(&options.connection)?;
        let url = client.address(&options.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let name = HeaderName::try_from(name).map_err(|_| ConnectError::Header("name of a header"))?;
            headers.append(name, credential("", value)?);
        }
        Ok(Self { client, url, headers, gzip: options.gzip })
    }
}

#[async_trait]
impl Sink for OtlpSink {
    fn delivery(&self) -> Delivery {
        Delivery::Transmitted
    }

    fn limits(&self) -> Limits {
        Limits { messages: 1_024, bytes: 2 * 1024 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let body = serde_json::to_vec(&ExportLogs::of(batch)).expect("invariant: strings and numbers are JSON");
        let mut request = self.client.post(self.url.clone()).headers(self.headers.clone());
        request = request.header(CONTENT_TYPE, "application/json");
        request = match self.gzip {
            true => request.header(CONTENT_ENCODING, "gzip").body(gzip(&body)),
            false => request.body(body),
        };
        let answer = self.client.send(request, MAX_ANSWER).await?;
        // The specification names those that are worth a retry; the table knows them all, and some more.
        refused(&answer.accepted()?, batch.len())
    }
}

/// What a full or partial success says. A partial one must not be retried, and names no record: all are reported.
fn refused(answer: &Answer, records: usize) -> Result<Vec<Refused>, Trouble> {
    if answer.status != StatusCode::OK {
        return Err(Trouble::Retry { after: None });
    }
    if answer.body.is_empty() {
        return Ok(Vec::new());
    }
    // Whoever answered this is no collector.
    let exported: Exported = serde_json::from_slice(&answer.body).map_err(|_| Trouble::Retry { after: None })?;
    let Some(PartialSuccess { rejected_log_records, error_message }) = exported.partial_success else {
        return Ok(Vec::new());
    };
    let message = error_message.unwrap_or_default();
    if rejected_log_records.as_ref().is_some_and(Count::is_positive) {
        tracing::debug!(message, "a collector rejected records");
        return Ok((0..records).map(|position| Refused { position, reason: PARTIAL_SUCCESS }).collect());
    }
    tracing::debug!(message, "a collector warns");
    Ok(Vec::new())
}

/// `ExportLogsServiceResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exported {
    partial_success: Option<PartialSuccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialSuccess {
    rejected_log_records: Option<Count>,
    error_message: Option<String>,
}

/// 64 bits in JSON: a string by the book, a number from many.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(i64),
    Text(String),
}

impl Count {
    fn is_positive(&self) -> bool {
        match self {
            Self::Number(count) => *count > 0,
            Self::Text(count) => count != "0",
        }
    }
}

/// `ExportLogsServiceRequest`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportLogs<'a> {
    resource_logs: Vec<ResourceLogs<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    resource: Resource<'a>,
    scope_logs: [ScopeLogs<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: [KeyValue<'a>; 3],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    scope: Scope,
    log_records: Vec<LogRecord<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'a> {
    time_unix_nano: String,
    severity_number: u8,
    severity_text: &'static str,
    event_name: &'static str,
    body: AnyValue<'a>,
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'static str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'a> {
    StringValue(Cow<'a, str>),
    /// 64 bits are a string in JSON.
    IntValue(String),
}

impl<'a> ExportLogs<'a> {
    fn of(batch: &'a [Message]) -> Self {
        let logs = batch.chunk_by(|one, next| one.origin == next.origin);
        Self { resource_logs: logs.map(ResourceLogs::of).collect() }
    }
}

impl<'a> ResourceLogs<'a> {
    /// Messages of one log.
    fn of(messages: &'a [Message]) -> Self {
        let (origin, tenant) = messages.first().map_or(("", ""), |first| (first.origin.as_str(), first.tenant()));
        let attributes = [
            KeyValue::text("service.name", "keyfold"),
            KeyValue::text("keyfold.origin", origin),
            KeyValue::text("keyfold.tenant", tenant),
        ];
        let scope = Scope { name: "keyfold.audit", version: env!("CARGO_PKG_VERSION") };
        let log_records = messages.iter().map(LogRecord::of).collect();
        Self { resource: Resource { attributes }, scope_logs: [ScopeLogs { scope, log_records }] }
    }
}

impl<'a> LogRecord<'a> {
    fn of(message: &'a Message) -> Self {
        // Semantic conventions: records of the same uid may be taken for duplicates.
        let mut attributes = vec![KeyValue::text("log.record.uid", &message.id)];
        match message.place {
            Place::Event(index) => attributes.push(KeyValue::number("keyfold.index", index)),
            Place::Checkpoint(size) => attributes.push(KeyValue::number("keyfold.size", size)),
            Place::Test => {}
        }
        Self {
            time_unix_nano: (u128::from(message.at_ms) * 1_000_000).to_string(),
            severity_number: severity_number(message.severity),
            severity_text: message.severity.as_str(),
            event_name: message.name,
            body: AnyValue::StringValue(message.text()),
            attributes,
        }
    }
}

impl<'a> KeyValue<'a> {
    fn text(key: &'static str, value: &'a str) -> Self {
        Self { key, value: AnyValue::StringValue(value.into()) }
    }

    fn number(key: &'static str, value: u64) -> Self {
        Self { key, value: AnyValue::IntValue(value.to_string()) }
    }
}

/// As the logs data model maps syslog's severities, appendix B: informational, notice, warning, error.
fn severity_number(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 9,
        Severity::Low => 10,
        Severity::Medium => 13,
        Severity::High => 17,
    }
}
