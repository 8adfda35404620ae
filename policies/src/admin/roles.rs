//! What each role may do, as Cedar says: asked once for each role and act, and remembered.

use super::{Act, Role};
use cedar_policy::{Authorizer, Context, Decision, EntityId, EntityTypeName, EntityUid, PolicySet, Request, Schema};
use std::collections::BTreeSet;
use std::sync::LazyLock;

const SCHEMA: &str = include_str!("../../admin/admin.cedarschema");
const POLICIES: &str = include_str!("../../admin/roles.cedar");

static PERMITTED: LazyLock<BTreeSet<(Role, Act)>> =
    LazyLock::new(|| permitted().expect("invariant: schema and policies are part of the program and a test asks them"));

/// Whether one of the roles may do `act`.
#[must_use]
pub fn may(roles: &[Role], act: Act) -> bool {
    roles.iter().any(|role| PERMITTED.contains(&(*role, act)))
}

/// `None` when schema, policies and words do not fit together.
fn permitted() -> Option<BTreeSet<(Role, Act)>> {
    let schema: Schema = SCHEMA.parse().ok()?;
    let policies: PolicySet = POLICIES.parse().ok()?;
    let (authorizer, entities) = (Authorizer::new(), schema.action_entities().ok()?);
    let mut permitted = BTreeSet::new();
    for (role, act) in pairs() {
        let answer = authorizer.is_authorized(&request(role, act, &schema)?, &policies, &entities);
        if answer.diagnostics().errors().next().is_some() {
            return None;
        }
        if answer.decision() == Decision::Allow {
            permitted.insert((role, act));
        }
    }
    Some(permitted)
}

fn pairs() -> impl Iterator<Item = (Role, Act)> {
    Role::ALL.into_iter().flat_map(|role| Act::ALL.map(|act| (role, act)))
}

fn request(role: Role, act: Act, schema: &Schema) -> Option<Request> {
    let (role, act) = (uid("Role", role.as_str())?, uid("Action", act.as_str())?);
    Request::new(role, act, uid("Tenant", "any")?, Context::empty(), Some(schema)).ok()
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind: EntityTypeName = kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

#[cfg(test)]
mod tests {
    use super::{Act, POLICIES, SCHEMA, may, permitted, uid};
    use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};

    #[test]
    fn schema_and_words_are_the_same() {
        let schema: Schema = SCHEMA.parse().unwrap();
        let mut actions: Vec<String> = schema
            .actions()
            .filter(|uid| !schema.action_groups().any(|group| group == *uid))
            .map(ToString::to_string)
            .collect();
        let mut words: Vec<String> =
            Act::ALL.iter().map(|act| uid("Action", act.as_str()).unwrap().to_string()).collect();
        actions.sort();
        words.sort();
        assert_eq!(actions, words);
    }

    #[test]
    fn the_policies_agree_with_the_schema() {
        let policies: PolicySet = POLICIES.parse().unwrap();
        let result = Validator::new(SCHEMA.parse().unwrap()).validate(&policies, ValidationMode::Strict);
        assert!(result.validation_passed_without_warnings(), "{result}");
        assert!(!permitted().unwrap().is_empty());
    }

    #[test]
    fn no_role_no_act() {
        assert!(Act::ALL.into_iter().all(|act| !may(&[], act)));
    }
}
