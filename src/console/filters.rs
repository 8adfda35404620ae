//! How templates write values.

use askama::{Result, Values, filter_fn};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

fn moment(milliseconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()
}

/// Unix milliseconds as RFC 3339, for machines.
pub(super) fn iso(milliseconds: i64) -> String {
    moment(milliseconds).and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

/// The same in templates.
#[filter_fn]
pub fn rfc3339(milliseconds: &i64, _: &dyn Values) -> Result<String> {
    Ok(iso(*milliseconds))
}

/// Unix milliseconds as people read them, in UTC.
#[filter_fn]
pub fn utc(milliseconds: &i64, _: &dyn Values) -> Result<String> {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    Ok(moment(*milliseconds).and_then(|moment| moment.format(form).ok()).unwrap_or_else(|| "never".into()))
}

/// The hour of the day in which this moment is, in UTC.
pub(super) fn hour(milliseconds: i64) -> String {
    let form = format_description!("[month]-[day] [hour]:00 UTC");
    moment(milliseconds).and_then(|moment| moment.format(form).ok()).unwrap_or_default()
}

/// A moment as a form sends it, in UTC, as unix milliseconds.
pub(super) fn from_form(text: &str) -> Option<i64> {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute][optional [:[second]]]");
    let moment = PrimitiveDateTime::parse(text, form).ok()?.assume_utc();
    moment.unix_timestamp().checked_mul(1_000)
}

/// The class of a state: what is well, what waits, what is bad. The word itself is always there too.
#[filter_fn]
pub fn tone(word: &str, _: &dyn Values) -> Result<&'static str> {
    Ok(match word {
        "active" | "usable" | "running" | "released" | "acknowledged" | "completed" | "confirmed" | "ok" => "good",
        "pending" | "approved" | "releasing" | "requested" | "paused" | "retrying" | "disabled" | "draft"
        | "proposed" => "waiting",
        "revoked" | "failing" | "failed" | "destroyed" | "expired" | "stopped" | "frozen" => "bad",
        _ => "plain",
    })
}
