//! `keyfold serve`: puts the broker together and runs it.

use super::{Failure, output};
use crate::attestation::Attestation;
use crate::broker::Broker;
use crate::caller::Administrators;
use crate::clock::{Clock, Timestamp};
use crate::commit::{Committer, Means};
use crate::config::{self, Config};
use crate::console;
use crate::cosigning;
use crate::delivery::Delivery;
use crate::disk::Disk;
use crate::feeds::Feeds;
use crate::health;
use crate::http::{Health, Listener, Timeouts, router, serve};
use crate::inventory::Inventory;
use crate::issuers::Issuers;
use crate::keys::Keys;
use crate::kms::{Kms, connect};
use crate::latency::Latencies;
use crate::limits::Limits;
use crate::niced;
use crate::nonce::Nonces;
use crate::ops::people::join;
use crate::ops::{erase, findings, keks, rewrap, sweep};
use crate::pace::Pace;
use crate::pending::Pending;
use crate::reserved::Reserved;
use crate::roster::Bootstrap;
use crate::rulebook::Rulebook;
use crate::sending;
use crate::sessions::Sessions;
use crate::sso::Sso;
use crate::store::{Store, log};
use crate::testimony::Testimony;
use clap::Args;
use identity::passkey::RelyingParty;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use protocol::jws::DeviceKey;
use providers::KeyRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// Threads for what nobody waits for: one that is busy must not keep back all the rest.
const BACKGROUND_THREADS: usize = 2;

/// Run the broker until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration file; `keyfold init` makes one.
    #[arg(long, short)]
    config: PathBuf,
    /// Log one JSON object a line.
    #[arg(long)]
    json_logs: bool,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        log_to_stderr(self.json_logs);
        harden();
        let config = Config::read(&self.config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let background = niced::runtime("background", BACKGROUND_THREADS)?;
        let done = runtime.block_on(run(config, started, background.handle().clone()));
        // A PKCS#11 call that hangs must not keep the process from ending.
        runtime.shutdown_timeout(Duration::from_secs(1));
        background.shutdown_timeout(Duration::from_secs(1));
        done
    }
}

pub(super) fn log_to_stderr(json: bool) {
    let filter = EnvFilter::try_from_env("KEYFOLD_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if json { format.json().init() } else { format.with_ansi(false).init() }
}

/// Secrets stay in memory, memory out of files, and files with their owner; many connections need many descriptors.
pub(super) fn harden() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let hardening = secret::harden_process();
    if !hardening.locked {
        warn!("memory could not be locked: secrets may be swapped to disk; raise LimitMEMLOCK");
    }
    if !hardening.undumpable {
        warn!("core dumps could not be forbidden");
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _best_effort = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

async fn run(config: Config, started: Instant, niced: Handle) -> Result<(), Failure> {
    let metrics = record_metrics()?;
    let socket = TcpListener::bind(config.listen).await?;
    let tls = Arc::new(config.tls()?);
    let (broker, committer) = open(&config, niced).await?;
    sweep::recover(&broker).await?;

    let stop = broker.stopping.clone();
    let mut background = vec![tokio::spawn(upkeep(broker.clone(), metrics.clone(), stop.clone()))];
    tokio::spawn(settle(broker.clone()));
    background.push(tokio::spawn(rewrap::run_all(broker.clone(), stop.clone())));
    let interval = Duration::from_secs(config.times.kek_test_seconds.max(1));
    background.push(tokio::spawn(keks::health::watch(broker.clone(), interval, stop.clone())));
    background.push(findings::start(broker.clone(), stop.clone()).await?);
    background.extend(sending::start(&broker, &config, &stop).await?);
    let config = Arc::new(config);
    let delivery = Delivery::start(broker.clone(), config.clone()).await?;
    for witness in witnesses(&config)? {
        background.push(tokio::spawn(cosigning::run(broker.clone(), witness, stop.clone())));
    }
    stop_on_signal(&stop)?;
    let timeouts = Timeouts {
        headers: Duration::from_secs(config.times.headers_seconds),
        shutdown: Duration::from_secs(config.times.shutdown_seconds),
    };
    let listener = Listener { socket, tls, max_connections: config.max_connections, timeouts };
    invite_the_first(&broker).await?;
    info!(address = %config.listen, ms = started.elapsed().as_millis(), "ready");
    let site = console::router(router(broker.clone(), Health { metrics }));
    serve(listener, site, stop).await?;

    for task in background {
        task.await?;
    }
    delivery.finish().await;
    close(broker, committer).await;
    Ok(())
}

/// Prints the link for the first person who administers, while fewer than two can sign in. On stdout: the journal, which
/// goes to collectors, must appoint nobody.
async fn invite_the_first(broker: &Broker) -> Result<(), Failure> {
    if let Some(invitation) = join::bootstrap(broker).await? {
        output::line(&format!("first administrator: {}/console/join#{invitation}", broker.public_url))?;
    }
    Ok(())
}

fn record_metrics() -> Result<PrometheusHandle, Failure> {
    const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("seconds".into()), &SECONDS)?;
    Ok(builder.install_recorder()?)
}

/// Opens database, keys and providers; without the root key it goes no further.
pub(super) async fn open(config: &Config, background: Handle) -> Result<(Arc<Broker>, JoinHandle<()>), Failure> {
    let database = config.database_path();
    let store = Store::open(&database).await?;
    check_log_host(&store, &config.log_host).await?;
    let floor = log::latest_change(&mut *store.reader().await?).await?;
    let clock = Arc::new(Clock::starting_at(floor));
    let rooms = connect::all(config).await?;
    let keys = open_keys(config, &store, &rooms, clock.now()).await?;
    let means = means(config, clock, Arc::new(keys));
    let (committer, task) = Committer::start(store.clone(), means.clone());
    let Means { clock, keys, inventory, testimony, pace, quotas } = means;
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(".".into(), PathBuf::from);
    let broker = Broker {
        inventory,
        quorum: config.release.quorum(),
        nonces: Nonces::new(&keys.nonce),
        policies: Rulebook::new(keys.clone(), store.clone(), testimony.clone(), config.default_policies()?),
        weakening_delay: config.policies.weakening_delay(),
        kms: Kms::new(rooms),
        health: health::Health::default(),
        pace,
        feeds: Feeds::default(),
        outbox: config.notices.outbox(),
        reserved: reserved(config),
        findings: config.findings.settings(),
        latencies: Latencies::default(),
        stopping: CancellationToken::new(),
        background,
        limits: Limits::new(config.rates),
        countries: config.countries()?,
        quotas,
        disk: Disk::new(&folder, config.database.min_free_mib.saturating_mul(1024 * 1024)),
        admins: Administrators::new(config.admin_tokens()?)?,
        sessions: Sessions::default(),
        sso: Sso::new(config.sign_ons()?),
        logins: Issuers::new(config.logins()?),
        relying_party: RelyingParty::new(&config.public_url.parse()?, "Keyfold")?,
        attestation: Attestation::new(config.attestation_roots()?),
        bootstrap: Bootstrap::default(),
        joining: Pending::default(),
        signing_in: Pending::default(),
        acts: Pending::default(),
        deciding: tokio::sync::Mutex::default(),
        public_url: config.public_url.clone(),
        restore_lifetime: Duration::from_secs(config.times.restore_minutes.saturating_mul(60)),
        testimony,
        decoy: DeviceKey::generate_p256().public().clone(),
        clock,
        store,
        committer,
        keys,
    };
    Ok((Arc::new(broker), task))
}

fn means(config: &Config, clock: Arc<Clock>, keys: Arc<Keys>) -> Means {
    let testimony = Arc::new(Testimony::default());
    let inventory = Arc::new(Inventory::new(keys.clone(), testimony.clone()));
    let (pace, quotas) = (Pace::starting_at(Instant::now()), Arc::new(config.quotas()));
    Means { clock, keys, inventory, testimony, pace, quotas }
}

async fn open_keys(
    config: &Config,
    store: &Store,
    rooms: &BTreeMap<String, connect::Room>,
    now: Timestamp,
) -> Result<Keys, Failure> {
    let root = rooms.get(&config.root.provider).ok_or("the root provider is missing")?;
    let root_key = KeyRef::new(config.root.key.clone());
    Ok(Keys::open(store, (&*root.keys, &root_key), config.log_host.clone(), now).await?)
}

fn reserved(config: &Config) -> Reserved {
    let kept = config.providers.iter().filter_map(|(name, entry)| Some((name.clone(), entry.tenants.clone()?)));
    Reserved { root: (config.root.provider.clone(), config.root.key.clone()), tenants: kept.collect() }
}

/// Refuses another `log_host` than the logs were begun with: leaves and checkpoints of two names make no log.
async fn check_log_host(store: &Store, host: &str) -> Result<(), Failure> {
    let heads = log::heads(&mut *store.reader().await?).await?;
    match heads.iter().find(|head| !head.checkpoint.starts_with(&format!("{host}/{}\n", head.tenant))) {
        Some(head) => {
            Err(format!("`log_host` is not the one that the log of tenant `{}` was begun with", head.tenant).into())
        }
        None => Ok(()),
    }
}

fn witnesses(config: &Config) -> Result<Vec<cosigning::Witness>, Failure> {
    let connect = |witness: &config::Witness| {
        let ca = witness.ca.as_ref().map(|path| config.bytes(path)).transpose()?;
        Ok(cosigning::Witness {
            name: witness.name.as_str().into(),
            tenants: witness.tenants.clone(),
            client: witness::Client::new(&witness.url, ca.as_deref(), cosigning::DEADLINE)?,
            cosigner: witness.cosigner()?,
        })
    };
    config.witnesses.iter().map(connect).collect()
}

/// Beside the first requests: each takes long where there is much to do.
async fn settle(broker: Arc<Broker>) {
    if let Err(error) = keks::destroy::finish(&broker).await {
        warn!(error = &error as &dyn std::error::Error, "a destruction is not finished; the next start goes on");
    }
    if let Err(error) = erase::finish(&broker).await {
        warn!(error = &error as &dyn std::error::Error, "an erasure is not finished; the next start goes on");
    }
    if let Err(error) = keks::count_wraps(&broker).await {
        warn!(error = &error as &dyn std::error::Error, "the wraps of each KEK could not be counted");
    }
}

/// Looks at disk and worker processes every second, and sweeps every ten.
async fn upkeep(broker: Arc<Broker>, metrics: PrometheusHandle, stop: CancellationToken) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut seconds: u64 = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = second.tick() => {}
        }
        broker.disk.look();
        broker.kms.measure();
        seconds += 1;
        if !seconds.is_multiple_of(10) {
            continue;
        }
        // Histograms hold every sample in memory until this or a scrape.
        metrics.run_upkeep();
        if let Err(error) = broker.countries.refresh() {
            warn!(error = &error as &dyn std::error::Error, "what was read before stays in use");
        }
        if let Err(error) = sweep::sweep(&broker).await {
            warn!(error = &error as &dyn std::error::Error, "a sweep failed; the next one tries again");
        }
    }
}

pub(super) fn stop_on_signal(stop: &CancellationToken) -> Result<(), Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping: no new connections, requests under way go on");
        stop.cancel();
    });
    Ok(())
}

/// Waits until the committer has written what it was given, then closes the files.
pub(super) async fn close(broker: Arc<Broker>, committer: JoinHandle<()>) {
    let store = broker.store.clone();
    drop(broker);
    let _late = tokio::time::timeout(Duration::from_secs(10), committer).await;
    store.close().await;
    info!("stopped");
}
