//! What always holds: nothing in it is there for nothing.

use super::{ALWAYS, PolicySet};
use crate::{
    Action, ApprovalFacts, ApproverFacts, Circumstances, DeviceFacts, Facts, RecordFacts, Role, TenantFacts, UserFacts,
    decide, decide_approval,
};

const OPEN: &str = "@id(\"open\") permit (principal, action, resource);";
const TENANT: TenantFacts = TenantFacts { id: "acme", allows_unattested_days: None };
const USER: UserFacts = UserFacts { id: "u-1", active: true, managers: &[] };
const DEVICE: DeviceFacts =
    DeviceFacts { id: "d-1", user: "u-1", active: true, attested: true, enrolled_by_help_desk: false, enrolled_at: 0 };
const OTHER: DeviceFacts = DeviceFacts { id: "d-2", ..DEVICE };
const OWN: RecordFacts = RecordFacts { owner: "u-1", kind: "identity", generation: 3, newest: true };

/// Restores that must be refused, each for one reason only.
fn restores(policies: &PolicySet) -> Vec<bool> {
    let cases = [
        (UserFacts { active: false, ..USER }, DEVICE, OWN),
        (USER, DeviceFacts { active: false, ..DEVICE }, OWN),
        (USER, DeviceFacts { user: "u-2", ..DEVICE }, OWN),
        (USER, DEVICE, RecordFacts { owner: "u-2", ..OWN }),
    ];
    let allowed = |(user, device, record)| {
        let records = &[record];
        let facts = Facts { tenant: TENANT, user, device, records, circumstances: Circumstances::at(1) };
        decide(policies, Action::Restore, &facts).allowed
    };
    cases.into_iter().map(allowed).collect()
}

/// Approvals that must be refused, each for one reason only.
fn approvals(policies: &PolicySet) -> Vec<bool> {
    let person = |account, roles| ApproverFacts::Person { id: "a-1", account, roles };
    let approver = person(None, &[Role::Approver]);
    let cases = [
        (DEVICE, person(None, &[Role::Owner])),
        (DEVICE, person(Some(USER), &[Role::Approver])),
        (DEVICE, ApproverFacts::Device(DEVICE)),
        (DEVICE, ApproverFacts::Device(DeviceFacts { active: false, ..OTHER })),
        (DeviceFacts { active: false, ..DEVICE }, approver),
    ];
    let allowed = |(device, approver)| {
        let (kinds, circumstances) = (&["identity"][..], Circumstances::at(1));
        let facts = ApprovalFacts { tenant: TENANT, user: USER, device, kinds, approver, circumstances };
        decide_approval(policies, &facts).allowed
    };
    cases.into_iter().map(allowed).collect()
}

fn open_cases(always: &str) -> usize {
    let policies = PolicySet::assemble(always, OPEN).unwrap();
    restores(&policies).into_iter().chain(approvals(&policies)).filter(|allowed| *allowed).count()
}

#[test]
fn each_is_needed() {
    assert_eq!(open_cases(ALWAYS), 0);
    let statements: Vec<&str> = ALWAYS.split_inclusive(";\n").collect();
    assert_eq!(statements.len(), ALWAYS.matches("@id(").count(), "one statement for each policy");
    for left_out in 0..statements.len() {
        let others = statements.iter().enumerate().filter(|(at, _)| *at != left_out);
        let weakened: String = others.map(|(_, statement)| *statement).collect();
        assert_eq!(open_cases(&weakened), 1, "misses only {}", statements[left_out]);
    }
}
