//! Syslog: RFC 5424 messages over TLS (RFC 5425).

mod message;
mod tail;

use crate::tcp::{Address, Connection, Connector, InvalidTls, Security};
use crate::{Delivery, Limits, Message, Refused, Sink, Trouble};
use async_trait::async_trait;
use audit::event::Outcome;
use std::time::Duration;
use tail::Tail;

/// How long a receiver may take to close a new connection. In TLS 1.3 the handshake ends before it has looked at the client's
/// certificate, and some close without a word.
const PROBATION: Duration = Duration::from_secs(1);

/// A syslog receiver, and how to reach it.
#[derive(Debug)]
pub struct Options {
    /// Where it listens.
    pub address: Address,
    /// How the connection is secured.
    pub security: Security,
    /// The longest message that the receiver takes whole, header included. Longer ones are refused: receivers cut them.
    pub max_message_bytes: usize,
}

/// A syslog receiver. `Ok` means that the messages were handed to TCP on a connection that the receiver had let in and not
/// closed. Nothing acknowledges them, so a new connection begins with what was sent last on the one before.
#[derive(Debug)]
pub struct SyslogSink {
    address: Address,
    connector: Connector,
    max_message_bytes: usize,
    connection: Option<Connection>,
    tail: Tail,
}

impl SyslogSink {
    /// Reads the certificates; connects with the first delivery.
    ///
    /// # Errors
    /// Certificates or key cannot be used.
    pub fn new(options: Options) -> Result<Self, InvalidTls> {
        Ok(Self {
            connector: Connector::new(&options.security)?,
            address: options.address,
            max_message_bytes: options.max_message_bytes,
            connection: None,
            tail: Tail::default(),
        })
    }

    /// The frames of all messages that are not too long, and the others.
    fn frames(&self, batch: &[Message]) -> (Vec<u8>, Vec<Refused>) {
        let (mut frames, mut refused, mut one) = (Vec::new(), Vec::new(), Vec::new());
        for (position, message) in batch.iter().enumerate() {
            one.clear();
            message::write(message, &mut one);
            if one.len() > self.max_message_bytes {
                refused.push(Refused { position, reason: const { Outcome::from_static("message_too_large") } });
            } else {
                message::write_frame(&one, &mut frames);
            }
        }
        (frames, refused)
    }

    /// The connection, if it is still open. Out of `self`, so that a delivery that is dropped half way closes it: nobody could
    /// tell where in a frame it was.
    async fn open_connection(&mut self) -> Option<Connection> {
        let mut connection = self.connection.take()?;
        connection.watch(Duration::ZERO).await.ok()?;
        Some(connection)
    }

    /// A new connection, on which the tail and these frames were sent and not refused.
    async fn reconnect(&self, frames: &[u8]) -> Result<Connection, Trouble> {
        let mut connection = self.connector.connect(&self.address).await?;
        for frames in self.tail.frames().chain([frames]) {
            connection.send(frames).await?;
        }
        connection.watch(PROBATION).await?;
        Ok(connection)
    }
}

#[async_trait]
impl Sink for SyslogSink {
    fn delivery(&self) -> Delivery {
        Delivery::Transmitted
    }

    fn limits(&self) -> Limits {
        Limits { messages: 1_000, bytes: 1024 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let (frames, refused) = self.frames(batch);
        let connection = match self.open_connection().await {
            Some(mut connection) => {
                connection.send(&frames).await?;
                connection
            }
            None => self.reconnect(&frames).await?,
        };
        self.connection = Some(connection);
        self.tail.push(frames);
        Ok(refused)
    }
}
