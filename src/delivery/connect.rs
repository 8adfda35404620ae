//! From configured sinks to receivers: each transport's options, in one place.

mod https;
mod otlp;
mod s3;
mod secops;
mod sentinel;
mod tcp;

use super::{Outlet, Terms};
use crate::config::Config;
use crate::config::sink::{Entry, Receiver};
use sinks::{FileSink, Sink};
use std::time::Duration;

/// A configured sink cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("sink `{name}` cannot be used")]
pub struct ConnectError {
    name: String,
    source: Failure,
}

/// What the opening of a receiver may fail with.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens every configured sink; fails with the first that cannot be used. A receiver that is away is no failure.
pub(super) async fn all(config: &Config) -> Result<Vec<Outlet>, ConnectError> {
    let mut outlets = Vec::with_capacity(config.sinks.len());
    for entry in &config.sinks {
        let deadline = entry.deadline_seconds.map_or_else(|| default_deadline(&entry.receiver), Duration::from_secs);
        let sink = open(config, &entry.receiver, deadline).await;
        let sink = sink.map_err(|source| ConnectError { name: entry.name.clone(), source })?;
        outlets.push(outlet(entry, sink, deadline));
    }
    Ok(outlets)
}

async fn open(config: &Config, receiver: &Receiver, deadline: Duration) -> Result<Box<dyn Sink>, Failure> {
    Ok(match receiver {
        Receiver::File { path, max_mib } => {
            Box::new(FileSink::open(&config.path(path), max_mib.saturating_mul(1024 * 1024))?)
        }
        Receiver::Syslog(syslog) => Box::new(tcp::syslog(config, syslog)?),
        Receiver::Kafka(kafka) => Box::new(tcp::kafka(config, kafka)?),
        Receiver::Webhook(webhook) => Box::new(https::webhook(config, webhook)?),
        Receiver::Splunk(splunk) => Box::new(https::splunk(config, splunk, deadline)?),
        Receiver::Elasticsearch(elasticsearch) => Box::new(https::elasticsearch(config, elasticsearch)?),
        Receiver::Otlp(otlp) => Box::new(otlp::open(config, otlp)?),
        Receiver::S3(s3) => Box::new(s3::open(config, s3)?),
        Receiver::Sentinel(sentinel) => Box::new(sentinel::open(config, sentinel)?),
        Receiver::Secops(secops) => Box::new(secops::open(config, secops)?),
    })
}

/// For one delivery, where the configuration says nothing else.
fn default_deadline(receiver: &Receiver) -> Duration {
    match receiver {
        Receiver::File { .. }
        | Receiver::Syslog(_)
        | Receiver::Kafka(_)
        | Receiver::Webhook(_)
        | Receiver::Elasticsearch(_)
        | Receiver::Otlp(_)
        | Receiver::Sentinel(_)
        | Receiver::Secops(_) => Duration::from_secs(30),
        // Indexers acknowledge within seconds, or a minute when they are busy. Objects have megabytes.
        Receiver::Splunk(_) | Receiver::S3(_) => Duration::from_secs(120),
    }
}

/// Where a batch costs something, events wait for others unless the configuration says otherwise.
fn default_linger(receiver: &Receiver) -> Duration {
    Duration::from_secs(if matches!(receiver, Receiver::S3(_)) { 60 } else { 0 })
}

fn outlet(entry: &Entry, sink: Box<dyn Sink>, deadline: Duration) -> Outlet {
    let terms = Terms {
        events: entry.events.clone(),
        disclosed: entry.disclosed(),
        format: entry.format,
        proof: entry.proof,
        deadline,
    };
    let alarm_lag = Duration::from_secs(entry.alarm_lag_seconds);
    let linger = entry.linger_seconds.map_or_else(|| default_linger(&entry.receiver), Duration::from_secs);
    Outlet { name: entry.name.clone(), tenants: entry.tenants.clone(), terms, alarm_lag, linger, sink }
}
