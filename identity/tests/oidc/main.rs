//! Single sign-on: who is right in everything logs in, and each thing that is wrong is refused for what it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callback;
mod discovery;
mod keys;
mod logout;
mod provider;
mod tokens;

use counterparts::oidc::{CLIENT, Issuer as Counterpart, REDIRECT, SECRET};
use keyfold_identity::oidc::{Algorithm, Callback, Client, Config, Issuer, Login, LoginState, OidcError};
use secret::Secret;
use url::Url;

/// 22 November 2026, in Unix seconds.
const NOW_SECONDS: i64 = 1_795_305_600;
/// The same, in Unix milliseconds.
const NOW: i64 = NOW_SECONDS * 1000;
const ALL: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa];

fn config(counterpart: &Counterpart) -> Config {
    config_of(counterpart.url(), counterpart.ca_pem())
}

fn config_of(issuer: &str, ca_pem: &str) -> Config {
    Config {
        issuer: issuer.to_owned(),
        client_id: CLIENT.to_owned(),
        algorithms: ALL.to_vec(),
        ca_pem: Some(ca_pem.as_bytes().to_vec()),
    }
}

fn client() -> Client {
    client_with(Some(SECRET))
}

fn client_with(secret: Option<&str>) -> Client {
    let secret = secret.map(|secret| Secret::copied_from(secret.as_bytes()));
    Client::new(Url::parse(REDIRECT).unwrap(), secret).unwrap()
}

async fn both() -> (Counterpart, Issuer) {
    let counterpart = Counterpart::start(NOW_SECONDS).await;
    let issuer = Issuer::discover(config(&counterpart), NOW).await.unwrap();
    (counterpart, issuer)
}

/// As far as the browser is back, with what it brings.
async fn agreed(counterpart: &Counterpart, issuer: &Issuer) -> (LoginState, Callback) {
    let (url, login) = issuer.begin(&client());
    let mut query = counterpart.agree(&url).await;
    let mut take = |name| query.remove(name).unwrap();
    let callback = Callback { state: take("state"), code: take("code"), iss: Some(take("iss")) };
    (login, callback)
}

async fn log_in(counterpart: &Counterpart, issuer: &Issuer) -> Result<Login, OidcError> {
    let (login, callback) = agreed(counterpart, issuer).await;
    issuer.finish(&client(), &login, &callback, NOW).await
}
