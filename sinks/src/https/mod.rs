//! What all receivers over HTTPS share: a client that sends to the address given, once, or nowhere; and what answers mean.

mod answer;
mod client;
mod guard;
mod special;

pub(crate) use answer::{Answer, MAX_ANSWER};
pub(crate) use client::{Client, credential};
pub use guard::AddressError;
/// A network in CIDR notation, such as `10.20.0.0/16` or `fd12:3456::/32`.
pub use ipnet::IpNet as Network;

use secret::Secret;
use std::time::Duration;

/// How a receiver is reached.
#[derive(Debug)]
pub struct Connection {
    /// The only certificate authorities to trust, PEM; the system's where there are none.
    pub ca_pem: Option<Vec<u8>>,
    /// The client's certificate chain and its private key, PEM.
    pub identity_pem: Option<Secret>,
    /// Where it may connect to beside the public internet. Metadata services must be listed by their own address.
    pub allow_networks: Vec<Network>,
    /// For one call, from connecting to the last byte of the answer.
    pub timeout: Duration,
}

/// Why a receiver cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address may not be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The certificates or the private key cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[source] reqwest::Error),
    /// A credential or a name has bytes that no header can carry.
    #[error("the {0} cannot be sent in a header")]
    Header(&'static str),
}
