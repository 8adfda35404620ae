use super::broker::{Broker, malformed};
use super::codes::{Verdict, verdict};
use super::messages::{Api, Layout, METADATA, metadata_request, metadata_response};
use super::sasl::Sasl;
use crate::tcp::{Address, Connector};
use crate::{PauseReason, Trouble};
use std::collections::HashMap;

/// UNKNOWN_TOPIC_OR_PARTITION: of a whole topic it says that there is none, or none that this user may see.
const UNKNOWN_TOPIC: i16 = 3;

/// The nodes of a cluster, as far as one topic is concerned.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) connector: Connector,
    pub(super) bootstrap_servers: Vec<Address>,
    pub(super) sasl: Option<Sasl>,
    pub(super) topic: String,
    pub(super) layout: Option<Layout>,
    /// Open connections, by node.
    pub(super) brokers: HashMap<i32, Broker>,
}

impl Cluster {
    /// How many partitions the topic has.
    pub(super) async fn partitions(&mut self) -> Result<usize, Trouble> {
        Ok(self.layout().await?.leaders.len())
    }

    /// Calls the partition's leader; any node, where no partition is given.
    pub(super) async fn call(&mut self, partition: Option<i32>, api: Api, body: &[u8]) -> Result<Vec<u8>, Trouble> {
        let answer = self.call_once(partition, api, body).await;
        if answer.is_err() {
            self.look_again();
        }
        answer
    }

    /// Nothing that was known of the cluster is believed any more.
    pub(super) fn look_again(&mut self) {
        self.layout = None;
    }

    async fn call_once(&mut self, partition: Option<i32>, api: Api, body: &[u8]) -> Result<Vec<u8>, Trouble> {
        let layout = self.layout().await?;
        let node = match partition {
            Some(partition) => layout.leaders.get(&partition).copied(),
            None => layout.nodes.keys().next().copied(),
        };
        let known = node.and_then(|node| Some((node, layout.nodes.get(&node)?.clone())));
        let (node, address) = known.ok_or(Trouble::Retry { after: None })?;
        let mut broker = match self.open_broker(node).await {
            Some(broker) => broker,
            None => Broker::connect(&self.connector, &address, self.sasl.as_ref()).await?,
        };
        let answer = broker.call(api, body).await?;
        self.brokers.insert(node, broker);
        Ok(answer)
    }

    /// Out of `self`, so that a call that is dropped half way closes the connection: its answer must not be taken for another's.
    async fn open_broker(&mut self, node: i32) -> Option<Broker> {
        let mut broker = self.brokers.remove(&node)?;
        broker.is_open().await.then_some(broker)
    }

    async fn layout(&mut self) -> Result<&Layout, Trouble> {
        let layout = match self.layout.take() {
            Some(layout) => layout,
            None => self.ask_layout().await?,
        };
        Ok(self.layout.insert(layout))
    }

    /// From the first of the configured nodes that answers.
    async fn ask_layout(&mut self) -> Result<Layout, Trouble> {
        let mut trouble = Trouble::Retry { after: None };
        for address in &self.bootstrap_servers {
            match self.ask_layout_of(address).await {
                Ok(layout) => return topic_found(layout),
                Err(failed) => trouble = failed,
            }
        }
        Err(trouble)
    }

    async fn ask_layout_of(&self, address: &Address) -> Result<Layout, Trouble> {
        let mut broker = Broker::connect(&self.connector, address, self.sasl.as_ref()).await?;
        let answer = broker.call(METADATA, &metadata_request(&self.topic)).await?;
        metadata_response(&answer).map_err(malformed)
    }
}

fn topic_found(layout: Layout) -> Result<Layout, Trouble> {
    if layout.error == UNKNOWN_TOPIC {
        return Err(Trouble::Paused(PauseReason::NotFound));
    }
    match verdict(layout.error) {
        Verdict::Stored if !layout.leaders.is_empty() => Ok(layout),
        Verdict::Stored | Verdict::Unknown | Verdict::ForgottenProducer => Err(Trouble::Retry { after: None }),
        Verdict::Failed(trouble) => Err(trouble),
    }
}
