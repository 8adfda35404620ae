//! Has each log's checkpoints cosigned by witnesses, which watch that it only grows. A witness that is slow, hangs or is
//! gone delays nothing but the releases that are to wait for it.

mod feed;

use crate::broker::Broker;
use crate::commit::Upkeep;
use crate::error::Error;
use crate::store::cosignatures::{self, Cosignature};
use crate::store::frozen_logs::{self, FrozenLog};
use crate::store::log;
use audit::cosignature::{Cosigner, cosignatures as verified};
use feed::{Fed, feed};
use metrics::{counter, gauge};
use std::collections::{BTreeSet, HashMap};
use std::slice;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use witness::{Client, Trouble};

/// A log that grows all the time is sent this often. One that a release waits for is sent at once.
const INTERVAL: Duration = Duration::from_secs(1);
/// For one request to a witness.
pub const DEADLINE: Duration = Duration::from_secs(4);
/// First and longest wait for a witness that does not decide; doubled in between.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A log that a witness refuses is tried again this often: its operator may have added it.
const REFUSED: Duration = Duration::from_secs(300);
/// Logs that are sent to one witness at the same time.
const AT_ONCE: usize = 8;

/// A witness, as the configuration describes it.
#[derive(Debug)]
pub struct Witness {
    /// In metrics, in the journal and in the database.
    pub name: Arc<str>,
    /// The only tenants whose logs it watches.
    pub tenants: Option<BTreeSet<String>>,
    /// The way to it.
    pub client: Client,
    /// Its key.
    pub cosigner: Cosigner,
}

impl Witness {
    /// Whether it is its key that signed: under one name there may have been another witness before.
    fn has_signed(&self, row: &Cosignature) -> bool {
        let note = format!("{}{}", row.checkpoint, row.line);
        verified(&note, slice::from_ref(&self.cosigner)).is_ok_and(|signed| !signed.is_empty())
    }
}

/// Feeds one witness until `stop`. Each log is sent once at the start, also when it has not grown: a database that was put
/// back shows there.
pub async fn run(broker: Arc<Broker>, witness: Witness, stop: CancellationToken) {
    let mut asked = broker.quorum.asked();
    let mut feeder =
        Feeder { broker, witness: Arc::new(witness), logs: HashMap::new(), frozen: BTreeSet::new(), pause: None };
    while !stop.is_cancelled() {
        // What a round that is cut off would have stored, the next start asks the witness for.
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = feeder.round() => round,
        };
        if let Err(error) = round {
            let name = &feeder.witness.name;
            tracing::warn!(witness = %name, error = &error as &dyn std::error::Error, "a witness waits for the database");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = asked.changed() => {}
            () = sleep(INTERVAL) => {}
        }
    }
}

/// What this run knows of a log at the witness.
#[derive(Debug, Default)]
struct Log {
    /// Size of the newest tree that it has cosigned.
    cosigned: u64,
    /// Whether it has said so in this run.
    is_confirmed: bool,
    /// The next try, unless a release waits.
    not_before: Option<Instant>,
    is_refused: bool,
}

struct Feeder {
    broker: Arc<Broker>,
    witness: Arc<Witness>,
    logs: HashMap<String, Log>,
    /// Logs that take no event, as the database said last.
    frozen: BTreeSet<String>,
    /// While the witness does not decide: until when it is left alone, and how long after the next failure.
    pause: Option<(Instant, Duration)>,
}

impl Feeder {
    /// Sends all logs that are due, and stores what was cosigned.
    async fn round(&mut self) -> Result<(), Error> {
        let mut due = self.due().await?.into_iter();
        let mut under_way = JoinSet::new();
        let mut cosigned = Vec::new();
        loop {
            while under_way.len() < AT_ONCE
                && let Some((tenant, old)) = due.next()
            {
                let (broker, witness) = (self.broker.clone(), self.witness.clone());
                under_way.spawn(async move {
                    let fed = feed(&broker, &witness, &tenant, old).await;
                    (tenant, fed)
                });
            }
            let Some(done) = under_way.join_next().await else { break };
            let Ok((tenant, fed)) = done else { continue };
            match fed {
                Ok(fed) => cosigned.extend(self.take(&tenant, fed).await?),
                Err(error) => self.unreadable(&tenant, &error),
            }
            if self.pause.is_some() {
                due.by_ref().for_each(drop);
            }
        }
        if cosigned.is_empty() {
            return Ok(());
        }
        Ok(self.broker.committer.upkeep(Upkeep::StoreCosignatures(cosigned)).await?)
    }

    /// The logs to send now, with the size that the witness has; those that releases wait for come first.
    async fn due(&mut self) -> Result<Vec<(String, u64)>, Error> {
        let mut db = self.broker.store.reader().await?;
        if self.logs.is_empty() {
            let rows = cosignatures::of_witness(&mut db, &self.witness.name).await?;
            let own = rows.into_iter().filter(|row| self.witness.has_signed(row));
            self.logs = own.map(|row| (row.tenant, Log { cosigned: row.size, ..Log::default() })).collect();
        }
        let frozen = frozen_logs::all(&mut db).await?.into_iter().map(|log| log.tenant).collect();
        let sizes = log::sizes(&mut db).await?;
        drop(db);
        self.show_frozen(frozen);
        let (now, mut lag, mut due) = (Instant::now(), 0, Vec::new());
        let watched = |tenant: &String| self.witness.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant));
        for (tenant, size) in sizes.into_iter().filter(|(tenant, _)| watched(tenant)) {
            let log = self.logs.entry(tenant.clone()).or_default();
            lag += size.saturating_sub(log.cosigned);
            let is_awaited = self.broker.quorum.is_awaited(&tenant);
            let paused = log.not_before.max(self.pause.map(|(until, _)| until)).is_some_and(|until| until > now);
            let behind = size != log.cosigned || !log.is_confirmed;
            if behind && !self.frozen.contains(&tenant) && (is_awaited || !paused) {
                due.push((!is_awaited, tenant, log.cosigned));
            }
        }
        gauge!("keyfold_witness_lag_events", "witness" => self.witness.name.to_string()).set(lag as f64);
        due.sort_unstable();
        Ok(due.into_iter().map(|(_, tenant, old)| (tenant, old)).collect())
    }

    /// Acts on what became of one log; gives what is to be stored.
    async fn take(&mut self, tenant: &str, fed: Result<Fed, Trouble>) -> Result<Option<Cosignature>, Error> {
        let log = self.logs.entry(tenant.to_owned()).or_default();
        log.not_before = Some(Instant::now() + INTERVAL);
        match fed {
            Ok(Fed::Cosigned(cosignature)) => Ok(Some(self.cosigned(cosignature))),
            Ok(Fed::Contradicted { contradiction, witnessed_size, size }) => {
                let now = self.broker.clock.now();
                let (tenant, witness) = (tenant.to_owned(), self.witness.name.to_string());
                self.freeze(FrozenLog { tenant, witness, contradiction, witnessed_size, size, frozen_at: now }).await?;
                Ok(None)
            }
            Err(trouble) => {
                self.failed(tenant, &trouble);
                Ok(None)
            }
        }
    }

    /// A log that cannot be read or proven waits by itself: the others go on.
    fn unreadable(&mut self, tenant: &str, error: &Error) {
        self.count("unreadable");
        self.logs.entry(tenant.to_owned()).or_default().not_before = Some(Instant::now() + RETRY.1);
        let (witness, error) = (&self.witness.name, error as &dyn std::error::Error);
        tracing::error!(%witness, tenant, error, "a log cannot be sent to a witness");
    }

    fn cosigned(&mut self, cosignature: Cosignature) -> Cosignature {
        self.count("cosigned");
        self.pause = None;
        let log = self.logs.entry(cosignature.tenant.clone()).or_default();
        (log.cosigned, log.is_confirmed, log.is_refused) = (cosignature.size, true, false);
        self.broker.quorum.cosigned(&cosignature.tenant, &self.witness.name, cosignature.size);
        self.show_refused();
        cosignature
    }

    /// There are two histories of one log, or the end of it is gone. Which is the true one, only people can tell.
    async fn freeze(&mut self, log: FrozenLog) -> Result<(), Error> {
        self.count("contradicted");
        let FrozenLog { tenant, witness, contradiction, witnessed_size, size, .. } = &log;
        let contradiction = contradiction.as_str();
        tracing::error!(
            tenant,
            witness,
            contradiction,
            witnessed_size,
            size,
            "a witness knows another log: it is frozen"
        );
        Ok(self.broker.committer.upkeep(Upkeep::FreezeLog(log)).await?)
    }

    fn failed(&mut self, tenant: &str, trouble: &Trouble) {
        let witness = self.witness.name.clone();
        let error = trouble as &dyn std::error::Error;
        match trouble {
            Trouble::Refused(_) => {
                self.count("refused");
                let log = self.logs.entry(tenant.to_owned()).or_default();
                log.not_before = Some(Instant::now() + REFUSED);
                if !std::mem::replace(&mut log.is_refused, true) {
                    tracing::error!(%witness, tenant, error, "a witness does not take a log: its operator has to");
                }
                self.show_refused();
            }
            Trouble::Unreachable(_) | Trouble::Unavailable(_) | Trouble::Malformed => {
                self.count("failed");
                let wait = self.pause.map_or(RETRY.0, |(_, next)| next);
                self.pause = Some((Instant::now() + wait, (wait * 2).min(RETRY.1)));
                tracing::warn!(%witness, tenant, error, "a witness does not cosign");
            }
        }
    }

    fn show_frozen(&mut self, frozen: BTreeSet<String>) {
        for tenant in frozen.symmetric_difference(&self.frozen) {
            let is_frozen = if frozen.contains(tenant) { 1.0 } else { 0.0 };
            gauge!("keyfold_log_frozen", "tenant" => tenant.clone()).set(is_frozen);
        }
        self.frozen = frozen;
    }

    fn show_refused(&self) {
        let refused = self.logs.values().filter(|log| log.is_refused).count();
        gauge!("keyfold_witness_refused_logs", "witness" => self.witness.name.to_string()).set(refused as f64);
    }

    fn count(&self, outcome: &'static str) {
        count(&self.witness.name, outcome);
    }
}

fn count(witness: &str, outcome: &'static str) {
    counter!("keyfold_witness_requests_total", "witness" => witness.to_owned(), "outcome" => outcome).increment(1);
}
