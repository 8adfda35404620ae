//! What a decision says besides yes and no, and what becomes of policies that fail.

use keyfold_policies::{
    Action, Decision, DeviceFacts, Facts, Needs, PolicySet, RecordFacts, TenantFacts, UserFacts, decide,
};

const OWN: RecordFacts = RecordFacts { owner: "u-1", kind: "identity", generation: 3, newest: true };

fn facts<'a>(records: &'a [RecordFacts<'a>]) -> Facts<'a> {
    Facts {
        tenant: TenantFacts { id: "acme", allows_unattested_days: None },
        user: UserFacts { id: "u-1", active: true },
        device: DeviceFacts { id: "d-1", user: "u-1", active: true, attested: true, enrolled_at: 1_700_000_000 },
        records,
        now: 1_700_000_060,
        reason_given: true,
    }
}

fn default_and(policy: &str) -> PolicySet {
    PolicySet::parse(&format!("{}\n{policy}", PolicySet::default_set().text())).expect("a valid policy")
}

fn refused(by: &[&str]) -> Decision {
    Decision { allowed: false, determined_by: by.iter().map(ToString::to_string).collect(), needs: Needs::default() }
}

#[test]
fn each_refusal_names_its_policies() {
    let policies = PolicySet::default_set();
    let restore = |facts: &Facts| decide(&policies, Action::Restore, facts);
    let records = [OWN];
    let fine = facts(&records);
    let (user, device) = (fine.user, fine.device);

    assert_eq!(restore(&fine).determined_by, ["restore-attested"]);
    assert!(restore(&fine).allowed);
    let suspended = Facts { user: UserFacts { active: false, ..user }, ..fine };
    assert_eq!(restore(&suspended), refused(&["inactive-user"]));
    let revoked = Facts { device: DeviceFacts { active: false, ..device }, ..fine };
    assert_eq!(restore(&revoked), refused(&["inactive-device"]));
    let stolen = Facts { device: DeviceFacts { user: "u-2", ..device }, ..fine };
    assert_eq!(restore(&stolen), refused(&["foreign-device"]));
    let both = [RecordFacts { owner: "u-2", newest: false, ..OWN }];
    assert_eq!(restore(&Facts { records: &both, ..fine }), refused(&["foreign-record", "older-generation"]));
    let unproven = Facts { device: DeviceFacts { attested: false, ..device }, ..fine };
    assert_eq!(restore(&unproven), refused(&[]));
}

#[test]
fn every_record_must_be_allowed_and_there_must_be_one() {
    let policies = PolicySet::default_set();
    for action in [Action::Wrap, Action::Restore] {
        assert!(decide(&policies, action, &facts(&[OWN, OWN])).allowed);
        for records in [[OWN, RecordFacts { owner: "u-2", ..OWN }], [RecordFacts { owner: "u-2", ..OWN }, OWN]] {
            assert_eq!(decide(&policies, action, &facts(&records)), refused(&["foreign-record"]));
        }
        assert_eq!(decide(&policies, action, &facts(&[])), refused(&[]));
    }
    assert!(decide(&policies, Action::Enrol, &facts(&[])).allowed);
}

#[test]
fn a_policy_that_fails_refuses_whether_it_forbids_or_permits() {
    let records = [OWN];
    let overflow = Facts { now: i64::MAX, ..facts(&records) };
    for effect in ["permit", "forbid"] {
        let condition = "when { context.now + 1 == 0 }";
        let policies = default_and(&format!("@id(\"fails\") {effect} (principal, action, resource) {condition};"));
        assert!(decide(&policies, Action::Restore, &facts(&records)).allowed);
        assert_eq!(decide(&policies, Action::Restore, &overflow), refused(&["fails"]));
    }
}

#[test]
fn only_the_asking_user_can_be_looked_at() {
    let owner =
        "@id(\"owner\") forbid (principal, action == Action::\"wrap\", resource) unless { resource.owner.active };";
    let policies = default_and(owner);
    assert!(decide(&policies, Action::Wrap, &facts(&[OWN])).allowed);
    let foreign = RecordFacts { owner: "u-2", ..OWN };
    assert_eq!(decide(&policies, Action::Wrap, &facts(&[foreign])), refused(&["owner"]));
}

#[test]
fn a_generation_beyond_cedar_is_refused() {
    let records = [RecordFacts { generation: u64::MAX, ..OWN }];
    assert_eq!(decide(&PolicySet::default_set(), Action::Restore, &facts(&records)), refused(&[]));
}

#[test]
fn the_strictest_needs_of_all_permits_and_records_count() {
    let policies = default_and(
        r#"
        @id("slow") @needs_approvals("1") @delay_seconds("900")
        permit (principal, action == Action::"restore", resource);
        @id("two") @needs_approvals("2") @description("identities need two people")
        permit (principal, action == Action::"restore", resource) when { resource.kind == "identity" };
        @id("never") @needs_approvals("9")
        permit (principal, action == Action::"restore", resource) when { resource.kind == "nothing" };"#,
    );
    let archive = RecordFacts { kind: "archive", ..OWN };
    let needs = |records: &[RecordFacts]| decide(&policies, Action::Restore, &facts(records)).needs;
    assert_eq!(needs(&[archive]), Needs { approvals: 1, delay_seconds: 900 });
    assert_eq!(needs(&[OWN]), Needs { approvals: 2, delay_seconds: 900 });
    assert_eq!(needs(&[archive, OWN]), Needs { approvals: 2, delay_seconds: 900 });
    assert_eq!(decide(&policies, Action::Wrap, &facts(&[OWN])).needs, Needs::default());
}

#[test]
fn the_examples_of_the_readme_do_what_it_says() {
    let readme = include_str!("../README.md");
    let (_, example) = readme.split_once("```cedar\n").unwrap();
    let policies = default_and(example.split_once("```").unwrap().0);
    let needs = |records: &[RecordFacts]| decide(&policies, Action::Restore, &facts(records)).needs;
    assert_eq!(needs(&[OWN]), Needs { approvals: 2, delay_seconds: 900 });
    assert_eq!(needs(&[RecordFacts { kind: "archive", ..OWN }]), Needs::default());
    let silent = Facts { reason_given: false, ..facts(&[OWN]) };
    assert_eq!(decide(&policies, Action::Restore, &silent), refused(&["say-why"]));
}
