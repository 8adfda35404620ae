//! One event as one line of JSON: the leaf, its disclosures, in clear what they say, and where asked for its proof.

use crate::digest::Encoded;
use crate::event::{Event, Exposure, KekRef, Kind, Outcome};
use crate::leaf::Opened;
use crate::receipt::Receipt;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// The members of a line, in the order in which they are written. All before `leaf` are copies for convenience; `verify`
/// compares them with what the leaf and the disclosures say.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    index: u64,
    time: String,
    #[serde(flatten)]
    claims: ClearClaims<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<Uuid>,
    leaf: &'a str,
    disclosures: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

/// What a leaf and its disclosures say, in clear, as JSON members in the words of `docs/AUDIT-FORMAT.md`.
#[derive(Debug, Serialize)]
pub struct ClearClaims<'a> {
    jti: Uuid,
    boot: Uuid,
    evt: Kind,
    out: &'a Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    kek: Option<&'a KekRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prov: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cor: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cfg: Option<Encoded>,
    exposure: Exposure,
    #[serde(serialize_with = "disclosed")]
    disclosed: &'a Event,
}

impl<'a> ClearClaims<'a> {
    /// What `opened` says.
    #[must_use]
    pub fn of(opened: &'a Opened) -> Self {
        let event = &opened.event;
        Self {
            jti: opened.jti,
            boot: opened.boot,
            evt: event.kind,
            out: &event.outcome,
            kek: event.kek.as_ref(),
            prov: event.provider.as_deref(),
            cor: event.correlation,
            cfg: event.policy_digest.as_ref().map(Encoded::new),
            exposure: event.exposure,
            disclosed: event,
        }
    }
}

fn disclosed<S: Serializer>(event: &Event, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(event.texts().map(|(field, text)| (field.as_str(), text)))
}

/// The line of the event at `index`, without newline; `opened` is what `leaf` and `disclosures` say, with the erasure if
/// there was one; `receipt` proves the leaf.
///
/// # Panics
/// When `iat` is after the year 9999; [`crate::leaf::read`] gives no such leaf.
#[must_use]
pub fn line<D: AsRef<str>>(
    index: u64,
    opened: &Opened,
    leaf: &str,
    disclosures: &[D],
    receipt: Option<&Receipt>,
) -> Vec<u8> {
    let line = Line {
        id: opened.origin.event_id(index),
        index,
        time: rfc3339(opened.iat),
        claims: ClearClaims::of(opened),
        erased: opened.erased,
        leaf,
        disclosures: disclosures.iter().map(AsRef::as_ref).collect(),
        proof: receipt.map(Receipt::to_text),
    };
    serde_json::to_vec(&line).expect("invariant: a line is JSON")
}

fn rfc3339(unix: u64) -> String {
    let time = i64::try_from(unix).ok().and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.expect("invariant: a leaf's `iat` is not after the year 9999")
}
