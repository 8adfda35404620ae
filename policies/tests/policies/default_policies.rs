//! The default policies against an oracle that knows nothing of Cedar, over every combination of facts.

use crate::facts::{DEVICE, TENANT, USER};
use keyfold_policies::{
    Action, Circumstances, DeviceFacts, Facts, PolicySet, RecordFacts, TenantFacts, UserFacts, decide,
};

const DAY: i64 = 86_400;
const NOW: i64 = 1_700_000_000;

/// One point of the world: everything the default policies look at.
#[derive(Debug, Clone, Copy)]
struct Case {
    action: Action,
    user_active: bool,
    device_active: bool,
    own_device: bool,
    own_record: bool,
    newest: bool,
    attested: bool,
    allowed_days: Option<u32>,
    age: i64,
}

fn world() -> impl Iterator<Item = Case> {
    let ages = [-1, 0, 7 * DAY, 7 * DAY + 1];
    let settings = [None, Some(0), Some(7)].into_iter().flat_map(move |days| ages.map(|age| (days, age)));
    let actions =
        settings.flat_map(|setting| [Action::Enrol, Action::Wrap, Action::Restore].map(|action| (action, setting)));
    actions.flat_map(|(action, (allowed_days, age))| {
        (0..64u8).map(move |bits| Case {
            action,
            user_active: bits & 1 != 0,
            device_active: bits & 2 != 0,
            own_device: bits & 4 != 0,
            own_record: bits & 8 != 0,
            newest: bits & 16 != 0,
            attested: bits & 32 != 0,
            allowed_days,
            age,
        })
    })
}

fn oracle(case: &Case) -> bool {
    let young = |days: u32| (0..=i64::from(days) * DAY).contains(&case.age);
    let caller = case.user_active && case.device_active && case.own_device;
    match case.action {
        Action::Enrol => caller,
        Action::Wrap => caller && case.own_record,
        Action::Restore => {
            caller && case.own_record && case.newest && (case.attested || case.allowed_days.is_some_and(young))
        }
    }
}

fn decided(policies: &PolicySet, case: &Case) -> bool {
    let user = |own| if own { "u-1" } else { "u-2" };
    let record = RecordFacts { owner: user(case.own_record), kind: "identity", generation: 3, newest: case.newest };
    let device = DeviceFacts {
        user: user(case.own_device),
        active: case.device_active,
        attested: case.attested,
        enrolled_at: NOW - case.age,
        ..DEVICE
    };
    let facts = Facts {
        tenant: TenantFacts { allows_unattested_days: case.allowed_days, ..TENANT },
        user: UserFacts { active: case.user_active, ..USER },
        device,
        records: &[record],
        circumstances: Circumstances::at(NOW),
    };
    decide(policies, case.action, &facts).allowed
}

#[test]
fn decide_what_the_oracle_decides_everywhere() {
    let policies = PolicySet::default_set();
    let mut allowed = 0;
    for case in world() {
        assert_eq!(decided(&policies, &case), oracle(&case), "{case:?}");
        allowed += usize::from(oracle(&case));
    }
    assert!(allowed > 0, "a world in which nothing is allowed shows nothing");
}

/// Those that always hold cannot be left out by any text.
#[test]
fn each_of_the_defaults_is_needed() {
    let policies = PolicySet::default_set();
    let statements: Vec<&str> = policies.text().split_inclusive(";\n").collect();
    assert_eq!(statements.len(), policies.text().matches("@id(").count(), "one statement for each policy");
    for (left_out, statement) in statements.iter().enumerate().filter(|(_, text)| !text.contains("\"approve\"")) {
        let others: String =
            statements.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, other)| *other).collect();
        let weakened = PolicySet::parse(&others).unwrap();
        assert!(world().any(|case| decided(&weakened, &case) != oracle(&case)), "nothing misses {statement}");
    }
}
