//! `keyfold admin sink`: where a tenant's log goes, and how far it is.

use super::client::Client;
use crate::api;
use crate::cli::{Failure, output};
use clap::{Args, Subcommand};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Debug, Subcommand)]
pub(super) enum Sink {
    /// List the sinks of a tenant's log, and how far each is.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Send a test message; fails when the receiver does not take it.
    Test(Name),
    /// Stop a sink for this tenant; nothing is lost meanwhile.
    Pause {
        #[command(flatten)]
        name: Name,
        /// Why; goes into the log.
        #[arg(long)]
        reason: String,
    },
    /// Have a stopped sink deliver again, at once.
    Resume {
        #[command(flatten)]
        name: Name,
        /// Why; goes into the log.
        #[arg(long)]
        reason: String,
    },
    /// Deliver a range once more, beside what happens meanwhile.
    Replay {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        range: Range,
    },
    /// Give up what is not delivered before an index.
    Gap {
        #[command(flatten)]
        name: Name,
        /// The first index that is still to be delivered.
        #[arg(long)]
        to: u64,
        /// Why; goes into the log.
        #[arg(long)]
        reason: String,
    },
    /// List the events that a receiver refused for good.
    DeadLetters(Name),
    /// Deliver the event of a dead letter once more.
    Redeliver {
        #[command(flatten)]
        name: Name,
        /// Which event.
        index: u64,
    },
}

/// Which sink, of which tenant.
#[derive(Debug, Args)]
pub(super) struct Name {
    /// The tenant.
    tenant: String,
    /// The sink's name in the configuration.
    sink: String,
}

/// Indices or times.
#[derive(Debug, Args)]
pub(super) struct Range {
    /// The first index.
    #[arg(long, required_unless_present = "since", conflicts_with = "since")]
    from: Option<u64>,
    /// The first index beyond; all that was delivered when not given.
    #[arg(long, conflicts_with = "until")]
    to: Option<u64>,
    /// In place of `--from`: events since this time, as in 2026-11-22T06:00:00Z.
    #[arg(long, value_parser = unix_ms)]
    since: Option<i64>,
    /// In place of `--to`: events before this time.
    #[arg(long, value_parser = unix_ms)]
    until: Option<i64>,
}

impl Sink {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::List { tenant } => client.list(&format!("{tenant}/sinks"), HEADINGS, row).await,
            Self::Test(name) => {
                let tested: api::TestedSink = client.post(&name.path("test"), &()).await?;
                client.show(&tested, |tested| tested.outcome.clone())?;
                if tested.outcome == "ok" { Ok(()) } else { Err("the receiver did not take the test message".into()) }
            }
            Self::Pause { name, reason } => act(client, &name.path("pause"), &api::Because { reason }).await,
            Self::Resume { name, reason } => act(client, &name.path("resume"), &api::Because { reason }).await,
            Self::Replay { name, range: Range { from, to, since, until } } => {
                act(client, &name.path("replays"), &api::AskReplay { from, to, since, until }).await
            }
            Self::Gap { name, to, reason } => act(client, &name.path("gaps"), &api::AskGap { to, reason }).await,
            Self::DeadLetters(name) => client.list(&name.path("dead-letters"), LETTER_HEADINGS, letter).await,
            Self::Redeliver { name, index } => {
                act(client, &name.path(&format!("dead-letters/{index}/redeliver")), &()).await
            }
        }
    }
}

impl Name {
    fn path(&self, act: &str) -> String {
        format!("{}/sinks/{}/{act}", self.tenant, self.sink)
    }
}

async fn act(client: &Client, path: &str, ask: &impl Serialize) -> Result<(), Failure> {
    let sink: api::Sink = client.post(path, ask).await?;
    client.show(&sink, |sink| format!("{} {}: {} of {} events", sink.name, state(sink), sink.next, sink.size))
}

const HEADINGS: &[&str] =
    &["SINK", "DELIVERY", "STATE", "BEHIND", "SECONDS", "CONFIRMED", "SENT", "FILTERED", "DEAD", "GIVEN UP"];

fn row(sink: &api::Sink) -> Vec<String> {
    vec![
        sink.name.clone(),
        sink.delivery.clone(),
        state(sink),
        sink.lag_events.to_string(),
        sink.lag_seconds.to_string(),
        sink.confirmed_at.map(output::time).unwrap_or_default(),
        sink.sent.to_string(),
        sink.filtered.to_string(),
        sink.dead.to_string(),
        sink.given_up.to_string(),
    ]
}

fn state(sink: &api::Sink) -> String {
    let reason = sink.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let replays: String = sink.replays.iter().map(|range| format!(", replays {}..{}", range.from, range.to)).collect();
    format!("{}{reason}{replays}", sink.state)
}

const LETTER_HEADINGS: &[&str] = &["INDEX", "REASON", "REFUSED"];

fn letter(letter: &api::DeadLetter) -> Vec<String> {
    vec![letter.index.to_string(), letter.reason.clone(), output::time(letter.refused_at)]
}

/// RFC 3339 to Unix milliseconds.
fn unix_ms(text: &str) -> Result<i64, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| error.to_string())?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(|error| error.to_string())
}
