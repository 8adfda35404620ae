//! How fast a whole log goes to each kind of receiver, and through the rules of findings.

use super::receiver::{Manner, Receiver};
use super::report::{Delivered, Report};
use super::scene::{Scene, without_findings};
use crate::Failure;
use counterparts::kafka::MockCluster;
use counterparts::syslog::{Program, SyslogServer};
use counterparts::tls::Authority;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The sink's name.
const SINK: &str = "measured";
const TOPIC: &str = "audit";
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(250);
/// By then the rules have looked at a log that has grown.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Without any progress for so long, it is given up.
const STUCK: Duration = Duration::from_secs(60);

/// One after the other.
pub async fn all(scene: Scene, report: &mut Report) -> Result<Scene, Failure> {
    let file =
        format!("\n[[sinks]]\ntype = \"file\"\nname = \"{SINK}\"\npath = \"delivered.ndjson\"\nmax_mib = 4096\n");
    let webhook = Receiver::start(&scene.broker.path(""), Manner::Takes).await?;
    let (authority, kafka) = (Authority::new(), MockCluster::start(1, TOPIC));
    let syslog = SyslogServer::start(Program::Rsyslog, &authority, &authority.server_pem(None));
    let syslog_section = syslog_section(&scene.broker.path(""), &authority, syslog.port())?;
    let receivers = [
        ("file", file),
        ("syslog", syslog_section),
        ("webhook", webhook.section(SINK)),
        ("Kafka", kafka_section(&kafka)),
    ];
    let mut scene = scene;
    for (receiver, section) in receivers {
        scene = scene.with(&(without_findings() + &section), None).await?;
        report.delivered(delivery(&scene, receiver, Progress::Delivered).await?)?;
    }
    scene = scene.with("", None).await?;
    report.delivered(delivery(&scene, "findings", Progress::LookedAt).await?)?;
    Ok(scene)
}

/// rsyslog over mutual TLS.
fn syslog_section(folder: &Path, authority: &Authority, port: u16) -> Result<String, Failure> {
    fs::write(folder.join("syslog-ca.pem"), authority.pem())?;
    fs::write(folder.join("syslog.pem"), authority.client_pem())?;
    Ok(format!(
        "\n[[sinks]]\ntype = \"syslog\"\nname = \"{SINK}\"\naddress = \"localhost:{port}\"\n\
         connection = {{ ca = \"syslog-ca.pem\", certificate = \"syslog.pem\", key = {{ file = \"syslog.pem\" }} }}\n"
    ))
}

/// librdkafka's mock cluster of one node, which is no match for a real one's disk, but speaks its protocol.
fn kafka_section(cluster: &MockCluster) -> String {
    format!(
        "\n[[sinks]]\ntype = \"kafka\"\nname = \"{SINK}\"\nbootstrap_servers = {:?}\ntopic = \"{TOPIC}\"\n\
         connection = {{ plaintext = true }}\n",
        cluster.addresses()
    )
}

/// Which metric tells how far it is.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// Events that the receiver took.
    Delivered,
    /// Events that rules have not looked at.
    LookedAt,
}

async fn delivery(scene: &Scene, receiver: &'static str, progress: Progress) -> Result<Delivered, Failure> {
    let mut metrics = scene.metrics().await?;
    let all = scene.events as f64;
    let (mut looks, mut resident_mib) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut moved = (0.0, begun);
    loop {
        let done = match progress {
            Progress::Delivered => metrics.value(&format!("keyfold_sink_delivered_total{{sink=\"{SINK}\"}}")).await?,
            // Before their first look the rules know of no lag.
            Progress::LookedAt => {
                let lag = metrics.value("keyfold_findings_lag_events").await?;
                if lag == 0.0 && begun.elapsed() < FIRST_LOOK { 0.0 } else { (all - lag).max(0.0) }
            }
        };
        if done > 0.0 {
            looks.push((Instant::now(), done));
        }
        resident_mib.push(scene.broker.server.resident_mib()?);
        if done >= all {
            break;
        }
        if done > moved.0 {
            moved = (done, Instant::now());
        } else if moved.1.elapsed() > STUCK {
            return Err(format!("{receiver} stops at {done} of {all} events").into());
        }
        sleep(LOOK).await;
    }
    Ok(Delivered { receiver, per_second: slope(&looks), resident_mib: thinned(&resident_mib) })
}

/// Between the first and the last look that saw progress.
fn slope(looks: &[(Instant, f64)]) -> f64 {
    match (looks.first(), looks.last()) {
        (Some(first), Some(last)) if last.0 > first.0 => (last.1 - first.1) / (last.0 - first.0).as_secs_f64(),
        _ => f64::NAN,
    }
}

/// At most some twenty figures, evenly spaced.
fn thinned(figures: &[f64]) -> Vec<f64> {
    figures.iter().step_by(figures.len().div_ceil(20).max(1)).copied().collect()
}
