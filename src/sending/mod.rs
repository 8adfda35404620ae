//! Sends what the outbox holds, each channel by itself: a server that is slow or gone delays no other, and no request.
//!
//! A row goes when its notice was sent. After a crash, the one that was under way is sent once more.

mod channel;
mod connect;

use crate::broker::Broker;
use crate::config::Config;
use crate::error::Error;
use crate::store::{Store, notices};
use channel::{Channel, Way};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use connect::ConnectError;

/// Begins to send on every channel that is configured, or that something still waits on, until `stop`.
pub async fn start(
    broker: &Arc<Broker>,
    config: &Config,
    stop: &CancellationToken,
) -> Result<Vec<JoinHandle<()>>, StartError> {
    let mut ways = connect::all(config)?;
    let configured: Vec<String> = ways.iter().map(|(name, _)| name.clone()).collect();
    let gone = waiting(broker).await?.into_iter().filter(|name| !configured.contains(name));
    ways.extend(gone.map(|name| (name, Way::Gone)));
    if ways.is_empty() {
        return Ok(Vec::new());
    }
    let store = own_readers(broker).await?;
    let run = |(name, way)| {
        let (broker, store, stop) = (broker.clone(), store.clone(), stop.clone());
        let background = broker.background.clone();
        background.spawn(Channel { broker, store, name, way, stop, sent: None, counted_at: None }.run())
    };
    Ok(ways.into_iter().map(run).collect())
}

/// The channels that something waits on.
async fn waiting(broker: &Broker) -> Result<Vec<String>, Error> {
    Ok(notices::channels(&mut *broker.store.reader().await?).await?)
}

/// Opened there, so that they stand back as all in the background does.
async fn own_readers(broker: &Arc<Broker>) -> Result<Store, Error> {
    let store = broker.store.clone();
    let opened = broker.background.spawn(async move { store.with_own_readers().await });
    Ok(opened.await.map_err(|_| Error::Interrupted)??)
}

/// Nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A server or a webhook cannot be used as it is configured.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// What waits cannot be read.
    #[error("the outbox cannot be read")]
    Store(#[from] Error),
}
