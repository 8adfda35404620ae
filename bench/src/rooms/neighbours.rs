//! Two tenants with an HSM module each, of which one misbehaves: what the other's restores feel of it.

use super::report::{Disturbance, Report, Restart};
use super::subject::{CALLS, Place};
use crate::Failure;
use crate::broker::Broker;
use crate::device::Restores;
use crate::devices::{backed_up, restoring};
use crate::https::Endpoint;
use crate::load::{Load, Operation, Times};
use crate::process::lives;
use crate::token::{MODULE, Token};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::time::sleep;

/// Whose module is sound, and how many of its clients restore.
const LUCKY: (&str, usize) = ("lucky", 8);
/// Whose module is not.
const UNLUCKY: (&str, usize) = ("unlucky", 4);
/// Each client begins a restore once in this time, the machine being far from full: else the clients disturb each other.
pub const PACE: Duration = Duration::from_millis(80);
const KIND: &str = "identity";
/// The texts of the bad module's control file.
const FAULTS: [(&str, &str); 3] = [("hangs", "Hang"), ("crashes", "Crash"), ("leaks sessions", "LeakSessions")];
const NO_FAULT: &str = "None";
/// Healthy and faulty windows of each fault, in turns.
const ROUNDS: usize = 3;
const CRASHES: usize = 3;
/// After so long a life a worker that crashes is replaced at once.
const SETTLED: Duration = Duration::from_secs(11);
/// What a client waits after a refusal.
const RETRY: Duration = Duration::from_millis(50);
/// The longest that a tenant may be without its HSM after a fault.
const LONGEST_OUTAGE: Duration = Duration::from_secs(60);

/// Each fault in turn, then single crashes.
pub async fn measure(place: &Place, seconds: u64, report: &mut Report) -> Result<(), Failure> {
    let mut scene = Scene::start(place).await?;
    let (lucky, mut unlucky) = scene.clients().await?;
    let lucky = Load::begin(lucky, Some(PACE));
    let mut faulty = Vec::new();
    for (name, fault) in FAULTS {
        let (windows, again) = scene.rounds(fault, unlucky, Duration::from_secs(seconds)).await?;
        unlucky = again;
        faulty.push((name, windows));
    }
    for _ in 0..CRASHES {
        sleep(SETTLED).await;
        let (restart, client) = scene.crash(unlucky.pop().ok_or("no client is left")?).await?;
        unlucky.push(client);
        report.restarted(restart)?;
    }
    let (times, _) = lucky.end().await?;
    for (name, windows) in faulty {
        report.disturbed(windows.disturbance(name, &times))?;
    }
    Ok(())
}

struct Scene {
    broker: Broker,
    control: PathBuf,
    successes: Arc<AtomicUsize>,
    _tokens: [Token; 2],
    _folder: TempDir,
}

type Window = (Instant, Instant);

/// What happened while one fault came and went.
struct Windows {
    healthy: Vec<Window>,
    faulty: Vec<Window>,
    /// From the end of each fault to the unlucky tenant's next restore.
    recovered: Vec<Duration>,
    unlucky: Times,
}

impl Scene {
    async fn start(place: &Place) -> Result<Self, Failure> {
        let folder = TempDir::new_in(&place.installation.folder)?;
        let control = folder.path().join("control");
        let token =
            || Token::make(&place.installation.folder)?.ok_or_else(|| Failure::from("SoftHSM2 is not installed"));
        let tokens = [token()?, token()?];
        let bad = place.installation.keyfold.with_file_name("libkeyfold_bad_pkcs11.so");
        let settings = format!("call_deadline_ms = 500\ncalls = {{ deadline_ms = 2000, concurrency = {CALLS} }}\n");
        let sections = tokens[0].section(LUCKY.0, Path::new(MODULE), &settings)
            + &tokens[1].section(UNLUCKY.0, &bad, &settings)
            + &format!("BAD_PKCS11_MODULE = \"{MODULE}\"\nBAD_PKCS11_CONTROL = \"{}\"\n", control.display());
        let broker = Broker::start(&place.installation, &sections).await?;
        for (tenant, _) in [LUCKY, UNLUCKY] {
            broker.tenant(tenant, tenant, Token::KEY).await?;
        }
        Ok(Self { broker, control, successes: Arc::default(), _tokens: tokens, _folder: folder })
    }

    async fn clients(&self) -> Result<(Vec<Restores>, Vec<Persistent>), Failure> {
        let kinds = [KIND.to_owned()];
        let mut loops = Vec::new();
        for (tenant, clients) in [LUCKY, UNLUCKY] {
            let devices = backed_up(self.broker.devices(tenant, clients).await?, &kinds).await?;
            loops.push(restoring(&self.broker, devices.into_iter(), &kinds, 10_000).await?);
        }
        let (unlucky, lucky) = (loops.pop().unwrap_or_default(), loops.pop().unwrap_or_default());
        let persistent = |restores| Persistent {
            restores,
            endpoint: self.broker.endpoint().clone(),
            successes: self.successes.clone(),
        };
        Ok((lucky, unlucky.into_iter().map(persistent).collect()))
    }

    fn set(&self, fault: &str) -> Result<(), Failure> {
        // Put in place whole: the module reads it whenever it is called.
        let next = self.control.with_extension("next");
        fs::write(&next, fault)?;
        Ok(fs::rename(next, &self.control)?)
    }

    /// The unlucky tenant's own load, through windows of equal length without and with the fault.
    async fn rounds(
        &self,
        fault: &str,
        unlucky: Vec<Persistent>,
        length: Duration,
    ) -> Result<(Windows, Vec<Persistent>), Failure> {
        let load = Load::begin(unlucky, Some(PACE));
        let (mut healthy, mut faulty) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            sleep(Duration::from_secs(1)).await;
            healthy.push(window(length).await);
            self.set(fault)?;
            faulty.push(window(length).await);
            self.set(NO_FAULT)?;
            self.recovers().await?;
        }
        let (times, unlucky) = load.end().await?;
        let recovered = faulty.iter().filter_map(|(_, until)| times.first_after(*until)).collect();
        Ok((Windows { healthy, faulty, recovered, unlucky: times }, unlucky))
    }

    async fn recovers(&self) -> Result<(), Failure> {
        let (before, deadline) = (self.successes.load(Ordering::Relaxed), Instant::now() + LONGEST_OUTAGE);
        while self.successes.load(Ordering::Relaxed) < before + UNLUCKY.1 {
            if Instant::now() > deadline {
                return Err("the unlucky tenant's HSM does not come back".into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// One crash of the unlucky tenant's worker: from the end of its process to the new one's login, and to the next
    /// restore.
    async fn crash(&mut self, mut client: Persistent) -> Result<(Restart, Persistent), Failure> {
        client.restores.device.reconnect(self.broker.endpoint()).await?;
        let (workers, logins) = (self.broker.server.children()?, self.logins());
        self.set("Crash")?;
        let restoring = tokio::spawn(async move { client.once().await.map(|()| (Instant::now(), client)) });
        until(|| !workers.iter().all(|worker| lives(worker))).await?;
        let crashed = Instant::now();
        self.set(NO_FAULT)?;
        until(|| self.logins() > logins).await?;
        let login = crashed.elapsed();
        let (restored, client) = restoring.await??;
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let restart = Restart { login_ms: milliseconds(login), restored_ms: milliseconds(restored - crashed) };
        Ok((restart, client))
    }

    /// How often the bad module was logged in to: it appends a byte each time.
    fn logins(&self) -> u64 {
        fs::metadata(self.control.with_extension("logins")).map_or(0, |file| file.len())
    }
}

async fn window(length: Duration) -> Window {
    let from = Instant::now();
    sleep(length).await;
    (from, Instant::now())
}

async fn until(reached: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + LONGEST_OUTAGE;
    while !reached() {
        if Instant::now() > deadline {
            return Err("the bad module's worker does not end, or does not come back".into());
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

impl Windows {
    fn disturbance(&self, fault: &'static str, lucky: &Times) -> Disturbance {
        let rounds = self.healthy.iter().zip(&self.faulty);
        let ratio =
            |(healthy, faulty): (&Window, &Window)| lucky.within(&[*faulty]).p99_ms / lucky.within(&[*healthy]).p99_ms;
        let (healthy, faulty) = (lucky.within(&self.healthy), lucky.within(&self.faulty));
        Disturbance {
            fault,
            healthy,
            faulty,
            p99_ratio: faulty.p99_ms / healthy.p99_ms,
            p99_ratios: rounds.map(ratio).collect(),
            unlucky_per_second: self.unlucky.within(&self.faulty).per_second,
            recovered_ms: self.recovered.iter().map(|time| time.as_secs_f64() * 1e3).collect(),
        }
    }
}

/// Restores until it succeeds: one operation lasts as long as the outage.
struct Persistent {
    restores: Restores,
    endpoint: Endpoint,
    successes: Arc<AtomicUsize>,
}

impl Operation for Persistent {
    async fn once(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + LONGEST_OUTAGE;
        while let Err(failure) = self.restores.once().await {
            if Instant::now() > deadline {
                return Err(failure);
            }
            sleep(RETRY).await;
            // With a new nonce: the one of the refusal was not taken up.
            self.restores.device.reconnect(&self.endpoint).await?;
        }
        self.successes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
