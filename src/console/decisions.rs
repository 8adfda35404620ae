//! Why a restore waits, and what people and devices decide on it.

use super::cell::Cell;
use super::client::At;
use super::csv::Row;
use super::form::{Field, Form};
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Approvals, Decided, Demand, PolicyName};
use policies::admin::Act;
use serde_json::json;

/// The sheet with what the restore waits for, what can be decided where it waits, and what was.
pub(super) fn on(sheet: Sheet, tenant: &str, approvals: &Approvals, base: &str) -> Sheet {
    let refused = (!approvals.allowed).then(|| refusal(approvals));
    let waits = approvals.restore.state == "pending";
    let sheet = sheet.note(refused.filter(|_| waits)).table(Table::of("Why it waits", &approvals.demands, base));
    let sheet = sheet.forms(waits.then(|| decide(tenant, &approvals.restore.id.to_string())).into_iter().flatten());
    sheet.table(Table::of("What was decided", &approvals.decisions, base))
}

fn refusal(approvals: &Approvals) -> String {
    let because = named(&approvals.forbidden_by);
    let colon = if because.is_empty() { "." } else { ": " };
    format!("The policies in force now refuse this restore{colon}{because}")
}

fn named(policies: &[PolicyName]) -> String {
    let names = policies.iter().map(|policy| policy.description.as_ref().unwrap_or(&policy.id).as_str());
    names.collect::<Vec<_>>().join("; ")
}

fn decide(tenant: &str, restore: &str) -> [Form; 2] {
    let at = At::tenant(tenant, &["restores", restore, "decide"]);
    let form =
        |title, word: &str| Form::plain(Act::RestoresApprove, title, &at, [Field::fixed("decision", json!(word))]);
    [
        form("Approve this restore", "approve"),
        form("Deny this restore", "reject")
            .warning("It ends at once, whatever others approved. The device may ask again."),
    ]
}

impl Row for Demand {
    const COLUMNS: &'static [&'static str] = &["What is needed", "How much", "Missing", "Met at", "Because of"];
    const EMPTY: &'static str = "No policy demands anything of this restore.";

    fn cells(&self, _: &str) -> Vec<Cell> {
        let needed = match self.demand.as_str() {
            "approvals" => "approvals by people",
            "own_device" => "approval by another device of the person",
            "delay" => "seconds to wait",
            other => other,
        };
        vec![
            Cell::Text(needed.into()),
            Cell::Count(self.needed),
            Cell::Count(self.missing),
            Cell::or_nothing(self.met_at, Cell::Time),
            Cell::Text(named(&self.policies)),
        ]
    }
}

impl Row for Decided {
    const COLUMNS: &'static [&'static str] = &["By", "Decision", "When", "Counts"];
    const EMPTY: &'static str = "Nobody has decided yet.";

    fn cells(&self, _: &str) -> Vec<Cell> {
        vec![
            Cell::Text(self.name.clone()),
            Cell::State(self.decision.clone()),
            Cell::Time(self.given_at),
            Cell::Text(if self.counts { "yes" } else { "no" }.into()),
        ]
    }
}
