//! Somebody in front of the console, with a browser and a passkey of their own.

use crate::harness::Broker;
use counterparts::browser::Browser;
use serde_json::{Value, json};

/// Sends a request as a script of the page does, with the session's token where there is one.
const FETCH: &str = "const [method, path, headers, body] = arguments;
    return fetch(path, {method, headers, body, redirect: 'manual'})
        .then(async answer => ({status: answer.status, body: await answer.text()}))";

/// A person with a browser. It has to be ended with [`Visitor::leave`].
pub struct Visitor {
    pub browser: Browser,
    base: String,
}

impl Visitor {
    /// Has a browser, and nothing else yet.
    pub async fn arrive(broker: &Broker) -> Self {
        let browser = Browser::start().await;
        browser.authenticator().await;
        Self { browser, base: broker.url("") }
    }

    /// Follows an invitation, as whoever has got it would.
    pub async fn join(broker: &Broker, link: &str, name: Option<&str>) -> Self {
        let visitor = Self::arrive(broker).await;
        visitor.take_up(link, name).await;
        visitor
    }

    /// The same, for who is there already.
    pub async fn take_up(&self, link: &str, name: Option<&str>) {
        self.browser.go(link).await;
        if let Some(name) = name {
            self.browser.find("#enter-name").await.type_text(name).await;
        }
        self.enter().await;
    }

    /// The same, where the console then begins at that page: for who administers one tenant alone.
    pub async fn join_at(broker: &Broker, link: &str, page: &str) -> Self {
        let visitor = Self::arrive(broker).await;
        visitor.browser.go(link).await;
        visitor.browser.find("#enter button:enabled").await.click().await;
        visitor.browser.wait_until(&format!("return location.pathname === '{page}'")).await;
        visitor
    }

    /// What the page there is answered with.
    pub async fn status_of(&self, path: &str) -> u16 {
        self.open(path).await;
        let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
        u16::try_from(self.browser.run(status, json!([])).await.as_u64().unwrap()).unwrap()
    }

    /// Signs in on the page for that.
    pub async fn sign_in(&self) {
        self.open("/console/sign-in").await;
        self.enter().await;
    }

    async fn enter(&self) {
        self.browser.find("#enter button:enabled").await.click().await;
        self.browser.wait_until("return location.pathname === '/console'").await;
    }

    /// Opens a page of the broker's.
    pub async fn open(&self, path: &str) {
        self.browser.go(&format!("{}{path}", self.base)).await;
    }

    /// Fills the form of this title on the page that is open, and begins its act.
    pub async fn begin(&self, title: &str, fields: &[(&str, &str)]) {
        let fill = "const [title, fields] = arguments;
            const heading = [...document.querySelectorAll('main section h2')].find(h2 => h2.innerText === title);
            const form = heading.parentElement.querySelector('form.act');
            for (const [name, value] of fields) {
                const of = [...form.elements].filter(field => field.name === name);
                const box = of.find(field => field.type === 'checkbox' && field.value === value);
                if (box) box.checked = true; else of[0].value = value;
            }
            form.querySelector('button').click();";
        self.browser.run(fill, json!([title, fields])).await;
        self.browser.wait_until("return document.querySelector('#act').open").await;
    }

    /// [`Self::begin`], then confirms what the dialog says; the passkey signs where it has to.
    pub async fn act(&self, title: &str, fields: &[(&str, &str)]) {
        self.begin(title, fields).await;
        self.browser.run("window.isOld = true", json!([])).await;
        self.browser.find("#act-go").await.click().await;
        let done = "return !window.isOld || document.querySelector('#act-answer')?.hidden === false
            || Boolean(document.querySelector('#act-problem')?.textContent)";
        self.browser.wait_until(done).await;
        let problem = "return document.querySelector('#act-problem').textContent";
        assert_eq!(self.browser.run(problem, json!([])).await, "", "{title}");
    }

    /// [`Self::act`], which shows something once: a code, a token, a link.
    pub async fn act_once(&self, title: &str, fields: &[(&str, &str)]) -> String {
        self.act(title, fields).await;
        let value = self.browser.run("return document.querySelector('#act-value').textContent", json!([])).await;
        self.browser.find("#act-done").await.click().await;
        self.browser.wait_until("return !window.isOld && document.readyState === 'complete'").await;
        assert_ne!(value, "", "{title} shows nothing");
        value.as_str().unwrap().to_owned()
    }

    /// One request by a script of the page, with these headers.
    pub async fn send(&self, (method, path): (&str, &str), headers: Value, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Value::Null } else { body.to_string().into() };
        let answer = self.browser.run(FETCH, json!([method, path, headers, body])).await;
        let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
        (status, serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or(Value::Null))
    }

    /// What the API has there for whoever is signed in.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(("GET", path), json!({}), &Value::Null).await
    }

    /// Closes the browser; no page may have complained.
    pub async fn leave(self) {
        self.browser.end().await;
    }
}

/// The link with which the first administrator joins: the broker prints it when it starts.
pub fn first_link(broker: &Broker) -> String {
    let printed = broker.printed();
    let (_, link) = printed.trim().rsplit_once("first administrator: ").expect("the broker prints a link");
    link.to_owned()
}
