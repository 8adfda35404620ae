//! Closed loops: each client does its next operation when the last one has been answered.

use crate::Failure;
use crate::process::{Server, cpu_time};
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

/// Load before the clock starts: caches fill, batches find their size.
const WARM_UP: Duration = Duration::from_secs(1);

/// What a client does over and over.
pub trait Operation: Send + 'static {
    /// Does it once, to the end.
    fn once(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What a load measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The server and its provider.
    pub server: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// Closed loops at the same time.
    pub clients: usize,
    /// Operations a second.
    pub per_second: f64,
    /// The median time of one operation, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 operations took no longer, in milliseconds.
    pub p99_ms: f64,
    /// User and system time of the server for one operation, in microseconds.
    pub server_cpu_us: f64,
    /// The same of the load generator.
    pub client_cpu_us: f64,
}

/// Runs all `clients` at once for `seconds`, after a warm-up; gives them back for the next load.
pub async fn run<O: Operation>(
    (server_name, operation): (&'static str, &'static str),
    server: &Server,
    clients: Vec<O>,
    seconds: u64,
) -> Result<(Measured, Vec<O>), Failure> {
    let from = Instant::now() + WARM_UP;
    let until = from + Duration::from_secs(seconds);
    let mut loops = JoinSet::new();
    for client in clients {
        loops.spawn(repeat(client, from, until));
    }
    sleep_until(from.into()).await;
    let before = (cpu_time(&server.id())?, cpu_time("self")?);
    sleep_until(until.into()).await;
    let used = (cpu_time(&server.id())? - before.0, cpu_time("self")? - before.1);
    let (mut times, mut clients) = (Vec::new(), Vec::new());
    while let Some(ended) = loops.join_next().await {
        let (client, took) = ended??;
        times.extend(took);
        clients.push(client);
    }
    times.sort_unstable();
    let count = times.len().max(1) as f64;
    let measured = Measured {
        server: server_name,
        operation,
        clients: clients.len(),
        per_second: times.len() as f64 / seconds as f64,
        p50_ms: milliseconds(&times, 50),
        p99_ms: milliseconds(&times, 99),
        server_cpu_us: used.0.as_secs_f64() * 1e6 / count,
        client_cpu_us: used.1.as_secs_f64() * 1e6 / count,
    };
    Ok((measured, clients))
}

/// The times of those operations that ended between `from` and `until`.
async fn repeat<O: Operation>(mut client: O, from: Instant, until: Instant) -> Result<(O, Vec<Duration>), Failure> {
    let mut times = Vec::new();
    loop {
        let started = Instant::now();
        client.once().await?;
        let ended = Instant::now();
        if ended >= until {
            return Ok((client, times));
        }
        if ended >= from {
            times.push(ended - started);
        }
    }
}

fn milliseconds(sorted: &[Duration], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
