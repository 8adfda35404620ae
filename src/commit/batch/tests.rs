use super::super::gate::{self, Change, ReleaseRequest};
use super::super::view::View;
use super::super::{Principal, Proposal};
use super::refused_as;
use crate::error::Refusal;
use crate::store::Standing;
use crate::store::devices::{Device, Membership};
use crate::store::restores::{Restore, RestoreState};
use audit::event::{Event, Kind, Outcome};
use uuid::Uuid;

const RESTORE: Uuid = Uuid::from_u128(1);
const DEVICE: Uuid = Uuid::from_u128(2);

/// A restore that the release `flight` has begun.
fn under_way(flight: Uuid) -> View {
    let mut view = View::default();
    view.insert_restore(Restore {
        id: RESTORE,
        tenant: "acme".into(),
        user: "alice".into(),
        device: DEVICE,
        records: Vec::new(),
        receive_key: Vec::new(),
        reason: String::new(),
        policy_digest: [0; 32],
        approvals: 0,
        transcript: [0; 32],
        veto_hash: None,
        state: RestoreState::Releasing,
        flight: Some(flight),
        answer: None,
        leaf_index: None,
        not_before: 0,
        expires_at: 1_000,
        changed_at: 0,
    });
    view
}

/// The answer of the release `flight`, whose device was revoked while the provider worked.
fn finish(flight: Uuid) -> Proposal<Change> {
    let (transcript, policy_digest) = ([0; 32], [0; 32]);
    let release = ReleaseRequest { restore: RESTORE, flight, transcript, keks: Vec::new(), policy_digest };
    Proposal {
        tenant: "acme".into(),
        nonce: None,
        principal: Some(Principal { user: "alice".into(), device: DEVICE }),
        change: Change::FinishRelease(release, Vec::new()),
        event: Event::new(Kind::RestoreReleased, Outcome::OK),
        refused_as: Kind::RestoreDenied,
        subject: "alice".into(),
        notices: Vec::new(),
    }
}

/// The device that asked, in good standing.
fn asking() -> (Device, Membership) {
    let device = Device {
        id: DEVICE,
        tenant: "acme".into(),
        user: "alice".into(),
        name: String::new(),
        platform: String::new(),
        jwk: String::new(),
        thumbprint: [0; 32],
        state: Standing::Active,
        attested: false,
        enrolled_at: 0,
    };
    let (user, tenant) = (Standing::Active, Standing::Active);
    (device, Membership { user, tenant, protection: None, unattested_days: None })
}

#[test]
fn what_is_stopped_while_the_provider_works_is_not_released() {
    let own = Uuid::from_u128(3);
    let (mut view, mut proposal) = (under_way(own), finish(own));
    view.devices.insert(DEVICE, asking());
    let stop = Proposal::new("acme", Change::Veto(RESTORE), proposal.event.clone(), Kind::RestoreFetchDenied);
    let mut of_other_tenant = Proposal { tenant: "other".into(), change: Change::Veto(RESTORE), ..stop };
    let refused = gate::pass(&mut of_other_tenant, &mut view, 0, 500);
    assert_eq!(refused.unwrap_err(), Refusal::RestoreUnknown);
    let bob = Uuid::from_u128(5);
    let (device, membership) = asking();
    view.devices.insert(bob, (Device { id: bob, user: "bob".into(), ..device }, membership));
    let principal = Some(Principal { user: "bob".into(), device: bob });
    let mut of_other_user = Proposal { tenant: "acme".into(), principal, ..of_other_tenant };
    assert_eq!(gate::pass(&mut of_other_user, &mut view, 0, 500).unwrap_err(), Refusal::RestoreUnknown);
    let mut stop = Proposal { principal: None, ..of_other_user };
    gate::pass(&mut stop, &mut view, 0, 500).unwrap();
    assert_eq!(gate::pass(&mut proposal, &mut view, 0, 500).unwrap_err(), Refusal::RestoreOver);
    assert_eq!(refused_as(&proposal, &view), Kind::RestoreDenied, "it concludes its intent");
    let restore = &view.restores[&RESTORE];
    assert_eq!((restore.state, restore.flight, &restore.answer), (RestoreState::Vetoed, None, &None));
    assert_eq!(gate::pass(&mut stop, &mut view, 0, 500).unwrap_err(), Refusal::RestoreOver);
}

#[test]
fn a_refused_release_concludes_its_own_intent_and_no_other() {
    let (own, other) = (Uuid::from_u128(3), Uuid::from_u128(4));
    for (flight, expected, state) in
        [(own, Kind::RestoreDenied, RestoreState::Failed), (other, Kind::RestoreFetchDenied, RestoreState::Releasing)]
    {
        let (mut view, mut proposal) = (under_way(flight), finish(own));
        let refused = gate::pass(&mut proposal, &mut view, 0, 500).unwrap_err();
        assert_eq!(refused, Refusal::DeviceInactive, "no device is known in this view");
        assert_eq!(refused_as(&proposal, &view), expected);
        assert_eq!(view.restores[&RESTORE].state, state);
    }
}
