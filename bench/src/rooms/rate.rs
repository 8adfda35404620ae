//! How fast a room unwraps with nothing around it, and how fast a broker restores through it.

use super::report::{Comparison, Report, Throughput, Verdict};
use super::subject::{ALL, CALLS, Kind, PROVIDER, Place, Subject};
use crate::Failure;
use crate::broker::Broker;
use crate::devices::{backed_up, restoring};
use crate::load::{self, Operation};
use providers::{Context, KeyProvider, KeyRef, Wrapped};
use secret::Secret;
use std::sync::Arc;

/// Closed loops that restore. The first and second have their like among the loops around the room.
const CLIENTS: [usize; 3] = [1, CALLS, 64];
/// Receive keys made before a load, per second of it.
const KEYS_PER_SECOND: usize = 2_000;
/// What is backed up first, and restored.
const KIND: &str = "identity";
const TENANT: &str = "acme";

/// Each provider by itself and through a broker, one after the other.
pub async fn all(place: &Place, seconds: u64, report: &mut Report) -> Result<(), Failure> {
    for kind in ALL {
        let subject = kind.start(place).await.map_err(|failure| format!("{}: {failure}", kind.name()))?;
        let raw = raw(kind, &subject, seconds, report).await?;
        let restores = restores(kind, (place, &subject), seconds, report).await?;
        for restore in restores {
            report.compare(compared(&raw, &restore))?;
        }
    }
    Ok(())
}

/// With one call at a time, and with as many as the broker may have.
async fn raw(kind: Kind, subject: &Subject, seconds: u64, report: &mut Report) -> Result<[Throughput; 2], Failure> {
    let unwraps = Unwraps::prepare(subject).await?;
    let one = unwraps.load(kind, 1, seconds).await?;
    report.add(&one)?;
    let all = unwraps.load(kind, CALLS, seconds).await?;
    report.add(&all)?;
    Ok([one, all])
}

async fn restores(
    kind: Kind,
    (place, subject): (&Place, &Subject),
    seconds: u64,
    report: &mut Report,
) -> Result<Vec<Throughput>, Failure> {
    let broker = Broker::start(&place.installation, &subject.section).await?;
    broker.tenant(TENANT, PROVIDER, subject.key.as_str()).await?;
    let kinds = [KIND.to_owned()];
    let mut devices = backed_up(broker.devices(TENANT, CLIENTS[2]).await?, &kinds).await?;
    let mut measured = Vec::new();
    for clients in CLIENTS {
        let keys = KEYS_PER_SECOND * seconds as usize;
        let loops = restoring(&broker, devices.drain(..clients), &kinds, keys).await?;
        let (rate, machine_cpu, loops) = load::run_on_machine(loops, seconds).await?;
        devices.extend(loops.into_iter().map(|restores| restores.device));
        let restored = Throughput { provider: kind.name(), operation: "restore", clients, rate, machine_cpu };
        report.add(&restored)?;
        measured.push(restored);
    }
    Ok(measured)
}

/// The rate is compared with all that the room can do, the times with those of as many calls at a time, or as there
/// can be.
fn compared([one, all]: &[Throughput; 2], restore: &Throughput) -> Comparison {
    let alike = if restore.clients == 1 { one } else { all };
    let ratio = restore.rate.per_second / all.rate.per_second;
    Comparison {
        provider: restore.provider.clone(),
        clients: restore.clients,
        ratio,
        added_p50_ms: restore.rate.p50_ms - alike.rate.p50_ms,
        added_p99_ms: restore.rate.p99_ms - alike.rate.p99_ms,
        machine_cpu: restore.machine_cpu,
        verdict: Verdict::of(ratio, restore.machine_cpu),
    }
}

/// Unwraps of one record, over and over.
#[derive(Clone)]
struct Unwraps {
    room: Arc<dyn KeyProvider>,
    key: KeyRef,
    wrapped: Wrapped,
}

impl Unwraps {
    const SECRET: [u8; 32] = [7; 32];
    const CONTEXT: Context = Context::new([9; 32]);

    async fn prepare(subject: &Subject) -> Result<Self, Failure> {
        let (room, key) = (subject.room.clone(), subject.key.clone());
        let wrapped = room.wrap_key(&key, &Secret::copied_from(&Self::SECRET), &Self::CONTEXT).await?;
        Ok(Self { room, key, wrapped })
    }

    async fn load(&self, kind: Kind, clients: usize, seconds: u64) -> Result<Throughput, Failure> {
        let (rate, machine_cpu, _) = load::run_on_machine(vec![self.clone(); clients], seconds).await?;
        Ok(Throughput { provider: kind.name(), operation: "unwrap", clients, rate, machine_cpu })
    }
}

impl Operation for Unwraps {
    async fn once(&mut self) -> Result<(), Failure> {
        let secret = self.room.unwrap_key(&self.key, &self.wrapped, &Self::CONTEXT).await?;
        if secret.matches(&Self::SECRET) { Ok(()) } else { Err("another secret came back".into()) }
    }
}
