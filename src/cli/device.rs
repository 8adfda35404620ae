//! `keyfold device`: a device on a computer, its keys in an encrypted file.

use super::{Failure, block_on, file, output, vkey};
use crate::config::secret_file;
use ::device::{Broker, DeviceInfo, RestoreRequest, Selection, StateFile};
use clap::{Args, Subcommand};
use protocol::approval::MatchCode;
use protocol::enrolment::EnrolmentCode;
use protocol::login::IdToken;
use protocol::names::{Kind, TenantId};
use secret::Secret;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use uuid::Uuid;

/// Be a device: enrol, back up, restore.
#[derive(Debug, Args)]
pub struct Device {
    /// The file that holds the device's keys, encrypted.
    #[arg(long)]
    state: PathBuf,
    /// A file with the passphrase of the state file.
    #[arg(long)]
    passphrase_file: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Become a device of a tenant, by a one-time code.
    Enrol(Enrol),
    /// Back up a file as the newest generation of its kind.
    Backup {
        /// What it is, for example `identity`.
        kind: Kind,
        /// The file, at most 64 KiB.
        file: PathBuf,
        /// A file with a second passphrase, which nobody can recover.
        #[arg(long)]
        user_passphrase_file: Option<PathBuf>,
    },
    /// Get the newest generation of some kinds back.
    Restore(Restore),
    /// What the broker says about this device, and about open restores of its user.
    Status,
    /// Stop a restore of this device's user that was not released yet.
    Veto {
        /// The restore.
        restore: Uuid,
    },
    /// Approve a restore that another device of this device's user asks for.
    Approve {
        /// The restore.
        restore: Uuid,
        /// The two digits that the device that asks shows.
        match_code: MatchCode,
    },
    /// The records of this device's user.
    Records {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Enrol {
    /// The broker's public URL.
    #[arg(long)]
    url: String,
    /// The certificate authority to trust, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// The tenant.
    #[arg(long)]
    tenant: TenantId,
    /// A file with the one-time code.
    #[arg(long)]
    code_file: PathBuf,
    /// The verifier key of the tenant's log, or a file with it: a broker that shows another is refused.
    ///
    /// Ask the administrator for it. Without it, whoever terminates TLS now is believed from now on.
    #[arg(long)]
    vkey: Option<String>,
    /// What people call this device.
    #[arg(long)]
    name: String,
}

#[derive(Debug, Args)]
struct Restore {
    /// Which kinds.
    #[arg(required = true)]
    kinds: Vec<Kind>,
    /// Why; approvers read it, and it goes into the log.
    #[arg(long)]
    reason: String,
    /// A folder for the restored files, named by kind.
    #[arg(long)]
    out: PathBuf,
    /// A file with the second passphrase, where one was used.
    #[arg(long)]
    user_passphrase_file: Option<PathBuf>,
    /// A program that logs the user in at the company's issuer: it is given the nonce, and writes the ID token.
    #[arg(long)]
    login_command: Option<PathBuf>,
}

impl Device {
    pub(super) fn run(self) -> Result<(), Failure> {
        let passphrase = secret(&self.passphrase_file)?;
        let file = StateFile::with_passphrase(&self.state, &passphrase)?;
        block_on(async move {
            if let Action::Enrol(enrol) = self.action {
                return enrol.run(file).await;
            }
            let device = ::device::Device::load(file)?;
            self.action.run(device).await
        })?
    }
}

fn secret(path: &Path) -> Result<Secret, Failure> {
    Ok(Secret::copied_from(&secret_file(path)?))
}

fn optional_secret(path: Option<&Path>) -> Result<Option<Secret>, Failure> {
    path.map(secret).transpose()
}

impl Enrol {
    async fn run(self, file: StateFile) -> Result<(), Failure> {
        let code = secret_file(&self.code_file)?;
        let code: EnrolmentCode = std::str::from_utf8(&code)?.parse()?;
        let pinned = self.vkey.as_deref().map(vkey::read).transpose()?;
        let broker = Broker { url: self.url, roots_pem: fs::read_to_string(self.ca)? };
        let info = DeviceInfo { name: self.name.parse()?, platform: std::env::consts::OS.parse()? };
        let device = ::device::Device::enrol(broker, self.tenant, code, info, pinned.as_ref()).await?.kept_in(file)?;
        output::line(&format!("enrolled as device {} of {}", device.id(), device.user()))
    }
}

impl Action {
    async fn run(self, mut device: ::device::Device) -> Result<(), Failure> {
        match self {
            Self::Enrol(enrol) => Err(format!("tenant {} is enrolled with already", enrol.tenant).into()),
            Self::Backup { kind, file, user_passphrase_file } => {
                let material = Secret::new(fs::read(file)?.into_boxed_slice());
                let passphrase = optional_secret(user_passphrase_file.as_deref())?;
                let done = device.backup(&kind, &material, passphrase.as_ref()).await?;
                output::line(&format!(
                    "backed up {kind} as generation {}, record {}, proven at index {} of the log",
                    done.generation, done.record, done.proven.index
                ))
            }
            Self::Restore(restore) => restore.run(&mut device).await,
            Self::Status => output::json(&device.status().await?),
            Self::Veto { restore } => {
                device.veto(restore).await?;
                output::line(&format!("stopped {restore}"))
            }
            Self::Approve { restore, match_code } => {
                let open = device.status().await?.restores;
                let asked = open.iter().find(|open| open.restore == restore).ok_or("there is no such open restore")?;
                device.approve(asked, match_code).await?;
                output::line(&format!("approved {restore}"))
            }
            Self::Records { json } => show_records(&device, json).await,
        }
    }
}

async fn show_records(device: &::device::Device, json: bool) -> Result<(), Failure> {
    let records = device.records().await?;
    if json {
        return output::json(&records);
    }
    let row = |record: &protocol::messages::RecordEntry| {
        let wrapped_at = output::time(record.wrapped_at.cast_signed() * 1_000);
        vec![record.record.to_string(), record.kind.to_string(), record.generation.to_string(), wrapped_at]
    };
    output::table(&["RECORD", "KIND", "GENERATION", "WRAPPED"], records.iter().map(row).collect())
}

impl Restore {
    async fn run(self, device: &mut ::device::Device) -> Result<(), Failure> {
        let passphrase = optional_secret(self.user_passphrase_file.as_deref())?;
        let asked = RestoreRequest { selection: Selection::Kinds(self.kinds), reason: self.reason.parse()? };
        let mut pending = match &self.login_command {
            None => device.restore(asked).await?,
            Some(program) => {
                let login = device.begin_login();
                let token = log_in(program, login.nonce())?;
                device.restore_after(&login, token, asked).await?
            }
        };
        if let Some(code) = pending.match_code() {
            let restore = pending.opened().restore;
            output::line(&format!("approve {restore} on another device of yours, where you type {code}"))?;
        }
        pending.approved(Duration::from_secs(2)).await?;
        let keys = pending.release(passphrase.as_ref()).await?;
        fs::create_dir_all(&self.out)?;
        for key in &keys {
            write_new(&self.out.join(key.kind.as_str()), &key.material)?;
        }
        // Only now the broker may forget the answer: everything is on disk.
        pending.acknowledge().await?;
        for key in keys {
            output::line(&format!("restored {} generation {}", key.kind, key.generation))?;
        }
        Ok(())
    }
}

fn log_in(program: &Path, nonce: &str) -> Result<IdToken, Failure> {
    let done = Command::new(program).arg(nonce).stderr(Stdio::inherit()).output()?;
    if !done.status.success() {
        return Err(format!("the login has failed: {}", done.status).into());
    }
    Ok(std::str::from_utf8(&done.stdout)?.trim_end().parse()?)
}

#[expect(clippy::disallowed_methods, reason = "the user asked for the key in a file of their own")]
fn write_new(path: &Path, material: &Secret) -> Result<(), Failure> {
    file::make_private(path, material.expose())
}
