//! Google Cloud KMS over REST (v1), as far as wrapping keys needs it, with real cryptography. Written from Google's public
//! documents, and judged by Google's own Python client (tests/oracles/google_kms.py). Keys live in memory alone.

mod accounts;
mod call;
mod import;
mod keys;
mod material;
mod operations;
mod secops;
mod status;
mod store;
mod words;

pub use secops::SecOps;

use accounts::Accounts;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use call::{Call, Query};
use http::{HeaderMap, Method, Uri};
use keys::ImportJob;
use serde_json::Value;
use status::{Code, Status};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;
use store::Store;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

/// All that the server can be asked for: the permissions of an owner.
pub const ALL_PERMISSIONS: &[&str] = &["*"];

/// What happens to requests and answers on their way, as Google's data integrity guidelines expect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit of the data in requests flips before the server compares checksums.
    RequestData,
    /// The checksums in requests do not arrive.
    RequestChecksums,
    /// One bit of the data in answers flips after the server has computed checksums.
    AnswerData,
    /// The checksums in answers do not arrive.
    AnswerChecksums,
    /// The name in answers is that of another key.
    AnswerName,
}

/// A server on a loopback port of its own; ends when it is dropped.
#[derive(Debug)]
pub struct GoogleKms {
    address: SocketAddr,
    cloud: Arc<Cloud>,
    server: JoinHandle<()>,
}

impl GoogleKms {
    /// Starts one that knows nobody and holds nothing.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port left");
        let address = listener.local_addr().expect("a listener has an address");
        let cloud = Arc::new(Cloud::default());
        let routes = Router::new().fallback(answer).with_state(cloud.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap_or_default() });
        Self { address, cloud, server }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a service account with these permissions (`cloudkms.cryptoKeys.get`), and its key file as Google gives it out.
    #[must_use]
    pub fn service_account(&self, permissions: &[&str]) -> String {
        lock(&self.cloud.accounts).add_account(permissions)
    }

    /// Accepts `token` as a bearer token with these permissions.
    pub fn accept_token(&self, token: &str, permissions: &[&str]) {
        lock(&self.cloud.accounts).add_token(token, permissions);
    }

    /// Accepts `subject_token` of another platform, and gives tokens with these permissions for it: workload identity
    /// federation at `/v1/token`.
    pub fn accept_workload(&self, subject_token: &str, permissions: &[&str]) {
        lock(&self.cloud.accounts).add_workload(subject_token, permissions);
    }

    /// Forgets every service account, workload and token.
    pub fn forget_accounts(&self) {
        *lock(&self.cloud.accounts) = Accounts::default();
    }

    /// All plaintexts that came in to be encrypted, oldest first: for those who look where else they went.
    #[must_use]
    pub fn plaintexts(&self) -> Vec<Vec<u8>> {
        lock(&self.cloud.plaintexts).clone()
    }

    /// Sets the server's clock this many seconds before the system's; after it, when negative.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.cloud.ahead.store(seconds, Ordering::Relaxed);
    }

    /// Ends the life of all import jobs there are, as three days would.
    pub fn expire_import_jobs(&self) {
        lock(&self.cloud.store).jobs.values_mut().for_each(ImportJob::age);
    }

    /// Damages what passes from now on, or with `None` nothing more.
    pub fn damage(&self, damage: impl Into<Option<Damage>>) {
        *lock(&self.cloud.damage) = damage.into();
    }
}

impl Drop for GoogleKms {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What all requests share.
#[derive(Debug, Default)]
struct Cloud {
    accounts: Mutex<Accounts>,
    store: Arc<Mutex<Store>>,
    damage: Mutex<Option<Damage>>,
    plaintexts: Mutex<Vec<Vec<u8>>>,
    ahead: AtomicI64,
}

impl Cloud {
    /// Unix seconds by the server's clock.
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX) + self.ahead.load(Ordering::Relaxed)
    }

    fn has(&self, damage: Damage) -> bool {
        *lock(&self.damage) == Some(damage)
    }

    fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Value, Status> {
        if (method, uri.path()) == (&Method::POST, "/v1/token") {
            return lock(&self.accounts).exchange(body);
        }
        let query = Query::of(uri)?;
        let call = Call::of(method, uri.path())
            .ok_or_else(|| Status::new(Code::NotFound, format!("{method} {} is no method", uri.path())))?;
        lock(&self.accounts).authorise(headers, call.permission(), self.now())?;
        self.run(call, &query, body)
    }
}

async fn answer(
    State(cloud): State<Arc<Cloud>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // RSA keys are made and used here: not on a thread that others' requests wait for.
    let done = spawn_blocking(move || cloud.answer(&method, &uri, &headers, &body)).await;
    match done {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(status)) => status.into_response(),
        Err(error) => Status::new(Code::Internal, error.to_string()).into_response(),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nothing panics while holding this lock")
}
