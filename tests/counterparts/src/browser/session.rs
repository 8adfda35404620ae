//! The wire protocol of W3C WebDriver, as far as the tests need it: <https://www.w3.org/TR/webdriver2/>.

#![expect(clippy::panic, reason = "a browser that does not do as it is told fails the test")]

use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;

/// What a browser is started with. The pipe makes it end when chromedriver does.
const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--window-size=1280,800",
];
/// How long the browser looks for an element, runs a script and loads a page, in milliseconds.
const PATIENCE: u64 = 20_000;

/// A browser window, as chromedriver serves it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    http: Client,
    url: String,
}

impl Session {
    /// Starts a browser that takes any certificate, has virtual authenticators and keeps its console's messages.
    pub(super) async fn open(driver: &str) -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client can be made");
        let nowhere = Self { http, url: format!("{driver}/session") };
        let always = json!({
            "acceptInsecureCerts": true,
            "webauthn:virtualAuthenticators": true,
            "unhandledPromptBehavior": "ignore",
            "timeouts": {"implicit": PATIENCE, "script": PATIENCE, "pageLoad": PATIENCE},
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": ARGUMENTS},
        });
        let opened = nowhere.post("", json!({"capabilities": {"alwaysMatch": always}})).await;
        let id = opened["sessionId"].as_str().expect("a session has an id");
        Self { url: format!("{}/{id}", nowhere.url), http: nowhere.http }
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Value {
        self.send(Method::DELETE, path, None).await
    }

    /// The `value` of the answer.
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("chromedriver: {path}: {error}"));
        let is_done = answer.status().is_success();
        let mut answer: Value = answer.json().await.unwrap_or_else(|error| panic!("chromedriver: {path}: {error}"));
        let value = answer["value"].take();
        assert!(is_done, "{path}: {}: {}", value["error"], value["message"]);
        value
    }
}
