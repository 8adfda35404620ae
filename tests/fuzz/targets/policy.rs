//! Policies that a tenant's administrator sets: what was read once is read again with the same digest, decisions are the
//! same each time, and a refusal needs nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policies::{
    Action, Circumstances, DeviceFacts, Facts, Needs, PolicySet, RecordFacts, TenantFacts, UserFacts, decide,
};

const RECORDS: &[RecordFacts] = &[RecordFacts { owner: "u-1", kind: "identity", generation: 3, newest: true }];
const FACTS: Facts = Facts {
    tenant: TenantFacts { id: "acme", allows_unattested_days: Some(7) },
    user: UserFacts { id: "u-1", active: true, managers: &["u-2"] },
    device: DeviceFacts {
        id: "d-1",
        user: "u-1",
        active: true,
        attested: false,
        enrolled_by_help_desk: false,
        enrolled_at: 1_700_000_000,
    },
    records: RECORDS,
    circumstances: Circumstances::at(1_700_000_060),
};

fuzz_target!(|text: &str| {
    let Ok(policies) = PolicySet::parse(text) else { return };
    let again = PolicySet::parse(policies.text()).expect("a policy's own text is a policy");
    assert_eq!(again.digest(), policies.digest());
    for action in [Action::Enrol, Action::Wrap, Action::Restore] {
        let decision = decide(&policies, action, &FACTS);
        assert_eq!(decide(&again, action, &FACTS), decision);
        assert!(decision.allowed || decision.needs == Needs::default());
    }
});
