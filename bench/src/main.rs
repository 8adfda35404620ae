//! `keyfold-bench [full]`: what a release build of the broker does on this machine, against OpenBao in the same run.
//!
//! `KEYFOLD_BIN` names the broker's program (`target/release/keyfold` otherwise), `KEYFOLD_BAO` OpenBao's. Databases and
//! results are below `target/bench/`, whose disk is the one measured. `full` adds a database of a million records.

mod bao;
mod broker;
mod device;
mod fill;
mod https;
mod load;
mod machine;
mod process;
mod report;
mod scenarios;
mod token;

use broker::Installation;
use machine::Machine;
use report::{Report, say};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

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
    let full = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [word] if word == "full" => true,
        [..] => return Err("usage: keyfold-bench [full]".into()),
    };
    let keyfold = env::var_os("KEYFOLD_BIN").map_or_else(|| "target/release/keyfold".into(), PathBuf::from);
    let folder = PathBuf::from("target/bench");
    fs::create_dir_all(&folder)?;
    let installation = Installation { keyfold: keyfold.canonicalize()?, folder: folder.canonicalize()? };
    let bao = bao::program();

    let machine = Machine::look(&folder)?;
    say(&format!(
        "{} cores for servers and load generator together ({}), {} MiB, Linux {}, fdatasync {:.2} ms (p90 {:.2} ms)",
        machine.cores,
        machine.cpu,
        machine.memory_mib,
        machine.kernel,
        machine.fdatasync_p50_ms,
        machine.fdatasync_p90_ms
    ))?;
    let mut report = Report::new(machine, format!("{} transit decrypt", bao::version(&bao)?))?;
    scenarios::throughput(&installation, &bao, &mut report).await?;
    report.footprint = Some(scenarios::footprint(&installation).await?);
    if full {
        report.growth = scenarios::growth(&installation).await?;
    }
    let path = report.finish(&folder)?;
    say(&format!("written to {}", path.display()))
}
