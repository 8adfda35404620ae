//! Kafka: an idempotent producer, confirmed by all in-sync replicas.

mod broker;
mod cluster;
mod codes;
mod messages;
mod records;
mod sasl;
mod wire;

pub use sasl::{Mechanism, Sasl};

use crate::tcp::{Address, Connector, InvalidTls, Security};
use crate::{Delivery, Limits, Message, Place, Refused, Sink, Trouble};
use async_trait::async_trait;
use audit::Origin;
use broker::malformed;
use cluster::Cluster;
use codes::{Verdict, verdict};
use messages::{INIT_PRODUCER_ID, PRODUCE, ProducerId};
use std::collections::HashMap;

/// A topic, and how to reach it.
#[derive(Debug)]
pub struct Options {
    /// Nodes to ask for the others.
    pub bootstrap_servers: Vec<Address>,
    /// The topic; it is never created.
    pub topic: String,
    /// How connections are secured.
    pub security: Security,
    /// Who the broker is to the cluster, where TLS does not say so.
    pub sasl: Option<Sasl>,
}

/// A Kafka topic. Each log lies in one partition, in order, and without duplicates for as long as this sink lives and the
/// cluster remembers it. `Ok` means that all in-sync replicas have the messages.
#[derive(Debug)]
pub struct KafkaSink {
    cluster: Cluster,
    producer: Option<Producer>,
    pending: Option<Pending>,
}

/// Who numbers the batches, and how far it is.
#[derive(Debug)]
struct Producer {
    id: ProducerId,
    /// The next sequence number by partition.
    sequences: HashMap<i32, i32>,
}

/// A batch of which nobody knows whether the cluster has stored it. Sent again byte for byte, it is not stored twice.
#[derive(Debug)]
struct Pending {
    partition: i32,
    request: Vec<u8>,
    log: Origin,
    places: Vec<Place>,
}

impl Pending {
    fn has(&self, message: &Message) -> bool {
        self.log == message.origin && self.places.contains(&message.place)
    }
}

impl KafkaSink {
    /// Reads the certificates; connects with the first delivery.
    ///
    /// # Errors
    /// Certificates or key cannot be used.
    pub fn new(options: Options) -> Result<Self, InvalidTls> {
        let Options { bootstrap_servers, topic, security, sasl } = options;
        let connector = Connector::new(&security)?;
        let cluster = Cluster { connector, bootstrap_servers, sasl, topic, layout: None, brokers: HashMap::new() };
        Ok(Self { cluster, producer: None, pending: None })
    }

    /// Stores messages of one log.
    async fn store(&mut self, messages: &[&Message]) -> Result<(), Trouble> {
        let Some(first) = messages.first() else { return Ok(()) };
        let partition = records::partition(records::key(first), self.cluster.partitions().await?);
        let producer = self.producer().await?;
        let sequence = producer.sequences.get(&partition).copied().unwrap_or_default();
        let records = records::encode(messages, producer.id, sequence);
        self.pending = Some(Pending {
            partition,
            request: messages::produce_request(&self.cluster.topic, partition, &records),
            log: first.origin.clone(),
            places: messages.iter().map(|message| message.place).collect(),
        });
        self.settle().await.map(drop)
    }

    async fn producer(&mut self) -> Result<&Producer, Trouble> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => {
                let answer = self.cluster.call(None, INIT_PRODUCER_ID, &messages::init_producer_id_request()).await?;
                let (code, id) = messages::init_producer_id_response(&answer).map_err(malformed)?;
                self.settled(code)?;
                Producer { id, sequences: HashMap::new() }
            }
        };
        Ok(self.producer.insert(producer))
    }

    /// Stores the batch that is pending, and gives it back. After an error it stays, unless it is known not to be stored.
    async fn settle(&mut self) -> Result<Option<Pending>, Trouble> {
        let Some(Pending { partition, request, .. }) = &self.pending else { return Ok(None) };
        let answer = self.cluster.call(Some(*partition), PRODUCE, request).await?;
        let code = messages::produce_response(&answer).map_err(malformed)?;
        self.settled(code)?;
        let pending = self.pending.take();
        if let (Some(Pending { partition, places, .. }), Some(producer)) = (&pending, &mut self.producer) {
            let sequence = producer.sequences.entry(*partition).or_default();
            *sequence = following(*sequence, places.len());
        }
        Ok(pending)
    }

    fn settled(&mut self, code: i16) -> Result<(), Trouble> {
        if code != 0 {
            tracing::debug!(code, "the cluster answers with an error code");
        }
        let trouble = match verdict(code) {
            Verdict::Stored => return Ok(()),
            Verdict::Unknown => {
                self.cluster.look_again();
                return Err(Trouble::Retry { after: None });
            }
            Verdict::ForgottenProducer => Trouble::Retry { after: None },
            Verdict::Failed(trouble) => trouble,
        };
        // An earlier attempt may have been stored. Other messages under its numbers would be taken for it, and lost.
        self.producer = None;
        self.pending = None;
        Err(trouble)
    }
}

/// Sequence numbers start again after the largest.
fn following(sequence: i32, count: usize) -> i32 {
    ((i64::from(sequence) + count as i64) & i64::from(i32::MAX)) as i32
}

#[async_trait]
impl Sink for KafkaSink {
    fn delivery(&self) -> Delivery {
        Delivery::Confirmed
    }

    /// With keys and headers less than 1 MiB, which is what Kafka takes unless told otherwise.
    fn limits(&self) -> Limits {
        Limits { messages: 1_000, bytes: 640 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let settled = match self.settle().await {
            Ok(settled) => settled,
            // What was pending may be another batch than this one.
            Err(Trouble::Refused(_)) => None,
            Err(trouble) => return Err(trouble),
        };
        for messages in batch.chunk_by(|one, next| one.origin == next.origin) {
            let is_due = |message: &&Message| !settled.as_ref().is_some_and(|settled| settled.has(message));
            self.store(&messages.iter().filter(is_due).collect::<Vec<_>>()).await?;
        }
        Ok(Vec::new())
    }
}
