//! Another process holds the database's write lock for longer than the broker waits.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Python's own SQLite, holding the write lock until it is dropped.
struct WriteLock(Child);

impl WriteLock {
    fn take(database: &Path) -> Self {
        let script = "import sqlite3,sys,time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(600)";
        let mut python = Command::new("python3");
        let mut child = python.args(["-c", script]).arg(database).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_database_refuses_and_is_used_again_when_it_is_free() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"before").await;
    let (opened, _) = device.open("identity").await;

    let lock = WriteLock::take(&broker.path("keyfold.db"));
    let wrap = device.wrap("identity", 2, b"after");
    let (released, wrapped) = tokio::join!(device.release(&opened), device.send_wrap(&wrap));
    for answer in [released, wrapped] {
        assert_eq!((answer.status, answer.code().as_str()), (503, "storage_unavailable"));
    }
    drop(lock);

    assert_eq!(device.send_wrap(&wrap).await.status, 201);
    assert_eq!(device.release(&opened).await.code(), "policy_denied", "a newer generation is there by now");
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.status, 200);
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "restore.released"), ["ok"]);
}
