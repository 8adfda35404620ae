//! Single sign-on by OpenID Connect: the code flow with PKCE, logout by the back channel, and logins that somebody else asked
//! for. Says who somebody is to the issuer, and nothing about what they may do.

mod endpoint;
mod error;
mod keys;
mod token;

pub use error::OidcError;

use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use endpoint::Metadata;
use keys::Keys;
use secret::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use token::{IdClaims, Kind, LogoutClaims, Signed};
use url::Url;

/// Longest answer of an issuer that is read, in bytes.
pub const MAX_ANSWER: usize = 128 * 1024;
/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// Longest subject (OpenID Connect Core 1.0, section 2), in characters.
const MAX_SUBJECT: usize = 255;
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Whom to ask, and for whom tokens must be.
#[derive(Debug)]
pub struct Config {
    /// An https URL, letter for letter as the issuer writes it.
    pub issuer: String,
    /// As the issuer knows this client.
    pub client_id: String,
    /// By which tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// The certificates, in PEM, that the issuer's must be under; without them, those of the system.
    pub ca_pem: Option<Vec<u8>>,
}

/// How a client comes by tokens of its own.
#[derive(Debug)]
pub struct Client {
    secret: Option<Secret>,
    redirect_uri: Url,
}

/// How tokens may be signed (RFC 7518, RFC 8037): by public keys alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// An issuer that has described itself, and its keys.
#[derive(Debug)]
pub struct Issuer {
    config: Arc<Config>,
    http: reqwest::Client,
    metadata: Metadata,
    keys: Keys,
}

/// What is kept of a login that was begun, bound to the browser that began it: whoever has it can finish it.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginState {
    state: String,
    nonce: String,
    verifier: String,
}

/// What the browser brings back in the query of the redirect URI (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Debug, Clone, Deserialize)]
pub struct Callback {
    /// As it went out.
    pub state: String,
    /// Good for one exchange.
    pub code: String,
    /// Which issuer made the code.
    pub iss: Option<String>,
}

/// Who somebody is to the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Never given to anybody else by this issuer: the one thing to know a person by.
    pub subject: String,
    /// To be shown; it may change hands. Missing where the issuer says that it is not verified.
    pub email: Option<String>,
    /// To be shown.
    pub name: Option<String>,
    /// When the person last proved who they are, in Unix seconds.
    pub auth_time: Option<i64>,
    /// The session at the issuer, which a [`Logout`] may name.
    pub sid: Option<String>,
}

/// A login that somebody else asked for, by the issuer's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenLogin {
    /// [`Login::subject`].
    pub subject: String,
    /// [`Login::auth_time`], which is never in the future by more than the clocks may differ.
    pub auth_time: i64,
    /// From then on the token proves nothing, in Unix seconds.
    pub expires_at: i64,
}

/// The issuer's word that a session, or all of a person's, have ended. At least one of both is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logout {
    /// [`Login::subject`].
    pub subject: Option<String>,
    /// [`Login::sid`].
    pub sid: Option<String>,
    /// Not to be taken twice.
    pub jti: String,
}

impl Issuer {
    /// Asks the issuer for its description and keys. `now` in Unix milliseconds, here and below.
    pub async fn discover(config: impl Into<Arc<Config>>, now: i64) -> Result<Self, OidcError> {
        let config = config.into();
        let issuer = Url::parse(&config.issuer).map_err(|_| OidcError::Url)?;
        if !is_plain(&issuer) {
            return Err(OidcError::Url);
        }
        let http = endpoint::client(config.ca_pem.as_deref())?;
        let metadata = endpoint::metadata(&http, &config.issuer).await?;
        let keys = Keys::fetch(&http, &metadata.jwks_uri, now).await?;
        Ok(Self { config, http, metadata, keys })
    }

    /// Where to send the browser, and what to keep for [`Self::finish`].
    #[must_use]
    pub fn begin(&self, client: &Client) -> (Url, LoginState) {
        let login = LoginState { state: random(), nonce: random(), verifier: random() };
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, login.verifier.as_bytes()));
        let mut url = self.metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", client.redirect_uri.as_str())
            .append_pair("scope", "openid email profile")
            .append_pair("state", &login.state)
            .append_pair("nonce", &login.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        (url, login)
    }

    /// Who came back. The code is sent nowhere before the answer is known to belong to this login and this issuer.
    pub async fn finish(
        &self,
        client: &Client,
        login: &LoginState,
        callback: &Callback,
        now: i64,
    ) -> Result<Login, OidcError> {
        constant_time::verify_slices_are_equal(login.state.as_bytes(), callback.state.as_bytes())
            .map_err(|_| OidcError::State)?;
        if callback.iss.as_ref().map_or(self.metadata.names_itself, |iss| *iss != self.config.issuer) {
            return Err(OidcError::MixedUp);
        }
        let request = self.http.post(self.metadata.token_endpoint.clone());
        let code = (&*callback.code, &*login.verifier);
        let tokens = endpoint::exchange(request, (&self.config.client_id, client), code).await?;
        let signed = self.open_id_token(&tokens.id_token, &login.nonce, now).await?;
        if let Some(hash) = &signed.claims.at_hash {
            let token = tokens.access_token.as_ref().ok_or(OidcError::AccessToken)?;
            if *hash != signed.algorithm.half_hash(token) {
                return Err(OidcError::AccessToken);
            }
        }
        Ok(Login::from(signed.claims))
    }

    /// Who logged in, and when, by an ID token that somebody else asked for with this nonce. It must say when: issuers do
    /// that where `max_age` is asked for (OpenID Connect Core 1.0, section 3.1.2.1).
    pub async fn verify_login(&self, token: &str, nonce: &str, now: i64) -> Result<ProvenLogin, OidcError> {
        let claims = self.open_id_token(token, nonce, now).await?.claims;
        let auth_time = claims.time_of_login(now)?;
        Ok(ProvenLogin { auth_time, expires_at: claims.common.expires_at(), subject: claims.sub })
    }

    /// Whose sessions a logout token ends (OpenID Connect Back-Channel Logout 1.0, section 2.6). That its `jti` is new
    /// is the caller's to see.
    pub async fn logout(&self, token: &str, now: i64) -> Result<Logout, OidcError> {
        let signed: Signed<LogoutClaims> = token::open(token, Kind::Logout, &self.config, &self.keys, now).await?;
        let claims = signed.claims;
        claims.common.check(&self.config, now)?;
        let says_whose = claims.sub.is_some() || claims.sid.is_some();
        if !claims.events[LOGOUT].is_object() || claims.nonce.is_some() || !says_whose {
            return Err(OidcError::NoLogout);
        }
        Ok(Logout { subject: claims.sub, sid: claims.sid, jti: claims.jti })
    }

    async fn open_id_token(&self, token: &str, nonce: &str, now: i64) -> Result<Signed<IdClaims>, OidcError> {
        let signed: Signed<IdClaims> = token::open(token, Kind::Id, &self.config, &self.keys, now).await?;
        signed.claims.common.check(&self.config, now)?;
        if signed.claims.nonce.as_deref() != Some(nonce) {
            return Err(OidcError::Nonce);
        }
        let subject = &signed.claims.sub;
        if subject.is_empty() || subject.chars().count() > MAX_SUBJECT {
            return Err(OidcError::MalformedToken);
        }
        Ok(signed)
    }
}

impl Client {
    /// With the secret that it shows by HTTP Basic; a public client has none, and is held by PKCE alone. `redirect_uri` is
    /// where the browser brings the code: an https URL, letter for letter as the issuer knows it.
    pub fn new(redirect_uri: Url, secret: Option<Secret>) -> Result<Self, OidcError> {
        if is_plain(&redirect_uri) { Ok(Self { secret, redirect_uri }) } else { Err(OidcError::Url) }
    }
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    /// `at_hash`: the left half of the hash that the algorithm uses (OpenID Connect Core 1.0, section 3.1.3.6).
    fn half_hash(self, token: &str) -> String {
        let hash = match self {
            Self::Es256 | Self::Rs256 => &digest::SHA256,
            Self::EdDsa => &digest::SHA512,
        };
        let hash = digest::digest(hash, token.as_bytes());
        URL_SAFE_NO_PAD.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
    }
}

impl From<IdClaims> for Login {
    fn from(claims: IdClaims) -> Self {
        let email = claims.email.filter(|_| claims.email_verified != false);
        let auth_time = claims.auth_time.map(|seconds| seconds as i64);
        Self { subject: claims.sub, email, name: claims.name, auth_time, sid: claims.sid }
    }
}

impl fmt::Debug for LoginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginState(..)")
    }
}

fn is_plain(url: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    url.scheme() == "https" && bare && url.query().is_none() && url.fragment().is_none()
}

/// 256 bits, in letters that may stand in a URL (RFC 7636, section 4.1).
fn random() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("invariant: the system random number generator works");
    URL_SAFE_NO_PAD.encode(bytes)
}
