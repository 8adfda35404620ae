//! An issuer of OpenID Connect for one client, who logs in whoever comes; and who does wrong what it is told to do wrong.

mod token;

pub use token::{Signer, Token};

use crate::server::{Server, listener, lock};
use crate::tls::{Authority, TlsPort};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use http::{HeaderMap, StatusCode, header};
use reqwest::{Certificate, redirect};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use token::Keys;
use url::{Url, form_urlencoded};

/// As the client is registered.
pub const CLIENT: &str = "keyfold";
/// The client's secret: it has letters that only the right encoding brings over.
pub const SECRET: &str = "a secret: 100%+";
/// Where browsers are sent back to.
pub const REDIRECT: &str = "https://keyfold.example/login/callback";
/// The one person that there is.
pub const SUBJECT: &str = "248289761001";

type Answer = (StatusCode, [(header::HeaderName, String); 1], Json<Value>);
type Change<T> = Box<dyn Fn(&mut T) + Send>;
type Fields = HashMap<String, String>;

/// An issuer under TLS on a loopback port of its own; ends when it is dropped.
#[derive(Debug)]
pub struct Issuer {
    shared: Arc<Mutex<Shared>>,
    authority: Authority,
    url: String,
    _tls: TlsPort,
    _server: Server,
}

struct Shared {
    url: String,
    redirect: String,
    now: i64,
    keys: Keys,
    codes: HashMap<String, Fields>,
    begun: usize,
    document: Change<Value>,
    set: Change<Value>,
    token: Change<Token>,
    moved: bool,
    fetches: usize,
}

impl Issuer {
    /// Its clock stands at `now`, in Unix seconds.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start(now: i64) -> Self {
        Self::start_for(now, REDIRECT).await
    }

    /// The same, for a client that is at `redirect`.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start_for(now: i64, redirect: &str) -> Self {
        let authority = Authority::new();
        let inside = listener().await;
        let behind = inside.local_addr().expect("a listener has an address").to_string();
        let tls = TlsPort::start(authority.server(None), behind);
        let url = format!("https://localhost:{}", tls.port());
        let shared = Arc::new(Mutex::new(Shared::new(&url, (now, redirect))));
        let server = Server::on(inside, routes(shared.clone()));
        Self { shared, authority, url, _tls: tls, _server: server }
    }

    /// `https://localhost:port`, which is the issuer's name too.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What its certificate is under.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// What a browser brings to the redirect URI when it is sent to `url`, and the person agrees.
    ///
    /// # Panics
    /// When the issuer does not like the request.
    pub async fn agree(&self, url: &Url) -> HashMap<String, String> {
        let ca = Certificate::from_pem(self.ca_pem().as_bytes()).expect("it is a certificate");
        let browser = reqwest::Client::builder().tls_certs_only([ca]).redirect(redirect::Policy::none()).no_proxy();
        let answer =
            browser.build().expect("it is a client").get(url.clone()).send().await.expect("the issuer answers");
        let location = answer.headers().get(header::LOCATION).expect("the browser is sent back");
        let location = Url::parse(location.to_str().expect("it is text")).expect("it is a URL");
        location.query_pairs().into_owned().collect()
    }

    /// Changes its description of itself.
    pub fn describe(&self, change: impl Fn(&mut Value) + Send + 'static) {
        lock(&self.shared).document = Box::new(change);
    }

    /// Changes the key set that it publishes.
    pub fn publish(&self, change: impl Fn(&mut Value) + Send + 'static) {
        lock(&self.shared).set = Box::new(change);
    }

    /// Changes each ID token before it is signed.
    pub fn alter(&self, change: impl Fn(&mut Token) + Send + 'static) {
        lock(&self.shared).token = Box::new(change);
    }

    /// Answers everything by a redirect from now on.
    pub fn move_away(&self) {
        lock(&self.shared).moved = true;
    }

    /// How often the key set was asked for.
    #[must_use]
    pub fn fetches(&self) -> usize {
        lock(&self.shared).fetches
    }

    /// An ID token for this nonce, as it comes without any change.
    #[must_use]
    pub fn id_token(&self, nonce: &str) -> Token {
        Token::new(lock(&self.shared).claims(nonce), Signer::Ecdsa)
    }

    /// A logout token for the person's session (Back-Channel Logout 1.0, section 2.4).
    #[must_use]
    pub fn logout_token(&self) -> Token {
        let mut token = self.id_token("");
        let claims = token.claims.as_object_mut().expect("claims are an object");
        claims.retain(|name, _| ["iss", "aud", "sub", "sid", "iat", "exp"].contains(&name.as_str()));
        claims.insert("jti".to_owned(), json!("logout-1"));
        claims.insert("events".to_owned(), json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
        token.header["typ"] = json!("logout+jwt");
        token
    }

    /// Signs what it is given.
    #[must_use]
    pub fn sign(&self, token: &Token) -> String {
        lock(&self.shared).keys.sign(token)
    }
}

impl Shared {
    fn new(url: &str, (now, redirect): (i64, &str)) -> Self {
        Self {
            redirect: redirect.to_owned(),
            url: url.to_owned(),
            now,
            keys: Keys::new(),
            codes: HashMap::new(),
            begun: 0,
            document: Box::new(|_| {}),
            set: Box::new(|_| {}),
            token: Box::new(|_| {}),
            moved: false,
            fetches: 0,
        }
    }

    fn claims(&self, nonce: &str) -> Value {
        json!({
            "iss": self.url, "aud": CLIENT, "sub": SUBJECT, "sid": "session-1", "nonce": nonce,
            "iat": self.now, "auth_time": self.now - 30, "exp": self.now + 300,
            "email": "ada@acme.example", "email_verified": true, "name": "Ada",
        })
    }

    /// The ID token for a code, which is gone then; what must be right about the request is right.
    fn redeem(&mut self, request: &Fields) -> Option<String> {
        let begun = self.codes.remove(request.get("code")?)?;
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, request.get("code_verifier")?.as_bytes()));
        let same = request.get("redirect_uri") == begun.get("redirect_uri");
        if !same || begun.get("code_challenge") != Some(&challenge) {
            return None;
        }
        let mut token = Token::new(self.claims(begun.get("nonce")?), Signer::Ecdsa);
        (self.token)(&mut token);
        Some(self.keys.sign(&token))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("url", &self.url).finish_non_exhaustive()
    }
}

fn routes(shared: Arc<Mutex<Shared>>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(document))
        .route("/authorize", get(authorize))
        .route("/token", post(exchange))
        .route("/keys", get(keys))
        .with_state(shared)
}

async fn document(State(shared): State<Arc<Mutex<Shared>>>) -> Answer {
    let shared = lock(&shared);
    let mut document = json!({
        "issuer": shared.url,
        "authorization_endpoint": format!("{}/authorize", shared.url),
        "token_endpoint": format!("{}/token", shared.url),
        "jwks_uri": format!("{}/keys", shared.url),
        "authorization_response_iss_parameter_supported": true,
    });
    (shared.document)(&mut document);
    if shared.moved { moved(&shared.url) } else { json_answer(StatusCode::OK, document) }
}

async fn keys(State(shared): State<Arc<Mutex<Shared>>>) -> Answer {
    let mut shared = lock(&shared);
    shared.fetches += 1;
    if shared.moved {
        return moved(&shared.url);
    }
    let mut set = shared.keys.set();
    (shared.set)(&mut set);
    json_answer(StatusCode::OK, set)
}

async fn authorize(State(shared): State<Arc<Mutex<Shared>>>, Query(request): Query<Fields>) -> Answer {
    let mut shared = lock(&shared);
    let wanted = [("response_type", "code"), ("client_id", CLIENT), ("redirect_uri", &*shared.redirect)];
    let wanted = wanted.into_iter().chain([("code_challenge_method", "S256"), ("scope", "openid email profile")]);
    if wanted.into_iter().any(|(name, value)| request.get(name).is_none_or(|given| given != value)) {
        return json_answer(StatusCode::BAD_REQUEST, json!({"error": "invalid_request"}));
    }
    shared.begun += 1;
    let code = format!("code-{}", shared.begun);
    let state = request.get("state").cloned().unwrap_or_default();
    let query = [("code", &code), ("state", &state), ("iss", &shared.url)];
    let location = Url::parse_with_params(&shared.redirect, query).expect("it is a URL");
    shared.codes.insert(code, request);
    (StatusCode::FOUND, [(header::LOCATION, location.to_string())], Json(Value::Null))
}

async fn exchange(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, Form(request): Form<Fields>) -> Answer {
    let mut shared = lock(&shared);
    if shared.moved {
        return moved(&shared.url);
    }
    if !shows_secret(&headers) {
        return json_answer(StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}));
    }
    match shared.redeem(&request) {
        Some(token) => {
            let answer = json!({"id_token": token, "access_token": "an access token", "token_type": "Bearer"});
            json_answer(StatusCode::OK, answer)
        }
        None => json_answer(StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"})),
    }
}

/// RFC 6749, section 2.3.1.
fn shows_secret(headers: &HeaderMap) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let Some(pair) = shown.and_then(|pair| BASE64_STANDARD.decode(pair).ok()) else { return false };
    let [id, secret] =
        [CLIENT, SECRET].map(|part| form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>());
    pair == format!("{id}:{secret}").into_bytes()
}

fn moved(url: &str) -> Answer {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{url}/elsewhere"))], Json(Value::Null))
}

fn json_answer(status: StatusCode, body: Value) -> Answer {
    (status, [(header::CACHE_CONTROL, "no-store".to_owned())], Json(body))
}
