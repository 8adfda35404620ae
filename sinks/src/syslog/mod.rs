//! Syslog: RFC 5424 messages over TLS (RFC 5425).

mod message;
mod tail;

use crate::tcp::{Address, Connection, Connector, InvalidTls, Security};
use crate::{Delivery, Limits, Message, Refused, Sink, Trouble};
use async_trait::async_trait;
use audit::event::Outcome;
use tail::Tail;

/// A syslog receiver, and how to reach it.
#[derive(Debug)]
pub struct SyslogOptions {
    /// Where it listens.
    pub address: Address,
    /// How the connection is secured.
    pub security: Security,
    /// The longest message that the receiver takes whole, header included. Longer ones are refused: receivers cut them.
    pub max_message_bytes: usize,
}

/// A syslog receiver. `Ok` means that the messages were handed to TCP on a connection that the receiver had let in and not
/// closed. There is no acknowledgement, so a new connection begins with what was sent last on the one that broke.
#[derive(Debug)]
pub struct Syslog {
    address: Address,
    connector: Connector,
    max_message_bytes: usize,
    connection: Option<Connection>,
    tail: Tail,
}

impl Syslog {
    /// Reads the certificates; connects with the first delivery.
    ///
    /// # Errors
    /// Certificates or key cannot be used.
    pub fn new(options: SyslogOptions) -> Result<Self, InvalidTls> {
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

    /// The open connection, or another if it was closed. Out of `self`, so that a delivery that is dropped half way closes it:
    /// nobody could tell where in a frame it was.
    async fn take_connection(&mut self) -> Result<Connection, Trouble> {
        if let Some(mut connection) = self.connection.take() {
            match connection.check_open().await {
                Ok(()) => return Ok(connection),
                Err(Trouble::Paused(reason)) => return Err(Trouble::Paused(reason)),
                Err(Trouble::Retry { .. } | Trouble::Refused(_)) => {}
            }
        }
        let mut connection = self.connector.connect(&self.address).await?;
        connection.admitted().await?;
        for frames in self.tail.frames() {
            connection.send(frames).await?;
        }
        Ok(connection)
    }
}

#[async_trait]
impl Sink for Syslog {
    fn delivery(&self) -> Delivery {
        Delivery::Transmitted
    }

    fn limits(&self) -> Limits {
        Limits { messages: 1_000, bytes: 1024 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let (frames, refused) = self.frames(batch);
        let mut connection = self.take_connection().await?;
        connection.send(&frames).await?;
        connection.check_open().await?;
        self.connection = Some(connection);
        self.tail.push(frames);
        Ok(refused)
    }
}
