//! Azure Key Vault and Managed HSM as far as keys go, and the Entra ID that signs their callers in.
//!
//! Written from Microsoft's public documents: the REST reference of keys (api-version 2025-07-01), the BYOK
//! specification, "Authentication, requests and responses", and Entra's client credentials flow. RSA and AES are real.
//! Microsoft's own Python clients are run against it, so that it is not only our reading of them.

mod clock;
mod entra;
mod jwk;
mod logs_ingestion;
mod material;
mod refusal;
mod transfer;
mod vault;

pub use entra::Registration;
pub use logs_ingestion::LogsIngestion;

use crate::front::Front;
use crate::tls::{Authority, Terminator};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clock::Clock;
use entra::Entra;
use refusal::Refusal;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use vault::Vault;

/// The resource that tokens are asked for.
const RESOURCE: &str = "https://vault.azure.net";

/// What is stood in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key vault: RSA keys only.
    Vault,
    /// A Managed HSM: RSA and AES keys, all in hardware by their type.
    ManagedHsm,
}

/// A vault and its Entra ID, each over HTTPS on a loopback port of its own. Ends when it is dropped.
#[derive(Debug)]
pub struct AzureKeyVault {
    shared: Arc<Shared>,
    ca_pem: String,
    vault: Terminator,
    entra: Terminator,
    servers: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    vault: Mutex<Vault>,
    entra: Mutex<Entra>,
    clock: Clock,
}

impl AzureKeyVault {
    /// Starts without keys, and with no application registered.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start(kind: Kind) -> Self {
        let authority = Authority::new();
        let (plain_vault, plain_entra) = (listener().await, listener().await);
        let vault = Terminator::start(authority.server(None), Front::before(&url(&plain_vault)).await);
        let entra = Terminator::start(authority.server(None), Front::before(&url(&plain_entra)).await);
        let shared = Arc::new(Shared {
            vault: Mutex::new(Vault::new(vault.url().to_owned(), kind)),
            entra: Mutex::new(Entra::new(entra.url().to_owned(), RESOURCE)),
            clock: Clock::default(),
        });
        let serve = |listener, app: Router| tokio::spawn(async { drop(axum::serve(listener, app).await) });
        let servers = [
            serve(plain_vault, Router::new().fallback(ask_vault).with_state(shared.clone())),
            serve(plain_entra, Router::new().fallback(ask_entra).with_state(shared.clone())),
        ];
        Self { shared, ca_pem: authority.pem().to_owned(), vault, entra, servers }
    }

    /// `https://localhost:port` of the vault.
    #[must_use]
    pub fn url(&self) -> &str {
        self.vault.url()
    }

    /// `https://localhost:port` of Entra ID, which an authority host is set to.
    #[must_use]
    pub fn authority_host(&self) -> &str {
        self.entra.url()
    }

    /// The certificate authority that vouches for both.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Spoils and counts what the vault is asked.
    #[must_use]
    pub fn vault_front(&self) -> &Front {
        self.vault.front()
    }

    /// Spoils and counts what Entra ID is asked.
    #[must_use]
    pub fn entra_front(&self) -> &Front {
        self.entra.front()
    }

    /// What the REST API answers to the vault's owner, who needs no token and is not counted. `path` begins with `/`.
    /// The error is the body of the refusal.
    pub fn own(&self, method: &Method, path: &str, body: &Value) -> Result<Value, Value> {
        let now = self.shared.clock.now();
        self.shared.vault().answer(now, method, path, body).map_err(|refusal| refusal.body())
    }

    /// Lets no caller but the owner do `operation` (`wrapkey`, `get`, ...): the role does not allow it.
    pub fn deny(&self, operation: &'static str) {
        self.shared.vault().deny(operation);
    }

    /// Registers an application with a certificate of its own.
    #[must_use]
    pub fn register(&self, client_id: &str) -> Registration {
        self.shared.entra().register(client_id)
    }

    /// Trusts `token`, of another issuer, for the application (workload identity federation).
    pub fn federate(&self, client_id: &str, token: &str) {
        self.shared.entra().federate(client_id, token);
    }

    /// Assigns an identity to the machine: what asks `/msi/token` with `secret` in `X-IDENTITY-HEADER` gets tokens.
    pub fn assign_identity(&self, secret: &str) {
        self.shared.entra().assign_identity(secret);
    }

    /// Makes all tokens that are out there worthless.
    pub fn revoke_tokens(&self) {
        self.shared.entra().revoke_tokens();
    }

    /// From now on takes only tokens that were issued for the claims of its challenge (continuous access evaluation).
    pub fn demand_claims(&self) {
        self.shared.entra().demand_claims();
    }

    /// Moves the clock of both by so many seconds, forward or back.
    pub fn shift_clock(&self, seconds: i64) {
        self.shared.clock.shift(seconds);
    }
}

impl Drop for AzureKeyVault {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.vault.lock().expect("nothing panics while holding this lock")
    }

    fn entra(&self) -> MutexGuard<'_, Entra> {
        self.entra.lock().expect("nothing panics while holding this lock")
    }
}

async fn ask_vault(
    State(shared): State<Arc<Shared>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = shared.clock.now();
    if let Err(challenge) = shared.entra().authenticate(now, &headers) {
        let refusal = Refusal::unauthorized();
        return ([(header::WWW_AUTHENTICATE, challenge)], refusal).into_response();
    }
    if !uri.query().is_some_and(|query| query.contains("api-version=")) {
        return Refusal::bad_parameter("api-version must be specified").into_response();
    }
    let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    let Ok(body) = body else { return Refusal::bad_parameter("the body is no JSON").into_response() };
    let mut vault = shared.vault();
    match vault.permit(&method, uri.path()).and_then(|()| vault.answer(now, &method, uri.path(), &body)) {
        Ok(Value::Null) => StatusCode::NO_CONTENT.into_response(),
        Ok(answer) => axum::Json(answer).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn ask_entra(
    State(shared): State<Arc<Shared>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = shared.clock.now();
    let mut entra = shared.entra();
    let segments: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
    let answer = match (method.as_str(), segments.as_slice()) {
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => entra.token(now, tenant, &body),
        ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => Ok(entra.configuration(tenant)),
        ("GET", ["msi", "token"]) => entra.machine_token(now, uri.query().unwrap_or_default(), &headers),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match answer {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => (StatusCode::UNAUTHORIZED, axum::Json(error.body())).into_response(),
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port left")
}

fn url(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().expect("a listener has an address"))
}
