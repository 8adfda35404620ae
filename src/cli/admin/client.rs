//! The admin API over HTTPS.

use crate::api::{Page, PageQuery};
use crate::cli::{Failure, output};
use crate::config::secret_file;
use clap::Args;
use protocol::messages::Problem;
use reqwest::{Certificate, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Which broker, and as whom.
#[derive(Debug, Args)]
pub(in crate::cli) struct Connection {
    /// The broker's URL.
    #[arg(long, env = "KEYFOLD_URL")]
    url: String,
    /// The certificate authority to trust, PEM.
    #[arg(long, env = "KEYFOLD_CA")]
    ca: PathBuf,
    /// A file with the API token.
    #[arg(long, env = "KEYFOLD_TOKEN_FILE")]
    token_file: PathBuf,
}

/// One broker, one token, one way of printing.
pub(in crate::cli) struct Client {
    http: reqwest::Client,
    url: String,
    token: Zeroizing<String>,
    json: bool,
}

impl Client {
    pub(in crate::cli) fn new(connection: &Connection, json: bool) -> Result<Self, Failure> {
        let Connection { url, ca, token_file } = connection;
        let roots = Certificate::from_pem_bundle(&std::fs::read(ca)?)?;
        let http = reqwest::Client::builder()
            .https_only(true)
            .tls_certs_only(roots)
            .timeout(Duration::from_secs(60))
            .user_agent(concat!("keyfold/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let token = Zeroizing::new(String::from_utf8(secret_file(token_file)?.to_vec())?);
        Ok(Self { http, url: url.trim_end_matches('/').into(), token, json })
    }

    /// Posts to a path below `/v1/admin/tenants`.
    pub(in crate::cli) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        ask: &impl Serialize,
    ) -> Result<T, Failure> {
        let response = self.send(self.http.post(self.admin_url(path)).json(ask)).await?;
        Ok(response.json().await?)
    }

    /// Gets a path below `/v1/admin/tenants`.
    pub(in crate::cli) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, Failure> {
        let response = self.send(self.http.get(self.admin_url(path)).query(query)).await?;
        Ok(response.json().await?)
    }

    /// Gets the text of any path.
    pub(super) async fn text(&self, path: &str) -> Result<String, Failure> {
        Ok(self.send(self.http.get(format!("{}{path}", self.url))).await?.text().await?)
    }

    /// Gets the bytes of any path.
    pub(in crate::cli) async fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.send(self.http.get(format!("{}{path}", self.url))).await?.bytes().await?.into())
    }

    /// Prints all pages of a list.
    pub(super) async fn list<T: DeserializeOwned + Serialize>(
        &self,
        path: &str,
        headings: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        let mut items: Vec<T> = Vec::new();
        let mut query = PageQuery { limit: Some(1_000), ..PageQuery::default() };
        loop {
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => query.after = next,
                None => break,
            }
        }
        self.table(&items, headings, items.iter().map(row).collect())
    }

    /// Prints something that has rows for people.
    pub(super) fn table(
        &self,
        thing: &impl Serialize,
        headings: &[&str],
        rows: Vec<Vec<String>>,
    ) -> Result<(), Failure> {
        if self.json { output::json(thing) } else { output::table(headings, rows) }
    }

    /// Prints one thing.
    pub(super) fn show<T: Serialize>(&self, thing: &T, text: impl Fn(&T) -> String) -> Result<(), Failure> {
        if self.json { output::json(thing) } else { output::line(&text(thing)) }
    }

    fn admin_url(&self, path: &str) -> String {
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{}/v1/admin/tenants{slash}{path}", self.url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.bearer_auth(self.token.as_str()).send().await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem: Problem = response.json().await.map_err(|_| format!("the broker answers {status}"))?;
        let detail = problem.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        Err(format!("{} ({}){detail}", problem.title, problem.code).into())
    }
}
