//! Keeps the token alive.

use super::client::{Client, Failure, Lease};
use reqwest::StatusCode;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Pause before asking again when the server gave no answer.
const AGAIN: Duration = Duration::from_secs(5);
/// Shortest pause between two renewals, also for a token in its last seconds.
const SHORTEST: Duration = Duration::from_secs(1);

/// A task that renews the token at two thirds of its lease; stops when dropped.
#[derive(Debug)]
pub(super) struct Renewal(JoinHandle<()>);

impl Renewal {
    /// `lease` is `None` when nobody knows it yet.
    pub(super) fn start(client: Client, lease: Option<Lease>) -> Self {
        Self(tokio::spawn(renew(client, lease)))
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn renew(client: Client, lease: Option<Lease>) {
    let mut pause = lease.map_or(Some(AGAIN), |lease| until_renewal(&lease));
    while let Some(current) = pause {
        sleep(current).await;
        pause = match client.renew_self().await {
            Ok(lease) => until_renewal(&lease),
            Err(Failure::Answer { status: StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST, messages, .. }) => {
                tracing::warn!(?messages, "OpenBao does not renew the token; it works until it expires");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the OpenBao token could not be renewed, trying again");
                Some(AGAIN)
            }
        };
    }
}

/// `None` for a token that lives for ever, or that cannot be renewed.
fn until_renewal(lease: &Lease) -> Option<Duration> {
    (lease.renewable && lease.ttl > 0).then(|| (Duration::from_secs(lease.ttl) * 2 / 3).max(SHORTEST))
}
