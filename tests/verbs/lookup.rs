//! One thing by its id, searches, narrowed lists, what goes on, and events as they happen.

use crate::harness::{Broker, Raw, TENANT};
use audit::note::Verifier;
use audit::receipt::Receipt;
use serde_json::{Value, json};

async fn got(broker: &Broker, path: &str) -> Value {
    let (status, answer) = broker.admin(&format!("/{TENANT}{path}"), None).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

/// A tenant with two users, of which each has backed up and restored one record; gives the log's verifier key.
async fn lively(broker: &Broker) -> String {
    let vkey = broker.with_tenant().await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    for user in ["alice", "bob"] {
        let device = Raw::enrol(broker, TENANT, user).await;
        device.backup("identity", 1, b"any key").await;
        let (opened, _) = device.open("identity").await;
        assert_eq!(device.release(&opened).await.status, 200);
        device.acknowledge(&opened).await;
    }
    vkey
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_is_found_by_its_id_in_its_own_tenant_only() {
    let broker = Broker::start().await;
    lively(&broker).await;
    broker.tenant("other", "carol").await;
    for (list, kind) in [("devices", "device"), ("records", "record"), ("restores", "restore"), ("keks", "kek")] {
        let all = got(&broker, &format!("/{list}")).await;
        let id = ids(&all)[0];
        let one = got(&broker, &format!("/{list}/{id}")).await;
        assert_eq!(if kind == "kek" { &one["kek"]["id"] } else { &one["id"] }, id);
        assert_eq!(got(&broker, &format!("/search?q={id}")).await["hits"], json!([{"kind": kind, "id": id}]));
        let (status, _) = broker.admin(&format!("/other/{list}/{id}"), None).await;
        assert_eq!(status, 404, "{list} of another tenant");
        let (_, foreign) = broker.admin(&format!("/other/search?q={id}"), None).await;
        assert_eq!(foreign["hits"], json!([]), "{list} of another tenant");
    }
    assert_eq!(got(&broker, "/users/alice").await["state"], "active");
    assert_eq!(broker.admin("/other/users/alice", None).await.0, 404);
    assert_eq!(got(&broker, "/search?q=al").await["hits"], json!([{"kind": "user", "id": "alice"}]));
    assert_eq!(got(&broker, "/search?q=a%25").await["hits"], json!([]), "nothing in it is a wildcard");
    let event = &got(&broker, "/search?q=3").await["hits"][0];
    assert_eq!(event, &json!({"kind": "event", "id": 3}));
    for query in ["q=", "", "q=1&x=2"] {
        assert_eq!(broker.admin(&format!("/{TENANT}/search?{query}"), None).await.0, 400, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_narrowed_and_turned_round() {
    let broker = Broker::start().await;
    lively(&broker).await;
    for list in ["devices", "records", "restores"] {
        let bobs = got(&broker, &format!("/{list}?user=bob")).await;
        assert_eq!((bobs["items"].as_array().unwrap().len(), &bobs["items"][0]["user"]), (1, &json!("bob")), "{list}");
    }
    let all = got(&broker, "/restores").await;
    let (newest, oldest) = (ids(&all)[1], ids(&all)[0]);
    let first = got(&broker, "/restores?newest_first=true&limit=1").await;
    assert_eq!((ids(&first), &first["next"]), (vec![newest], &json!(newest)));
    let second = got(&broker, &format!("/restores?newest_first=true&limit=1&after={newest}")).await;
    assert_eq!((ids(&second), &second["next"]), (vec![oldest], &Value::Null));
    assert_eq!(ids(&got(&broker, "/restores?state=acknowledged").await).len(), 2);
    assert_eq!(ids(&got(&broker, "/restores?state=pending").await).len(), 0);
    let device = all["items"][0]["device"].as_str().unwrap();
    assert_eq!(ids(&got(&broker, &format!("/restores?device={device}")).await), [oldest]);
    assert_eq!(broker.admin(&format!("/{TENANT}/restores?state=no_such"), None).await.0, 400);
}

fn indices(events: &Value) -> Vec<u64> {
    events["events"].as_array().unwrap().iter().map(|event| event["index"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_by_what_they_say_in_clear() {
    let broker = Broker::start().await;
    let vkey = lively(&broker).await;
    let log = broker.verified_log(TENANT, &vkey);
    let expected = |like: &dyn Fn(&Value) -> bool| -> Vec<u64> {
        log.iter().filter(|event| like(event)).map(|event| event["index"].as_u64().unwrap()).collect()
    };
    let restore = log.iter().find(|event| event["evt"] == "restore.released").unwrap();
    let (correlation, kek) = (restore["cor"].as_str().unwrap(), log[1]["kek"]["id"].as_str().unwrap());
    let starts = |event: &Value, group: &str| event["evt"].as_str().unwrap().starts_with(group);
    let cases: [(String, Vec<u64>); 6] = [
        ("evt=restore.released".into(), expected(&|event| event["evt"] == "restore.released")),
        ("evt=restore.*".into(), expected(&|event| starts(event, "restore."))),
        (format!("cor={correlation}"), expected(&|event| event["cor"] == correlation)),
        (format!("kek={kek}&evt=record.*"), expected(&|event| event["kek"]["id"] == kek && starts(event, "record."))),
        ("prov=software".into(), expected(&|event| event["prov"] == "software")),
        ("out=no_such".into(), vec![]),
    ];
    for (query, mut found) in cases {
        assert_eq!(indices(&got(&broker, &format!("/events?{query}")).await), found, "{query}");
        found.reverse();
        assert_eq!(indices(&got(&broker, &format!("/events?{query}&newest_first=true")).await), found, "{query}");
        // One at a time, wherever the answer says that it goes on.
        let (mut paged, mut place) = (Vec::new(), Some(log.len() as u64));
        while let Some(to) = place {
            let page = got(&broker, &format!("/events?{query}&newest_first=true&limit=1&to={to}")).await;
            paged.extend(indices(&page));
            place = page["next"].as_u64();
        }
        assert_eq!(paged, found, "{query}");
    }
    let page = got(&broker, "/events?limit=2").await;
    assert_eq!((indices(&page), &page["next"]), (vec![0, 1], &json!(2)));
    assert_eq!(indices(&got(&broker, "/events?from=2&to=4").await), [2, 3]);
    for query in ["limit=0", "from=1&since=1", "cor=x", "evil=1"] {
        assert_eq!(broker.admin(&format!("/{TENANT}/events?{query}"), None).await.0, 400, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_with_its_proof_and_the_log_says_how_it_stands() {
    let broker = Broker::start().await;
    let vkey = lively(&broker).await;
    let standing = got(&broker, "/log").await;
    assert_eq!((&standing["vkey"], &standing["witnesses"]), (&json!(vkey), &json!([])));
    let size = standing["size"].as_u64().unwrap();
    for index in [0, 4, size - 1] {
        let proven = got(&broker, &format!("/events/{index}")).await;
        let receipt = Receipt::parse(proven["proof"].as_str().unwrap()).unwrap();
        let leaf = proven["event"]["leaf"].as_str().unwrap();
        receipt.verify(leaf.as_bytes(), &[Verifier::parse(&vkey).unwrap()]).unwrap();
        assert_eq!(receipt.index, index);
    }
    assert_eq!(broker.admin(&format!("/{TENANT}/events/{size}"), None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_counts_what_the_log_has() {
    let broker = Broker::start().await;
    lively(&broker).await;
    let code = broker.code(TENANT, "bob").await;
    let hours = got(&broker, "/activity?hours=2").await;
    let hours = hours["hours"].as_array().unwrap();
    let sum = |name: &str| hours.iter().map(|hour| hour[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((hours.len(), sum("wraps"), sum("restores"), sum("refusals"), sum("failures")), (2, 2, 2, 0, 0));
    assert!(hours.iter().any(|hour| hour["wrap_latency"]["p50"].as_u64().is_some_and(|took| took > 0)), "{hours:?}");
    drop(code);
    assert_eq!(got(&broker, "/activity").await["hours"].as_array().unwrap().len(), 24);
    for query in ["hours=0", "hours=745"] {
        assert_eq!(broker.admin(&format!("/{TENANT}/activity?{query}"), None).await.0, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gives_what_happens_from_where_it_was_left() {
    let mut broker = Broker::start().await;
    broker.with_tenant().await;
    let size = got(&broker, "/log").await["size"].as_u64().unwrap();
    let url = broker.url(&format!("/v1/admin/tenants/{TENANT}/stream"));
    let ask = broker.http().get(&url).bearer_auth(broker.token()).header("last-event-id", (size - 2).to_string());
    let mut stream = ask.send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    let mut text = String::new();
    while !text.contains(&format!("id: {size}\n")) {
        text += str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap();
    }
    let seen: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("id: ")).map(str::to_owned).collect();
    // Where it goes on from, then the events.
    assert_eq!(seen, [(size - 2).to_string(), (size - 1).to_string(), size.to_string()]);
    assert_eq!(text.lines().filter(|line| line.starts_with("data: ")).count(), 2);
    assert_eq!(broker.http().get(&url).send().await.unwrap().status(), 401);
    let wrong = broker.http().get(&url).bearer_auth(broker.token()).header("last-event-id", "x");
    assert_eq!(wrong.send().await.unwrap().status(), 400);
    // It ends with the broker, which waits for no stream.
    broker.stop();
}
