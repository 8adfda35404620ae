//! A real Chromium, as a person's: in a process of its own, with authenticators that exist only there.
//!
//! Whatever the browser does not do within its patience fails the test: every method panics then.

#![expect(clippy::panic, reason = "a browser that does not do as it is told fails the test")]

mod authenticator;
mod axe;
mod driver;
mod element;
mod look;
mod page;
mod session;
mod site;

pub use authenticator::{Authenticator, Credential};
pub use axe::Violation;
pub use element::Element;
pub use look::Look;
pub use page::{Complaint, Loaded};
pub use site::{Answer, Site};

use base64::{Engine, engine::general_purpose::STANDARD};
use driver::Driver;
use serde_json::{Value, json};
use session::Session;
use std::thread;
use std::time::Duration;
use tokio::time::sleep;

/// A browser with one window. It has to be ended with [`Browser::end`], so that no complaint of a page is overlooked;
/// a test that fails before kills it.
#[derive(Debug)]
pub struct Browser {
    session: Session,
    has_ended: bool,
    driver: Driver,
}

impl Browser {
    /// Starts one. Every certificate is good to it; `localhost` is a secure context (W3C Secure Contexts, section 3.1).
    ///
    /// # Panics
    /// When there is none: name chromedriver in `KEYFOLD_CHROMEDRIVER`.
    pub async fn start() -> Self {
        let mut driver = Driver::start();
        let session = Session::open(&driver.url().await).await;
        Self { session, has_ended: false, driver }
    }

    /// Ends it.
    ///
    /// # Panics
    /// When a page has complained since it was last asked.
    pub async fn end(mut self) {
        let complaints = self.complaints().await;
        self.has_ended = true;
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    /// The process that all of its processes descend from.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.driver.process_id()
    }

    /// Opens a page and waits until it is loaded.
    pub async fn go(&self, url: &str) {
        self.session.post("/url", json!({"url": url})).await;
    }

    /// Where it is.
    pub async fn url(&self) -> String {
        self.session.get("/url").await.as_str().unwrap_or_default().to_owned()
    }

    /// The page's title.
    pub async fn title(&self) -> String {
        self.session.get("/title").await.as_str().unwrap_or_default().to_owned()
    }

    /// The first element that a CSS selector finds, as soon as there is one.
    pub async fn find(&self, css: &str) -> Element {
        let found = self.session.post("/element", json!({"using": "css selector", "value": css})).await;
        Element::new(&self.session, &found)
    }

    /// How many elements a CSS selector finds now.
    pub async fn count(&self, css: &str) -> u64 {
        self.run("return document.querySelectorAll(arguments[0]).length", json!([css])).await.as_u64().unwrap_or(0)
    }

    /// What the body of a function gives for these `arguments`; a promise is waited for.
    pub async fn run(&self, body: &str, arguments: Value) -> Value {
        self.session.post("/execute/sync", json!({"script": body, "args": arguments})).await
    }

    /// Waits until the body of a function gives something true, and gives that.
    ///
    /// # Panics
    /// When it does not, for half a minute.
    pub async fn wait_until(&self, body: &str) -> Value {
        for _ in 0..600 {
            let value = self.run(body, json!([])).await;
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("never so: {body}\n{}", self.text().await);
    }

    /// The text that the page shows.
    pub async fn text(&self) -> String {
        self.find("body").await.text().await
    }

    /// The cookies that the page's server would be sent, `HttpOnly` ones too, as WebDriver gives them (section 14.3).
    pub async fn cookies(&self) -> Vec<Value> {
        let Value::Array(cookies) = self.session.get("/cookie").await else { return Vec::new() };
        cookies
    }

    /// Makes it forget all cookies of the page's server.
    pub async fn forget_cookies(&self) {
        self.session.delete("/cookie").await;
    }

    /// What the window shows, as WebP.
    pub async fn screenshot(&self) -> Vec<u8> {
        let taken = self.devtools("Page.captureScreenshot", json!({"format": "webp", "quality": 70})).await;
        STANDARD.decode(taken["data"].as_str().unwrap_or_default()).expect("a screenshot is base64")
    }

    /// A command of the Chrome DevTools Protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.session.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        assert!(self.has_ended || thread::panicking(), "a browser was dropped, and nobody asked for complaints");
    }
}
