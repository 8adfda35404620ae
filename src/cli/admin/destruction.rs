//! `keyfold admin kek destroy`, `confirm` and the like: crypto-shredding, by two people.

use super::client::Client;
use super::kek::Because;
use crate::api;
use crate::cli::{Failure, output};
use clap::Subcommand;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum Destruction {
    /// Ask that what a KEK wrapped be destroyed; prints what would be lost. Another administrator has to confirm it.
    Destroy(Because),
    /// List a tenant's destructions, those that wait for a confirmation too.
    Destructions {
        /// The tenant.
        tenant: String,
    },
    /// Confirm a destruction that another administrator asked for, within a day. Nothing can undo this.
    Confirm {
        /// The tenant.
        tenant: String,
        /// The destruction.
        id: Uuid,
        /// How many records will be lost, as `destroy` said.
        #[arg(long)]
        records: u64,
    },
    /// Take a destruction back that was not confirmed yet.
    Cancel {
        /// The tenant.
        tenant: String,
        /// The destruction.
        id: Uuid,
    },
}

impl Destruction {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::Destroy(because) => {
                let asked: api::Destruction = because.post(client, "destructions").await?;
                client.show(&asked, requested)
            }
            Self::Destructions { tenant } => {
                client.list(&format!("{tenant}/destructions"), DESTRUCTIONS, destruction).await
            }
            Self::Confirm { tenant, id, records } => {
                let ask = api::ConfirmDestruction { records };
                let done: api::Destroyed = client.post(&format!("{tenant}/destructions/{id}/confirm"), &ask).await?;
                client.show(&done, |done| {
                    let api::Destroyed { lost, kept, restores_ended, .. } = done;
                    format!("destroyed: {lost} records lost, {kept} kept, {restores_ended} open restores ended")
                })
            }
            Self::Cancel { tenant, id } => {
                let order: api::Destruction =
                    client.post(&format!("{tenant}/destructions/{id}/cancel"), &serde_json::json!({})).await?;
                client.show(&order, |order| order.state.clone())
            }
        }
    }
}

fn requested(asked: &api::Destruction) -> String {
    let api::Destruction { id, lost, kept, expires_at, .. } = asked;
    let warning = match asked.wraps_new_records {
        Some(true) => {
            "\nnew records go under this KEK: protect the tenant with others first, or nothing can be wrapped"
        }
        Some(false) | None => "",
    };
    let until = output::time(*expires_at);
    format!(
        "{lost} records will be lost, {kept} stay openable; before {until} another administrator runs:\n\
         keyfold admin kek confirm TENANT {id} --records {lost}{warning}"
    )
}

const DESTRUCTIONS: &[&str] = &["DESTRUCTION", "KEK", "STATE", "LOST", "KEPT", "ASKED BY", "BEFORE", "REASON"];

fn destruction(order: &api::Destruction) -> Vec<String> {
    let api::Destruction { id, kek, reason, requested_by, state, lost, kept, expires_at, .. } = order.clone();
    let (lost, kept) = (lost.to_string(), kept.to_string());
    vec![id.to_string(), kek.to_string(), state, lost, kept, requested_by, output::time(expires_at), reason]
}
