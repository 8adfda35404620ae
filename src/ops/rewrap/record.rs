//! What a rewrap does with one record.

use crate::broker::Broker;
use crate::commit::{Change, Proposal, Rewrap as Swap};
use crate::error::Error;
use crate::kms::Kms;
use crate::ops::{admin, protect};
use crate::store::keks::Kek;
use crate::store::records::RecordSummary;
use crate::store::wraps::Wrap;
use audit::event::{Event, Exposure, Kind, Outcome};
use metrics::counter;

/// The broker, and the providers as background work may use them.
pub(super) type Parts<'a> = (&'a Broker, &'a Kms);

/// Why a record was not dealt with.
pub(super) enum Trouble {
    /// What it is under does not open it: the record's own trouble, unless it passes.
    Opening(Error),
    /// Anything else, which is in the way of others too.
    Other(Error),
}

impl<E: Into<Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Out of the KEKs that it is under, and under those that its tenant wants now.
pub(super) async fn rewrap(
    (broker, kms): Parts<'_>,
    tenant: &str,
    record: &RecordSummary,
    from: &[(Wrap, Kek)],
) -> Result<(), Trouble> {
    broker.disk.check()?;
    let context = providers::Context::new(*protect::context_of(tenant, record)?.as_bytes());
    let keks = protect::keks_of(broker, admin::require_tenant(broker, tenant).await?.protection).await?;
    let (to, exposure) = match protect::rewrap(kms, from, &keks, &context).await {
        Some(Ok(to)) => (to, Exposure::None),
        Some(Err(error)) => return Err(failed(broker, tenant, record, error).await.into()),
        None => {
            let opened = match protect::open(kms, from, &context).await {
                Ok(opened) => opened,
                Err(error) => return Err(Trouble::Opening(failed(broker, tenant, record, error).await)),
            };
            let to = protect::wrap(kms, &keks, (record.id, &opened.secret, &context)).await?;
            (to, Exposure::PlaintextInBroker)
        }
    };
    let swap = Swap { record: record.id, from: sorted(from), to };
    let event = protect::name_keks(about(Kind::RecordRewrapped, record), keks.iter().map(|(_, kek)| kek));
    let event = event.exposure(exposure);
    broker.committer.commit(change(tenant, record, Change::Rewrap(swap), event)).await?;
    Ok(())
}

/// Opens every wrap of the record, and lets go of what was in it.
pub(super) async fn verify(
    (broker, kms): Parts<'_>,
    tenant: &str,
    record: &RecordSummary,
    wraps: &[(Wrap, Kek)],
) -> Result<(), Trouble> {
    let context = providers::Context::new(*protect::context_of(tenant, record)?.as_bytes());
    match protect::try_each(kms, wraps, &context).await.into_iter().next() {
        None => Ok(()),
        Some((_, error)) => Err(Trouble::Opening(failed(broker, tenant, record, error).await)),
    }
}

/// A wrap that does not belong to its record is an event, for somebody has touched it; the rest may pass.
async fn failed(broker: &Broker, tenant: &str, record: &RecordSummary, error: providers::Error) -> Error {
    if !matches!(error, providers::Error::Mismatch) {
        return Error::Provider(error);
    }
    counter!("keyfold_findings_total", "rule" => "wrapped_mismatch").increment(1);
    let mut finding = about(Kind::FindingRaised, record);
    finding.outcome = Outcome::from_static("wrapped_mismatch");
    match broker.committer.commit(change(tenant, record, Change::Remark, finding)).await {
        Ok(_) => Error::Provider(error),
        Err(unrecorded) => unrecorded,
    }
}

fn about(kind: Kind, record: &RecordSummary) -> Event {
    Event::new(kind, Outcome::OK).record(record.id.to_string()).user(record.user.clone()).correlation(record.id)
}

fn change(tenant: &str, record: &RecordSummary, change: Change, event: Event) -> Proposal<Change> {
    Proposal::new(tenant, change, event, Kind::RewrapDenied).about(&*record.user)
}

/// In the order of the database, which the gate compares with.
fn sorted(wraps: &[(Wrap, Kek)]) -> Vec<Wrap> {
    let mut wraps: Vec<Wrap> = wraps.iter().map(|(wrap, _)| wrap.clone()).collect();
    wraps.sort_by_key(|wrap| wrap.slot.as_str());
    wraps
}
