use super::Client;
use crate::https::{Connection, MAX_ANSWER};
use crate::{PauseReason, Trouble};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// A resolver that gives another answer each time.
struct Rebinding {
    answers: Vec<Vec<Ipv4Addr>>,
    asked: AtomicUsize,
}

impl Resolve for Rebinding {
    fn resolve(&self, _: Name) -> Resolving {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let addresses: Vec<_> = self.answers[asked].iter().map(|to| SocketAddr::from((*to, 0))).collect();
        Box::pin(async { Ok(Box::new(addresses.into_iter()) as Addrs) })
    }
}

/// Two listeners on one port: the one at 127.0.0.2 hangs up on whoever comes.
async fn listeners() -> (u16, TcpListener) {
    loop {
        let listed = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = listed.local_addr().unwrap().port();
        let Ok(private) = TcpListener::bind(("127.0.0.1", port)).await else { continue };
        tokio::spawn(async move { while listed.accept().await.is_ok() {} });
        return (port, private);
    }
}

/// What each of three calls comes to, and whether anybody connected to 127.0.0.1.
async fn calls(answers: [&[Ipv4Addr]; 3]) -> ([Trouble; 3], bool) {
    let (port, private) = listeners().await;
    let connection = Connection {
        ca_pem: None,
        identity_pem: None,
        allow_networks: vec!["127.0.0.2/32".parse().unwrap()],
        timeout: Duration::from_secs(5),
    };
    let answers = answers.map(<[_]>::to_vec).into();
    let client = Client::with_names(&connection, Rebinding { answers, asked: AtomicUsize::new(0) }).unwrap();
    let url = client.address(&format!("https://siem.example:{port}/")).unwrap();
    let call = || async { client.send(client.post(url.clone()), MAX_ANSWER).await.unwrap_err() };
    let troubles = [call().await, call().await, call().await];
    let connected = tokio::time::timeout(Duration::from_millis(50), private.accept()).await.is_ok();
    (troubles, connected)
}

#[tokio::test]
async fn a_name_that_changes_its_address_leads_nowhere_else() {
    let (listed, private) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::LOCALHOST);
    let (connected, forbidden) = (Trouble::Retry { after: None }, Trouble::Paused(PauseReason::Forbidden));
    let answers = [&[listed][..], &[private], &[private, listed]];
    assert_eq!(calls(answers).await, ([connected.clone(), forbidden.clone(), connected], false));
}

#[tokio::test]
async fn a_literal_address_is_checked_where_it_is_sent_too() {
    let connection =
        Connection { ca_pem: None, identity_pem: None, allow_networks: vec![], timeout: Duration::from_secs(5) };
    let client = Client::new(&connection).unwrap();
    let request = client.post("https://127.0.0.1/".parse().unwrap());
    assert_eq!(client.send(request, MAX_ANSWER).await.unwrap_err(), Trouble::Paused(PauseReason::Forbidden));
}

#[test]
fn what_an_io_error_wraps_is_found() {
    let inner = io::Error::other(rustls::Error::DecryptError);
    assert!(super::caused_by::<rustls::Error>(&io::Error::other(inner)));
    assert!(!super::caused_by::<rustls::Error>(&io::Error::other("plain")));
}
