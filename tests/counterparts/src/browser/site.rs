use crate::server::{Server, listener};
use crate::tls::{Authority, TlsPort};
use axum::Router;
use axum::http::HeaderName;
use axum::routing::get;

/// Somebody's pages, under `https://localhost` on a port of its own. Gone when dropped.
#[derive(Debug)]
pub struct Site {
    url: String,
    _tls: TlsPort,
    _server: Server,
}

/// What a path of a site answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// From the host on.
    pub path: &'static str,
    /// All of them.
    pub headers: Vec<(HeaderName, &'static str)>,
    /// The body.
    pub body: String,
}

impl Site {
    /// Serves these; any other path is 404.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let routes = answers.into_iter().fold(Router::new(), |routes, Answer { path, headers, body }| {
            let answer = move || async move { (axum::response::AppendHeaders(headers), body) };
            routes.route(path, get(answer.clone()).post(answer))
        });
        let inside = listener().await;
        let behind = inside.local_addr().expect("a listener has an address").to_string();
        let tls = TlsPort::start(Authority::new().server(None), behind);
        Self { url: format!("https://localhost:{}", tls.port()), _tls: tls, _server: Server::on(inside, routes) }
    }

    /// `https://localhost:port`: the origin.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A path's URL.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}
