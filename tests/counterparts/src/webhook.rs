//! A receiver of webhooks whose bodies are `{"data": [{"id": ..}, ..]}`, as simple as customers write them: it looks at no
//! signature. Python's `standardwebhooks` does that for what it has seen.

use crate::server::{Server, lock};
use axum::body::Bytes;
use axum::extract::State;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// A receiver on a loopback port of its own; ends when it is dropped.
#[derive(Debug)]
pub struct Webhook {
    inbox: Arc<Mutex<Inbox>>,
    server: Server,
}

#[derive(Debug, Default)]
struct Inbox {
    taken: Vec<Value>,
    poisoned: BTreeSet<String>,
}

impl Webhook {
    /// Starts with nothing received.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start() -> Self {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let routes = Router::new().fallback(answer).with_state(inbox.clone());
        Self { inbox, server: Server::start(routes).await }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Refuses, with 422, each request with an event whose `id` is this.
    pub fn poison(&self, id: &str) {
        lock(&self.inbox).poisoned.insert(id.to_owned());
    }

    /// The events of all requests, in the order of their arrival.
    #[must_use]
    pub fn taken(&self) -> Vec<Value> {
        lock(&self.inbox).taken.clone()
    }
}

async fn answer(State(inbox): State<Arc<Mutex<Inbox>>>, body: Bytes) -> (StatusCode, Json<Value>) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "no JSON"})));
    };
    let mut inbox = lock(&inbox);
    let Value::Array(mut events) = body["data"].take() else {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": "no events"})));
    };
    if events.iter().any(|event| event["id"].as_str().is_some_and(|id| inbox.poisoned.contains(id))) {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": "an event is bad"})));
    }
    inbox.taken.append(&mut events);
    (StatusCode::OK, Json(json!({"taken": true})))
}
