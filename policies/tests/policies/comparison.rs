//! Which changes of policies are seen to be nowhere weaker: single ones, and every change of a small world.

use crate::facts::{DEVICE, OWN, TENANT, USER};
use keyfold_policies::{
    Action, Circumstances, Decision, DeviceFacts, Facts, Given, Needs, PolicySet, RecordFacts, decide,
};

/// What texts of the world consist of. The last fails where it overflows.
const STATEMENTS: [&str; 8] = [
    r#"@id("a") permit (principal, action == Action::"restore", resource);"#,
    r#"@id("b") @needs_approvals("1") permit (principal, action == Action::"restore", resource);"#,
    r#"@id("c") @needs_approvals("2") @own_device_counts("yes") permit (principal, action == Action::"restore", resource);"#,
    r#"@id("d") permit (principal, action == Action::"restore", resource) when { principal.attested };"#,
    r#"@id("e") @delay_seconds("60") @notify("user") permit (principal, action == Action::"restore", resource) when { principal.attested };"#,
    r#"@id("f") @needs_own_device("yes") permit (principal, action == Action::"restore", resource) when { resource.newest };"#,
    r#"@id("g") forbid (principal, action == Action::"restore", resource) unless { resource.newest };"#,
    r#"@id("h") permit (principal, action == Action::"restore", resource) when { context.now + 1 == 0 };"#,
];

fn parsed(text: &str) -> PolicySet {
    PolicySet::parse(text).expect("a valid text")
}

fn sets() -> Vec<PolicySet> {
    let text = |chosen: u32| -> String {
        STATEMENTS.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, text)| *text).collect()
    };
    (0..1 << STATEMENTS.len()).map(|chosen| parsed(&text(chosen))).collect()
}

/// What a set decides everywhere.
fn outcomes(policies: &PolicySet) -> Vec<Decision> {
    let times = [1_700_000_060, i64::MAX];
    let cases = times.into_iter().flat_map(|now| (0..4u8).map(move |bits| (now, bits)));
    let decided = |(now, bits): (i64, u8)| {
        let records = [RecordFacts { newest: bits & 1 != 0, ..OWN }];
        let device = DeviceFacts { attested: bits & 2 != 0, ..DEVICE };
        let circumstances = Circumstances::at(now);
        let facts = Facts { tenant: TENANT, user: USER, device, records: &records, circumstances };
        decide(policies, Action::Restore, &facts)
    };
    cases.map(decided).collect()
}

fn is_weaker(new: &Decision, old: &Decision) -> bool {
    new.allowed && !(old.allowed && demands_as_much(new.needs, old.needs))
}

/// Whatever is enough for the new needs is enough for the old, and nobody is told less.
fn demands_as_much(new: Needs, old: Needs) -> bool {
    let told = (new.notify.user || !old.notify.user) && (new.notify.approvers || !old.notify.approvers);
    let given = (0..4u32).flat_map(|approvals| {
        [(false, 0), (false, 60), (true, 0), (true, 60)].map(|(own_device, seconds)| Given {
            approvals,
            own_device,
            seconds,
        })
    });
    let mut enough = given.filter(|given| new.after(*given).nothing());
    told && enough.all(|given| old.after(given).nothing())
}

#[test]
fn no_change_that_is_seen_as_nowhere_weaker_is_weaker_anywhere() {
    let sets = sets();
    let outcomes: Vec<Vec<Decision>> = sets.iter().map(outcomes).collect();
    let mut trusted = 0;
    for (new, new_outcomes) in sets.iter().zip(&outcomes) {
        for (old, old_outcomes) in sets.iter().zip(&outcomes).filter(|(old, _)| new.is_nowhere_weaker_than(old)) {
            let weaker = new_outcomes.iter().zip(old_outcomes).any(|(new, old)| is_weaker(new, old));
            assert!(!weaker, "from\n{}\nto\n{}", old.text(), new.text());
            trusted += 1;
        }
    }
    assert!(trusted > 4 * sets.len(), "{trusted} changes of {} sets", sets.len());
}

fn change(old: &str, new: &str) -> bool {
    parsed(new).is_nowhere_weaker_than(&parsed(old))
}

#[test]
fn names_words_and_spaces_are_no_change() {
    let old = r#"@id("a") permit (principal, action == Action::"restore", resource) when { principal.attested };"#;
    let spelt = "// A note.\n@description(\"Said.\") @id(\"b\")\npermit(principal,action==Action::\"restore\",resource)\n\
                 when { (principal[\"attested\"]) };";
    assert!(change(old, spelt) && change(spelt, old));
    let other = old.replace("principal.attested", "!principal.attested");
    assert!(!change(old, &other) && !change(&other, old));
    let default = PolicySet::default_set();
    assert!(default.is_nowhere_weaker_than(&default));
}

#[test]
fn an_added_refusal_or_demand_tightens_and_the_way_back_weakens() {
    let permit = r#"@id("a") permit (principal, action == Action::"restore", resource);"#;
    let forbid = r#"@id("f") forbid (principal, action, resource) when { context.weekday > 5 };"#;
    let both = format!("{permit}{forbid}");
    assert!(change(permit, &both) && !change(&both, permit));
    for demand in
        ["@needs_approvals(\"1\")", "@needs_own_device(\"yes\")", "@delay_seconds(\"1\")", "@notify(\"user\")"]
    {
        let demanding = format!("{demand} {permit}");
        assert!(change(permit, &demanding) && !change(&demanding, permit), "{demand}");
    }
}
