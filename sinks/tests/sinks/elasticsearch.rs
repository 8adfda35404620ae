//! The `_bulk` API: what only it does.

use crate::https::{Trial, clear};
use crate::messages::events;
use audit::event::Outcome;
use counterparts::elasticsearch::{DATA_STREAM, Elasticsearch};
use counterparts::front::{Fault, Front};
use keyfold_sinks::elasticsearch::{ElasticsearchSink, Login, Options};
use keyfold_sinks::https::Connection;
use keyfold_sinks::{PauseReason, Refused, Sink, Trouble};
use secret::Secret;
use std::time::Duration;

fn options(url: &str, connection: Connection) -> Options {
    let login = Login::ApiKey(Secret::copied_from(b"aWQ6YXBpLWtleQ=="));
    Options { url: url.into(), target: DATA_STREAM.into(), login, connection }
}

fn open(url: &str) -> ElasticsearchSink {
    ElasticsearchSink::open(&options(url, clear())).unwrap()
}

fn ids(elasticsearch: &Elasticsearch) -> Vec<String> {
    elasticsearch.documents().into_iter().map(|(id, _)| id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_has_its_outcome() {
    let elasticsearch = Elasticsearch::start().await;
    let trial = Trial {
        upstream: elasticsearch.url(),
        open: &|url, connection| Box::new(ElasticsearchSink::open(&options(url, connection)).unwrap()),
        ids: &|| ids(&elasticsearch),
        garbage: [Err(Trouble::Retry { after: None }), Err(Trouble::Paused(PauseReason::Misconfigured))],
        own: &[],
    };
    trial.run().await;
    // What an answer was lost for, and was sent again, is there once.
    assert_eq!(ids(&elasticsearch).len(), 20);
}

#[tokio::test]
async fn each_item_has_its_outcome() {
    let elasticsearch = Elasticsearch::start().await;
    let mut sink = open(&elasticsearch.url());
    let batch = events(0..10);
    elasticsearch.plan(&batch[1].id, 400, "mapper_parsing_exception", usize::MAX);
    elasticsearch.plan(&batch[4].id, 400, "reason: user alice@acme.example", usize::MAX);
    elasticsearch.plan(&batch[6].id, 429, "es_rejected_execution_exception", 1);
    elasticsearch.plan(&batch[8].id, 503, "unavailable_shards_exception", 2);
    assert_eq!(sink.deliver(&batch).await, Err(Trouble::Retry { after: None }));
    assert_eq!(sink.deliver(&batch).await, Err(Trouble::Retry { after: None }));
    let refused = |position, reason| Refused { position, reason: Outcome::from_static(reason) };
    // Words of the receiver that nobody knows go nowhere: they may be an event's.
    let named = vec![refused(1, "mapper_parsing_exception"), refused(4, "http_400")];
    assert_eq!(sink.deliver(&batch).await, Ok(named));
    assert_eq!(ids(&elasticsearch).len(), 8);
    elasticsearch.plan(&batch[0].id, 403, "security_exception", 1);
    assert_eq!(sink.deliver(&batch).await, Err(Trouble::Paused(PauseReason::Unauthorized)));
    elasticsearch.plan(&batch[0].id, 404, "index_not_found_exception", 1);
    assert_eq!(sink.deliver(&batch).await, Err(Trouble::Paused(PauseReason::NotFound)));
}

#[tokio::test]
async fn an_answer_that_leaves_items_out_confirms_nothing() {
    let elasticsearch = Elasticsearch::start().await;
    let front = Front::before(&elasticsearch.url()).await;
    let mut sink = open(&front.url());
    let body = r#"{"items":[{"create":{"status":201}}]}"#.to_owned();
    let headers = vec![("retry-after", "3")];
    front.fail(2, Fault::Answer { status: 200, headers, body });
    assert_eq!(sink.deliver(&events(0..2)).await, Err(Trouble::Retry { after: None }));
    let busy = r#"{"items":[{"create":{"status":429}}]}"#.to_owned();
    front.fail(1, Fault::Answer { status: 200, headers: vec![("retry-after", "3")], body: busy });
    let after = Some(Duration::from_secs(3));
    assert_eq!(sink.deliver(&events(0..1)).await, Err(Trouble::Retry { after }));
}

#[tokio::test]
async fn documents_have_their_time_and_stay_what_they_are() {
    let elasticsearch = Elasticsearch::start().await;
    let front = Front::before(&elasticsearch.url()).await;
    let login = Login::Basic { user: "keyfold".into(), password: Secret::copied_from(b"password") };
    let mut sink = ElasticsearchSink::open(&Options { login, ..options(&front.url(), clear()) }).unwrap();
    let mut batch = events(0..3);
    batch[1].body = br#"{"@timestamp":"2027-01-15T08:00:01Z","event":{"id":"x"}}"#.to_vec();
    batch[2].body = br#"CEF:0|Keyfold|"@timestamp":"#.to_vec();
    assert_eq!(sink.deliver(&batch).await, Ok(vec![]));
    let documents: Vec<_> = elasticsearch.documents().into_iter().map(|(_, document)| document.to_string()).collect();
    assert_eq!(documents[0], r#"{"@timestamp":"2027-01-15T08:00:00Z","id":"broker.example/acme#0","index":0}"#);
    assert_eq!(documents[1], r#"{"@timestamp":"2027-01-15T08:00:01Z","event":{"id":"x"}}"#);
    let text = r#"{"@timestamp":"2027-01-15T08:00:02Z","message":"CEF:0|Keyfold|\"@timestamp\":"}"#;
    assert_eq!(documents[2], text);
    assert_eq!(front.seen()[0].path, "/logs-keyfold-default/_bulk?filter_path=items.*.status,items.*.error.type");
    let wrong = Login::ApiKey(Secret::copied_from(b"d3Jvbmc6a2V5"));
    let mut sink = ElasticsearchSink::open(&Options { login: wrong, ..options(&front.url(), clear()) }).unwrap();
    assert_eq!(sink.deliver(&events(0..1)).await, Err(Trouble::Paused(PauseReason::Unauthorized)));
}
