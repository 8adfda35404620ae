//! `keyfold audit export`: a part of a log as evidence for an auditor, who verifies it offline.

use super::admin::client::{Client, Connection};
use super::{Failure, block_on, output, vkey};
use crate::api::{AskExport, Events, EventsQuery, Export, Place};
use crate::config::sink::Selector;
use ::audit::event::{Field, Kind};
use ::audit::evidence::{EvidenceWriter, Policies, Selection};
use ::audit::note;
use ::audit::tile::{self, TileId, decode_tile};
use ::audit::tree::{Prover, tiles_for_run};
use clap::{Args, Subcommand};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Write evidence into a folder: all events of a range, chosen fields of them, and what proves each. `keyfold verify`
    /// checks it. That it was made, for whom, and with which fields is an event of the log.
    Export(Box<ExportEvidence>),
}

#[derive(Debug, Args)]
pub(super) struct ExportEvidence {
    #[command(flatten)]
    connection: Connection,
    /// The tenant.
    tenant: String,
    /// Who the evidence is for; goes into the log.
    #[arg(long = "for")]
    auditor: String,
    /// The fields to disclose, with commas between.
    #[arg(long, value_delimiter = ',', required = true)]
    fields: Vec<String>,
    /// Disclose them of these kinds of events only, such as `restore.released` or `device.*`, with commas between.
    #[arg(long, value_delimiter = ',')]
    events: Option<Vec<String>>,
    /// The first event: its index, or a time such as 2026-01-31T00:00:00Z. The log's first when not given.
    #[arg(long, value_parser = place)]
    from: Option<Place>,
    /// Stop before this event, by index or time. The log's end when not given.
    #[arg(long, value_parser = place)]
    to: Option<Place>,
    /// The folder to make.
    #[arg(long)]
    out: PathBuf,
    /// The verifier key of the tenant's log, pinned when it was created, or a file with it.
    #[arg(long)]
    vkey: String,
    /// Print the manifest as JSON.
    #[arg(long)]
    json: bool,
}

fn place(text: &str) -> Result<Place, String> {
    if let Ok(index) = text.parse() {
        return Ok(Place::Index(index));
    }
    let time = OffsetDateTime::parse(text, &Rfc3339);
    let time = time.map_err(|_| "neither an index nor a time such as 2026-01-31T00:00:00Z".to_owned())?;
    Ok(Place::Time(time.unix_timestamp() * 1_000 + i64::from(time.millisecond())))
}

impl Audit {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Export(export) => block_on(export.run())?,
        }
    }
}

impl ExportEvidence {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.connection, self.json)?;
        let verifier = vkey::read(&self.vkey)?;
        let (fields, kinds) = (self.selected_fields()?, self.selected_kinds()?);
        let ask = AskExport {
            auditor: self.auditor.clone(),
            fields: self.fields.clone(),
            events: self.events.clone(),
            from: self.from,
            to: self.to,
        };
        let made: Export = client.post(&format!("{}/exports", self.tenant), &ask).await?;
        let size = note::open(&made.checkpoint, std::slice::from_ref(&verifier))?.size;
        let selection = Selection {
            export: made.export,
            auditor: self.auditor.clone(),
            made_at: made.made_at.unsigned_abs() / 1_000,
            range: made.from..made.to,
            fields,
            kinds,
        };
        let mut writer = EvidenceWriter::create(&self.out, verifier, &made.checkpoint, selection)?;
        Source { client: &client, tenant: &self.tenant, size }.write(&mut writer, made.from..made.to).await?;
        let manifest = writer.finish(&Policies { schema: made.schema, text: made.policies })?;
        if self.json {
            return output::json(&manifest);
        }
        output::line(&format!(
            "{} events ({} to {}) with {} disclosures for {} in {}",
            manifest.to - manifest.from,
            manifest.from,
            manifest.to - 1,
            manifest.disclosures,
            manifest.auditor,
            self.out.display()
        ))
    }

    fn selected_fields(&self) -> Result<BTreeSet<Field>, Failure> {
        let field = |name: &String| {
            let field = Field::ALL.into_iter().find(|field| field.as_str() == name);
            field.ok_or_else(|| format!("events have no field `{name}`").into())
        };
        self.fields.iter().map(field).collect()
    }

    fn selected_kinds(&self) -> Result<Option<BTreeSet<Kind>>, Failure> {
        let Some(names) = &self.events else { return Ok(None) };
        let selectors: Vec<_> = names.iter().cloned().map(Selector::try_from).collect::<Result<_, _>>()?;
        let selected = |kind: &Kind| selectors.iter().any(|selector| selector.selects(*kind));
        Ok(Some(Kind::ALL.iter().copied().filter(selected).collect()))
    }
}

/// The log that evidence is made from, up to the checkpoint that proves it.
struct Source<'a> {
    client: &'a Client,
    tenant: &'a str,
    size: u64,
}

impl Source<'_> {
    async fn write(&self, writer: &mut EvidenceWriter, range: Range<u64>) -> Result<(), Failure> {
        if range.start > 0 {
            let first = self.page(0..1).await?;
            let prover = self.prover(0..1).await?;
            for event in first.events {
                writer.announcement(&event.leaf, prover.inclusion_proof(0)?)?;
            }
        }
        let mut next = range.start;
        while next < range.end {
            let page = self.page(next..range.end).await?;
            let prover = self.prover(next..next + page.events.len() as u64).await?;
            for event in page.events {
                writer.append(&event.leaf, &event.disclosures, event.erased, prover.inclusion_proof(event.index)?)?;
                next = event.index + 1;
            }
            eprintln!("{next} of {} events", range.end);
        }
        Ok(())
    }

    /// The first events of a range, in order and at least one.
    async fn page(&self, range: Range<u64>) -> Result<Events, Failure> {
        let query = EventsQuery { from: Some(range.start), ..EventsQuery::default() };
        let mut page: Events = self.client.get(&format!("{}/events", self.tenant), &query).await?;
        page.events.retain(|event| range.contains(&event.index));
        let in_order = page.events.iter().map(|event| event.index).eq((range.start..).take(page.events.len()));
        match (page.events.is_empty(), in_order) {
            (false, true) => Ok(page),
            (true, _) | (_, false) => {
                Err(format!("the broker has no event {}, though its checkpoint says so", range.start).into())
            }
        }
    }

    async fn prover(&self, run: Range<u64>) -> Result<Prover, Failure> {
        let mut tiles = HashMap::new();
        for id in tiles_for_run(run.clone(), self.size) {
            let TileId { level, index, .. } = id;
            let path = format!("/v1/tenants/{}/log/{}", self.tenant, tile::Path::Tile(id));
            let bytes = self.client.bytes(&path).await?;
            tiles.insert((level, index), decode_tile(&bytes).unwrap_or_default().to_vec());
        }
        Ok(Prover::new(run, self.size, &tiles)?)
    }
}
