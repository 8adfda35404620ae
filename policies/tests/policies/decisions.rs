//! What a decision says besides yes and no, and what becomes of policies that fail.

use crate::facts::{NOW, OWN, facts};
use keyfold_policies::{
    Action, Circumstances, Decision, Demand, DeviceFacts, Facts, Given, LocalTime, Needs, Notify, PolicySet, Reason,
    RecordFacts, UserFacts, decide,
};

fn default_and(policy: &str) -> PolicySet {
    PolicySet::parse(&format!("{}\n{policy}", PolicySet::default_set().text())).expect("a valid policy")
}

fn approvals_and_delay(approvals: u32, delay_seconds: u64) -> Needs {
    Needs { approvals, delay_seconds, ..Needs::default() }
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
    let overflow = Facts { circumstances: Circumstances::at(i64::MAX), ..facts(&records) };
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
    assert_eq!(needs(&[archive]), approvals_and_delay(1, 900));
    assert_eq!(needs(&[OWN]), approvals_and_delay(2, 900));
    assert_eq!(needs(&[archive, OWN]), approvals_and_delay(2, 900));
    assert_eq!(decide(&policies, Action::Wrap, &facts(&[OWN])).needs, Needs::default());
}

#[test]
fn the_examples_of_the_readme_do_what_it_says() {
    let readme = include_str!("../../README.md");
    let (_, example) = readme.split_once("```cedar\n").unwrap();
    let policies = default_and(example.split_once("```").unwrap().0);
    let needs = |records: &[RecordFacts]| decide(&policies, Action::Restore, &facts(records)).needs;
    assert_eq!(needs(&[OWN]), approvals_and_delay(2, 900));
    assert_eq!(needs(&[RecordFacts { kind: "archive", ..OWN }]), Needs::default());
    let silent = Facts { circumstances: Circumstances::at(NOW), ..facts(&[OWN]) };
    assert_eq!(decide(&policies, Action::Restore, &silent), refused(&["say-why"]));
}

#[test]
fn every_circumstance_can_be_spoken_of() {
    let policies = default_and(
        r#"
        @id("working-day") forbid (principal, action, resource) when { context.weekday > 5 };
        @id("hours") forbid (principal, action, resource) unless { context.minute_of_day >= 480 };
        @id("country") forbid (principal, action, resource) unless { context has country && context.country == "CH" };
        @id("login") forbid (principal, action, resource)
        unless { context has login_age_seconds && context.login_age_seconds <= 300 };
        @id("help-desk") forbid (principal is Device, action, resource) when { principal.enrolled_by_help_desk };
        @id("line") forbid (principal, action, resource) when { context.user in User::"u-9" };"#,
    );
    let records = [OWN];
    let at = Circumstances { country: Some("CH"), login_age_seconds: Some(300), ..Circumstances::at(NOW) };
    let fine = Facts { circumstances: at, ..facts(&records) };
    let by = |facts: Facts| decide(&policies, Action::Restore, &facts).determined_by;
    let when = |circumstances| by(Facts { circumstances, ..fine });

    assert_eq!(by(fine), ["restore-attested"]);
    assert_eq!(when(Circumstances { local: LocalTime::at(NOW, 4 * 24 * 60), ..at }), ["working-day"]);
    assert_eq!(when(Circumstances { local: LocalTime::at(NOW, 2 * 60), ..at }), ["hours"]);
    assert_eq!(when(Circumstances { country: Some("FR"), ..at }), ["country"]);
    assert_eq!(when(Circumstances { country: None, ..at }), ["country"]);
    assert_eq!(when(Circumstances { login_age_seconds: Some(301), ..at }), ["login"]);
    assert_eq!(when(Circumstances { login_age_seconds: None, ..at }), ["login"]);
    assert_eq!(by(Facts { device: DeviceFacts { enrolled_by_help_desk: true, ..fine.device }, ..fine }), ["help-desk"]);
    assert_eq!(by(Facts { user: UserFacts { managers: &["u-2", "u-9"], ..fine.user }, ..fine }), ["line"]);
}

/// The expected days and times are those of GNU `date --date @SECONDS` in `TZ=Etc/GMT..`.
#[test]
fn local_times_are_those_of_calendars() {
    let shown = |now, offset| (LocalTime::at(now, offset).weekday(), LocalTime::at(now, offset).minute_of_day());
    assert_eq!(shown(0, 0), (4, 0), "Thursday");
    assert_eq!(shown(-1, 0), (3, 1439), "Wednesday");
    assert_eq!(shown(NOW, 0), (2, 22 * 60 + 14), "Tuesday");
    assert_eq!(shown(NOW, 2 * 60), (3, 14), "Wednesday");
    assert_eq!(shown(NOW, -12 * 60), (2, 10 * 60 + 14), "Tuesday");
    assert_eq!(shown(1_709_164_800, 0), (4, 0), "Thursday, 29 February 2024");
    for extreme in [i64::MIN, i64::MAX] {
        let (weekday, minute) = shown(extreme, i16::MAX);
        assert!((1..=7).contains(&weekday) && minute < 1_440, "no time is out of range");
    }
}

#[test]
fn every_demand_names_the_policies_that_make_it() {
    let policies = default_and(
        r#"
        @id("slow") @needs_approvals("2") @delay_seconds("900") @notify("user")
        permit (principal, action == Action::"restore", resource);
        @id("two") @needs_approvals("2") @needs_own_device("yes") @notify("approvers user")
        @description("Identities need two people.")
        permit (principal, action == Action::"restore", resource) when { resource.kind == "identity" };"#,
    );
    let decision = decide(&policies, Action::Restore, &facts(&[OWN]));
    let slow = Reason { policy: "slow", description: None };
    let two = Reason { policy: "two", description: Some("Identities need two people.") };
    let expected = [
        (Demand::Approvals(2), vec![slow, two]),
        (Demand::OwnDevice, vec![two]),
        (Demand::Delay(900), vec![slow]),
        (Demand::NotifyUser, vec![slow, two]),
        (Demand::NotifyApprovers, vec![two]),
    ];
    assert_eq!(policies.demands(&decision), expected);

    let stolen = Facts { device: DeviceFacts { user: "u-2", ..facts(&[OWN]).device }, ..facts(&[OWN]) };
    let refusal = decide(&policies, Action::Restore, &stolen);
    let foreign = "A device acts only for the user it is enrolled for.";
    assert_eq!(policies.reasons(&refusal), [Reason { policy: "foreign-device", description: Some(foreign) }]);
    assert_eq!(policies.demands(&refusal), []);
}

#[test]
fn what_is_given_is_no_longer_missing() {
    let needs = Needs {
        approvals: 2,
        own_device: true,
        own_device_counts: true,
        delay_seconds: 900,
        notify: Notify { user: true, approvers: false },
    };
    assert_eq!(needs.after(Given::default()), needs);
    let agreed = needs.after(Given { own_device: true, ..Given::default() });
    assert_eq!(agreed, Needs { approvals: 1, own_device: false, own_device_counts: false, ..needs });
    let approved = needs.after(Given { approvals: 3, ..Given::default() });
    assert!(!approved.nothing(), "an own device is demanded too");
    assert!(!needs.after(Given { approvals: 1, own_device: true, seconds: 899 }).nothing());
    assert!(needs.after(Given { approvals: 1, own_device: true, seconds: 900 }).nothing());
    let people_only = Needs { own_device_counts: false, own_device: false, ..needs };
    assert!(!people_only.after(Given { approvals: 1, own_device: true, seconds: 900 }).nothing());
}

/// Whatever is enough for two needs together is enough for each, and the order of joining does not matter.
#[test]
fn needs_join_to_what_meets_both() {
    let needs = || {
        (0..3u32).flat_map(|approvals| {
            (0..8u32).map(move |bits| Needs {
                approvals,
                own_device: bits & 1 != 0,
                own_device_counts: approvals > 0 && bits & 2 != 0,
                delay_seconds: u64::from(bits & 4),
                notify: Notify { user: bits & 1 != 0, approvers: bits & 2 != 0 },
            })
        })
    };
    let given = || {
        (0..4u32).flat_map(|approvals| {
            (0..4u64).map(move |bits| Given { approvals, own_device: bits & 1 != 0, seconds: bits & 2 })
        })
    };
    for (a, b) in needs().flat_map(|a| needs().map(move |b| (a, b))) {
        let both = a.and(b);
        assert_eq!((both, both.and(a)), (b.and(a), both));
        for given in given().filter(|given| both.after(*given).nothing()) {
            assert!(a.after(given).nothing() && b.after(given).nothing(), "{a:?} {b:?} {given:?}");
        }
        for c in needs() {
            assert_eq!(both.and(c), a.and(b.and(c)));
        }
    }
}
