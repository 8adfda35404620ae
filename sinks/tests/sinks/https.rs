//! What every sink over HTTPS does in every trouble: one table, run for each of them.

use crate::messages::events;
use audit::event::Outcome;
use counterparts::front::{Fault, Front};
use counterparts::tls::{Authority, Terminator};
use keyfold_sinks::https::Connection;
use keyfold_sinks::{PauseReason, Refused, Sink, Trouble};
use secret::Secret;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Long enough for an answer on a busy machine, short enough to wait for.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A kind of receiver, to be put in trouble.
pub(crate) struct Trial<'t> {
    /// Where it listens, in clear.
    pub(crate) upstream: String,
    /// Opens a sink for it.
    pub(crate) open: &'t dyn Fn(&str, Connection) -> Box<dyn Sink>,
    /// The ids of the events that it has, in the order of their arrival.
    pub(crate) ids: &'t dyn Fn() -> Vec<String>,
    /// What a status of success with a meaningless body comes to, and a 400 with one.
    pub(crate) garbage: [Outcomes; 2],
    /// Statuses that come to something else than with most receivers.
    pub(crate) own: &'t [(u16, Trouble)],
}

type Outcomes = Result<Vec<Refused>, Trouble>;

/// Loopback alone is allowed, and one authority trusted.
pub(crate) fn connection(ca_pem: &str) -> Connection {
    Connection {
        ca_pem: Some(ca_pem.into()),
        identity_pem: None,
        allow_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        timeout: TIMEOUT,
    }
}

/// The same, in clear.
pub(crate) fn clear() -> Connection {
    Connection { ca_pem: None, ..connection("") }
}

impl Trial<'_> {
    /// Plays it all.
    pub(crate) async fn run(&self) {
        self.answers().await;
        self.connections().await;
        self.certificates().await;
    }

    /// One sink through all that a receiver may answer; then everything is there, in order.
    async fn answers(&self) {
        let authority = Authority::new();
        let tls = Terminator::start(authority.server(None), Front::before(&self.upstream).await);
        let mut sink = (self.open)(tls.url(), connection(authority.pem()));
        let batch = events(0..20);
        for (fault, expected) in self.table(tls.url()) {
            let expected = self.own(&fault).map_or(expected, Err);
            let (before, began) = (tls.front().requests(), Instant::now());
            tls.front().fail(1, fault.clone());
            assert_eq!(sink.deliver(&batch).await, expected, "{fault:?}");
            assert_eq!(tls.front().requests() - before, 1, "{fault:?}: sent once, and no redirect is followed");
            assert!(began.elapsed() < 2 * TIMEOUT, "{fault:?}");
        }
        assert_eq!(sink.deliver(&batch).await, Ok(vec![]));
        let mut ids = (self.ids)();
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        assert_eq!(ids, batch.iter().map(|message| message.id.clone()).collect::<Vec<_>>());
    }

    fn own(&self, fault: &Fault) -> Option<Trouble> {
        let Fault::Answer { status, .. } = fault else { return None };
        self.own.iter().find(|(own, _)| own == status).map(|(_, trouble)| trouble.clone())
    }

    fn table(&self, url: &str) -> Vec<(Fault, Outcomes)> {
        let answer = |status, headers: Vec<_>| Fault::Answer { status, headers, body: "{\"secret\":1}".into() };
        let retry = |after| Err(Trouble::Retry { after });
        let paused = |reason| Err(Trouble::Paused(reason));
        let [garbage, bad_request] = self.garbage.clone();
        // A test may leak a line; headers of a fault are static.
        let elsewhere: &'static str = Box::leak(format!("{url}/elsewhere").into_boxed_str());
        vec![
            (answer(429, vec![("retry-after", "7")]), retry(Some(Duration::from_secs(7)))),
            (answer(503, vec![("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), retry(Some(Duration::ZERO))),
            (answer(500, vec![]), retry(None)),
            (answer(502, vec![]), retry(None)),
            (answer(401, vec![]), paused(PauseReason::Unauthorized)),
            (answer(403, vec![]), paused(PauseReason::Unauthorized)),
            (answer(404, vec![]), paused(PauseReason::NotFound)),
            (answer(307, vec![("location", elsewhere)]), paused(PauseReason::NotFound)),
            (answer(415, vec![]), paused(PauseReason::Misconfigured)),
            (answer(413, vec![]), Err(Trouble::Refused(Outcome::from_static("http_413")))),
            (answer(400, vec![]), bad_request),
            (Fault::Garbage, garbage),
            (Fault::Hang, retry(None)),
            (Fault::Reset, retry(None)),
            (Fault::CutMidAnswer, retry(None)),
        ]
    }

    /// Nobody there, and somebody who is not to be reached.
    async fn connections(&self) {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut sink = (self.open)(&format!("https://localhost:{}", closed.port()), connection(Authority::new().pem()));
        assert_eq!(sink.deliver(&events(0..1)).await, Err(Trouble::Retry { after: None }));
        let mut guarded = connection(Authority::new().pem());
        guarded.allow_networks.clear();
        let mut sink = (self.open)("https://localhost:1", guarded);
        assert_eq!(sink.deliver(&events(0..1)).await, Err(Trouble::Paused(PauseReason::Forbidden)));
    }

    /// A server of another authority, one without TLS, and one that asks for a client certificate.
    async fn certificates(&self) {
        let (authority, other) = (Authority::new(), Authority::new());
        let batch = events(0..3);
        let untrusted = Err(Trouble::Paused(PauseReason::Tls));
        let tls = Terminator::start(authority.server(None), Front::before(&self.upstream).await);
        assert_eq!((self.open)(tls.url(), connection(other.pem())).deliver(&batch).await, untrusted);
        let plain = tls.front().url().replace("http:", "https:");
        assert_eq!((self.open)(&plain, connection(authority.pem())).deliver(&batch).await, untrusted);
        assert_eq!(tls.front().requests(), 0);

        let mutual = Terminator::start(authority.mutual_server(None), Front::before(&self.upstream).await);
        // With TLS 1.3 a client is refused after its handshake: HTTP may see the end before the reason. It comes in the end.
        let mut unknown = (self.open)(mutual.url(), connection(authority.pem()));
        let mut delivered = unknown.deliver(&batch).await;
        for _ in 0..20 {
            if delivered == (Err(Trouble::Retry { after: None })) {
                delivered = unknown.deliver(&batch).await;
            }
        }
        assert_eq!(delivered, untrusted);
        assert_eq!(mutual.front().requests(), 0);
        let mut known = connection(authority.pem());
        known.identity_pem = Some(Secret::copied_from(authority.client_pem().as_bytes()));
        assert_eq!((self.open)(mutual.url(), known).deliver(&batch).await, Ok(vec![]));
    }
}
