//! The `_bulk` API of Elasticsearch and OpenSearch, as far as creating documents goes. Written from their public documents
//! ("Bulk API", "Data streams"): nothing of theirs can be had to judge it. Documents live in memory alone.

use crate::server::{Server, lock};
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The only data stream.
pub const DATA_STREAM: &str = "logs-keyfold-default";
/// What `Authorization` says: an API key, or user `keyfold` with password `password`.
const LOGINS: [&str; 2] = ["ApiKey aWQ6YXBpLWtleQ==", "Basic a2V5Zm9sZDpwYXNzd29yZA=="];
/// The longest request, in bytes.
const MAX_REQUEST: usize = 1024 * 1024;

/// A cluster on a loopback port of its own; ends when it is dropped.
#[derive(Debug)]
pub struct Elasticsearch {
    cluster: Arc<Mutex<Cluster>>,
    server: Server,
}

#[derive(Debug, Default)]
struct Cluster {
    documents: Vec<(String, Value)>,
    /// What becomes of documents by their id, in place of being created; and how often still.
    planned: BTreeMap<String, (u16, &'static str, usize)>,
}

impl Elasticsearch {
    /// Starts with an empty data stream.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start() -> Self {
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        let routes = Router::new().fallback(answer).with_state(cluster.clone());
        let routes = routes.layer(axum::extract::DefaultBodyLimit::max(MAX_REQUEST));
        Self { cluster, server: Server::start(routes).await }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Answers so for the document with this id, so many times.
    pub fn plan(&self, id: &str, status: u16, error: &'static str, times: usize) {
        lock(&self.cluster).planned.insert(id.to_owned(), (status, error, times));
    }

    /// Ids and documents, in the order in which they were created.
    #[must_use]
    pub fn documents(&self) -> Vec<(String, Value)> {
        lock(&self.cluster).documents.clone()
    }
}

async fn answer(
    State(cluster): State<Arc<Mutex<Cluster>>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !LOGINS.contains(&header("authorization")) {
        return refusal(StatusCode::UNAUTHORIZED, "security_exception");
    }
    if header("content-type") != "application/x-ndjson" {
        return refusal(StatusCode::NOT_ACCEPTABLE, "content_type_header_exception");
    }
    if uri.path() != format!("/{DATA_STREAM}/_bulk") {
        return refusal(StatusCode::NOT_FOUND, "index_not_found_exception");
    }
    if !body.ends_with(b"\n") {
        return refusal(StatusCode::BAD_REQUEST, "illegal_argument_exception");
    }
    let mut cluster = lock(&cluster);
    let mut items = Vec::new();
    let lines: Vec<&[u8]> = body[..body.len() - 1].split(|byte| *byte == b'\n').collect();
    for pair in lines.chunks(2) {
        let [action, document] = pair else { return refusal(StatusCode::BAD_REQUEST, "illegal_argument_exception") };
        let Ok(action) = serde_json::from_slice::<Value>(action) else {
            return refusal(StatusCode::BAD_REQUEST, "x_content_parse_exception");
        };
        let id = action["create"]["_id"].as_str().unwrap_or_default();
        let (status, error) = cluster.create(id, document);
        items.push(json!({ "create": item(status, error) }));
    }
    // The members that `filter_path` asks for.
    Json(json!({ "items": items })).into_response()
}

impl Cluster {
    fn create(&mut self, id: &str, document: &[u8]) -> (u16, Option<&'static str>) {
        if let Some((status, error, times)) = self.planned.get_mut(id).filter(|(_, _, times)| *times > 0) {
            *times -= 1;
            return (*status, Some(error));
        }
        let Ok(document) = serde_json::from_slice::<Value>(document) else {
            return (400, Some("document_parsing_exception"));
        };
        // A data stream has no document without its time.
        if !document["@timestamp"].is_string() || id.is_empty() || id.len() > 512 {
            return (400, Some("document_parsing_exception"));
        }
        if self.documents.iter().any(|(other, _)| other == id) {
            return (409, Some("version_conflict_engine_exception"));
        }
        self.documents.push((id.to_owned(), document));
        (201, None)
    }
}

fn item(status: u16, error: Option<&str>) -> Value {
    match error {
        Some(kind) => json!({"status": status, "error": {"type": kind}}),
        None => json!({ "status": status }),
    }
}

fn refusal(status: StatusCode, kind: &str) -> Response {
    (status, Json(json!({"error": {"type": kind}, "status": status.as_u16()}))).into_response()
}
