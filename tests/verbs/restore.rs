//! A restore is released exactly once, to the device that asked.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use futures_util::future::join_all;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_get_one_release_and_after_the_acknowledgement_nothing() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;
    let (opened, _) = device.open("identity").await;

    let answers = join_all((0..50).map(|_| device.release(&opened))).await;
    let released: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!released.is_empty());
    let sealed = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap()["records"].clone();
    assert!(released.iter().all(|answer| sealed(&answer.body) == sealed(&released[0].body)));
    let busy = answers.iter().filter(|answer| answer.status != 200);
    assert!(busy.map(|answer| answer.code()).all(|code| code == "restore_in_progress"));
    let unwraps = "keyfold_provider_seconds_count{provider=\"software\",operation=\"unwrap\",outcome=\"ok\"} ";
    let metrics = broker.text("/metrics").await;
    let count = metrics.lines().find_map(|line| line.strip_prefix(unwraps));
    // One for the canary of the registration, one for the release.
    assert_eq!(count, Some("2"), "{metrics}");

    assert_eq!(device.acknowledge(&opened).await.status, 204);
    assert_eq!(device.release(&opened).await.code(), "restore_over");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.released"), ["ok"]);
    assert_eq!(outcomes(&log, "restore.acknowledged"), ["ok"]);
}
