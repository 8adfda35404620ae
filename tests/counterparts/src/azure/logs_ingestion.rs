//! The Logs Ingestion API of Azure Monitor with one data collection rule, and the Entra ID that signs its callers in.
//!
//! Written from Microsoft's public documents: "Logs Ingestion API in Azure Monitor" (api-version 2023-01-01), its limits,
//! and "Structure of a data collection rule". Where they are silent, errors are as people have reported them.

use super::clock::Clock;
use super::entra::{Entra, Registration};
use crate::server::{Server, listener, lock};
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const RESOURCE: &str = "https://monitor.azure.com";
/// The longest call.
const MAX_CALL: usize = 1024 * 1024;
/// Longer values are cut.
const MAX_VALUE: usize = 64 * 1024;

/// A data collection endpoint and its Entra ID over plain HTTP, on one loopback port of its own. Ends when it is dropped.
#[derive(Debug)]
pub struct LogsIngestion {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
struct Shared {
    rule: String,
    stream: String,
    columns: Vec<(&'static str, &'static str)>,
    entra: Mutex<Entra>,
    clock: Clock,
    rows: Mutex<Vec<Value>>,
    poison: Mutex<Option<String>>,
}

impl LogsIngestion {
    /// Starts with one rule of one stream, whose columns have the names and types given (`string`, `long`, `datetime`).
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start(rule: &str, stream: &str, columns: &[(&'static str, &'static str)]) -> Self {
        let listener = listener().await;
        let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let shared = Arc::new(Shared {
            rule: rule.to_owned(),
            stream: stream.to_owned(),
            columns: columns.to_vec(),
            entra: Mutex::new(Entra::new(url, RESOURCE)),
            clock: Clock::default(),
            rows: Mutex::default(),
            poison: Mutex::default(),
        });
        let app = Router::new().fallback(answer).with_state(shared.clone());
        Self { shared, server: Server::on(listener, app) }
    }

    /// `http://127.0.0.1:port` of both.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Gives an application a client secret.
    pub fn add_secret(&self, client_id: &str, secret: &str) {
        lock(&self.shared.entra).add_secret(client_id, secret);
    }

    /// Registers an application with a certificate of its own.
    #[must_use]
    pub fn register(&self, client_id: &str) -> Registration {
        lock(&self.shared.entra).register(client_id)
    }

    /// Trusts `token`, of another issuer, for the application (workload identity federation).
    pub fn federate(&self, client_id: &str, token: &str) {
        lock(&self.shared.entra).federate(client_id, token);
    }

    /// Makes all tokens that are out there worthless.
    pub fn revoke_tokens(&self) {
        lock(&self.shared.entra).revoke_tokens();
    }

    /// Refuses every call in which a value holds `text`, or with `None` none.
    pub fn poison(&self, text: Option<&str>) {
        *lock(&self.shared.poison) = text.map(str::to_owned);
    }

    /// The rows of the table, in the order of their arrival.
    #[must_use]
    pub fn rows(&self) -> Vec<Value> {
        lock(&self.shared.rows).clone()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let segments: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
    match (method.as_str(), segments.as_slice()) {
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => shared.token(tenant, &body),
        ("POST", ["dataCollectionRules", rule, "streams", stream]) => {
            let version = uri.query() == Some("api-version=2023-01-01");
            let ingested = shared.ingest((rule, stream), version, &headers, &body);
            ingested.map_or_else(refusal, |()| StatusCode::NO_CONTENT.into_response())
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Shared {
    fn token(&self, tenant: &str, body: &[u8]) -> Response {
        match lock(&self.entra).token(self.clock.now(), tenant, body) {
            Ok(token) => Json(token).into_response(),
            Err(error) => (StatusCode::UNAUTHORIZED, Json(error.body())).into_response(),
        }
    }

    fn ingest(
        &self,
        (rule, stream): (&str, &str),
        version: bool,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), (StatusCode, &'static str)> {
        if lock(&self.entra).authenticate(self.clock.now(), headers).is_err() {
            return Err((StatusCode::UNAUTHORIZED, "InvalidToken"));
        }
        if rule != self.rule {
            return Err((StatusCode::NOT_FOUND, "NotFound"));
        }
        if !version || stream != self.stream {
            return Err((StatusCode::BAD_REQUEST, if version { "InvalidStream" } else { "InvalidApiVersion" }));
        }
        if body.len() > MAX_CALL {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "ContentLengthLimitExceeded"));
        }
        let json = headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
        let rows = serde_json::from_slice::<Vec<Value>>(body).ok().filter(|_| json && !self.is_poisoned(body));
        let rows = rows.ok_or((StatusCode::BAD_REQUEST, "InvalidPayload"))?;
        lock(&self.rows).extend(rows.iter().map(|row| self.column_values(row)));
        Ok(())
    }

    fn is_poisoned(&self, body: &[u8]) -> bool {
        let text = String::from_utf8_lossy(body);
        lock(&self.poison).as_ref().is_some_and(|poison| text.contains(poison))
    }

    /// What the table keeps of a row: declared columns alone, values of another type as nothing, long ones cut.
    fn column_values(&self, row: &Value) -> Value {
        let kept = self.columns.iter().map(|(name, kind)| {
            let value = match (*kind, &row[*name]) {
                ("long", Value::Number(number)) => json!(number),
                ("datetime", Value::String(text)) if is_time(text) => json!(text),
                ("string", Value::String(text)) => json!(text.chars().take(MAX_VALUE).collect::<String>()),
                _ => Value::Null,
            };
            ((*name).to_owned(), value)
        });
        Value::Object(kept.collect())
    }
}

fn is_time(text: &str) -> bool {
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).is_ok()
}

fn refusal((status, code): (StatusCode, &'static str)) -> Response {
    (status, Json(json!({"error": {"code": code, "message": "See the code."}}))).into_response()
}
