//! Tokens of the issuer: signature by the library, then each claim that the standards want looked at.

use super::keys::{Keys, fits};
use super::{Algorithm, Config, MAX_TOKEN, OidcError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How much the clocks may differ, in seconds.
const LEEWAY: f64 = 60.0;

/// Claims that each token must have right (OpenID Connect Core 1.0, section 3.1.3.7). Times in Unix seconds.
#[derive(Debug, Deserialize)]
pub(super) struct Common {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// OpenID Connect Core 1.0, sections 2 and 5.1.
#[derive(Debug, Deserialize)]
pub(super) struct IdClaims {
    #[serde(flatten)]
    pub(super) common: Common,
    pub(super) sub: String,
    pub(super) nonce: Option<String>,
    pub(super) at_hash: Option<String>,
    pub(super) auth_time: Option<f64>,
    pub(super) sid: Option<String>,
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) email_verified: Value,
    pub(super) name: Option<String>,
}

/// OpenID Connect Back-Channel Logout 1.0, section 2.4.
#[derive(Debug, Deserialize)]
pub(super) struct LogoutClaims {
    #[serde(flatten)]
    pub(super) common: Common,
    pub(super) sub: Option<String>,
    pub(super) sid: Option<String>,
    pub(super) jti: String,
    #[serde(default)]
    pub(super) events: Value,
    pub(super) nonce: Option<Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token whose signature is right.
pub(super) struct Signed<T> {
    pub(super) algorithm: Algorithm,
    pub(super) claims: T,
}

/// What a token says in its header to be. Explicit types keep one kind from being taken for another (RFC 8725, 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Logout,
}

/// Of a token as it came: its claims, once a key of the issuer has signed them by an algorithm that is allowed.
pub(super) async fn open<T: DeserializeOwned>(
    token: &str,
    kind: Kind,
    config: &Config,
    keys: &Keys,
    now: i64,
) -> Result<Signed<T>, OidcError> {
    if token.len() > MAX_TOKEN {
        return Err(OidcError::LongToken);
    }
    let header = header(token)?;
    if !kind.is(header.typ.as_deref()) {
        return Err(OidcError::Type);
    }
    let algorithm = config.algorithms.iter().find(|allowed| allowed.name() == header.alg);
    let algorithm = *algorithm.ok_or(OidcError::Algorithm)?;
    let key = keys.find(&header.kid.ok_or(OidcError::UnknownKey)?, now).await?;
    if !fits(&key, algorithm) {
        return Err(OidcError::Key);
    }
    let key = DecodingKey::from_jwk(&key).map_err(|_| OidcError::Key)?;
    let claims = decode::<Value>(token, &key, &signature_alone(algorithm)).map_err(|_| OidcError::Signature)?.claims;
    let claims = serde_json::from_value(claims).map_err(|_| OidcError::MalformedToken)?;
    Ok(Signed { algorithm, claims })
}

fn header(token: &str) -> Result<Header, OidcError> {
    let (header, _) = token.split_once('.').ok_or(OidcError::MalformedToken)?;
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| OidcError::MalformedToken)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| OidcError::MalformedToken)?;
    // RFC 7515, section 4.1.11: what is critical and not understood is refused, and no extension is understood.
    if header.crit.is_some() { Err(OidcError::MalformedToken) } else { Ok(header) }
}

/// The library would look at claims by the system's clock; they are looked at by [`Common::check`] instead.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm.of_library());
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation
}

impl Kind {
    fn is(self, typ: Option<&str>) -> bool {
        match self {
            Self::Id => typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT")),
            Self::Logout => typ.is_some_and(|typ| typ.eq_ignore_ascii_case("logout+jwt")),
        }
    }
}

impl IdClaims {
    /// When the person last proved who they are, in Unix seconds; `now` in Unix milliseconds.
    pub(super) fn time_of_login(&self, now: i64) -> Result<i64, OidcError> {
        let time = self.auth_time.ok_or(OidcError::NoAuthTime)?;
        if time > now as f64 / 1000.0 + LEEWAY { Err(OidcError::NotYetValid) } else { Ok(time as i64) }
    }
}

impl Common {
    /// By this issuer, for this client, and now; `now` in Unix milliseconds.
    pub(super) fn check(&self, config: &Config, now: i64) -> Result<(), OidcError> {
        if self.iss != config.issuer {
            return Err(OidcError::Issuer);
        }
        if !self.is_for(&config.client_id) {
            return Err(OidcError::Audience);
        }
        let now = now as f64 / 1000.0;
        if now >= self.exp + LEEWAY {
            return Err(OidcError::Expired);
        }
        let starts = self.nbf.map_or(self.iat, |nbf| nbf.max(self.iat));
        if starts > now + LEEWAY { Err(OidcError::NotYetValid) } else { Ok(()) }
    }

    /// In Unix seconds.
    pub(super) fn expires_at(&self) -> i64 {
        (self.exp + LEEWAY) as i64
    }

    fn is_for(&self, client: &str) -> bool {
        let (named, alone) = match &self.aud {
            Audience::One(one) => (one == client, true),
            Audience::Several(several) => (several.iter().any(|each| each == client), several.len() == 1),
        };
        named && self.azp.as_ref().map_or(alone, |party| party == client)
    }
}
