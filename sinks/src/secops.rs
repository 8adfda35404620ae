//! Google SecOps: raw logs by `logs.import` of the Chronicle API, version 1.

use crate::https::{self, Answer, Client, Connection, MAX_ANSWER};
use crate::{Delivery, Limits, Message, PauseReason, Place, Refused, Sink, Trouble};
use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine};
use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{self, CacheableResource, Credentials, external_account, service_account};
use google_cloud_auth::errors::CredentialsError;
use http::Extensions;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{StatusCode, Url};
use secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A log type of an instance, and who writes to it.
#[derive(Debug)]
pub struct Options {
    /// The Google Cloud project that the instance is bound to: id or number.
    pub project: String,
    /// The instance's location, such as `eu`, `us` or `europe-west3`.
    pub location: String,
    /// The instance's id (the customer id), a UUID.
    pub instance: String,
    /// The log type, as a rule a custom one such as `KEYFOLD_CUSTOM`.
    pub log_type: String,
    /// The id of the forwarder that logs are counted under.
    pub forwarder: Option<String>,
    /// `https://host`, where it is not `https://chronicle.<location>.rep.googleapis.com`.
    pub endpoint: Option<String>,
    /// Whose rights are used.
    pub access: Access,
    /// Trust, client certificate, networks and time.
    pub connection: Connection,
}

/// Whose rights are used.
#[derive(Debug)]
pub enum Access {
    /// Application Default Credentials, as Google describes them.
    ApplicationDefault,
    /// A credentials file of type `service_account` or `external_account`, JSON.
    File(Secret),
}

/// Why an instance cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The credentials file is not JSON of a type that is taken.
    #[error("the credentials file is neither a `service_account` nor an `external_account`")]
    File,
    /// The credentials cannot be used.
    #[error("the credentials cannot be used")]
    Credentials(#[source] BuildError),
    /// It cannot be reached.
    #[error(transparent)]
    Connection(#[from] https::ConnectError),
}

/// Imports one raw log an event. Google answers before the logs are parsed and can be found.
#[derive(Debug)]
pub struct SecopsSink {
    client: Client,
    url: Url,
    forwarder: Option<String>,
    credentials: Credentials,
}

impl SecopsSink {
    /// Makes no call yet. Credentials are fetched in a task of their own, so a runtime must be there.
    ///
    /// # Errors
    /// [`OpenError`] where the options cannot be used.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options { project, location, instance, log_type, forwarder, endpoint, access, connection } = options;
        let client = Client::new(&connection)?;
        let endpoint = endpoint.unwrap_or_else(|| format!("https://chronicle.{location}.rep.googleapis.com"));
        let mut url = client.address(&endpoint).map_err(https::ConnectError::from)?;
        let parent = ["projects", &project, "locations", &location, "instances", &instance];
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(parent).extend(["logTypes", &log_type, "logs:import"]);
        }
        let forwarder = forwarder.map(|id| format!("{}/forwarders/{id}", parent.join("/")));
        Ok(Self { client, url, forwarder, credentials: credentials(access)? })
    }

    async fn authorization(&self) -> Result<HeaderMap, Trouble> {
        match self.credentials.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => Err(Trouble::Retry { after: None }),
            Err(error) => Err(unproven(&error)),
        }
    }
}

#[async_trait]
impl Sink for SecopsSink {
    fn delivery(&self) -> Delivery {
        Delivery::Transmitted
    }

    /// A call has at most 1 MB; base64 makes bodies longer by a third, and each log has its labels.
    fn limits(&self) -> Limits {
        Limits { messages: 300, bytes: 600 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let import = ImportLogs::of(batch, self.forwarder.as_deref(), OffsetDateTime::now_utc());
        let body = serde_json::to_vec(&import).expect("invariant: strings are JSON");
        let request = self.client.post(self.url.clone()).headers(self.authorization().await?);
        let answer = self.client.send(request.header(CONTENT_TYPE, "application/json").body(body), MAX_ANSWER).await?;
        imported(answer).map(|()| Vec::new())
    }
}

fn credentials(access: Access) -> Result<Credentials, OpenError> {
    let file = match access {
        Access::ApplicationDefault => {
            return credentials::Builder::default().build().map_err(OpenError::Credentials);
        }
        Access::File(file) => file,
    };
    #[expect(clippy::disallowed_methods, reason = "the library takes credentials as JSON")]
    let file: Value = serde_json::from_slice(file.expose()).map_err(|_| OpenError::File)?;
    let built = match file["type"].as_str() {
        Some("service_account") => service_account::Builder::new(file).build(),
        Some("external_account") => external_account::Builder::new(file).build(),
        Some(_) | None => return Err(OpenError::File),
    };
    built.map_err(OpenError::Credentials)
}

fn unproven(error: &CredentialsError) -> Trouble {
    tracing::debug!(error = error as &dyn Error, "there are no Google credentials");
    if error.is_transient() { Trouble::Retry { after: None } } else { Trouble::Paused(PauseReason::Unauthorized) }
}

/// An import that was done is answered with an empty object.
fn imported(answer: Answer) -> Result<(), Trouble> {
    if answer.status == StatusCode::BAD_REQUEST && blames_no_log(&answer) {
        return Err(Trouble::Paused(PauseReason::Misconfigured));
    }
    let answer = answer.accepted()?;
    serde_json::from_slice::<BTreeMap<String, Value>>(&answer.body).map_err(|_| Trouble::Retry { after: None })?;
    Ok(())
}

/// Whether what is wrong is named, and is outside of the logs: then no event is to blame.
fn blames_no_log(answer: &Answer) -> bool {
    let Ok(Refusal { error }) = serde_json::from_slice(&answer.body) else { return false };
    let violations: Vec<_> = error.details.into_iter().flat_map(|detail| detail.field_violations).collect();
    !violations.is_empty() && violations.iter().all(|violation| !violation.field.contains("logs["))
}

/// `google.rpc.Status` with a `google.rpc.BadRequest` among its details.
#[derive(Deserialize)]
struct Refusal {
    error: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default)]
    field_violations: Vec<FieldViolation>,
}

#[derive(Deserialize)]
struct FieldViolation {
    #[serde(default)]
    field: String,
}

/// `ImportLogsRequest`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportLogs<'a> {
    inline_source: InlineSource<'a>,
}

#[derive(Serialize)]
struct InlineSource<'a> {
    logs: Vec<Log<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarder: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    /// In base64.
    data: String,
    log_entry_time: String,
    collection_time: String,
    labels: BTreeMap<&'static str, Label<'a>>,
}

#[derive(Serialize)]
struct Label<'a> {
    value: Cow<'a, str>,
}

impl<'a> ImportLogs<'a> {
    fn of(batch: &'a [Message], forwarder: Option<&'a str>, now: OffsetDateTime) -> Self {
        let logs = batch.iter().map(|message| Log::of(message, now)).collect();
        Self { inline_source: InlineSource { logs, forwarder } }
    }
}

impl<'a> Log<'a> {
    fn of(message: &'a Message, now: OffsetDateTime) -> Self {
        let mut labels = BTreeMap::from([
            ("event_id", Label { value: message.id.as_str().into() }),
            ("event_name", Label { value: message.name.into() }),
            ("tenant", Label { value: message.tenant().into() }),
            ("severity", Label { value: message.severity.as_str().into() }),
        ]);
        if let Place::Event(index) = message.place {
            labels.insert("index", Label { value: index.to_string().into() });
        }
        Self {
            data: BASE64_STANDARD.encode(&message.body),
            log_entry_time: message.time(),
            // Must not be before the entry, whatever the clocks say.
            collection_time: now.max(message.at()).format(&Rfc3339).unwrap_or_default(),
            labels,
        }
    }
}
