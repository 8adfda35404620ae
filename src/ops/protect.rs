//! A record's wrapping secret under its tenant's KEKs, and out of them again.

use super::restore::kind;
use super::wrap::user_id;
use crate::broker::Broker;
use crate::error::{Error, Refusal};
use crate::kms::Kms;
use crate::store::StoreError;
use crate::store::keks::{self, Kek, KekState};
use crate::store::records::RecordSummary;
use crate::store::tenants::Protection;
use crate::store::wraps::{Slot, Wrap};
use audit::event::Event;
use protocol::record::{self, RecordName};
use providers::{Context, Error as ProviderError, Wrapped};
use secret::Secret;
use uuid::Uuid;

/// The KEKs that a tenant's records are wrapped under, each with the slot that it fills.
pub(super) type Keks = Vec<(Slot, Kek)>;

/// The tenant's KEKs; refuses where one of them may not be used.
pub(super) async fn keks_of(broker: &Broker, protection: Option<Protection>) -> Result<Keks, Error> {
    let protection = protection.ok_or(Refusal::KekMissing)?;
    let ids: Vec<Uuid> = protection.keks().collect();
    let found = keks::find_all(&mut *broker.store.reader().await?, &ids).await?;
    let of_slot = |(slot, id)| {
        let kek = found.iter().find(|kek| kek.id == id).ok_or(Refusal::KekMissing)?;
        if kek.state == KekState::Active { Ok((slot, kek.clone())) } else { Err(Refusal::KekInactive) }
    };
    Ok(protection.slots().map(of_slot).collect::<Result<_, _>>()?)
}

/// The event with the KEKs that it is about, the one that comes first with its version.
pub(super) fn name_keks<'k>(event: Event, keks: impl IntoIterator<Item = &'k Kek>) -> Event {
    let keks: Vec<&Kek> = keks.into_iter().collect();
    let Some(first) = keks.first() else { return event };
    let join = |of: fn(&Kek) -> String| keks.iter().map(|kek| of(kek)).collect::<Vec<_>>().join(" ");
    event.kek(join(|kek| kek.id.to_string()), first.version).provider(join(|kek| kek.provider.clone()))
}

/// What a record's wrapping secret is bound to.
pub(super) fn context_of(tenant: &str, record: &RecordSummary) -> Result<record::Context, Error> {
    let name = RecordName {
        tenant: tenant.parse().map_err(|_| StoreError::Corrupt { column: "tenant" })?,
        user: user_id(&record.user)?,
        kind: kind(&record.kind)?,
        generation: record.generation,
        record: record.id,
        device: record.device,
        suite: record.suite,
    };
    Ok(name.context())
}

/// Wraps the secret, or a share of it, under each KEK.
pub(super) async fn wrap(
    kms: &Kms,
    keks: &[(Slot, Kek)],
    (record, secret, context): (Uuid, &Secret, &Context),
) -> Result<Vec<Wrap>, ProviderError> {
    let (first, second) = secret.shares();
    let part = |slot| match slot {
        Slot::Whole | Slot::Standby => secret,
        Slot::First => &first,
        Slot::Second => &second,
    };
    let mut wraps = Vec::with_capacity(keks.len());
    for (slot, kek) in keks {
        let wrapped = kms.wrap(kek, part(*slot), context).await?;
        wraps.push(stored((record, *slot), kek, wrapped));
    }
    Ok(wraps)
}

fn stored((record, slot): (Uuid, Slot), kek: &Kek, wrapped: Wrapped) -> Wrap {
    Wrap {
        record,
        slot,
        kek: kek.id,
        kek_version: kek.version,
        vendor_version: wrapped.version,
        wrapped: wrapped.bytes,
    }
}

fn vendors(wrap: &Wrap) -> Wrapped {
    Wrapped { bytes: wrap.wrapped.clone(), version: wrap.vendor_version.clone() }
}

/// Moves the wrap to another key or version inside the vendor, where both KEKs are one vendor's that can: no plaintext
/// leaves it. `None` where that cannot be done.
pub(super) async fn rewrap(
    kms: &Kms,
    from: &[(Wrap, Kek)],
    to: &[(Slot, Kek)],
    context: &Context,
) -> Option<Result<Vec<Wrap>, ProviderError>> {
    let ([(wrap, old)], [(slot, kek)]) = (from, to) else { return None };
    if (wrap.slot, *slot) != (Slot::Whole, Slot::Whole) {
        return None;
    }
    let wrapped = kms.rewrap(old, kek, &vendors(wrap), context).await?;
    Some(wrapped.map(|wrapped| vec![stored((wrap.record, *slot), kek, wrapped)]))
}

/// A secret, and the KEKs that opened it.
pub(super) struct Opened<'w> {
    pub(super) secret: Secret,
    pub(super) by: Vec<&'w Kek>,
}

/// Opens what a record has: both shares, or the whole, or what stands by for it.
///
/// Only a KEK that cannot be used or reached is stood in for. [`ProviderError::Mismatch`] means that somebody has touched
/// the wrap: that must be seen.
pub(super) async fn open<'w>(
    kms: &Kms,
    wraps: &'w [(Wrap, Kek)],
    context: &Context,
) -> Result<Opened<'w>, ProviderError> {
    let in_slot = |slot| wraps.iter().find(|(wrap, _)| wrap.slot == slot);
    if let (Some(first), Some(second)) = (in_slot(Slot::First), in_slot(Slot::Second)) {
        let (one, other) = (unwrap(kms, first, context).await?, unwrap(kms, second, context).await?);
        let secret = Secret::from_shares(&one, &other).ok_or(ProviderError::Mismatch)?;
        return Ok(Opened { secret, by: vec![&first.1, &second.1] });
    }
    let whole = in_slot(Slot::Whole).ok_or(ProviderError::NoSuchKey)?;
    let failure = match unwrap(kms, whole, context).await {
        Ok(secret) => return Ok(Opened { secret, by: vec![&whole.1] }),
        Err(failure) => failure,
    };
    match in_slot(Slot::Standby) {
        Some(standby) if may_be_stood_in_for(&failure) && standby.1.state == KekState::Active => {
            let secret = unwrap(kms, standby, context).await?;
            Ok(Opened { secret, by: vec![&standby.1] })
        }
        Some(_) | None => Err(failure),
    }
}

/// Opens every wrap that there is, each by its own KEK; gives back each KEK that failed, and how.
pub(super) async fn try_each<'w>(
    kms: &Kms,
    wraps: &'w [(Wrap, Kek)],
    context: &Context,
) -> Vec<(&'w Kek, ProviderError)> {
    let mut failed = Vec::new();
    for one in wraps {
        if let Err(error) = unwrap(kms, one, context).await {
            failed.push((&one.1, error));
        }
    }
    failed
}

async fn unwrap(kms: &Kms, (wrap, kek): &(Wrap, Kek), context: &Context) -> Result<Secret, ProviderError> {
    kms.unwrap(kek, &vendors(wrap), context).await
}

fn may_be_stood_in_for(failure: &ProviderError) -> bool {
    match failure {
        ProviderError::Mismatch => false,
        ProviderError::NoSuchKey
        | ProviderError::KeyUnusable(_)
        | ProviderError::Refused
        | ProviderError::Throttled { .. }
        | ProviderError::Unavailable { .. }
        | ProviderError::Broken(_) => true,
    }
}

/// Whether a KEK without which the record does not open may not be used.
pub(super) fn is_taken_away(wraps: &[(Wrap, Kek)]) -> bool {
    wraps.iter().any(|(wrap, kek)| wrap.slot != Slot::Standby && kek.state != KekState::Active)
}

/// The KEKs that must be active for the record to be opened. One that only stands by is not needed; where it is active it
/// may be used, and so it must stay active until the end.
pub(super) fn needed_keks(wraps: &[(Wrap, Kek)]) -> impl Iterator<Item = Uuid> {
    let needed = |(wrap, kek): &&(Wrap, Kek)| wrap.slot != Slot::Standby || kek.state == KekState::Active;
    wraps.iter().filter(needed).map(|(_, kek)| kek.id)
}
