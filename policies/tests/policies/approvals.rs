//! Who may approve a restore, against an oracle that knows nothing of Cedar, over every combination of facts.

use crate::facts::{DEVICE, NOW, TENANT, USER};
use keyfold_policies::{
    ApprovalFacts, ApproverFacts, Circumstances, DeviceFacts, PolicySet, Role, UserFacts, decide_approval,
};

/// Roles of a person for the restore's tenant.
const ROLES: [&[Role]; 5] = [
    &[],
    &[Role::Owner, Role::SecurityOfficer, Role::HelpDesk, Role::Auditor],
    &[Role::Approver],
    &[Role::BreakGlass],
    &[Role::Owner, Role::Approver],
];

pub fn approvers() -> Vec<ApproverFacts<'static>> {
    let accounts =
        [true, false].into_iter().flat_map(|active| ["u-1", "u-2"].map(|id| Some(UserFacts { id, active, ..USER })));
    let people = accounts
        .chain([None])
        .flat_map(|account| ROLES.map(|roles| ApproverFacts::Person { id: "a-1", account, roles }));
    let devices = ["d-1", "d-2"].into_iter().flat_map(|id| {
        [("u-1", true), ("u-1", false), ("u-2", true)]
            .map(|(user, active)| ApproverFacts::Device(DeviceFacts { id, user, active, ..DEVICE }))
    });
    people.chain(devices).collect()
}

pub fn oracle(approver: ApproverFacts) -> bool {
    match approver {
        ApproverFacts::Person { account, roles, .. } => {
            let is_approver = roles.contains(&Role::Approver) || roles.contains(&Role::BreakGlass);
            is_approver && account.is_none_or(|account| account.active && account.id != "u-1")
        }
        ApproverFacts::Device(device) => device.id != "d-1" && device.user == "u-1" && device.active,
    }
}

pub fn restore(approver: ApproverFacts) -> ApprovalFacts {
    let circumstances = Circumstances::at(NOW);
    ApprovalFacts { tenant: TENANT, user: USER, device: DEVICE, kinds: &["identity"], approver, circumstances }
}

/// A tenant cannot open what always holds: here one that permits everything to everybody.
#[test]
fn decided_as_the_oracle_does_whatever_a_tenant_permits() {
    let open = PolicySet::parse("@id(\"open\") permit (principal, action, resource);").unwrap();
    for policies in [PolicySet::default_set(), open] {
        for approver in approvers() {
            let decision = decide_approval(&policies, &restore(approver));
            assert_eq!(decision.allowed, oracle(approver), "{approver:?} {decision:?}");
        }
    }
}

#[test]
fn nobody_approves_where_no_policy_permits_it() {
    let closed = PolicySet::parse("").unwrap();
    assert!(approvers().into_iter().all(|approver| !decide_approval(&closed, &restore(approver)).allowed));
}

#[test]
fn each_refusal_names_its_policies() {
    let policies = PolicySet::default_set();
    let by = |facts: ApprovalFacts| decide_approval(&policies, &facts).determined_by;
    let roles = &[Role::Approver];
    let person = |account| restore(ApproverFacts::Person { id: "a-1", account, roles });
    let device = |device| restore(ApproverFacts::Device(device));

    let fine = person(None);
    assert_eq!(by(fine), ["approve"]);
    assert_eq!(by(person(Some(USER))), ["own-restore"]);
    assert_eq!(by(person(Some(UserFacts { id: "u-2", active: false, ..USER }))), ["inactive-approver"]);
    assert_eq!(by(restore(ApproverFacts::Person { id: "a-1", account: None, roles: &[Role::Owner] })), ["no-approver"]);
    assert_eq!(by(device(DEVICE)), ["requesting-device"]);
    assert_eq!(by(device(DeviceFacts { id: "d-2", user: "u-2", ..DEVICE })), ["no-approver"]);
    assert_eq!(by(device(DeviceFacts { id: "d-2", active: false, ..DEVICE })), ["inactive-approver"]);
    assert_eq!(by(ApprovalFacts { user: UserFacts { active: false, ..USER }, ..fine }), ["inactive-user"]);
    for restoring in [DeviceFacts { active: false, ..DEVICE }, DeviceFacts { user: "u-2", ..DEVICE }] {
        assert_eq!(by(ApprovalFacts { device: restoring, ..fine }), ["inactive-restore"]);
    }
}

/// The same account or device, told of twice with different facts, is that of the restore.
#[test]
fn contradicting_facts_open_nothing() {
    let policies = PolicySet::default_set();
    let roles = &[Role::Approver];
    let requester = UserFacts { managers: &["u-9"], active: false, ..USER };
    let person = restore(ApproverFacts::Person { id: "a-1", account: Some(requester), roles });
    assert_eq!(decide_approval(&policies, &person).determined_by, ["own-restore"]);
    let device = restore(ApproverFacts::Device(DeviceFacts { active: false, ..DEVICE }));
    assert_eq!(decide_approval(&policies, &device).determined_by, ["requesting-device"]);
}
