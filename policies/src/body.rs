//! What a policy says: its effect, scope and conditions in one spelling, without its name, comments and spaces.

use cedar_policy::{Effect, Policy};
use serde_json::Value;

/// Two policies of equal bodies hold for the same requests and fail for the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) effect: Effect,
    /// Evaluating it could fail, for example by an overflow; a failure refuses.
    pub(crate) may_fail: bool,
    /// It may look for somebody above somebody.
    pub(crate) climbs: bool,
    /// Cedar's JSON, as text: comparing it takes no stack, however deep the policy.
    json: String,
}

impl Body {
    /// `None` where Cedar has no JSON for the policy. Takes stack as the validator does.
    pub(crate) fn of(policy: &Policy) -> Option<Self> {
        let mut json = policy.to_json().ok()?;
        json.as_object_mut()?.remove("annotations");
        let conditions = json.get("conditions")?.as_array()?;
        let may_fail = !conditions.iter().all(|condition| condition.get("body").is_some_and(cannot_fail));
        let climbs = conditions.iter().any(holds_in);
        Some(Self { effect: policy.effect(), may_fail, climbs, json: json.to_string() })
    }
}

/// Whether the operator `in`, or anything of this name, is in an expression.
fn holds_in(expression: &Value) -> bool {
    match expression {
        Value::Object(parts) => parts.iter().any(|(name, part)| name == "in" || holds_in(part)),
        Value::Array(parts) => parts.iter().any(holds_in),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether an expression that passed strict validation always has a value. Arithmetic can overflow, extension functions
/// can fail, and so does an attribute of an entity that is not among the facts: only `principal`, `resource` and
/// `context` always are.
fn cannot_fail(expression: &Value) -> bool {
    let Some((operator, operands)) = expression.as_object().and_then(|parts| parts.iter().next()) else {
        return false;
    };
    let sure = |names: &[&str]| names.iter().all(|name| operands.get(name).is_some_and(cannot_fail));
    match operator.as_str() {
        "Value" | "Var" => true,
        "." => operands.get("left").is_some_and(|left| left.get("Var").is_some()),
        "&&" | "||" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "contains" => sure(&["left", "right"]),
        "!" => sure(&["arg"]),
        "has" => sure(&["left"]),
        _ => false,
    }
}
