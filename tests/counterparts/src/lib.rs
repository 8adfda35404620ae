//! What the tests run providers and sinks against, where nothing real can be had; and faults in front of what can.

pub mod authenticator;
pub mod aws;
pub mod azure;
pub mod browser;
pub mod elasticsearch;
pub mod front;
pub mod google;
pub mod kafka;
pub mod oidc;
pub mod oidc_provider;
pub mod rotel;
pub mod seaweedfs;
mod server;
pub mod smtp;
pub mod splunk;
pub mod syslog;
pub mod tls;
pub mod webhook;
