//! Each receiver, against the real thing where it can be had.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod elasticsearch;
mod file;
mod formats;
mod https;
mod kafka;
mod messages;
mod oracle;
mod otlp;
mod s3;
mod secops;
mod sentinel;
mod siem;
mod splunk;
mod syslog;
mod webhook;
