//! Which policy texts are not taken into force, and where they say the mistake is.

use keyfold_policies::{PolicyError, PolicySet, Problem};

fn refusal(text: &str) -> PolicyError {
    PolicySet::parse(text).expect_err("refused")
}

#[track_caller]
fn assert_place(error: &PolicyError, policy: Option<&str>, line: usize, column: usize) {
    assert_eq!((error.policy.as_deref(), error.line, error.column), (policy, line, column), "{error}");
}

#[test]
fn a_type_error_is_placed() {
    let text = "@id(\"first\")\npermit (principal, action, resource);\n\n\
                @id(\"typed\")\nforbid (principal, action, resource)\n\
                when { \"é\" == \"é\" && context.now < \"yesterday\" };";
    let error = refusal(text);
    assert_place(&error, Some("typed"), 6, 36);
    assert!(matches!(error.problem, Problem::Invalid(_)), "{error}");
}

#[test]
fn unknown_names_are_refused() {
    for condition in ["principal.rooted", "context.planet == \"CH\"", "resource.owner == Admin::\"a\""] {
        let text =
            format!("@id(\"p\") permit (principal, action == Action::\"wrap\", resource) when {{ {condition} }};");
        assert!(matches!(refusal(&text).problem, Problem::Invalid(_)), "{condition}");
    }
    assert!(PolicySet::parse("@id(\"p\") permit (principal, action == Action::\"release\", resource);").is_err());
    let optional = "context.tenant.allows_unattested_days > 1";
    let text = format!("@id(\"p\") permit (principal, action, resource) when {{ {optional} }};");
    assert!(matches!(refusal(&text).problem, Problem::Invalid(_)), "an optional fact must be tested with `has`");
}

#[test]
fn a_policy_that_can_never_hold_is_refused() {
    let error = refusal("@id(\"never\") forbid (principal is User, action, resource);");
    assert!(matches!(error.problem, Problem::Invalid(_) | Problem::Suspect(_)), "{error}");
    let error = refusal("@id(\"never\") forbid (principal, action, resource) when { principal is User };");
    assert!(matches!(error.problem, Problem::Suspect(_)), "{error}");
}

#[test]
fn broken_text_is_placed() {
    let error = refusal("@id(\"a\")\npermit (principal, action, resource)\nwhen principal.active };");
    assert!(matches!(error.problem, Problem::Syntax(_)), "{error}");
    assert_place(&error, None, 3, 6);
}

#[test]
fn names_are_given_once() {
    let permit = "permit (principal, action, resource);";
    let error = refusal(&format!("@id(\"a\")\n{permit}\n{permit}"));
    assert!(matches!(error.problem, Problem::MissingId), "{error}");
    assert_eq!((error.line, error.column), (3, 1));
    assert!(matches!(refusal(&format!("@id {permit}")).problem, Problem::MissingId));
    let error = refusal(&format!("@id(\"a\") {permit}\n@id(\"a\") {}", permit.replace(", resource", ", resource ")));
    assert!(matches!(error.problem, Problem::DuplicateId), "{error}");
    assert_place(&error, Some("a"), 2, 1);
}

#[test]
fn conditions_that_would_have_no_effect_are_refused() {
    let refused = |annotation: &str, effect: &str| {
        refusal(&format!("@id(\"a\") {annotation} {effect} (principal, action, resource);")).problem
    };
    assert!(
        matches!(refused("@need_approvals(\"2\")", "permit"), Problem::UnknownAnnotation(name) if name == "need_approvals")
    );
    for value in ["", "two", "-1", "1.5", "4294967296"] {
        let annotation = format!("@delay_seconds(\"{value}\")");
        assert!(matches!(refused(&annotation, "permit"), Problem::NotANumber("delay_seconds")), "{value}");
    }
    assert!(matches!(refused("@needs_approvals(\"2\")", "forbid"), Problem::ConditionOnForbid("needs_approvals")));
    for name in ["needs_own_device", "own_device_counts"] {
        for value in ["", "no", "true", "YES"] {
            let annotation = format!("@{name}(\"{value}\")");
            assert!(matches!(refused(&annotation, "permit"), Problem::NotYes(_)), "{annotation}");
        }
    }
    assert!(matches!(refused("@own_device_counts(\"yes\")", "permit"), Problem::NoApprovalsToCount));
    assert!(matches!(refused("@notify(\"user boss\")", "permit"), Problem::UnknownAudience(word) if word == "boss"));
    assert!(matches!(refused("@notify(\" \")", "permit"), Problem::NoAudience("notify")));
    for action in ["wrap", "approve"] {
        let text =
            format!("@id(\"a\") @notify(\"user\") permit (principal, action == Action::\"{action}\", resource);");
        assert!(matches!(refusal(&text).problem, Problem::ConditionOnAction("notify")), "{action}");
    }
}

#[test]
fn what_always_holds_cannot_be_given_again() {
    let error = refusal("\n @id(\"foreign-device\") permit (principal, action, resource);");
    assert!(matches!(error.problem, Problem::ReservedId), "{error}");
    assert_place(&error, Some("foreign-device"), 2, 2);
}

#[test]
fn templates_are_refused() {
    let error = refusal("\n@id(\"t\") permit (principal == ?principal, action, resource);");
    assert!(matches!(error.problem, Problem::Syntax(_)), "{error}");
    assert_eq!(error.line, 2);
}

#[test]
fn a_policy_ends_at_its_semicolon_only() {
    let one = "// no; end\r@id(\"a;\\\"//\") permit (principal, action, resource); // none; here\r";
    let tricky = format!("{one}@id(\"b\") permit (principal, action, resource); // nor \"here;");
    PolicySet::parse(&tricky).unwrap();
    assert!(matches!(refusal(&format!("{one}{tricky}")).problem, Problem::DuplicateId));
    assert_eq!(PolicySet::parse("").unwrap().text(), "");
    assert!(matches!(refusal(&format!("{tricky}\n;")).problem, Problem::Syntax(_)));
    assert!(matches!(refusal("@id(\"a\") permit (principal, action, resource)").problem, Problem::Syntax(_)));
    assert!(matches!(refusal("@id(\"a").problem, Problem::Syntax(_)));
    assert!(matches!(refusal("@id(\"a\\").problem, Problem::Syntax(_)));
}

/// Cedar's parser recurses without end, and its validator passes what is too deep for its stack.
#[test]
fn no_depth_of_nesting_gets_past_the_validator() {
    let shapes = [
        ("(", ")"),
        ("[", "]"),
        ("if context.reason_given then ", " else true"),
        ("if context.reason_given then true else ", ""),
        ("{a:", "}.a"),
        ("", ".a"),
        ("", "[\"a\"]"),
        ("", ".contains(1)"),
        ("1+", ""),
        ("context.reason_given&&", ""),
        ("!", ""),
        ("-", ""),
    ];
    for (open, close) in shapes {
        for depth in [10, 100, (PolicySet::MAX_POLICY_BYTES - 100) / (open.len() + close.len())] {
            let condition = format!("{}context.planet{}", open.repeat(depth), close.repeat(depth));
            refusal(&format!("@id(\"deep\") forbid (principal, action, resource) when {{ {condition} }};"));
        }
    }
}

#[test]
fn a_policy_beyond_the_limits_is_refused() {
    let with = |condition: &str| format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};");
    let nested = |depth: usize| with(&format!("{}true{}", "(".repeat(depth), ")".repeat(depth)));
    PolicySet::parse(&nested(31)).unwrap();
    assert!(matches!(refusal(&nested(32)).problem, Problem::TooDeep));
    let padding = PolicySet::MAX_POLICY_BYTES - with("true").len();
    PolicySet::parse(&with(&format!("true{}", " ".repeat(padding)))).unwrap();
    let error = refusal(&format!("\n{}", with(&format!("true{}", "é".repeat(padding)))));
    assert!(matches!(error.problem, Problem::TooLong), "{error}");
    assert_place(&error, None, 2, 1);
    let much = " ".repeat(PolicySet::MAX_TEXT_BYTES);
    assert_eq!(PolicySet::parse(&much).unwrap().text(), much);
    assert!(matches!(refusal(&format!("{much} ")).problem, Problem::TextTooLong));
}

#[test]
fn the_digest_is_of_schema_and_text() {
    let schema = include_str!("../../schema.cedarschema");
    let policies = PolicySet::default_set();
    let mut hashed = Vec::new();
    for part in [schema, policies.full_text()] {
        hashed.extend((part.len() as u64).to_be_bytes());
        hashed.extend(part.as_bytes());
    }
    let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &hashed);
    assert_eq!(policies.digest(), expected.as_ref());
    let other = PolicySet::parse(&format!("{}\n", policies.text())).unwrap();
    assert_ne!(other.digest(), policies.digest());
}
