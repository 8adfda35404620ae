//! Closed loops: each client does its next operation when the last one has been answered, or at a steady pace.

use crate::Failure;
use crate::machine::CpuTime;
use crate::process::{Server, cpu_time};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep};

/// Load before the clock starts: caches fill, batches find their size.
const WARM_UP: Duration = Duration::from_secs(1);

/// What a client does over and over.
pub trait Operation: Send + 'static {
    /// Does it once, to the end.
    fn once(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What a load measured, and what it cost whom.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The server and its provider.
    pub server: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// Closed loops at the same time.
    pub clients: usize,
    /// How many, and how fast.
    #[serde(flatten)]
    pub rate: Rate,
    /// User and system time of the server for one operation, in microseconds.
    pub server_cpu_us: f64,
    /// The same of the load generator.
    pub client_cpu_us: f64,
}

/// Operations of a stretch of time.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rate {
    /// Operations a second.
    pub per_second: f64,
    /// The median time of one operation, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 operations took no longer, in milliseconds.
    pub p99_ms: f64,
}

/// Runs all `clients` at once for `seconds`, after a warm-up; gives them back for the next load.
pub async fn run<O: Operation>(
    (server_name, operation): (&'static str, &'static str),
    server: &Server,
    clients: Vec<O>,
    seconds: u64,
) -> Result<(Measured, Vec<O>), Failure> {
    let cpu = || Ok((cpu_time(&server.id())?, cpu_time("self")?));
    let (rate, (before, after), clients) = timed(clients, seconds, cpu).await?;
    let micros = |used: Duration| used.as_secs_f64() * 1e6 / (rate.per_second * seconds as f64).max(1.0);
    let measured = Measured {
        server: server_name,
        operation,
        clients: clients.len(),
        rate,
        server_cpu_us: micros(after.0 - before.0),
        client_cpu_us: micros(after.1 - before.1),
    };
    Ok((measured, clients))
}

/// As `run`, with the share of the whole machine's CPU that was in use, 0 to 1.
pub async fn run_on_machine<O: Operation>(clients: Vec<O>, seconds: u64) -> Result<(Rate, f64, Vec<O>), Failure> {
    let (rate, (before, after), clients) = timed(clients, seconds, CpuTime::now).await?;
    Ok((rate, after.busy_since(before), clients))
}

/// Looks at something when the clock starts and when it ends.
async fn timed<O: Operation, L>(
    clients: Vec<O>,
    seconds: u64,
    look: impl Fn() -> Result<L, Failure>,
) -> Result<(Rate, (L, L), Vec<O>), Failure> {
    let load = Load::begin(clients, None);
    sleep(WARM_UP).await;
    let (from, before) = (Instant::now(), look()?);
    sleep(Duration::from_secs(seconds)).await;
    let (until, after) = (Instant::now(), look()?);
    let (times, clients) = load.end().await?;
    Ok((times.between(from, until), (before, after), clients))
}

/// A load under way. Dropping it ends it.
pub struct Load<O> {
    stop: Arc<AtomicBool>,
    loops: JoinSet<Result<(O, Vec<Done>), Failure>>,
}

/// An operation that succeeded.
#[derive(Debug, Clone, Copy)]
struct Done {
    ended: Instant,
    took: Duration,
}

impl<O: Operation> Load<O> {
    /// Closed loops without pause, or where there is a `pace`, one operation per client and that time: it then counts
    /// from when it was due.
    pub fn begin(clients: Vec<O>, pace: Option<Duration>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut loops, count) = (JoinSet::new(), clients.len());
        for (number, client) in clients.into_iter().enumerate() {
            // They do not all begin at the same time.
            let due = pace.map(|pace| ticks(pace, pace.mul_f64(number as f64 / count as f64)));
            loops.spawn(repeat(client, due, stop.clone()));
        }
        Self { stop, loops }
    }

    /// Lets each client come to an end.
    pub async fn end(mut self) -> Result<(Times, Vec<O>), Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut times, mut clients) = (Vec::new(), Vec::new());
        while let Some(ended) = self.loops.join_next().await {
            let (client, done) = ended??;
            times.extend(done);
            clients.push(client);
        }
        Ok((Times(times), clients))
    }
}

fn ticks(pace: Duration, first: Duration) -> Interval {
    let mut ticks = interval_at(tokio::time::Instant::now() + first, pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

async fn repeat<O: Operation>(
    mut client: O,
    mut due: Option<Interval>,
    stop: Arc<AtomicBool>,
) -> Result<(O, Vec<Done>), Failure> {
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = match &mut due {
            Some(due) => due.tick().await.into_std(),
            None => Instant::now(),
        };
        client.once().await?;
        let ended = Instant::now();
        times.push(Done { ended, took: ended - began });
        // What never has to wait would keep the others, and the clock, from their turn.
        yield_now().await;
    }
    Ok((client, times))
}

/// When each operation ended, and how long it took.
pub struct Times(Vec<Done>);

impl Times {
    /// Of the operations that ended between two instants.
    pub fn between(&self, from: Instant, until: Instant) -> Rate {
        self.within(&[(from, until)])
    }

    /// Of the operations that ended in any of these stretches of time.
    pub fn within(&self, windows: &[(Instant, Instant)]) -> Rate {
        let inside = |done: &&Done| windows.iter().any(|(from, until)| (*from..*until).contains(&done.ended));
        let mut times: Vec<Duration> = self.0.iter().filter(inside).map(|done| done.took).collect();
        times.sort_unstable();
        let length: Duration = windows.iter().map(|(from, until)| *until - *from).sum();
        Rate {
            per_second: times.len() as f64 / length.as_secs_f64(),
            p50_ms: milliseconds(&times, 50),
            p99_ms: milliseconds(&times, 99),
        }
    }

    /// From an instant to the end of the first operation that ended after it.
    pub fn first_after(&self, from: Instant) -> Option<Duration> {
        self.0.iter().filter(|done| done.ended > from).map(|done| done.ended - from).min()
    }
}

fn milliseconds(sorted: &[Duration], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
