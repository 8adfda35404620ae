//! Starts npm's `oidc-provider`, a certified OpenID provider, and agrees to logins the way its own pages do.

use crate::oidc::{CLIENT, REDIRECT, SECRET};
use crate::tls::Authority;
use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Certificate, Client, redirect};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::env;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use url::Url;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oidc/provider.mjs");
/// As the app of users is registered: a public client.
pub const APP: &str = "messenger";
/// What the app keeps of a login (RFC 7636, section 4.1).
const VERIFIER: &str = "0123456789-0123456789-0123456789-0123456789";
/// A login and the consent to it take six redirects.
const MAX_STEPS: usize = 20;

/// The provider under TLS on a loopback port of its own; ends when it is dropped.
#[derive(Debug)]
pub struct OidcProvider {
    url: String,
    authority: Authority,
    _child: Child,
    _input: ChildStdin,
    /// What it goes on to write would end it, had it nowhere to go.
    _output: Lines<BufReader<ChildStdout>>,
}

impl OidcProvider {
    /// Knows two clients, [`CLIENT`] and [`APP`], and each person who says a name. `KEYFOLD_OIDC_PROVIDER` is the library's main file.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let library = env::var("KEYFOLD_OIDC_PROVIDER").expect("KEYFOLD_OIDC_PROVIDER is not set; ./dev test sets it");
        let authority = Authority::new();
        let given = json!({
            "library": library, "pem": authority.server_pem(None),
            "client_id": CLIENT, "client_secret": SECRET, "app_id": APP, "redirect_uri": REDIRECT,
        });
        let mut node = Command::new("node");
        node.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = node.spawn().expect("node starts");
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(format!("{given}\n").as_bytes()).await.expect("it reads");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let url = lines.next_line().await.expect("it writes").expect("it listens");
        Self { url, authority, _child: child, _input: input, _output: lines }
    }

    /// The issuer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What its certificate is under.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The ID token that the app gets for `person`, who logs in with this nonce, and a `max_age` where one is given: the code
    /// flow with PKCE.
    ///
    /// # Panics
    /// When the provider gives none.
    pub async fn id_token(&self, person: &str, nonce: &str, max_age: Option<&str>) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let asked = [("client_id", APP), ("redirect_uri", REDIRECT), ("response_type", "code"), ("scope", "openid")];
        let bound = [("nonce", nonce), ("code_challenge", &challenge), ("code_challenge_method", "S256")];
        let max_age = max_age.map(|seconds| ("max_age", seconds));
        let query = asked.into_iter().chain(bound).chain(max_age);
        let url = Url::parse_with_params(&format!("{}/auth", self.url), query).expect("it is a URL");
        let code = self.agree(&url, person).await.remove("code").expect("the person agreed");
        let form = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
        let form: Vec<_> = form.into_iter().chain(asked[..2].iter().copied()).collect();
        let request = Browser::new(self.ca_pem()).http.post(format!("{}/token", self.url)).form(&form);
        let answer: Value = request.send().await.expect("the provider answers").json().await.expect("it is JSON");
        answer["id_token"].as_str().expect("there is an ID token").to_owned()
    }

    /// What a browser brings to the redirect URI when it is sent to `url`, and `person` logs in and agrees.
    ///
    /// # Panics
    /// When the provider does not send the browser back.
    pub async fn agree(&self, url: &Url, person: &str) -> HashMap<String, String> {
        let mut browser = Browser::new(self.ca_pem());
        let mut url = url.clone();
        for _ in 0..MAX_STEPS {
            let page = browser.step(&url, None).await;
            let next = match page {
                Page::Redirect(next) => next,
                Page::Form(prompt) => {
                    let fields = [("prompt", prompt), ("login", person), ("password", "any")];
                    let Page::Redirect(next) = browser.step(&url, Some(&fields)).await else { continue };
                    next
                }
            };
            url = url.join(&next).expect("it is a URL");
            if url.as_str().starts_with(REDIRECT) {
                return url.query_pairs().into_owned().collect();
            }
        }
        unreachable!("the provider sends the browser around in circles")
    }
}

/// As much of a browser as a login needs: cookies, whatever their path.
struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
}

enum Page {
    Redirect(String),
    Form(&'static str),
}

impl Browser {
    fn new(ca_pem: &str) -> Self {
        let ca = Certificate::from_pem(ca_pem.as_bytes()).expect("it is a certificate");
        let http = Client::builder().tls_certs_only([ca]).redirect(redirect::Policy::none()).no_proxy();
        Self { http: http.build().expect("it is a client"), cookies: BTreeMap::new() }
    }

    async fn step(&mut self, url: &Url, fields: Option<&[(&str, &str)]>) -> Page {
        let request = match fields {
            Some(fields) => self.http.post(url.clone()).form(fields),
            None => self.http.get(url.clone()),
        };
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header(COOKIE, cookies.join("; ")).send().await.expect("the provider answers");
        self.keep(answer.headers());
        if let Some(location) = answer.headers().get(LOCATION) {
            return Page::Redirect(location.to_str().expect("it is text").to_owned());
        }
        let body = answer.text().await.expect("the provider answers");
        let asks = |prompt: &str| body.contains(&format!(r#"name="prompt" value="{prompt}""#));
        Page::Form(if asks("login") { "login" } else { "consent" })
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().expect("it is text").split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        self.cookies.retain(|_, value| !value.is_empty());
    }
}
