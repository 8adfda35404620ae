//! Google SecOps as far as raw logs go: `logs.import` of the Chronicle API, version 1, for one log type of one instance.
//!
//! Written from Google's public documents: the REST reference of `projects.locations.instances.logTypes.logs`, and AIP-193
//! for errors. The longest call that it takes is the shorter of the limits that are spoken of.

use super::accounts::Accounts;
use super::status::Status;
use crate::server::{Server, lock};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine};
use http::{HeaderMap, Method, Uri};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MAX_CALL: usize = 1024 * 1024;

/// An instance on a loopback port of its own; ends when it is dropped.
#[derive(Debug)]
pub struct SecOps {
    instance: Arc<Instance>,
    server: Server,
}

/// A raw log as it was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLog {
    /// The bytes.
    pub data: Vec<u8>,
    /// By name.
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Instance {
    /// `projects/../locations/../instances/..`.
    name: String,
    log_type: String,
    accounts: Mutex<Accounts>,
    logs: Mutex<Vec<RawLog>>,
    poison: Mutex<Option<String>>,
}

impl SecOps {
    /// Starts the instance of this name (`projects/../locations/../instances/..`) with one log type.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start(name: &str, log_type: &str) -> Self {
        let instance = Arc::new(Instance {
            name: name.to_owned(),
            log_type: log_type.to_owned(),
            accounts: Mutex::default(),
            logs: Mutex::default(),
            poison: Mutex::default(),
        });
        let routes = Router::new().fallback(answer).with_state(instance.clone());
        Self { instance, server: Server::start(routes).await }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Makes a service account with these permissions (`chronicle.logs.import`), and its key file.
    #[must_use]
    pub fn service_account(&self, permissions: &[&str]) -> String {
        lock(&self.instance.accounts).add_account(permissions)
    }

    /// Refuses every call with a log that holds `text`, and names the log; with `None` none.
    pub fn poison(&self, text: Option<&str>) {
        *lock(&self.instance.poison) = text.map(str::to_owned);
    }

    /// All logs, in the order of their arrival.
    #[must_use]
    pub fn logs(&self) -> Vec<RawLog> {
        lock(&self.instance.logs).clone()
    }
}

async fn answer(
    State(instance): State<Arc<Instance>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let allowed = lock(&instance.accounts).authorise(&headers, "chronicle.logs.import", now);
    let path = format!("/v1/{}/logTypes/{}/logs:import", instance.name, instance.log_type);
    let done = allowed.and_then(|()| {
        let known = method == Method::POST && uri.path() == path;
        known.then_some(()).ok_or_else(|| Status::not_found("Resource", uri.path()))
    });
    match done.and_then(|()| instance.import(&body)) {
        Ok(()) => axum::Json(json!({})).into_response(),
        Err(status) => status.into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ImportLogs {
    inline_source: InlineSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InlineSource {
    logs: Vec<Log>,
    forwarder: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Log {
    data: String,
    log_entry_time: String,
    collection_time: String,
    #[serde(default)]
    labels: BTreeMap<String, Label>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Label {
    value: String,
}

impl Instance {
    /// All logs or none.
    fn import(&self, body: &[u8]) -> Result<(), Status> {
        if body.len() > MAX_CALL {
            return Err(Status::invalid("Request payload size exceeds the limit."));
        }
        let request: ImportLogs =
            serde_json::from_slice(body).map_err(|error| Status::invalid(format!("Invalid JSON payload: {error}")))?;
        let source = request.inline_source;
        let forwarders = format!("{}/forwarders/", self.name);
        let ours = |name: String| name.strip_prefix(&forwarders).is_some_and(|id| !id.contains('/'));
        if !source.forwarder.is_none_or(ours) {
            return Err(Status::violation("inline_source.forwarder", "is not one of this instance"));
        }
        let logs = source.logs.into_iter().enumerate().map(|(position, log)| {
            self.read(log)
                .map_err(|(field, why)| Status::violation(&format!("inline_source.logs[{position}].{field}"), why))
        });
        let logs = logs.collect::<Result<Vec<_>, _>>()?;
        lock(&self.logs).extend(logs);
        Ok(())
    }

    /// What is wrong with a log: the field, and why.
    fn read(&self, log: Log) -> Result<RawLog, (&'static str, &'static str)> {
        let data = BASE64_STANDARD.decode(&log.data).map_err(|_| ("data", "is not base64"))?;
        let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
        let entry = time(&log.log_entry_time).ok_or(("log_entry_time", "is not a timestamp"))?;
        let collected = time(&log.collection_time).filter(|collected| *collected >= entry);
        collected.ok_or(("collection_time", "must be after log_entry_time"))?;
        let text = String::from_utf8_lossy(&data);
        if lock(&self.poison).as_ref().is_some_and(|poison| text.contains(poison)) {
            return Err(("data", "is refused"));
        }
        Ok(RawLog { data, labels: log.labels.into_iter().map(|(name, label)| (name, label.value)).collect() })
    }
}
