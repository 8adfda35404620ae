//! A webhook that remembers what it took, and refuses what it is told to.

use crate::harness::Broker;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use counterparts::front::Front;
use counterparts::tls::{Authority, Terminator};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a receiver took and what it refuses.
#[derive(Default)]
pub(super) struct Memory {
    /// Every message, in the order of arrival, also those that came twice.
    pub(super) taken: Vec<Value>,
    /// A batch with one of these is refused: ids, or kinds of events.
    pub(super) poisoned: HashSet<String>,
    /// Batches that were refused.
    pub(super) refused: usize,
}

/// A receiver on loopback. Ends when it is dropped.
pub(super) struct Receiver {
    tls: Terminator,
    authority: Authority,
    memory: Arc<Mutex<Memory>>,
    server: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/events", post(take)).with_state(memory.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let authority = Authority::new();
        let tls = Terminator::start(authority.server(None), Front::before(&upstream).await);
        Self { tls, authority, memory, server }
    }

    /// Spoils answers.
    pub(super) fn front(&self) -> &Front {
        self.tls.front()
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// Makes the broker's configuration send everything here as the sink `hook`, with `fields` of its own.
    pub(super) fn configure(&self, broker: &Broker, fields: &str) {
        fs::write(broker.path("hook-ca.pem"), self.authority.pem()).unwrap();
        fs::write(broker.path("hook-key"), "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").unwrap();
        let config = broker.path("keyfold.toml");
        let sink = format!(
            "\n[[sinks]]\ntype = \"webhook\"\nname = \"hook\"\nurl = \"{}/events\"\nkeys = [{{ file = \"hook-key\" }}]\n\
             connection = {{ ca = \"hook-ca.pem\", allow_networks = [\"127.0.0.0/8\", \"::1/128\"] }}\n{fields}\n",
            self.tls.url()
        );
        fs::write(&config, fs::read_to_string(&config).unwrap() + &sink).unwrap();
    }

    /// The indices of a tenant's events, in the order of arrival.
    pub(super) fn indices(&self, tenant: &str) -> Vec<u64> {
        let prefix = format!("localhost/{tenant}#");
        let memory = self.memory();
        let ids = memory.taken.iter().filter_map(|message| message["id"].as_str()?.strip_prefix(&prefix));
        ids.map(|index| index.parse().unwrap()).collect()
    }

    /// How many of a tenant's events it has from the first on, without a gap; fails where one came before its turn.
    pub(super) fn in_order(&self, tenant: &str) -> u64 {
        let mut next = 0;
        for index in self.indices(tenant) {
            assert!(index <= next, "event {index} of {tenant} came before event {next}");
            next = next.max(index + 1);
        }
        next
    }
}

async fn take(State(memory): State<Arc<Mutex<Memory>>>, body: Bytes) -> StatusCode {
    let batch: Value = serde_json::from_slice(&body).unwrap();
    let messages = batch["data"].as_array().unwrap();
    let mut memory = memory.lock().unwrap();
    let poisoned = |message: &Value| {
        ["id", "evt"].iter().any(|member| message[*member].as_str().is_some_and(|text| memory.poisoned.contains(text)))
    };
    if messages.iter().any(poisoned) {
        memory.refused += 1;
        return StatusCode::BAD_REQUEST;
    }
    memory.taken.extend(messages.iter().cloned());
    StatusCode::OK
}
