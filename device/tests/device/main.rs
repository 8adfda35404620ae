//! A device against brokers that stumble, and brokers that lie.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connection;
mod ingress;
mod login;
mod server;
