//! What commands print: tables for people, JSON for programs.

use super::Failure;
use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde::Serialize;
use std::io::{self, Write};

/// Prints one JSON document.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Prints rows under headings.
pub(super) fn table(headings: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(headings);
    table.add_rows(rows);
    line(&table.trim_fmt())
}

/// Prints one line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Unix milliseconds as people read them, in UTC.
pub(super) fn time(milliseconds: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    let time = time::OffsetDateTime::from_unix_timestamp(milliseconds / 1_000).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_else(|| milliseconds.to_string())
}
