//! `keyfold admin`: the admin API from a terminal, for people (tables) and programs (`--json`).

pub(super) mod client;
mod destruction;
mod drill;
mod export;
mod findings;
mod import;
mod kek;
mod policy;
mod restore;
mod rewrap;
mod sink;
mod user;

use super::{Failure, block_on, output};
use crate::api::{self, Target};
use clap::{Args, Subcommand};
use client::{Client, Connection};
use kek::Kek;
use policy::Policy;
use restore::Restore;
use rewrap::Rewrap;
use sink::Sink;
use std::path::PathBuf;
use user::User;
use uuid::Uuid;

/// Administer a running broker.
#[derive(Debug, Args)]
pub struct Admin {
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    thing: Thing,
}

#[derive(Debug, Subcommand)]
enum Thing {
    /// Tenants.
    #[command(subcommand)]
    Tenant(Tenant),
    /// A tenant's key-encryption keys.
    #[command(subcommand)]
    Kek(Kek),
    /// Move records to the KEKs that their tenant wants.
    #[command(subcommand)]
    Rewrap(Rewrap),
    /// Where a tenant's log is delivered.
    #[command(subcommand)]
    Sink(Sink),
    /// A tenant's policies.
    #[command(subcommand)]
    Policy(Policy),
    /// A tenant's users.
    #[command(subcommand)]
    User(User),
    /// Make a one-time enrolment code.
    EnrolmentCode {
        /// The tenant.
        tenant: String,
        /// Whose device it will be.
        user: String,
        /// Good for so long.
        #[arg(long)]
        seconds: Option<u32>,
    },
    /// List a tenant's devices.
    Devices {
        /// The tenant.
        tenant: String,
    },
    /// List a tenant's records.
    Records {
        /// The tenant.
        tenant: String,
    },
    /// A tenant's restores.
    #[command(subcommand)]
    Restore(Restore),
    /// Open a random sample of a tenant's records, and release nothing.
    Drill(drill::Drill),
    /// List what looked wrong in a tenant's log, or what would have with other thresholds.
    Findings(findings::Findings),
    /// Take access away, for good.
    Revoke {
        /// The tenant.
        tenant: String,
        /// Why; goes into the log.
        #[arg(long)]
        reason: String,
        #[command(subcommand)]
        target: Revoke,
    },
    /// Let a tenant's frozen log take events again, against the word of a witness: see docs/WITNESS.md.
    Thaw {
        /// The tenant.
        tenant: String,
        /// Why; goes into the log.
        #[arg(long)]
        reason: String,
    },
    /// Export a tenant's log for `keyfold verify`.
    Export {
        /// The tenant.
        tenant: String,
        /// The folder to make.
        #[arg(long)]
        out: PathBuf,
        /// The verifier key of the tenant's log, pinned when it was created, or a file with it.
        #[arg(long)]
        vkey: String,
        /// Export up to the newest checkpoint that a witness has cosigned.
        #[arg(long)]
        witnessed: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Tenant {
    /// Make a tenant; prints the verifier key of its log: pin it.
    Create {
        /// Its id.
        id: String,
        /// For people; the id when not given.
        #[arg(long)]
        name: Option<String>,
        /// Let devices without attestation restore for so many days after they enrolled.
        #[arg(long)]
        unattested_days: Option<u32>,
    },
    /// List the tenants.
    List,
    /// Have a tenant's records wrapped under these KEKs from now on; `rewrap` brings the others there.
    Protect {
        /// The tenant.
        id: String,
        /// The KEK.
        #[arg(long)]
        kek: Uuid,
        /// Another that is needed beside it to open a record.
        #[arg(long, conflicts_with = "standby")]
        second: Option<Uuid>,
        /// Another that opens a record when the first cannot be used or reached.
        #[arg(long)]
        standby: Option<Uuid>,
    },
}

#[derive(Debug, Subcommand)]
enum Revoke {
    /// Everything of the tenant.
    Tenant {
        /// Type the tenant again: nothing can undo this.
        #[arg(long)]
        confirm: String,
    },
    /// A user with all devices.
    User {
        /// The user.
        id: String,
    },
    /// One device.
    Device {
        /// The device.
        id: Uuid,
    },
    /// One restore.
    Restore {
        /// The restore.
        id: Uuid,
    },
    /// Every record under a KEK.
    Kek {
        /// The KEK.
        id: Uuid,
    },
}

impl Admin {
    pub(super) fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.connection, self.json)?;
        block_on(self.thing.run(&client))?
    }
}

impl Thing {
    async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::Tenant(tenant) => tenant.run(client).await,
            Self::Kek(kek) => kek.run(client).await,
            Self::Rewrap(rewrap) => rewrap.run(client).await,
            Self::Sink(sink) => sink.run(client).await,
            Self::User(user) => user.run(client).await,
            Self::EnrolmentCode { tenant, user, seconds } => {
                let ask = api::CreateCode { user, seconds };
                let code: api::Code = client.post(&format!("{tenant}/enrolment-codes"), &ask).await?;
                client.show(&code, |code| code.code.clone())
            }
            Self::Devices { tenant } => client.list(&format!("{tenant}/devices"), DEVICES, device).await,
            Self::Records { tenant } => client.list(&format!("{tenant}/records"), RECORDS, record).await,
            Self::Restore(restore) => restore.run(client).await,
            Self::Drill(drill) => drill.run(client).await,
            Self::Findings(findings) => findings.run(client).await,
            Self::Policy(policy) => policy.run(client).await,
            Self::Revoke { tenant, reason, target } => {
                let ask = api::Revoke { target: target.checked(&tenant)?, reason };
                let done: api::Revoked = client.post(&format!("{tenant}/revocations"), &ask).await?;
                client.show(&done, |done| {
                    let at = output::time(done.effective_at);
                    format!("revoked, effective {at}; {} open restores ended", done.restores_ended)
                })
            }
            Self::Thaw { tenant, reason } => {
                let thawed: api::Thawed = client.post(&format!("{tenant}/log/thaw"), &api::Because { reason }).await?;
                client.show(&thawed, |thawed| format!("the log takes events again, from index {}", thawed.index))
            }
            Self::Export { tenant, out, vkey, witnessed } => {
                let head = if witnessed { export::Head::Witnessed } else { export::Head::Newest };
                export::export(client, (&tenant, head), &out, &vkey).await
            }
        }
    }
}

impl Tenant {
    async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::Create { id, name, unattested_days } => {
                let ask = api::CreateTenant { name: name.unwrap_or_else(|| id.clone()), id, unattested_days };
                let made: api::Tenant = client.post("", &ask).await?;
                client.show(&made, |tenant| tenant.vkey.clone())
            }
            Self::Protect { id, kek, second, standby } => {
                let ask = api::Protect { kek, second_kek: second, standby_kek: standby };
                let tenant: api::Tenant = client.post(&format!("{id}/protection"), &ask).await?;
                client.show(&tenant, keks)
            }
            Self::List => {
                let row = |tenant: &api::Tenant| {
                    vec![
                        tenant.id.clone(),
                        tenant.name.clone(),
                        tenant.state.clone(),
                        keks(tenant),
                        output::time(tenant.created_at),
                    ]
                };
                client.list("", &["TENANT", "NAME", "STATE", "KEKS", "CREATED"], row).await
            }
        }
    }
}

fn keks(tenant: &api::Tenant) -> String {
    let [kek, second, standby] = [tenant.kek, tenant.second_kek, tenant.standby_kek]
        .map(|kek| kek.map(|kek| kek.to_string()).unwrap_or_default());
    match (second.is_empty(), standby.is_empty()) {
        (false, _) => format!("{kek} and {second}"),
        (true, false) => format!("{kek} or {standby}"),
        (true, true) => kek,
    }
}

impl Revoke {
    fn checked(self, tenant: &str) -> Result<Target, Failure> {
        Ok(match self {
            Self::Tenant { confirm } if confirm == tenant => Target::Tenant,
            Self::Tenant { .. } => {
                return Err(format!("`--confirm` must repeat `{tenant}`; nothing was revoked").into());
            }
            Self::User { id } => Target::User(id),
            Self::Device { id } => Target::Device(id),
            Self::Restore { id } => Target::Restore(id),
            Self::Kek { id } => Target::Kek(id),
        })
    }
}

const DEVICES: &[&str] = &["DEVICE", "USER", "NAME", "PLATFORM", "STATE", "ENROLLED"];

fn device(device: &api::Device) -> Vec<String> {
    let api::Device { id, user, name, platform, state, enrolled_at, .. } = device.clone();
    vec![id.to_string(), user, name, platform, state, output::time(enrolled_at)]
}

const RECORDS: &[&str] = &["RECORD", "USER", "KIND", "GENERATION", "KEKS", "WRAPPED"];

fn record(record: &api::Record) -> Vec<String> {
    let api::Record { id, user, kind, generation, keks, created_at, .. } = record.clone();
    let keks = keks.iter().map(Uuid::to_string).collect::<Vec<_>>().join(" ");
    vec![id.to_string(), user, kind, generation.to_string(), keks, output::time(created_at)]
}
