//! `keyfold-bench [full]`: what a release build of the broker does on this machine, against OpenBao in the same run.
//! `keyfold-bench providers [seconds [part]]`: restores through each provider against its own rate (`rates`), beside a
//! provider that fails (`neighbours`), and while records move (`rewrap`), with loads of so long.
//!
//! `keyfold-bench delivery [events [seconds [part]]]`: how fast a log of so many events is delivered (`rates`), and what
//! restores feel of it (`felt`).
//!
//! `KEYFOLD_BIN` names the broker's program (`target/release/keyfold` otherwise), `KEYFOLD_BAO` OpenBao's. Databases and
//! results are below `target/bench/`, whose disk is the one measured. `full` adds a database of a million records.

mod bao;
mod broker;
mod delivery;
mod device;
mod devices;
mod fill;
mod https;
mod load;
mod machine;
mod process;
mod report;
mod rooms;
mod scenarios;
mod token;

use broker::Installation;
use machine::Machine;
use report::{Report, say};
use rooms::Part;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

/// Of a load on a provider, where nothing else is asked for.
const SECONDS: u64 = 6;

/// Events to deliver, and seconds of restores beside them, where nothing else is asked for.
const EVENTS: u64 = 1_000_000;
const DELIVERY_SECONDS: u64 = 20;

/// The bench could not be run to its end.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keyfold-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let words: Vec<_> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => broker_alone(false).await,
        ["full"] => broker_alone(true).await,
        ["providers"] => providers(&Part::ALL, SECONDS).await,
        ["providers", seconds] => providers(&Part::ALL, seconds.parse()?).await,
        ["providers", seconds, part] => {
            let part = Part::named(part).ok_or("the parts are `rates`, `neighbours` and `rewrap`")?;
            providers(&[part], seconds.parse()?).await
        }
        ["delivery"] => deliveries(&delivery::Part::ALL, EVENTS, DELIVERY_SECONDS).await,
        ["delivery", events] => deliveries(&delivery::Part::ALL, events.parse()?, DELIVERY_SECONDS).await,
        ["delivery", events, seconds] => deliveries(&delivery::Part::ALL, events.parse()?, seconds.parse()?).await,
        ["delivery", events, seconds, part] => {
            let part = delivery::Part::named(part).ok_or("the parts are `rates` and `felt`")?;
            deliveries(&[part], events.parse()?, seconds.parse()?).await
        }
        [..] => {
            Err("usage: keyfold-bench [full | providers [seconds [part]] | delivery [events [seconds [part]]]]".into())
        }
    }
}

/// The broker's program, and the folder that is measured.
fn installation() -> Result<Installation, Failure> {
    let keyfold = env::var_os("KEYFOLD_BIN").map_or_else(|| "target/release/keyfold".into(), PathBuf::from);
    let folder = PathBuf::from("target/bench");
    fs::create_dir_all(&folder)?;
    Ok(Installation { keyfold: keyfold.canonicalize()?, folder: folder.canonicalize()? })
}

async fn providers(parts: &[Part], seconds: u64) -> Result<(), Failure> {
    let installation = installation()?;
    let machine = Machine::look(&installation.folder)?;
    say(&machine.to_string())?;
    let path = rooms::measure(parts, installation, bao::program(), machine, seconds).await?;
    say(&format!("written to {}", path.display()))
}

async fn deliveries(parts: &[delivery::Part], events: u64, seconds: u64) -> Result<(), Failure> {
    let installation = installation()?;
    let machine = Machine::look(&installation.folder)?;
    say(&machine.to_string())?;
    let path = delivery::measure(installation, machine, parts, (events, seconds)).await?;
    say(&format!("written to {}", path.display()))
}

async fn broker_alone(full: bool) -> Result<(), Failure> {
    let (installation, bao) = (installation()?, bao::program());
    let machine = Machine::look(&installation.folder)?;
    say(&machine.to_string())?;
    let mut report = Report::new(machine, format!("{} transit decrypt", bao::version(&bao)?))?;
    scenarios::throughput(&installation, &bao, &mut report).await?;
    report.footprint = Some(scenarios::footprint(&installation).await?);
    if full {
        report.growth = scenarios::growth(&installation).await?;
    }
    let path = report.finish(&installation.folder)?;
    say(&format!("written to {}", path.display()))
}
