//! What the gate asks of wraps: those of a new record, and those that replace others.

use super::gate::check_kek;
use super::view::View;
use crate::error::Refusal;
use crate::store::Standing;
use crate::store::tenants::Protection;
use crate::store::wraps::{Slot, Wrap};
use uuid::Uuid;

/// A record wrapped anew.
#[derive(Debug)]
pub struct Rewrap {
    /// Which record.
    pub record: Uuid,
    /// All that opened it when it was opened, in the order of slots.
    pub from: Vec<Wrap>,
    /// All that opens it from now on.
    pub to: Vec<Wrap>,
}

/// Whether these wraps are what the tenant wants for its records now: a record that was wrapped while that changed must
/// not be stored as before, where no rewrap would look for it.
pub(super) fn check(view: &View, tenant: &str, wanted: Option<Protection>, wraps: &[Wrap]) -> Result<(), Refusal> {
    let wanted = wanted.ok_or(Refusal::KekMissing)?;
    if !wanted.slots().eq(wraps.iter().map(|wrap| (wrap.slot, wrap.kek))) {
        return Err(Refusal::ProtectionChanged);
    }
    for wrap in wraps {
        check_kek(view, tenant, wrap.kek)?;
        if view.keks.get(&wrap.kek).is_none_or(|kek| kek.version != wrap.kek_version) {
            return Err(Refusal::ProtectionChanged);
        }
    }
    Ok(())
}

/// Compare and swap: of two that wrap a record anew, one does, and a record that was shredded meanwhile stays so.
pub(super) fn swap(view: &mut View, tenant: &str, rewrap: &mut Rewrap) -> Result<(), Refusal> {
    let owner = view.tenants.get(tenant).filter(|tenant| tenant.state == Standing::Active);
    let protection = owner.ok_or(Refusal::TenantInactive)?.protection;
    if rewrap.from.is_empty() || view.wraps.get(&rewrap.record) != Some(&rewrap.from) {
        return Err(Refusal::RecordRewrapped);
    }
    // To move a record off a KEK that was taken away would give it back.
    for wrap in rewrap.from.iter().filter(|wrap| wrap.slot != Slot::Standby) {
        check_kek(view, tenant, wrap.kek)?;
    }
    check(view, tenant, protection, &rewrap.to)?;
    view.wraps.insert(rewrap.record, rewrap.to.clone());
    view.rewrapped.insert(rewrap.record);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Rewrap, check, swap};
    use crate::commit::view::View;
    use crate::error::Refusal;
    use crate::store::Standing;
    use crate::store::keks::{Kek, KekState};
    use crate::store::tenants::{Protection, Tenant};
    use crate::store::wraps::{Slot, Wrap};
    use uuid::Uuid;

    const OLD: Uuid = Uuid::from_u128(1);
    const NEW: Uuid = Uuid::from_u128(2);
    const RECORD: Uuid = Uuid::from_u128(3);

    fn wrap(slot: Slot, kek: Uuid, kek_version: u64) -> Wrap {
        Wrap { record: RECORD, slot, kek, kek_version, vendor_version: String::new(), wrapped: kek.as_bytes().to_vec() }
    }

    fn kek(id: Uuid, state: KekState, tenant: &str) -> Kek {
        Kek {
            id,
            tenant: tenant.into(),
            provider: "software".into(),
            key_name: "key".into(),
            version: 1,
            state,
            created_at: 0,
        }
    }

    /// A tenant that wants its records under `NEW`, and a record under `OLD`.
    fn view() -> View {
        let mut view = View::default();
        let tenant = Tenant {
            id: "acme".into(),
            name: "acme".into(),
            state: Standing::Active,
            protection: Some(Protection::One(NEW)),
            unattested_days: None,
            policy: None,
            created_at: 0,
        };
        view.tenants.insert("acme".into(), tenant);
        for id in [OLD, NEW] {
            view.keks.insert(id, kek(id, KekState::Active, "acme"));
        }
        view.wraps.insert(RECORD, vec![wrap(Slot::Whole, OLD, 1)]);
        view
    }

    fn moved() -> Rewrap {
        Rewrap { record: RECORD, from: vec![wrap(Slot::Whole, OLD, 1)], to: vec![wrap(Slot::Whole, NEW, 1)] }
    }

    #[test]
    fn a_record_is_swapped_once_and_never_from_what_it_no_longer_is() {
        let mut view = view();
        assert_eq!(swap(&mut view, "acme", &mut moved()), Ok(()));
        assert_eq!(swap(&mut view, "acme", &mut moved()), Err(Refusal::RecordRewrapped), "the second of two");
        view.wraps.remove(&RECORD);
        assert_eq!(swap(&mut view, "acme", &mut moved()), Err(Refusal::RecordRewrapped), "shredded meanwhile");
        let mut nothing = Rewrap { from: Vec::new(), ..moved() };
        assert_eq!(swap(&mut view, "acme", &mut nothing), Err(Refusal::RecordRewrapped), "made out of nothing");
    }

    #[test]
    fn nothing_moves_off_a_kek_that_is_not_active_nor_to_one() {
        for state in [KekState::Disabled, KekState::Revoked, KekState::Destroyed] {
            for id in [OLD, NEW] {
                let mut view = view();
                view.keks.insert(id, kek(id, state, "acme"));
                assert_eq!(swap(&mut view, "acme", &mut moved()), Err(Refusal::KekInactive), "{state:?}");
            }
        }
    }

    #[test]
    fn wraps_are_those_that_the_tenant_wants_now() {
        let view = view();
        let wanted = |protection, wraps: &[Wrap]| check(&view, "acme", protection, wraps);
        let (one, both) = (Some(Protection::One(NEW)), Some(Protection::Both(OLD, NEW)));
        assert_eq!(wanted(one, &[wrap(Slot::Whole, NEW, 1)]), Ok(()));
        assert_eq!(wanted(both, &[wrap(Slot::First, OLD, 1), wrap(Slot::Second, NEW, 1)]), Ok(()));
        for (protection, wraps) in [
            (one, vec![wrap(Slot::Whole, OLD, 1)]),
            (one, vec![wrap(Slot::Whole, NEW, 2)]),
            (one, vec![wrap(Slot::Whole, NEW, 1), wrap(Slot::Standby, OLD, 1)]),
            (both, vec![wrap(Slot::Whole, NEW, 1)]),
            (both, vec![wrap(Slot::First, OLD, 1)]),
            (both, vec![wrap(Slot::First, NEW, 1), wrap(Slot::Second, OLD, 1)]),
        ] {
            assert_eq!(wanted(protection, &wraps), Err(Refusal::ProtectionChanged), "{wraps:?}");
        }
        assert_eq!(wanted(None, &[]), Err(Refusal::KekMissing));
    }

    #[test]
    fn a_kek_of_another_tenant_wraps_nothing() {
        let mut view = view();
        view.keks.insert(NEW, kek(NEW, KekState::Active, "other"));
        assert_eq!(swap(&mut view, "acme", &mut moved()), Err(Refusal::KekInactive));
    }
}
