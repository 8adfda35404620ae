use super::super::approvals::{Approvers, Decide, Proof};
use super::super::gate::{self, Change};
use super::super::release::ReleaseRequest;
use super::super::view::View;
use super::super::{Principal, Proposal};
use super::refused_as;
use crate::error::Refusal;
use crate::inventory::Device;
use crate::store::Standing;
use crate::store::approvals::{Approval, Approver};
use crate::store::devices::Membership;
use crate::store::restores::{Restore, RestoreState};
use audit::event::{Event, Kind, Outcome};
use protocol::approval::Decision;
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
        nonce: String::new(),
        reason: String::new(),
        policy_digest: [0; 32],
        circumstances: Vec::new(),
        transcript: [0; 32],
        match_code: "42".parse().unwrap(),
        wrong_codes: 0,
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
    let transcript = [0; 32];
    let (keks, approvers) = (Vec::new(), Approvers::default());
    let release = ReleaseRequest { restore: RESTORE, flight, transcript, keks, policy: None, approvers };
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
        by_help_desk: false,
        enrolled_at: 0,
    };
    let (user, tenant) = (Standing::Active, Standing::Active);
    (
        device,
        Membership {
            user,
            tenant,
            protection: None,
            unattested_days: None,
            policy: None,
            locked: false,
            frozen: false,
        },
    )
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

/// The administrator who approved, the other device that did, and a view in which both are as they were.
fn approved(flight: Uuid) -> (View, Approvers) {
    let (carol, phone) = (Uuid::from_u128(6), Uuid::from_u128(7));
    let mut view = under_way(flight);
    let (device, membership) = asking();
    view.devices.insert(phone, (Device { id: phone, ..device.clone() }, membership));
    view.devices.insert(DEVICE, (device, membership));
    view.admin_versions.insert(carol, 4);
    (view, Approvers { admins: vec![(carol, 4)], devices: vec![phone] })
}

/// What may happen to those who approved, between one look at them and the next.
fn losses() -> [fn(&mut View, &Approvers); 5] {
    [
        |view, approvers| *view.admin_versions.get_mut(&approvers.admins[0].0).unwrap() += 1,
        |view, approvers| view.admin_versions.retain(|id, _| *id != approvers.admins[0].0),
        |view, approvers| view.devices.get_mut(&approvers.devices[0]).unwrap().0.state = Standing::Revoked,
        |view, approvers| view.devices.get_mut(&approvers.devices[0]).unwrap().0.user = "bob".into(),
        |view, approvers| view.devices.retain(|id, _| *id != approvers.devices[0]),
    ]
}

#[test]
fn an_approver_lost_before_or_after_the_intent_stops_the_release_and_the_restore_waits_again() {
    let own = Uuid::from_u128(3);
    for (at, lose) in losses().into_iter().enumerate() {
        for begins in [true, false] {
            let ((mut view, approvers), mut proposal) = (approved(own), finish(own));
            let Change::FinishRelease(release, _) = &mut proposal.change else { panic!("a finish") };
            release.approvers = approvers.clone();
            if begins {
                view.restores.get_mut(&RESTORE).unwrap().state = RestoreState::Approved;
                proposal.change = Change::BeginRelease(release.clone());
            }
            lose(&mut view, &approvers);
            assert_eq!(gate::pass(&mut proposal, &mut view, 0, 500).unwrap_err(), Refusal::RestorePending, "{at}");
            let restore = &view.restores[&RESTORE];
            assert!(restore.answer.is_none() && restore.leaf_index.is_none());
            let stands = if begins { RestoreState::Approved } else { RestoreState::Pending };
            assert_eq!(restore.state, stands, "{at} {begins}");
        }
    }
    let ((mut view, approvers), mut proposal) = (approved(own), finish(own));
    let Change::FinishRelease(release, _) = &mut proposal.change else { panic!("a finish") };
    release.approvers = approvers;
    gate::pass(&mut proposal, &mut view, 0, 500).unwrap();
    assert_eq!(view.restores[&RESTORE].state, RestoreState::Released);
}

#[test]
fn a_device_that_asks_never_counts_as_another() {
    let own = Uuid::from_u128(3);
    let ((mut view, mut approvers), mut proposal) = (approved(own), finish(own));
    approvers.devices.push(DEVICE);
    let Change::FinishRelease(release, _) = &mut proposal.change else { panic!("a finish") };
    release.approvers = approvers;
    assert_eq!(gate::pass(&mut proposal, &mut view, 0, 500).unwrap_err(), Refusal::RestorePending);
}

/// A decision of the administrator of [`approved`], with the version of their document.
fn decision(decision: Decision, version: u64) -> Proposal<Change> {
    let approver = Approver::Admin(Uuid::from_u128(6));
    let approval = Approval { restore: RESTORE, approver, decision, signature: Vec::new(), given_at: 500 };
    let change = Change::Decide(Box::new(Decide { approval, proof: Proof::Version(version), enough: true }));
    Proposal::new("acme", change, Event::new(Kind::RestoreApproved, Outcome::OK), Kind::AdminDenied)
}

#[test]
fn a_rejection_ends_a_release_under_way_and_an_approval_counts_once() {
    let own = Uuid::from_u128(3);
    let (mut view, _) = approved(own);
    let mut pass = |mut proposal: Proposal<Change>| gate::pass(&mut proposal, &mut view, 0, 500).map(|_| ());
    assert_eq!(pass(decision(Decision::Approve, 3)).unwrap_err(), Refusal::AdminChanged);
    let other_tenant = Proposal { tenant: "other".into(), ..decision(Decision::Reject, 4) };
    assert_eq!(pass(other_tenant).unwrap_err(), Refusal::RestoreUnknown);
    pass(decision(Decision::Approve, 4)).unwrap();
    assert_eq!(pass(decision(Decision::Approve, 4)).unwrap_err(), Refusal::AlreadyApproved);
    pass(decision(Decision::Reject, 4)).unwrap();
    assert_eq!(pass(finish(own)).unwrap_err(), Refusal::RestoreOver);
    assert_eq!(pass(decision(Decision::Approve, 4)).unwrap_err(), Refusal::RestoreOver);
    assert_eq!((view.restores[&RESTORE].state, view.restores[&RESTORE].flight), (RestoreState::Rejected, None));
}

#[test]
fn what_other_policies_allowed_is_neither_begun_nor_released() {
    let own = Uuid::from_u128(3);
    for (decided, in_force) in [(None, Some(1)), (Some(1), Some(2)), (Some(1), None)] {
        for begins in [true, false] {
            let (mut view, mut proposal) = (under_way(own), finish(own));
            let (device, membership) = asking();
            view.devices.insert(DEVICE, (device, Membership { policy: in_force, ..membership }));
            let Change::FinishRelease(release, _) = &mut proposal.change else { panic!("a finish") };
            release.policy = decided;
            if begins {
                view.restores.get_mut(&RESTORE).unwrap().state = RestoreState::Approved;
                proposal.change = Change::BeginRelease(release.clone());
            }
            let refused = gate::pass(&mut proposal, &mut view, 0, 500).unwrap_err();
            assert_eq!(refused, Refusal::PolicyChanged, "{decided:?} {in_force:?} {begins}");
            assert!(view.restores[&RESTORE].answer.is_none());
        }
    }
}
