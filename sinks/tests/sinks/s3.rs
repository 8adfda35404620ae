//! S3: objects that are there, whole and locked, read back by Amazon's own client.

use crate::https::{Trial, clear};
use crate::messages::{checkpoint, events};
use counterparts::front::Front;
use counterparts::seaweedfs::{ACCESS_KEY, SECRET_KEY, SeaweedFs};
use keyfold_sinks::https::Connection;
use keyfold_sinks::s3::{Access, Lock, LockMode, OpenError, Options, S3Sink};
use keyfold_sinks::{Delivery, Message, PauseReason, Sink, Trouble};
use secret::Secret;
use std::ops::Range;
use std::time::Duration;

fn options(endpoint: &str, bucket: &str, connection: Connection) -> Options {
    Options {
        bucket: bucket.to_owned(),
        region: "eu-central-1".to_owned(),
        prefix: "logs/".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        access: access(SECRET_KEY),
        lock: None,
        kms_key: None,
        connection,
    }
}

/// For what is not about waiting: on a busy machine the server takes its time.
fn patient() -> Connection {
    Connection { timeout: Duration::from_secs(30), ..clear() }
}

fn access(secret: &str) -> Access {
    let (id, secret) = (ACCESS_KEY.to_owned(), Secret::copied_from(secret.as_bytes()));
    Access::Key { id, secret, session_token: None }
}

/// Each object's name and lines, as boto3 and gzip read them.
fn objects(server: &SeaweedFs, bucket: &str) -> Vec<(String, Vec<String>)> {
    let printed = server.run(&format!(
        "import gzip, json\n\
         for o in client.list_objects_v2(Bucket='{bucket}').get('Contents', []):\n\
         \x20   data = client.get_object(Bucket='{bucket}', Key=o['Key'], ChecksumMode='ENABLED')['Body'].read()\n\
         \x20   print(json.dumps([o['Key'], gzip.decompress(data).decode().splitlines()]))\n"
    ));
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn lines(range: Range<u64>) -> Vec<String> {
    events(range).into_iter().map(|message| String::from_utf8(message.body).unwrap()).collect()
}

#[tokio::test]
async fn a_batch_is_an_object_and_a_resend_is_the_same_object() {
    let server = SeaweedFs::start().await;
    server.run("client.create_bucket(Bucket='plain')");
    let front = Front::before(server.url()).await;
    let mut sink = S3Sink::open(options(&front.url(), "plain", patient())).unwrap();
    assert_eq!(sink.delivery(), Delivery::Confirmed);
    let other = audit::Origin::new("broker.example/b%20&?").unwrap();
    let others = events(1000..1002).into_iter().map(|event| Message { origin: other.clone(), ..event });
    let messages: Vec<_> = events(5..1000).into_iter().chain(others).chain([checkpoint(1000)]).collect();
    for _ in 0..2 {
        assert_eq!(sink.deliver(&messages).await, Ok(Vec::new()));
    }
    let day = "2027/01/15";
    let expected = [
        (format!("logs/broker.example/acme/{day}/00000000000000000005-00000000000000000999.ndjson.gz"), lines(5..1000)),
        (
            format!("logs/broker.example/acme/{day}/checkpoint-00000000000000001000.ndjson.gz"),
            vec![String::from_utf8(checkpoint(1000).body).unwrap()],
        ),
        (
            format!("logs/broker.example/b%20&?/{day}/00000000000000001000-00000000000000001001.ndjson.gz"),
            lines(1000..1002),
        ),
    ];
    assert_eq!(objects(&server, "plain"), expected);
    let sent: Vec<_> = front.seen().into_iter().map(|request| (request.path, request.body)).collect();
    assert_eq!(sent[..3], sent[3..], "the same bytes under the same names");
}

#[tokio::test]
async fn a_locked_object_stays() {
    let server = SeaweedFs::start().await;
    server.run("client.create_bucket(Bucket='locked', ObjectLockEnabledForBucket=True)");
    let there = options(server.url(), "locked", patient());
    let lock = Some(Lock { mode: LockMode::Compliance, days: 30 });
    let mut sink = S3Sink::open(Options { lock, ..there }).unwrap();
    for _ in 0..2 {
        sink.deliver(&events(0..3)).await.unwrap();
    }
    let printed = server.run(
        "import datetime\n\
         import botocore.exceptions\n\
         for v in client.list_object_versions(Bucket='locked')['Versions']:\n\
         \x20   version = dict(Bucket='locked', Key=v['Key'], VersionId=v['VersionId'])\n\
         \x20   retention = client.get_object_retention(**version)['Retention']\n\
         \x20   now = datetime.datetime.now(datetime.timezone.utc)\n\
         \x20   print(retention['Mode'], (retention['RetainUntilDate'] - now).days)\n\
         \x20   try:\n\
         \x20       client.delete_object(**version, BypassGovernanceRetention=True)\n\
         \x20   except botocore.exceptions.ClientError as error:\n\
         \x20       print(error.response['Error']['Code'])\n",
    );
    assert_eq!(printed, "COMPLIANCE 29\nAccessDenied\nCOMPLIANCE 29\nAccessDenied");
    assert_eq!(objects(&server, "locked")[0].1, lines(0..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_has_its_outcome() {
    let server = SeaweedFs::start().await;
    server.run("client.create_bucket(Bucket='plain')");
    what_is_wrong_with_the_bucket_or_the_key_is_for_the_operator(&server).await;
    let misconfigured = Trouble::Paused(PauseReason::Misconfigured);
    let trial = Trial {
        upstream: server.url().to_owned(),
        open: &|url, connection| Box::new(S3Sink::open(options(url, "plain", connection)).unwrap()),
        ids: &|| objects(&server, "plain").iter().flat_map(|(_, lines)| lines).map(|line| id(line)).collect(),
        // S3 does not look into objects: no event is at fault, ever.
        garbage: [Err(Trouble::Retry { after: None }), Err(misconfigured.clone())],
        own: &[(413, misconfigured)],
    };
    trial.run().await;
}

fn id(line: &str) -> String {
    serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
}

async fn what_is_wrong_with_the_bucket_or_the_key_is_for_the_operator(server: &SeaweedFs) {
    let there = || options(server.url(), "plain", clear());
    let deliver = async |options| S3Sink::open(options).unwrap().deliver(&events(0..3)).await;
    let paused = |reason| Err(Trouble::Paused(reason));
    assert_eq!(deliver(Options { access: access("wrong"), ..there() }).await, paused(PauseReason::Unauthorized));
    assert_eq!(deliver(Options { bucket: "none".into(), ..there() }).await, paused(PauseReason::NotFound));
    let lock = Some(Lock { mode: LockMode::Governance, days: 1 });
    assert_eq!(deliver(Options { lock, ..there() }).await, paused(PauseReason::Misconfigured));
    assert_eq!(objects(server, "plain"), Vec::new());
    let named = S3Sink::open(Options { bucket: "a/../b".into(), ..there() });
    assert!(matches!(named, Err(OpenError::Name)));
}
