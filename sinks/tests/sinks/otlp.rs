//! OTLP: what a real collector prints of what it was sent, and a partial success that must not be sent again.

use crate::https::{Trial, clear};
use crate::messages::{checkpoint, events};
use audit::event::Outcome;
use counterparts::front::{Fault, Front};
use counterparts::rotel::Rotel;
use keyfold_sinks::https::Connection;
use keyfold_sinks::otlp::{Options, OtlpSink};
use keyfold_sinks::{Delivery, Message, Severity, Sink, Trouble};
use secret::Secret;

fn sink(url: &str, gzip: bool, connection: Connection) -> OtlpSink {
    let headers = vec![("x-api-key".to_owned(), Secret::copied_from(b"the key"))];
    OtlpSink::open(&Options { url: format!("{url}/v1/logs"), headers, gzip, connection }).unwrap()
}

#[tokio::test]
async fn a_collector_finds_everything_in_its_place() {
    let rotel = Rotel::start().await;
    let front = Front::before(&rotel.url()).await;
    let mut messages = events(7..9);
    messages[0].severity = Severity::High;
    messages[1].body = "{\"quoted\":\"ä\\\"\"}".into();
    messages.push(Message { origin: audit::Origin::new("broker.example/other").unwrap(), ..checkpoint(9) });
    for gzip in [false, true] {
        let mut sink = sink(&front.url(), gzip, clear());
        assert_eq!(sink.delivery(), Delivery::Transmitted);
        assert_eq!(sink.deliver(&messages).await, Ok(Vec::new()));
        assert_eq!(front.seen().last().unwrap().headers["x-api-key"], "the key");
        assert_eq!(front.seen().last().unwrap().headers.contains_key("content-encoding"), gzip);
    }
    let output = rotel.output_with("keyfold.size").await;
    let expected = [
        "service.name: Str(keyfold)",
        "keyfold.origin: Str(broker.example/acme)",
        "keyfold.tenant: Str(acme)",
        "InstrumentationScope keyfold.audit",
        "Timestamp: 1800000007000000000",
        "SeverityText: High",
        "SeverityNumber: SEVERITY_NUMBER_ERROR(17)",
        "EventName: record.wrapped",
        "Body: Str({\"id\":\"broker.example/acme#7\",\"index\":7})",
        "log.record.uid: Str(broker.example/acme#7)",
        "keyfold.index: Int(7)",
        "SeverityNumber: SEVERITY_NUMBER_INFO(9)",
        "Body: Str({\"quoted\":\"ä\\\"\"})",
        "keyfold.index: Int(8)",
        "keyfold.tenant: Str(other)",
        "EventName: log.checkpoint",
        "keyfold.size: Int(9)",
    ];
    let mut rest = output.as_str();
    for line in expected {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line} is not where it should be:\n{output}"));
        rest = &rest[at..];
    }
}

#[tokio::test]
async fn a_partial_success_is_reported_and_never_retried() {
    let front = Front::before("http://127.0.0.1:1").await;
    let mut sink = sink(&front.url(), false, clear());
    let full = r#"{"partialSuccess":{"errorMessage":"a warning"}}"#;
    for body in ["", "{}", r#"{"partialSuccess":null}"#, full, r#"{"partialSuccess":{"rejectedLogRecords":"0"}}"#] {
        front.fail(None, Fault::Answer { status: 200, headers: vec![], body: body.to_owned() });
        assert_eq!(sink.deliver(&events(0..3)).await, Ok(Vec::new()), "{body}");
    }
    for count in ["1", "\"2\""] {
        let body = format!(r#"{{"partialSuccess":{{"rejectedLogRecords":{count},"errorMessage":"no"}}}}"#);
        front.fail(None, Fault::Answer { status: 200, headers: vec![], body });
        let refused = sink.deliver(&events(0..3)).await.unwrap();
        assert_eq!(refused.iter().map(|refused| refused.position).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(refused.iter().all(|refused| refused.reason.as_str() == "partial_success"));
    }
    // 202 is what proxies say that pass things on later; no collector does.
    for (status, body) in [(202, "{}"), (204, ""), (200, "<html>"), (200, "[1]"), (200, r#"{"partialSuccess":7}"#)] {
        front.fail(None, Fault::Answer { status, headers: vec![], body: body.to_owned() });
        assert_eq!(sink.deliver(&events(0..3)).await, Err(Trouble::Retry { after: None }), "{status} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_has_its_outcome() {
    let rotel = Rotel::start().await;
    let trial = Trial {
        upstream: rotel.url(),
        open: &|url, connection| Box::new(sink(url, false, connection)),
        ids: &|| ids(&rotel),
        garbage: [Err(Trouble::Retry { after: None }), Err(Trouble::Refused(Outcome::from_static("http_400")))],
        own: &[],
    };
    trial.run().await;
}

fn ids(rotel: &Rotel) -> Vec<String> {
    let output = rotel.output();
    let ids = output.lines().filter_map(|line| line.trim().strip_prefix("-> log.record.uid: Str(")?.strip_suffix(')'));
    ids.map(str::to_owned).collect()
}
