//! The library: each text does what it says, and none opens what must stay closed.

use crate::approvals;
use crate::facts::{DEVICE, NOW, OWN, TENANT, USER, facts};
use keyfold_policies::{
    Action, ApprovalFacts, ApproverFacts, Circumstances, Decision, DeviceFacts, Facts, LocalTime, Needs, Notify,
    PolicySet, RecordFacts, Role, TenantFacts, UserFacts, decide, decide_approval, library,
};

const DAY: i64 = 86_400;
/// Tuesday at noon.
const NOON: i64 = 1_699_963_200;
const EVERYBODY: Notify = Notify { user: true, approvers: true };

fn text(name: &str) -> &'static str {
    library().iter().find(|ready| ready.name == name).expect("a text of the library").text
}

fn beside_defaults(text: &str) -> PolicySet {
    PolicySet::parse(&format!("{}\n{text}", PolicySet::default_set().text())).expect("a valid text")
}

fn everything() -> String {
    library().iter().map(|ready| ready.text).collect::<Vec<_>>().join("\n")
}

/// What is asked in the world below, and whether it may ever be allowed.
struct Case<'a> {
    facts: Facts<'a>,
    may_be_allowed: bool,
}

/// Every combination of what the texts look at, and of what must never be allowed; each with a record of `kind`.
fn each_case(mut look: impl FnMut(&Case<'_>)) {
    let kinds = ["identity", "archive", "contacts"];
    for (bits, kind) in (0..512u16).flat_map(|bits| kinds.map(|kind| (bits, kind))) {
        let is = |bit: u16| bits & (1 << bit) != 0;
        let whose = |own: bool| if own { "u-1" } else { "u-2" };
        let poor = Circumstances { local: LocalTime::at(NOON, 5 * 24 * 60), ..Circumstances::at(NOON) };
        let good = Circumstances { country: Some("CH"), login_age_seconds: Some(0), ..Circumstances::at(NOON) };
        let device = DeviceFacts {
            active: is(0),
            user: whose(is(1)),
            attested: is(2),
            enrolled_by_help_desk: is(3),
            enrolled_at: NOON - DAY,
            ..DEVICE
        };
        let facts = Facts {
            tenant: TenantFacts { allows_unattested_days: is(4).then_some(7), ..TENANT },
            user: UserFacts { active: is(5), ..USER },
            device,
            records: &[RecordFacts { owner: whose(is(6)), newest: is(7), kind, ..OWN }],
            circumstances: if is(8) { good } else { poor },
        };
        look(&Case { facts, may_be_allowed: is(0) && is(1) && is(5) && is(6) });
    }
}

fn assert_closed(policies: &PolicySet, name: &str) {
    let mut allowed = 0;
    each_case(|Case { facts, may_be_allowed }| {
        let decision = decide(policies, Action::Restore, facts);
        assert!(*may_be_allowed || !decision.allowed, "{name}: {facts:?}");
        allowed += usize::from(decision.allowed);
    });
    let permits_restores = policies.text().contains("permit (principal, action == Action::\"restore\"");
    assert_eq!(allowed > 0, permits_restores, "{name}: a world in which nothing is allowed shows nothing");
    for approver in approvals::approvers() {
        let decision = decide_approval(policies, &approvals::restore(approver));
        assert!(approvals::oracle(approver) || !decision.allowed, "{name}: {approver:?}");
    }
}

#[test]
fn no_text_alone_releases_to_whom_it_must_not() {
    for ready in library() {
        assert_closed(&PolicySet::parse(ready.text).expect("a valid text"), ready.name);
    }
    assert_closed(&PolicySet::parse(&everything()).expect("a valid text"), "everything");
}

/// Beside the defaults a text also never allows what they refuse, and never demands less than it says.
#[test]
fn no_text_beside_the_defaults_opens_anything() {
    let defaults = PolicySet::default_set();
    assert_closed(&defaults, "defaults");
    for (name, text) in library().iter().map(|ready| (ready.name, ready.text)).chain([("everything", &*everything())]) {
        let policies = beside_defaults(text);
        assert_closed(&policies, name);
        each_case(|Case { facts, may_be_allowed }| {
            let decision = decide(&policies, Action::Restore, facts);
            let before = || decide(&defaults, Action::Restore, facts);
            assert!(!may_be_allowed || !decision.allowed || before().allowed, "{name}: {facts:?}");
        });
        for approver in approvals::approvers() {
            let approval = approvals::restore(approver);
            let (now, before) = (decide_approval(&policies, &approval), decide_approval(&defaults, &approval));
            assert!(!now.allowed || before.allowed, "{name}: {approver:?}");
        }
    }
}

#[test]
fn each_says_what_it_is_for() {
    for ready in library() {
        let description = ready.description();
        assert!(
            description.contains("Stands beside the defaults") || description.contains("Replaces"),
            "{description}"
        );
        let policies = PolicySet::parse(ready.text).expect("a valid text");
        assert_eq!(policies.text(), ready.text);
        assert_eq!(ready.text.matches("@description(").count(), ready.text.matches("@id(").count(), "{}", ready.name);
    }
}

/// What is decided on a restore beside the defaults, after a change to facts that the defaults allow.
fn restore(name: &str, change: impl Fn(&mut Facts, &mut RecordFacts)) -> Decision {
    let mut record = OWN;
    let mut changed = Facts { circumstances: Circumstances::at(NOON), ..facts(&[]) };
    change(&mut changed, &mut record);
    decide(&beside_defaults(text(name)), Action::Restore, &Facts { records: &[record], ..changed })
}

fn refused_by(name: &str, change: impl Fn(&mut Facts, &mut RecordFacts)) -> bool {
    let decision = restore(name, change);
    assert!(decision.allowed || decision.determined_by.iter().any(|id| id == name), "{decision:?}");
    !decision.allowed
}

#[test]
fn what_is_refused_is_refused_and_nothing_else() {
    assert!(refused_by("newest-generation", |_, record| record.newest = false));
    assert!(!refused_by("newest-generation", |_, _| ()));

    let unattested = |facts: &mut Facts, attested| {
        facts.tenant.allows_unattested_days = Some(7);
        facts.device = DeviceFacts { attested, enrolled_at: NOON, ..DEVICE };
    };
    assert!(refused_by("attested-devices", |facts, _| unattested(facts, false)));
    assert!(!refused_by("attested-devices", |facts, _| unattested(facts, true)));

    let at = |facts: &mut Facts, minutes| facts.circumstances.local = LocalTime::at(NOON, minutes);
    for (minutes, closed) in
        [(-241, true), (-240, false), (359, false), (360, true), (3 * 1440, false), (4 * 1440, true)]
    {
        assert_eq!(refused_by("office-hours", |facts, _| at(facts, minutes)), closed, "{minutes} from Tuesday noon");
    }
    for (country, closed) in
        [(Some("CH"), false), (Some("AT"), false), (Some("FR"), true), (Some("ch"), true), (None, true)]
    {
        assert_eq!(refused_by("country", |facts, _| facts.circumstances.country = country), closed, "{country:?}");
    }
    for (age, closed) in [(Some(0), false), (Some(900), false), (Some(901), true), (None, true)] {
        assert_eq!(refused_by("login-age", |facts, _| facts.circumstances.login_age_seconds = age), closed, "{age:?}");
    }
}

#[test]
fn what_is_demanded_is_demanded_of_all_devices_that_may_restore() {
    let two = Needs { approvals: 2, notify: EVERYBODY, ..Needs::default() };
    let wait = Needs { delay_seconds: 900, notify: EVERYBODY, ..Needs::default() };
    for attested in [true, false] {
        let set = |facts: &mut Facts, help_desk| {
            facts.tenant.allows_unattested_days = (!attested).then_some(7);
            facts.device = DeviceFacts { attested, enrolled_by_help_desk: help_desk, enrolled_at: NOON, ..DEVICE };
        };
        assert_eq!(restore("two-approvers-for-identity", |facts, _| set(facts, false)).needs, two);
        let archive = restore("two-approvers-for-identity", |facts, record| {
            set(facts, false);
            record.kind = "archive";
        });
        assert_eq!((archive.allowed, archive.needs), (true, Needs::default()));
        assert_eq!(restore("help-desk-delay", |facts, _| set(facts, true)).needs, wait);
        assert_eq!(restore("help-desk-delay", |facts, _| set(facts, false)).needs, Needs::default());
    }
}

#[test]
fn each_kind_has_its_rule_where_the_defaults_are_replaced() {
    let policies = PolicySet::parse(text("rules-by-kind")).expect("a valid text");
    let on = |kind, device| {
        let records = [RecordFacts { kind, ..OWN }];
        decide(&policies, Action::Restore, &Facts { device, ..facts(&records) })
    };
    let identity = Needs { approvals: 2, delay_seconds: 900, notify: EVERYBODY, ..Needs::default() };
    let notify = Notify { user: true, approvers: false };
    let archive = Needs { approvals: 1, own_device_counts: true, notify, ..Needs::default() };
    for (kind, needs) in [("identity", identity), ("archive", archive), ("contacts", Needs::default())] {
        assert_eq!((on(kind, DEVICE).allowed, on(kind, DEVICE).needs), (true, needs), "{kind}");
        assert!(!on(kind, DeviceFacts { attested: false, ..DEVICE }).allowed, "{kind}");
    }
}

#[test]
fn nobody_approves_in_their_own_reporting_line() {
    let policies = beside_defaults(text("reporting-line"));
    let roles = &[Role::Approver];
    let by = |requester: &[&str], account: Option<UserFacts>| {
        let approver = ApproverFacts::Person { id: "a-1", account, roles };
        let user = UserFacts { managers: requester, ..USER };
        let facts = ApprovalFacts { user, circumstances: Circumstances::at(NOW), ..approvals::restore(approver) };
        decide_approval(&policies, &facts).determined_by
    };
    let account = |managers| Some(UserFacts { id: "u-2", active: true, managers });
    assert_eq!(by(&["u-3", "u-2"], account(&[])), ["reporting-line"], "a manager's manager");
    assert_eq!(by(&[], account(&["u-1"])), ["reporting-line"], "a report");
    assert_eq!(by(&["u-3"], account(&["u-3"])), ["approve"], "a colleague of the same manager");
    assert_eq!(by(&["u-2"], None), ["approve"], "nobody knows whose account it is");
}

#[test]
fn only_what_speaks_of_reporting_lines_asks_for_them() {
    let asks = |text: &str| PolicySet::parse(text).unwrap().asks_for_reporting_lines();
    for ready in library() {
        assert_eq!(asks(ready.text), ready.name == "reporting-line", "{}", ready.name);
    }
    assert!(!PolicySet::default_set().asks_for_reporting_lines());
    for condition in [
        "when { context.user in User::\"u-2\" }",
        "unless { context.user != User::\"u-2\" || !(principal.user in [User::\"u-2\", User::\"u-3\"]) }",
        "when { if principal.attested then false else context.user is User in User::\"u-2\" }",
    ] {
        assert!(
            asks(&format!("@id(\"p\") forbid (principal is Device, action, resource) {condition};")),
            "{condition}"
        );
    }
}
