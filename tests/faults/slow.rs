//! Ten thousand clients that send a byte a second: honest ones are served beside them, and none of them stays. And honest
//! ones whose body comes a moment after its headers.

use crate::harness::{Broker, Raw, TENANT};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

const CLIENTS: usize = 10_000;
/// Of these so many finish the TLS handshake first.
const IN_TLS: usize = 5_000;
/// The default limit for handshake and headers, and for a body.
const LIMIT: Duration = Duration::from_secs(10);
/// Nobody may stay longer than handshake, headers and body together may take, on a busy machine.
const LONGEST: Duration = Duration::from_secs(90);

/// What a client says, a byte a second.
#[derive(Clone, Copy)]
enum Says {
    /// A TLS handshake that never ends.
    Hello,
    /// Nothing at all, after a whole handshake.
    Nothing,
    /// The beginning of HTTP/2.
    Preface,
    /// Headers that never end.
    Headers,
    /// Whole headers, and a body that never ends.
    Body,
}

const IN_TLS_THEY_SAY: [Says; 4] = [Says::Nothing, Says::Preface, Says::Headers, Says::Body];

impl Says {
    /// What is sent at once, and what is sent slowly.
    fn words(self) -> (&'static [u8], &'static [u8]) {
        match self {
            // A record header that announces 512 bytes of handshake, and the first of them.
            Self::Hello => (&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], &[0; 300]),
            Self::Nothing => (b"", b""),
            Self::Preface => (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
            Self::Headers => (b"POST /v1/tenants/acme/records HTTP/1.1\r\nHost: x\r\n", &[b'x'; 300]),
            Self::Body => (
                b"POST /v1/tenants/acme/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/jose+json\r\n\
                  Content-Length: 500\r\n\r\n",
                &[b'{'; 300],
            ),
        }
    }
}

/// Counts who is connected.
#[derive(Default)]
struct Crowd {
    connected: AtomicUsize,
    most: AtomicUsize,
    failed: AtomicUsize,
}

impl Crowd {
    fn enter(&self) {
        let now = self.connected.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.connected.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_slow_clients_keep_no_honest_one_waiting() {
    let open_files = getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20);
    assert!(open_files > 12_000, "10,000 connections need more open files than {open_files}");
    setrlimit(Resource::Nofile, Rlimit { current: Some(open_files), maximum: Some(open_files) }).unwrap();
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    let (before, crowd) = (resident_kib(&broker), Arc::new(Crowd::default()));
    let mut clients = JoinSet::new();
    let tls = TlsConnector::from(Arc::new(tls(&broker)));
    let begun = Instant::now();
    for number in 0..CLIENTS {
        let says = if number < CLIENTS - IN_TLS { Says::Hello } else { IN_TLS_THEY_SAY[number % 4] };
        clients.spawn(dawdle(broker.port, tls.clone(), says, crowd.clone()));
        if number % 50 == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    let mut slowest = Duration::ZERO;
    let mut generation = 0;
    while begun.elapsed() < 3 * LIMIT {
        generation += 1;
        let started = Instant::now();
        serve_honestly(&device, generation).await;
        slowest = slowest.max(started.elapsed());
    }
    let (after, most) = (resident_kib(&broker), crowd.most.load(Ordering::SeqCst));
    timeout(LONGEST, async { while clients.join_next().await.is_some() {} })
        .await
        .expect("every slow client is sent away");
    eprintln!(
        "at most {most} connected, {} could not connect, gone after {:?}; {generation} honest restores, slowest {slowest:?}; \
         {before} KiB before, {after} KiB after",
        crowd.failed.load(Ordering::SeqCst),
        begun.elapsed()
    );
    assert!(most >= CLIENTS / 2, "only {most} were there at once");
    assert!(after < before + 1024 * 1024, "{before} KiB before, {after} KiB after");
}

/// A backup and a restore of it, each request within the timeout of an ordinary client.
async fn serve_honestly(device: &Raw, generation: u64) {
    device.backup("identity", generation, b"any day").await;
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.status, 200);
    assert_eq!(device.acknowledge(&opened).await.status, 204);
}

fn resident_kib(broker: &Broker) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// As clients do that write headers and body one after the other, and then use the connection again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_whose_body_comes_late() {
    let broker = Broker::start().await;
    let mut tls = tls(&broker);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", broker.port)).await.unwrap();
    let connector = TlsConnector::from(Arc::new(tls));
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    for path in ["/v1/admin/tenants", "/v1/admin/tenants/acme/keks/none/disable", "/v1/tenants/acme/devices", "/"] {
        let headers = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n");
        stream.write_all(headers.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        sleep(Duration::from_millis(100)).await;
        stream.write_all(b"{}").await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = [0; 4096];
        let read = timeout(LIMIT, stream.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 4"), "{path}: {}", String::from_utf8_lossy(&answer[..read]));
    }
}

fn tls(broker: &Broker) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(broker.path("ca.pem")).unwrap()).unwrap();
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls
}

/// Talks slowly until it is sent away.
async fn dawdle(port: u16, tls: TlsConnector, says: Says, crowd: Arc<Crowd>) {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        crowd.failed.fetch_add(1, Ordering::SeqCst);
        return;
    };
    crowd.enter();
    match says {
        Says::Hello => talk(stream, says).await,
        Says::Nothing | Says::Preface | Says::Headers | Says::Body => {
            if let Ok(stream) = tls.connect(ServerName::try_from("localhost").unwrap(), stream).await {
                talk(stream, says).await;
            }
        }
    }
    crowd.leave();
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, says: Says) {
    let (at_once, slowly) = says.words();
    let mut slowly = slowly.iter();
    if stream.write_all(at_once).await.and(stream.flush().await).is_err() {
        return;
    }
    let mut answer = [0; 1024];
    loop {
        match timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(_)) => {}
            Err(_) => {
                if let Some(byte) = slowly.next()
                    && stream.write_all(&[*byte]).await.and(stream.flush().await).is_err()
                {
                    return;
                }
            }
        }
    }
}
