//! What looked wrong in a tenant's log.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::filter::Filter;
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{DryRun, Finding, Page, SeenByRule};
use axum::extract::Path;

/// `/console/tenants/{tenant}/findings`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let frame = Frame::tenant(&api, &tenant, Section::Findings, "Findings").await?;
    let table = Table::read::<Finding>(&api, At::tenant(&tenant, &["findings"]), (&here, &frame.base)).await?;
    let try_href = format!("{}/findings/dry-run", frame.base);
    let past = ("On the past", Cell::Link { text: "what the rules would have raised".into(), href: try_href });
    Sheet::new(frame).facts([past]).table(table).page()
}

/// `/console/tenants/{tenant}/findings/dry-run`
pub(super) async fn dry_run(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let at = here.filtered(At::tenant(&tenant, &["findings", "dry-run"]));
    let frame = Frame::tenant(&api, &tenant, Section::Findings, "What rules would have raised").await?;
    let DryRun { findings, next, complete } = api.get(&at).await?;
    let rest = (!complete).then(|| format!("Not all was looked at. Go on from event {next}."));
    let filter = Filter::new()
        .text(&here, "rule", "Rule")
        .text(&here, "threshold", "Its threshold")
        .text(&here, "from", "First event")
        .text(&here, "to", "First event beyond");
    let table = Table::of("", &findings, &frame.base);
    Sheet::new(frame).note(rest).filter(filter).table(table).page()
}

/// `/console/tenants/{tenant}/findings.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Finding>>(api, At::tenant(&tenant, &["findings"]), &here, "findings").await
}

impl Row for Finding {
    const COLUMNS: &'static [&'static str] = &["Event", "Raised", "Rule", "Observed", "Threshold", "Belongs to"];
    const EMPTY: &'static str = "Nothing looked wrong so far. Which rules run is set in the configuration file.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        let seen =
            |value: fn(&SeenByRule) -> u64| Cell::or_nothing(self.seen.as_ref(), |seen| Cell::Count(value(seen)));
        vec![
            Cell::or_nothing(self.index, |index| Cell::link(base, "events", &index)),
            Cell::Time(self.at),
            Cell::Text(self.rule.clone()),
            seen(|seen| seen.observed),
            seen(|seen| seen.threshold),
            Cell::or_nothing(self.cor, |cor| Cell::Code(cor.to_string())),
        ]
    }
}
