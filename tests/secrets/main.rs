//! Known secrets go through every verb of a broker that logs all it can; then they are looked for wherever they must
//! not be.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

#[path = "../harness/mod.rs"]
mod harness;

mod hunt;
mod process;
mod story;

use harness::Broker;
use hunt::{Hunt, Planted};
use process::Process;
use std::fs;
use std::time::Duration;
use story::Story;
use tempfile::TempDir;
use tokio::time::sleep;

/// After so long without a request the broker has let go of connections, and of what they held.
const IDLE: Duration = Duration::from_secs(65);

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_found_where_it_must_not_be() {
    let story = Story::play().await;
    let hunt = Hunt::of(&story.planted);
    let broker = &story.broker;

    let visible = Hunt::of(&[Planted::new("what may be seen", story.visible.clone())]);
    hunt.must_not_find("the log", broker.log().as_bytes());
    assert!(broker.log().matches("\"level\":\"TRACE\"").count() > 100, "the log was not as talkative as it can be");
    for (what, answer) in &story.answers {
        hunt.must_not_find(what, answer);
    }
    hunt.must_not_find("the metrics", broker.text("/metrics").await.as_bytes());
    for (name, bytes) in story.files() {
        hunt.must_not_find(&name, &bytes);
        assert!(name != "keyfold.db-wal" || !visible.find(&bytes).is_empty(), "this is not the database");
    }
    let out = TempDir::new().unwrap();
    broker.export(harness::TENANT, &story.vkey, &out.path().join("export"));
    hunt.must_not_find("the export", &fs::read(out.path().join("export/events.ndjson")).unwrap());
    let process = Process::of(broker);
    for file in ["cmdline", "environ"] {
        hunt.must_not_find(file, &process.read(file));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_acknowledgement_no_secret_is_left_in_memory() {
    let story = Story::play().await;
    sleep(IDLE).await;
    let core = Process::of(&story.broker).core();
    Hunt::of(&story.planted).must_not_find("the core", &core);
    // What must be there is: the hunt looks at the right memory.
    let visible = Hunt::of(&[Planted::new("what may be seen", story.broker.url("").into_bytes())]);
    assert!(!visible.find(&core).is_empty(), "this is not the broker's memory");
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
