//! Splunk's HTTP Event Collector, as far as events and their acknowledgement go. Written from Splunk's public documents ("Format
//! events for HTTP Event Collector", "HTTP Event Collector indexer acknowledgment", "Troubleshoot HTTP Event Collector") and
//! from what users report: nothing of Splunk's can be had to judge it. What was acknowledged counts as indexed.

use crate::server::{Server, lock};
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The only token.
pub const TOKEN: &str = "8f0c5d0e-2f7b-4f53-9a5c-6f1a1f0d9e11";

/// How requests are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// The token has no acknowledgement: what is taken is indexed.
    Disabled,
    /// At the poll after so many.
    After(usize),
    /// Never: what was taken is lost on its way to the indexers.
    Lost,
    /// Never, but other numbers than those asked for are.
    OfOthers,
}

/// A collector on a loopback port of its own; ends when it is dropped.
#[derive(Debug)]
pub struct Splunk {
    input: Arc<Mutex<Input>>,
    server: Server,
}

#[derive(Debug)]
struct Input {
    acks: Acks,
    poisoned: BTreeSet<String>,
    index: &'static str,
    indexed: Vec<Value>,
    next: u64,
    /// By channel and number: the events, and how often their acknowledgement was asked for.
    pending: BTreeMap<(String, u64), (Vec<Value>, usize)>,
}

impl Splunk {
    /// Starts with an empty index `main`.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start(acks: Acks) -> Self {
        let input = Input {
            acks,
            poisoned: BTreeSet::new(),
            index: "main",
            indexed: Vec::new(),
            next: 0,
            pending: BTreeMap::new(),
        };
        let input = Arc::new(Mutex::new(input));
        let routes = Router::new().fallback(answer).with_state(input.clone());
        Self { input, server: Server::start(routes).await }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on acknowledges so.
    pub fn set_acks(&self, acks: Acks) {
        lock(&self.input).acks = acks;
    }

    /// Never takes an event whose `id` is this.
    pub fn poison(&self, id: &str) {
        lock(&self.input).poisoned.insert(id.to_owned());
    }

    /// Loses what is not acknowledged, and counts again from zero.
    pub fn restart(&self) {
        let mut input = lock(&self.input);
        input.pending.clear();
        input.next = 0;
    }

    /// The envelopes that are indexed, in the order of their arrival.
    #[must_use]
    pub fn indexed(&self) -> Vec<Value> {
        lock(&self.input).indexed.clone()
    }
}

async fn answer(
    State(input): State<Arc<Mutex<Input>>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut input = lock(&input);
    let channel = headers.get("x-splunk-request-channel").and_then(|id| id.to_str().ok());
    let answered = authorise(&headers).and_then(|()| match uri.path() {
        "/services/collector/event" => input.take(channel, &body),
        "/services/collector/ack" => input.poll(channel, &body),
        _ => Err(refusal(StatusCode::NOT_FOUND, "The requested URL was not found on this server.", 404)),
    });
    match answered {
        Ok(answer) => Json(answer).into_response(),
        Err((status, answer)) => (status, Json(answer)).into_response(),
    }
}

type Refusal = (StatusCode, Value);

fn authorise(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(authorization) = headers.get("authorization") else {
        return Err(refusal(StatusCode::UNAUTHORIZED, "Token is required", 2));
    };
    match authorization.to_str().ok().and_then(|text| text.strip_prefix("Splunk ")) {
        None => Err(refusal(StatusCode::UNAUTHORIZED, "Invalid authorization", 3)),
        Some(TOKEN) => Ok(()),
        Some(_) => Err(refusal(StatusCode::FORBIDDEN, "Invalid token", 4)),
    }
}

impl Input {
    fn take(&mut self, channel: Option<&str>, body: &[u8]) -> Result<Value, Refusal> {
        if self.acks != Acks::Disabled && channel.is_none() {
            return Err(refusal(StatusCode::BAD_REQUEST, "Data channel is missing", 10));
        }
        let mut events = Vec::new();
        for event in serde_json::Deserializer::from_slice(body).into_iter::<Value>() {
            match self.check(event.unwrap_or_default()) {
                Ok(event) => events.push(event),
                Err((text, code)) => {
                    // What comes before the bad event is indexed all the same.
                    let number = events.len();
                    self.indexed.append(&mut events);
                    let answer = json!({"text": text, "code": code, "invalid-event-number": number});
                    return Err((StatusCode::BAD_REQUEST, answer));
                }
            }
        }
        if events.is_empty() {
            return Err(refusal(StatusCode::BAD_REQUEST, "No data", 5));
        }
        let Some(channel) = channel.filter(|_| self.acks != Acks::Disabled) else {
            self.indexed.append(&mut events);
            return Ok(json!({"text": "Success", "code": 0}));
        };
        let number = self.next;
        self.next += 1;
        self.pending.insert((channel.to_owned(), number), (events, 0));
        Ok(json!({"text": "Success", "code": 0, "ackId": number}))
    }

    fn check(&self, envelope: Value) -> Result<Value, (&'static str, u16)> {
        if !envelope.is_object() || envelope["event"]["id"].as_str().is_some_and(|id| self.poisoned.contains(id)) {
            return Err(("Invalid data format", 6));
        }
        match &envelope["event"] {
            Value::Null => return Err(("Event field is required", 12)),
            Value::String(text) if text.is_empty() => return Err(("Event field cannot be blank", 13)),
            _ => {}
        }
        match envelope.get("index") {
            Some(index) if index != self.index => Err(("Incorrect index", 7)),
            _ => Ok(envelope),
        }
    }

    /// An acknowledgement is told once: asked for again, it is false.
    fn poll(&mut self, channel: Option<&str>, body: &[u8]) -> Result<Value, Refusal> {
        if self.acks == Acks::Disabled {
            return Err(refusal(StatusCode::BAD_REQUEST, "ACK is disabled", 14));
        }
        let channel = channel.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "Data channel is missing", 10))?;
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let numbers: Vec<u64> = asked["acks"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let mut answer = Map::new();
        for number in numbers {
            answer.insert(number.to_string(), self.acknowledge(channel, number).into());
            if self.acks == Acks::OfOthers {
                answer.insert((number + 1).to_string(), true.into());
            }
        }
        Ok(json!({ "acks": answer }))
    }

    fn acknowledge(&mut self, channel: &str, number: u64) -> bool {
        let key = (channel.to_owned(), number);
        let Some((_, polls)) = self.pending.get_mut(&key) else { return false };
        *polls += 1;
        let due = match self.acks {
            Acks::After(wait) => *polls > wait,
            Acks::Disabled | Acks::Lost | Acks::OfOthers => false,
        };
        let taken = if due { self.pending.remove(&key) } else { None };
        let (mut events, _) = taken.unwrap_or_default();
        self.indexed.append(&mut events);
        due
    }
}

fn refusal(status: StatusCode, text: &str, code: u16) -> Refusal {
    (status, json!({"text": text, "code": code}))
}
