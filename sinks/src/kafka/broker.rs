use super::messages::{Api, SASL_AUTHENTICATE, SASL_HANDSHAKE};
use super::messages::{sasl_authenticate_response, sasl_handshake_request, sasl_handshake_response};
use super::sasl::{Exchange, Sasl};
use super::wire::{Malformed, put_bytes, put_string};
use crate::tcp::{Address, Connection, Connector};
use crate::{PauseReason, Trouble};
use std::time::Duration;

/// How the cluster's log names this client.
const CLIENT_ID: &str = "keyfold";
/// No answer of those asked for here is longer: a topic with a hundred thousand partitions is described in less.
const MAX_ANSWER: i32 = 8 * 1024 * 1024;
/// The correlation id, between the length and the answer.
const ANSWER_HEADER: i32 = 4;

/// An authenticated connection to one node of the cluster.
#[derive(Debug)]
pub(super) struct Broker {
    connection: Connection,
    correlation: i32,
}

impl Broker {
    pub(super) async fn connect(
        connector: &Connector,
        address: &Address,
        sasl: Option<&Sasl>,
    ) -> Result<Self, Trouble> {
        let mut broker = Self { connection: connector.connect(address).await?, correlation: 0 };
        if let Some(sasl) = sasl {
            broker.authenticate(sasl).await?;
        }
        Ok(broker)
    }

    pub(super) async fn is_open(&mut self) -> bool {
        self.connection.watch(Duration::ZERO).await.is_ok()
    }

    /// One request, one answer. After an error or when dropped half way, the connection is of no more use.
    pub(super) async fn call(&mut self, api: Api, body: &[u8]) -> Result<Vec<u8>, Trouble> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = frame(api, self.correlation, body);
        self.connection.send(&frame).await?;
        let mut head = [0; 8];
        self.connection.read_exact(&mut head).await?;
        let [a, b, c, d, correlation @ ..] = head;
        let length = i32::from_be_bytes([a, b, c, d]);
        if !(ANSWER_HEADER..=MAX_ANSWER).contains(&length) || i32::from_be_bytes(correlation) != self.correlation {
            return Err(malformed(Malformed));
        }
        let mut answer = vec![0; length.abs_diff(ANSWER_HEADER) as usize];
        self.connection.read_exact(&mut answer).await?;
        Ok(answer)
    }

    /// KIP-152: the mechanism's own messages, as calls.
    async fn authenticate(&mut self, sasl: &Sasl) -> Result<(), Trouble> {
        let refused = Trouble::Paused(PauseReason::Unauthorized);
        let answer = self.call(SASL_HANDSHAKE, &sasl_handshake_request(sasl.mechanism.name())).await?;
        if sasl_handshake_response(&answer).map_err(malformed)? != 0 {
            return Err(refused);
        }
        let mut exchange = Exchange::new(sasl);
        let mut message = exchange.first();
        loop {
            let mut body = Vec::with_capacity(message.len() + 4);
            put_bytes(&mut body, &message);
            let answer = self.call(SASL_AUTHENTICATE, &body).await?;
            let (code, said) = sasl_authenticate_response(&answer).map_err(malformed)?;
            if code != 0 {
                tracing::debug!(code, "the cluster refuses the credentials");
                return Err(refused);
            }
            match exchange.next(said) {
                Ok(Some(next)) => message = next,
                Ok(None) => return Ok(()),
                Err(_) => return Err(refused),
            }
        }
    }
}

fn frame(api: Api, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 32);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&api.key.to_be_bytes());
    out.extend_from_slice(&api.version.to_be_bytes());
    out.extend_from_slice(&correlation.to_be_bytes());
    put_string(&mut out, CLIENT_ID);
    out.extend_from_slice(body);
    let length = (out.len() - 4) as i32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// What is not understood may be understood on another connection.
pub(super) fn malformed(error: Malformed) -> Trouble {
    tracing::debug!(error = &error as &dyn std::error::Error, "the cluster's answer is not understood");
    Trouble::Retry { after: None }
}
