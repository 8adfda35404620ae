//! A person who administers: a passkey, and what the console's scripts would send.

use super::Broker;
use super::document::assert_documented;
use counterparts::authenticator::Authenticator;
use protocol::encoding::Base64Url;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

/// A signed act: what `Keyfold-Act` and `Keyfold-Assertion` say.
#[derive(Debug, Clone)]
pub struct SignedAct {
    pub act: String,
    pub assertion: Value,
}

/// Somebody at a browser that holds a passkey.
#[derive(Debug, Clone)]
pub struct Person {
    http: reqwest::Client,
    url: String,
    pub passkeys: Authenticator,
    /// The session's cookie, name and value; empty before there is one.
    pub cookie: String,
    /// What the session wants to see repeated.
    pub csrf: String,
    /// The person's id.
    pub id: String,
}

impl Person {
    /// Nobody yet.
    pub fn new(broker: &Broker) -> Self {
        let url = broker.url("");
        let passkeys = Authenticator::new(&url);
        let (cookie, csrf, id) = <(String, String, String)>::default();
        Self { http: broker.http().clone(), url, passkeys, cookie, csrf, id }
    }

    /// The first administrator of the installation, by the link that the broker prints.
    pub async fn first(broker: &Broker) -> Self {
        Self::new(broker).joined(&first_link(broker).expect("the broker prints a link"), Some("root")).await
    }

    /// Takes up an invitation: makes a passkey, and is signed in.
    pub async fn joined(mut self, link: &str, name: Option<&str>) -> Self {
        let answer = self.join(link, name).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
        self
    }

    /// [`Self::joined`], which may fail.
    pub async fn join(&mut self, link: &str, name: Option<&str>) -> (u16, Value) {
        let (_, invitation) = link.split_once('#').expect("an invitation is behind `#`");
        let mut ask = json!({"invitation": invitation});
        if let Some(name) = name {
            ask["name"] = name.into();
        }
        let (status, begun) = self.send("POST", "/v1/admin/join", (&ask, None)).await;
        if status != 200 {
            return (status, begun);
        }
        let made = self.passkeys.create(&begun["options"]);
        self.enter("join", &begun, &made).await
    }

    /// Appoints somebody with these roles in `tenant`, who joins at once.
    pub async fn appoint(&mut self, broker: &Broker, tenant: &str, (name, roles): (&str, &[&str])) -> Self {
        let body = json!({"name": name, "roles": roles});
        let invited = self.act_ok(&format!("/v1/admin/tenants/{tenant}/admins"), &body).await;
        Self::new(broker).joined(invited["link"].as_str().unwrap(), None).await
    }

    /// Begins a session with the passkey that is there.
    pub async fn sign_in(&mut self) -> (u16, Value) {
        let (status, begun) = self.send("POST", "/v1/admin/sign-in", (&Value::Null, None)).await;
        assert_eq!(status, 200, "{begun}");
        let made = self.passkeys.get(&begun["options"]);
        self.enter("sign-in", &begun, &made).await
    }

    async fn enter(&mut self, by: &str, begun: &Value, credential: &Value) -> (u16, Value) {
        let path = format!("/v1/admin/{by}/{}", begun["ceremony"].as_str().unwrap());
        let answer = self.request("POST", &path, (credential, None)).send().await.unwrap();
        let set = answer.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
        let (status, body) = read(("POST", &path), answer).await;
        if let Some(set) = set {
            self.cookie = set.split(';').next().unwrap().to_owned();
            self.csrf = body["csrf"].as_str().unwrap().to_owned();
            self.id = body["admin"]["id"].as_str().unwrap().to_owned();
        }
        (status, body)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, (&Value::Null, None)).await
    }

    /// Does what the console does: asks what it would be, signs that where it has to be signed, and does it.
    pub async fn act(&mut self, path: &str, body: &Value) -> (u16, Value) {
        match self.signed(path, body).await {
            Ok(signed) => self.send("POST", path, (body, signed.as_ref())).await,
            Err(refused) => refused,
        }
    }

    /// [`Self::act`], and it must succeed.
    pub async fn act_ok(&mut self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.act(path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// The signature that the act needs; `None` where it needs none.
    pub async fn signed(&mut self, path: &str, body: &Value) -> Result<Option<SignedAct>, (u16, Value)> {
        let (status, begun) = self.begin(path, body).await;
        if status != 200 {
            return Err((status, begun));
        }
        let Some(act) = begun["act"].as_str() else { return Ok(None) };
        let assertion = self.passkeys.get(&begun["options"]);
        Ok(Some(SignedAct { act: act.to_owned(), assertion }))
    }

    /// What the act would be, and what has to be signed for it.
    pub async fn begin(&self, path: &str, body: &Value) -> (u16, Value) {
        let ask = json!({"method": "POST", "path": path, "body": text_of(body)});
        self.send("POST", "/v1/admin/acts", (&ask, None)).await
    }

    /// One request with the session, and a signature where one is given.
    pub async fn send(&self, method: &str, path: &str, what: (&Value, Option<&SignedAct>)) -> (u16, Value) {
        read((method, path), self.request(method, path, what).send().await.unwrap()).await
    }

    /// The request of [`Self::send`], for who wants to spoil it.
    pub fn request(&self, method: &str, path: &str, (body, signed): (&Value, Option<&SignedAct>)) -> RequestBuilder {
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        request = request.header("sec-fetch-site", "same-origin");
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        if !self.csrf.is_empty() && method != "GET" {
            request = request.header("keyfold-csrf", &self.csrf);
        }
        if let Some(SignedAct { act, assertion }) = signed {
            let assertion = json!(Base64Url(assertion.to_string().into_bytes()));
            request = request.header("keyfold-act", act).header("keyfold-assertion", assertion.as_str().unwrap());
        }
        if body.is_null() {
            return request;
        }
        request.header("content-type", "application/json").body(text_of(body))
    }
}

/// Status and JSON of an answer, which must be documented.
pub async fn read((method, path): (&str, &str), answer: reqwest::Response) -> (u16, Value) {
    let (status, body) = (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null));
    let code = if status < 400 { "" } else { body["code"].as_str().unwrap_or("none") };
    assert_documented(&method.to_lowercase(), path, (status, code));
    (status, body)
}

fn text_of(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

/// The link with which the first administrator joins, where the broker printed one.
pub fn first_link(broker: &Broker) -> Option<String> {
    let printed = broker.printed();
    let (_, link) = printed.split_once("first administrator: ")?;
    Some(link.lines().next()?.to_owned())
}
