//! Syslog, against rsyslog and syslog-ng: over mutual TLS or not at all, whole messages, and nothing lost with a connection.

use crate::messages::events;
use counterparts::syslog::Program::{Rsyslog, SyslogNg};
use counterparts::syslog::{Program, SyslogServer};
use counterparts::tls::{Authority, Flaw};
use keyfold_sinks::syslog::{Options, SyslogSink};
use keyfold_sinks::tcp::Security;
use keyfold_sinks::{Delivery, Message, PauseReason, Place, Severity, Sink, Trouble};
use secret::Secret;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::time::timeout;

const MAX_MESSAGE: usize = 64 * 1024;

fn tls(ca: &Authority, identity_pem: Option<&str>) -> Security {
    let identity_pem = identity_pem.map(|pem| Secret::copied_from(pem.as_bytes()));
    Security::Tls { ca_pem: Some(ca.pem().into()), identity_pem }
}

fn sink(address: &str, security: Security) -> SyslogSink {
    let address = address.parse().unwrap();
    SyslogSink::new(Options { address, security, max_message_bytes: MAX_MESSAGE }).unwrap()
}

/// A server and a sink that trust each other.
fn pair(program: Program) -> (SyslogServer, SyslogSink) {
    let authority = Authority::new();
    let server = SyslogServer::start(program, &authority, &authority.server_pem(None));
    let sink = sink(&format!("localhost:{}", server.port()), tls(&authority, Some(&authority.client_pem())));
    (server, sink)
}

/// The bodies of lines as rsyslog keeps them: what comes after the structured data.
fn bodies(lines: &[Vec<u8>]) -> Vec<&[u8]> {
    let body = |line: &'_ Vec<u8>| line.windows(2).position(|end| end == b"] ").map(|at| at + 2);
    lines.iter().map(|line| &line[body(line).unwrap()..line.len() - 1]).collect()
}

fn sent(batch: &[Message]) -> Vec<&[u8]> {
    batch.iter().map(|message| message.body.as_slice()).collect()
}

#[tokio::test]
async fn rsyslog_has_each_message_once_and_byte_for_byte() {
    let (server, mut sink) = pair(Rsyslog);
    assert_eq!(sink.delivery(), Delivery::Transmitted);
    let mut all = events(0..2_000);
    all[700].body = format!("{{\"name\":\"Zoë ] \\\" <14>1 {}\"}}", "x".repeat(60_000)).into();
    for batch in [&all[..1], &all[1..1_000], &all[1_000..]] {
        assert_eq!(sink.deliver(batch).await, Ok(Vec::new()));
    }
    let lines = server.lines(all.len());
    assert_eq!(bodies(&lines), sent(&all));
    let first = String::from_utf8_lossy(&lines[0]);
    assert!(
        first.starts_with(
            "<110>1 2027-01-15T08:00:00Z broker.example keyfold - record.wrapped \
             [keyfold@32473 id=\"broker.example/acme#0\" index=\"0\" origin=\"broker.example/acme\"] {"
        ),
        "{first}"
    );
}

#[tokio::test]
async fn syslog_ng_reads_what_was_meant() {
    let (server, mut sink) = pair(SyslogNg);
    let mut batch = events(5..8);
    batch[1].severity = Severity::High;
    batch[2].place = Place::Checkpoint(8);
    batch[2].id = "broker.example/acme@8".into();
    batch[2].name = "log.checkpoint";
    sink.deliver(&batch).await.unwrap();
    let lines: Vec<Value> = server.lines(3).iter().map(|line| serde_json::from_slice(line).unwrap()).collect();
    for (line, message) in lines.iter().zip(&batch) {
        let data = &line["_SDATA"]["keyfold@32473"];
        assert_eq!(data["id"], message.id.as_str(), "{line}");
        assert_eq!(data["origin"], "broker.example/acme");
        assert_eq!(line["HOST"], "broker.example");
        assert_eq!(line["PROGRAM"], "keyfold");
        assert_eq!(line["MSGID"], message.name);
        assert_eq!(line["MESSAGE"].as_str().unwrap().as_bytes(), message.body);
    }
    assert_eq!(lines[0]["PRIORITY"], "info");
    assert_eq!(lines[1]["PRIORITY"], "crit");
    assert_eq!(lines[0]["_SDATA"]["keyfold@32473"]["index"], "5");
    assert_eq!(lines[2]["_SDATA"]["keyfold@32473"]["size"], "8");
}

#[tokio::test]
async fn without_trust_in_both_directions_nothing_is_sent() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let identity = authority.client_pem();
    let server = SyslogServer::start(Rsyslog, &authority, &authority.server_pem(None));
    let expired = SyslogServer::start(Rsyslog, &authority, &authority.server_pem(Some(Flaw::Expired)));
    let elsewhere = SyslogServer::start(Rsyslog, &authority, &authority.server_pem(Some(Flaw::OtherName)));
    let other = SyslogServer::start(SyslogNg, &authority, &authority.server_pem(None));
    let at = |server: &SyslogServer| format!("localhost:{}", server.port());
    let cases = [
        ("no client certificate", at(&server), tls(&authority, None)),
        ("no client certificate", at(&other), tls(&authority, None)),
        ("a stranger's client certificate", at(&server), tls(&authority, Some(&stranger.client_pem()))),
        ("a stranger's client certificate", at(&other), tls(&authority, Some(&stranger.client_pem()))),
        ("a server of a stranger", at(&server), tls(&stranger, Some(&identity))),
        ("an expired server", at(&expired), tls(&authority, Some(&identity))),
        ("another name", at(&elsewhere), tls(&authority, Some(&identity))),
    ];
    for (case, address, security) in cases {
        let delivered = sink(&address, security).deliver(&events(0..3)).await;
        assert_eq!(delivered, Err(Trouble::Paused(PauseReason::Tls)), "{case}");
    }
    let mut trusted = sink(&at(&server), tls(&authority, Some(&identity)));
    trusted.deliver(&events(7..8)).await.unwrap();
    assert_eq!(bodies(&server.lines(1)), sent(&events(7..8)));
    assert!([expired, elsewhere, other].iter().all(|server| server.received().is_empty()));
}

#[tokio::test]
async fn plaintext_goes_to_this_machine_only() {
    let mut sink = sink("192.0.2.1:514", Security::Plaintext);
    let delivered = timeout(Duration::from_secs(5), sink.deliver(&events(0..1))).await.unwrap();
    assert_eq!(delivered, Err(Trouble::Paused(PauseReason::Forbidden)));
}

#[tokio::test]
async fn what_a_receiver_would_cut_is_named_and_the_rest_is_sent() {
    let (server, mut sink) = pair(Rsyslog);
    let mut batch = events(0..4);
    batch[2].body = vec![b'x'; MAX_MESSAGE];
    let refused = sink.deliver(&batch).await.unwrap();
    assert_eq!(refused.iter().map(|refused| refused.position).collect::<Vec<_>>(), [2]);
    assert_eq!(refused[0].reason.as_str(), "message_too_large");
    batch.remove(2);
    assert_eq!(bodies(&server.lines(3)), sent(&batch));
}

#[tokio::test]
async fn what_went_down_with_a_receiver_is_sent_again_to_its_successor() {
    let (mut server, mut sink) = pair(Rsyslog);
    sink.deliver(&events(0..10)).await.unwrap();
    assert_eq!(bodies(&server.lines(10)), sent(&events(0..10)));
    server.kill();
    server.restart();
    retried(&mut sink, &events(10..20)).await;
    let before = server.lines(30);
    assert_eq!(bodies(&before), [sent(&events(0..10)), sent(&events(0..20))].concat());
    // It takes these from the network, but never reads them.
    server.pause();
    sink.deliver(&events(20..30)).await.unwrap();
    server.kill();
    assert_eq!(sink.deliver(&events(30..40)).await, Err(Trouble::Retry { after: None }));
    server.restart();
    retried(&mut sink, &events(30..40)).await;
    let lines = server.lines(before.len() + 40);
    assert_eq!(bodies(&lines[before.len()..]), sent(&events(0..40)));
}

#[tokio::test]
async fn a_delivery_given_up_half_way_leaves_no_half_message() {
    let (server, mut sink) = pair(Rsyslog);
    sink.deliver(&events(0..1)).await.unwrap();
    server.pause();
    let mut large = events(1..400);
    large.iter_mut().for_each(|message| message.body = [b"{}".as_slice(), &[b' '; 50_000]].concat());
    let delivered = timeout(Duration::from_secs(2), sink.deliver(&large)).await;
    assert!(delivered.is_err(), "{delivered:?}");
    server.resume();
    let small = events(1..5);
    retried(&mut sink, &small).await;
    // A byte more or less anywhere would put the octet counts of all that follows out of step.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !bodies(&server.lines(6)).ends_with(&sent(&small)) {
        assert!(Instant::now() < deadline, "what came last has not arrived");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (lines, first) = (server.lines(6), events(0..1));
    let known: Vec<_> = [&first, &large, &small].into_iter().flat_map(|batch| sent(batch)).collect();
    assert!(bodies(&lines).iter().all(|body| known.contains(body)));
}

/// As delivery does it, only faster.
async fn retried(sink: &mut SyslogSink, batch: &[Message]) {
    let mut delivered = sink.deliver(batch).await;
    for _ in 0..100 {
        if delivered != Err(Trouble::Retry { after: None }) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        delivered = sink.deliver(batch).await;
    }
    assert_eq!(delivered, Ok(Vec::new()));
}
