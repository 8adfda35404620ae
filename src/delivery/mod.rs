//! Delivers the log to sinks, by cursor. The log is the only queue: a slow or dead sink delays nothing but itself.
//!
//! All of it runs in a runtime of its own, on threads of low priority and with readers of its own, so that no request
//! waits for it.

mod batch;
mod connect;
mod pump;
mod report;
mod watch;

use crate::broker::Broker;
use crate::config::Config;
use crate::config::sink::Selector;
use crate::feeds::{Linger, SinkFeeds};
use crate::niced;
use crate::store::{Store, StoreError};
use audit::event::{Field, Kind};
use batch::Reader;
use connect::ConnectError;
use pump::Pump;
use sinks::{Format, Sink};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use watch::Watch;

/// Threads of all sinks together.
const THREADS: usize = 2;
/// At the end what is under way may take so long.
const LAST: Duration = Duration::from_secs(10);

/// What a sink may see, and how.
#[derive(Debug)]
struct Terms {
    /// The only events it receives; `None` for all.
    events: Option<Vec<Selector>>,
    /// The disclosable fields it may see.
    disclosed: BTreeSet<Field>,
    format: Format,
    /// Whether each event carries a proof that the log has it.
    proof: bool,
    /// For one delivery, acknowledgement included.
    deadline: Duration,
}

impl Terms {
    fn receives(&self, kind: Kind) -> bool {
        self.events.as_ref().is_none_or(|selectors| selectors.iter().any(|selector| selector.selects(kind)))
    }
}

/// A configured sink, ready to deliver.
struct Outlet {
    name: String,
    /// The only tenants whose events it receives; `None` for all.
    tenants: Option<BTreeSet<String>>,
    terms: Terms,
    /// An event that waits longer than this raises an alarm.
    alarm_lag: Duration,
    /// An event may wait so long for others to go with it.
    linger: Duration,
    sink: Box<dyn Sink>,
}

/// Delivery cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no runtime.
    #[error("no threads for delivery")]
    Runtime(#[from] io::Error),
    /// A sink cannot be used as it is configured.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// What is delivered already cannot be read.
    #[error("the cursors cannot be read")]
    Store(#[from] StoreError),
    /// The runtime was stopped before it had begun.
    #[error("the start of delivery was interrupted")]
    Interrupted,
}

/// All sinks at work.
pub struct Delivery {
    runtime: Option<Runtime>,
    sinks: JoinSet<()>,
    stop: CancellationToken,
}

impl Delivery {
    /// Opens every sink and begins to deliver.
    pub async fn start(broker: Arc<Broker>, config: Arc<Config>) -> Result<Self, StartError> {
        let runtime = niced::runtime("delivery", THREADS)?;
        let stop = CancellationToken::new();
        let handle = runtime.handle().clone();
        let mut delivery = Self { runtime: Some(runtime), sinks: JoinSet::new(), stop: stop.clone() };
        // Within the runtime, so that whatever sinks and readers start is started there.
        let opened = handle.spawn(open(broker, config)).await.map_err(|_| StartError::Interrupted)??;
        for (pump, watch) in opened {
            delivery.sinks.spawn_on(work(pump, watch, stop.clone()), &handle);
        }
        Ok(delivery)
    }

    /// Delivers what is there already, as far as receivers take it soon, and saves how far they are.
    pub async fn finish(mut self) {
        self.stop.cancel();
        while self.sinks.join_next().await.is_some() {}
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A write that hangs must not keep the process from ending.
            runtime.shutdown_background();
        }
    }
}

async fn open(broker: Arc<Broker>, config: Arc<Config>) -> Result<Vec<(Pump, Watch)>, StartError> {
    let store = broker.store.with_own_readers().await?;
    let mut opened = Vec::new();
    for outlet in connect::all(&config).await? {
        opened.push(prepare(&broker, &store, outlet).await?);
    }
    Ok(opened)
}

async fn prepare(broker: &Arc<Broker>, store: &Store, outlet: Outlet) -> Result<(Pump, Watch), StoreError> {
    let Outlet { name, tenants, terms, alarm_lag, linger, sink } = outlet;
    let full = u64::try_from(sink.limits().messages).unwrap_or(u64::MAX);
    let (feeds, tests) = SinkFeeds::new(name, sink.delivery(), tenants, Linger { wait: linger, full });
    let watch = Watch { broker: broker.clone(), feeds: feeds.clone(), store: store.clone(), alarm_lag };
    watch.restore().await?;
    watch.look().await;
    broker.feeds.add(feeds.clone());
    let terms = Arc::new(terms);
    let (limits, pace) = (sink.limits(), broker.pace.reader());
    let reader = Reader { broker: broker.clone(), store: store.clone(), terms: terms.clone(), limits, pace };
    Ok((Pump { broker: broker.clone(), feeds, terms, sink, reader, tests, ahead: None }, watch))
}

async fn work(pump: Pump, watch: Watch, stop: CancellationToken) {
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        () = pump.run(&watch, stop.clone()) => {}
        () = watch.run() => {}
        () = overdue => {}
    }
    let _late = timeout(LAST, watch.save()).await;
}
