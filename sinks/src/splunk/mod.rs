//! Splunk's HTTP Event Collector (HEC), with indexer acknowledgement.

mod answer;
mod channel;

use crate::https::{AddressError, Client, ConnectError, Connection, credential};
use crate::{Delivery, Limits, Message, Refused, Sink, Trouble};
use answer::Posted;
use async_trait::async_trait;
use channel::Channel;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Url};
use secret::Secret;
use serde_json::json;
use std::time::Duration;

/// Bytes of events in one request; Splunk advises to stay below one megabyte.
const REQUEST_BYTES: usize = 512 * 1024;
/// What an event costs around its body, about.
const ENVELOPE_BYTES: usize = 256;
/// As many refused events of one batch are found one by one. More, and the delivery halves the batch: that always ends.
const MAX_NAMED: usize = 8;

/// Which collector, and how events are filed there.
#[derive(Debug)]
pub struct Options {
    /// `https://host:port`, to which the collector's paths are added.
    pub url: String,
    /// The token of the collector's input.
    pub token: Secret,
    /// The index; without it, the token's.
    pub index: Option<String>,
    /// The source type.
    pub sourcetype: String,
    /// How long to wait for the indexers' acknowledgement; without it, none is asked for.
    pub acknowledgement: Option<Duration>,
    /// How it is reached.
    pub connection: Connection,
}

/// A collector. Confirmed once the indexers have acknowledged; without acknowledgement, only transmitted.
#[derive(Debug)]
pub struct SplunkSink {
    client: Client,
    events: Url,
    authorization: HeaderValue,
    index: Option<String>,
    sourcetype: String,
    channel: Option<Channel>,
}

impl SplunkSink {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Address, certificates or token cannot be used.
    pub fn open(options: Options) -> Result<Self, ConnectError> {
        let client = Client::new(&options.connection)?;
        let base = client.address(&options.url)?;
        let at = |path| base.join(path).map_err(|_| AddressError::NoUrl);
        let events = at("/services/collector/event")?;
        let acks = at("/services/collector/ack")?;
        let channel = options.acknowledgement.map(|patience| Channel::new(acks, patience));
        let authorization = credential("Splunk", &options.token)?;
        Ok(Self { client, events, authorization, index: options.index, sourcetype: options.sourcetype, channel })
    }

    /// Sends these positions of the batch, without those that the collector names as bad; gives the acknowledgement's
    /// number.
    async fn send(&mut self, batch: &[Message], mut positions: Vec<usize>, refused: &mut Vec<Refused>) -> Sent {
        while !positions.is_empty() {
            let request = self.request(batch, &positions);
            match answer::read(self.client.send(request, answer::MAX).await?)? {
                Posted::Taken(number) => {
                    return self.channel.as_mut().map(|channel| channel.number(number)).transpose();
                }
                Posted::Invalid { event, reason } if refused.len() < MAX_NAMED && event < positions.len() => {
                    refused.push(Refused { position: positions.remove(event), reason });
                }
                Posted::Invalid { reason, .. } => return Err(Trouble::Refused(reason)),
            }
        }
        Ok(None)
    }

    fn request(&self, batch: &[Message], positions: &[usize]) -> RequestBuilder {
        let mut body = Vec::with_capacity(positions.iter().map(|position| size(&batch[*position])).sum());
        for position in positions {
            self.write_event(&batch[*position], &mut body);
        }
        let request =
            self.client.post(self.events.clone()).header(AUTHORIZATION, self.authorization.clone()).body(body);
        match &self.channel {
            Some(channel) => channel.mark(request),
            None => request,
        }
    }

    fn write_event(&self, message: &Message, body: &mut Vec<u8>) {
        let (host, _) = message.origin.as_str().split_once('/').unwrap_or((message.origin.as_str(), ""));
        let mut envelope = json!({
            "time": message.at_ms as f64 / 1000.0,
            "host": host,
            "source": message.origin.as_str(),
            "sourcetype": self.sourcetype,
        });
        if let Some(index) = &self.index {
            envelope["index"] = index.as_str().into();
        }
        let envelope = envelope.to_string();
        // The event goes in as the format wrote it: byte for byte what `keyfold verify` expects back.
        body.extend_from_slice(&envelope.as_bytes()[..envelope.len() - 1]);
        body.extend_from_slice(b",\"event\":");
        message.write_json(body);
        body.push(b'}');
    }
}

/// The number of an acknowledgement to wait for, if any.
type Sent = Result<Option<u64>, Trouble>;

#[async_trait]
impl Sink for SplunkSink {
    fn delivery(&self) -> Delivery {
        match self.channel {
            Some(_) => Delivery::Confirmed,
            None => Delivery::Transmitted,
        }
    }

    /// Several requests' worth: acknowledgements take seconds, and one is waited for all of them. A line of 70 KB a second
    /// must carry it within two minutes.
    fn limits(&self) -> Limits {
        Limits { messages: 8_192, bytes: 8 * 1024 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let (mut refused, mut numbers) = (Vec::new(), Vec::new());
        for positions in requests(batch) {
            numbers.extend(self.send(batch, positions, &mut refused).await?);
        }
        if let Some(channel) = &self.channel {
            channel.acknowledged(&self.client, &self.authorization, numbers).await?;
        }
        Ok(refused)
    }
}

/// Cuts a batch into the positions that go into one request each.
fn requests(batch: &[Message]) -> Vec<Vec<usize>> {
    let (mut requests, mut bytes) = (vec![Vec::new()], 0);
    for (position, message) in batch.iter().enumerate() {
        bytes += size(message);
        if bytes > REQUEST_BYTES {
            requests.push(Vec::new());
            bytes = size(message);
        }
        requests.last_mut().expect("invariant: there is always a request").push(position);
    }
    requests
}

fn size(message: &Message) -> usize {
    message.body.len() + ENVELOPE_BYTES
}
