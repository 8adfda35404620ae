//! Who may do what: bearer tokens, and service accounts that sign their own (RFC 7519, as Google's AIP-4111 has it).

use super::status::{Code, Status};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;
use url::form_urlencoded;

/// How long a self-signed token may live, with what clients add on both sides for clocks that differ.
const LONGEST_SECONDS: i64 = 3600 + 60;

const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

#[derive(Debug, Default)]
pub(super) struct Accounts {
    tokens: HashMap<String, Vec<String>>,
    /// By the tokens of their own platforms.
    workloads: HashMap<String, Vec<String>>,
    accounts: HashMap<String, Account>,
}

#[derive(Debug)]
struct Account {
    /// RSAPublicKey (RFC 8017, appendix A.1.1).
    public_key: Vec<u8>,
    permissions: Vec<String>,
}

impl Accounts {
    /// A key file as Google's console gives it out.
    pub(super) fn add_account(&mut self, permissions: &[&str]) -> String {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("RSA keys can be generated");
        let email = format!("account-{}@keyfold-test.iam.gserviceaccount.com", self.accounts.len());
        let public_key = key.public_key().as_ref().to_vec();
        self.accounts.insert(email.clone(), Account { public_key, permissions: owned(permissions) });
        let pkcs8 = key.as_der().expect("an RSA key can be encoded");
        json!({
            "type": "service_account",
            "project_id": "keyfold-test",
            "private_key_id": "1",
            "private_key": super::material::pem("PRIVATE KEY", pkcs8.as_ref()),
            "client_email": email,
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        })
        .to_string()
    }

    pub(super) fn add_token(&mut self, token: &str, permissions: &[&str]) {
        self.tokens.insert(token.to_owned(), owned(permissions));
    }

    pub(super) fn add_workload(&mut self, subject_token: &str, permissions: &[&str]) {
        self.workloads.insert(subject_token.to_owned(), owned(permissions));
    }

    /// OAuth 2.0 Token Exchange (RFC 8693), as Google's Security Token Service does it.
    pub(super) fn exchange(&mut self, form: &[u8]) -> Result<Value, Status> {
        let form: HashMap<_, _> = form_urlencoded::parse(form).collect();
        let is = |field: &str, value: &str| form.get(field).is_some_and(|given| given == value);
        let asked = is("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            && is("requested_token_type", ACCESS_TOKEN_TYPE);
        let workload = form.get("subject_token").filter(|_| asked).and_then(|token| self.workloads.get(&**token));
        let permissions = workload.ok_or_else(|| Status::invalid("invalid_grant"))?.clone();
        let token = format!("federated-{}", self.tokens.len());
        self.tokens.insert(token.clone(), permissions);
        Ok(json!({
            "access_token": token,
            "issued_token_type": ACCESS_TOKEN_TYPE,
            "token_type": "Bearer",
            "expires_in": 3600,
        }))
    }

    /// Lets a call that needs this permission pass, or says why not. `now` in unix seconds.
    pub(super) fn authorise(&self, headers: &HeaderMap, needed: &str, now: i64) -> Result<(), Status> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let permissions = token.and_then(|token| self.tokens.get(token).or_else(|| self.signed(token, now)));
        let permissions = permissions
            .ok_or_else(|| Status::new(Code::Unauthenticated, "Request had invalid authentication credentials."))?;
        if permissions.iter().any(|permission| permission == needed || permission == "*") {
            return Ok(());
        }
        let message = format!("Permission '{needed}' denied on resource (or it may not exist).");
        Err(Status::new(Code::PermissionDenied, message))
    }

    /// The permissions of the account that signed `token`, if it did, and the token is valid now.
    fn signed(&self, token: &str, now: i64) -> Option<&Vec<String>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let (header, claims): (Header, Claims) = (part(header)?, part(claims)?);
        let account = self.accounts.get(&claims.iss).filter(|_| header.alg == "RS256")?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &account.public_key);
        key.verify(signed.as_bytes(), &signature).ok()?;
        let current = claims.iat <= now && now < claims.exp && claims.exp - claims.iat <= LONGEST_SECONDS;
        let ours = claims.scope.is_some() || claims.aud.is_some();
        (current && ours).then_some(&account.permissions)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    exp: i64,
    scope: Option<String>,
    aud: Option<String>,
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn owned(permissions: &[&str]) -> Vec<String> {
    permissions.iter().map(ToString::to_string).collect()
}
