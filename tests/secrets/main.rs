//! Known secrets go through every verb of a broker that logs all it can; then they are looked for wherever they must
//! not be.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

#[path = "../harness/mod.rs"]
mod harness;

mod hunt;
mod process;
mod receivers;
mod rooms;
mod story;

use futures_util::future::join_all;
use harness::Broker;
use hunt::{Hunt, Planted};
use process::Process;
use receivers::Receivers;
use rooms::Room;
use std::fs;
use std::time::Duration;
use story::Story;
use tempfile::TempDir;
use tokio::time::sleep;

/// After so long without a request the broker has let go of connections, and of what they held.
const IDLE: Duration = Duration::from_secs(65);

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_found_where_it_must_not_be() {
    look_around(&Story::play(Room::Software).await).await;
}

/// Wherever a secret may be seen while the broker runs.
async fn look_around(story: &Story) {
    let broker = &story.broker;
    let hunt = Hunt::of(&story.planted);
    let hidden = Hunt::of(&story.room.credentials().into_iter().chain(Receivers::credentials()).collect::<Vec<_>>());
    let must_not_find = |place: &str, bytes: &[u8]| {
        hunt.must_not_find(place, bytes);
        hidden.must_not_find(place, bytes);
    };

    let veto = Hunt::of(&[Planted::new("a veto link's secret", story.veto.clone())]);
    veto.must_not_find("the log", broker.log().as_bytes());
    veto.must_not_find("the metrics", broker.text("/metrics").await.as_bytes());
    assert!(!veto.find(&story.receivers.received().await).is_empty(), "this is not what was mailed");
    let visible = Hunt::of(&[Planted::new("what may be seen", story.visible.clone())]);
    must_not_find("the log", broker.log().as_bytes());
    assert!(broker.log().matches("\"level\":\"TRACE\"").count() > 100, "the log was not as talkative as it can be");
    for (what, answer) in &story.answers {
        must_not_find(what, answer);
    }
    must_not_find("what SIEMs receive", &story.receivers.received().await);
    must_not_find("the metrics", broker.text("/metrics").await.as_bytes());
    for (name, bytes) in story.files() {
        must_not_find(&name, &bytes);
        veto.must_not_find(&name, &bytes);
        assert!(name != "keyfold.db-wal" || !visible.find(&bytes).is_empty(), "this is not the database");
    }
    let out = TempDir::new().unwrap();
    broker.export(harness::TENANT, &story.vkey, &out.path().join("export"));
    must_not_find("the export", &fs::read(out.path().join("export/events.ndjson")).unwrap());
    let process = Process::of(broker);
    must_not_find("the command line", &process.read("cmdline"));
    // Some credentials come this way.
    hunt.must_not_find("the environment", &process.read("environ"));
    for worker in process.children() {
        for file in ["cmdline", "environ"] {
            must_not_find("a worker", &worker.read(file));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_acknowledgement_no_secret_is_left_in_memory() {
    let story = Story::play(Room::Software).await;
    sleep(IDLE).await;
    assert_eq!(left_in_memory(&story), "");
}

/// One test for all, for what takes time is the waiting.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_the_kek_no_secret_is_found_or_left_in_memory() {
    let stories = join_all(Room::elsewhere().await.map(Story::play)).await;
    join_all(stories.iter().map(look_around)).await;
    sleep(IDLE).await;
    let found: Vec<String> = stories.iter().map(left_in_memory).collect();
    assert!(found.iter().all(String::is_empty), "{}", found.concat());
    let workers = stories.iter().map(|story| Process::of(&story.broker).children().len());
    assert_eq!(workers.collect::<Vec<_>>(), [0, 0, 0, 0, 1], "only PKCS#11 modules run in a process of their own");
}

/// What a core of the broker or of a worker of it shows; empty where that is nothing.
fn left_in_memory(story: &Story) -> String {
    let (hunt, broker) = (Hunt::of(&story.planted), Process::of(&story.broker));
    // What must be there is: the hunt looks at the right memory.
    let visible = Hunt::of(&[Planted::new("what may be seen", story.broker.url("").into_bytes())]);
    let core = broker.core();
    assert!(!visible.find(&core).is_empty(), "this is not the broker's memory");
    let mut found = hunt.report(&format!("the core with {}", story.room.name()), &core);
    for worker in broker.children() {
        found += &hunt.report("the core of a worker", &worker.core());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_writes_no_core_and_swaps_no_page() {
    let broker = Broker::start().await;
    let process = Process::of(&broker);
    let core = process.line("limits", "Max core file size");
    assert!(core.split_whitespace().take(2).eq(["0", "0"]), "soft and hard limit: {core}");
    assert_ne!(process.line("status", "VmLck:"), "0 kB", "memory is not locked");
    process.abort();
    assert!(process.left_no_core());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_privilege_may_look_into_its_memory() {
    let mut broker = Broker::prepared(|config| config);
    process::give_to_nobody(&broker);
    broker.run(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]).await;
    let process = Process::of(&broker);
    assert_eq!(process.line("status", "Uid:").split_whitespace().next(), Some("65534"));
    assert_eq!(process.owner(), 0, "what belongs to a process that is not dumpable is root's: proc(5)");
}
