//! `keyfold admin export`: a tenant's whole log into a folder that verifies offline.

use super::client::Client;
use crate::api::{Events, EventsQuery};
use crate::cli::{Failure, output, vkey};
use audit::export::Exporter;
use audit::note;
use std::path::Path;

/// Where an export ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Head {
    /// At the newest checkpoint.
    Newest,
    /// At the newest one that a witness has cosigned.
    Witnessed,
}

impl Head {
    fn path(self) -> &'static str {
        match self {
            Self::Newest => "log/checkpoint",
            Self::Witnessed => "log/checkpoint/witnessed",
        }
    }
}

/// Exports up to the checkpoint asked for; fails where the log is not what the pinned key signed.
pub(super) async fn export(
    client: &Client,
    (tenant, head): (&str, Head),
    out: &Path,
    pinned: &str,
) -> Result<(), Failure> {
    let verifier = vkey::read(pinned)?;
    let signed = client.text(&format!("/v1/tenants/{tenant}/{}", head.path())).await?;
    let size = note::open(&signed, std::slice::from_ref(&verifier))?.size;
    let mut exporter = Exporter::create(out, verifier)?;
    let mut next = 0;
    while next < size {
        let page: Events = client
            .get(&format!("{tenant}/events"), &EventsQuery { from: Some(next), ..EventsQuery::default() })
            .await?;
        if page.events.is_empty() {
            return Err(format!("the broker has no event {next}, though its checkpoint says so").into());
        }
        for event in page.events.into_iter().filter(|event| event.index < size) {
            exporter.append(event.index, &event.leaf, &event.disclosures, event.erased)?;
            next = event.index + 1;
        }
        eprintln!("{next} of {size} events");
    }
    exporter.finish(&signed)?;
    output::line(&format!("exported {size} events to {}", out.display()))
}
