//! The facts in Cedar's terms.

use crate::{Action, DeviceFacts, Facts, RecordFacts, TenantFacts, UserFacts};
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression as Value,
};
use std::sync::LazyLock;

/// What Cedar is asked: one request for each thing decided on, and the entities they speak of.
pub(crate) struct Question {
    pub(crate) entities: Entities,
    pub(crate) requests: Vec<Request>,
}

impl Question {
    /// `None` when the facts cannot be said in Cedar.
    ///
    /// Built without the schema, which would cost more than the decision; a test holds the two together.
    pub(crate) fn new(action: Action, facts: &Facts) -> Option<Self> {
        let records: Vec<Entity> = match action {
            Action::Enrol => Vec::new(),
            Action::Wrap | Action::Restore => facts.records.iter().enumerate().map(record).collect::<Option<_>>()?,
        };
        let tenant = tenant(facts.tenant)?;
        let resources: Vec<EntityUid> = match action {
            Action::Enrol => vec![tenant.uid()],
            Action::Wrap | Action::Restore => records.iter().map(Entity::uid).collect(),
        };
        let device = device(facts.device)?;
        let context = circumstances(facts, &tenant)?;
        let ask = |resource| Request::new(device.uid(), TERMS.action(action), resource, context.clone(), None).ok();
        let requests = resources.into_iter().map(ask).collect::<Option<_>>()?;
        let entities = records.into_iter().chain([tenant, device, user(facts.user)?]);
        Some(Self { entities: Entities::from_entities(entities, None).ok()?, requests })
    }
}

fn circumstances(facts: &Facts, tenant: &Entity) -> Option<Context> {
    Context::from_pairs([
        ("tenant".to_owned(), Value::new_entity_uid(tenant.uid())),
        ("user".to_owned(), Value::new_entity_uid(TERMS.user(facts.user.id))),
        ("now".to_owned(), Value::new_long(facts.now)),
        ("reason_given".to_owned(), Value::new_bool(facts.reason_given)),
    ])
    .ok()
}

fn tenant(tenant: TenantFacts) -> Option<Entity> {
    let days = tenant.allows_unattested_days.map(|days| ("allows_unattested_days", Value::new_long(days.into())));
    entity(uid(&TERMS.tenant, tenant.id), days)
}

fn user(user: UserFacts) -> Option<Entity> {
    entity(TERMS.user(user.id), [("active", Value::new_bool(user.active))])
}

fn device(device: DeviceFacts) -> Option<Entity> {
    let attributes = [
        ("user", Value::new_entity_uid(TERMS.user(device.user))),
        ("active", Value::new_bool(device.active)),
        ("attested", Value::new_bool(device.attested)),
        ("enrolled_at", Value::new_long(device.enrolled_at)),
    ];
    entity(uid(&TERMS.device, device.id), attributes)
}

fn record((index, record): (usize, &RecordFacts)) -> Option<Entity> {
    let attributes = [
        ("owner", Value::new_entity_uid(TERMS.user(record.owner))),
        ("kind", Value::new_string(record.kind.to_owned())),
        ("generation", Value::new_long(record.generation.try_into().ok()?)),
        ("newest", Value::new_bool(record.newest)),
    ];
    entity(uid(&TERMS.record, &index.to_string()), attributes)
}

fn entity(uid: EntityUid, attributes: impl IntoIterator<Item = (&'static str, Value)>) -> Option<Entity> {
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value));
    Entity::new_with_tags(uid, attributes, [], []).ok()
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// The schema's names, parsed once.
struct Terms {
    tenant: EntityTypeName,
    user: EntityTypeName,
    device: EntityTypeName,
    record: EntityTypeName,
    enrol: EntityUid,
    wrap: EntityUid,
    restore: EntityUid,
}

static TERMS: LazyLock<Terms> = LazyLock::new(|| {
    let kind = |name: &str| name.parse::<EntityTypeName>().expect("invariant: a constant that is a Cedar name");
    let action = |name: &str| uid(&kind("Action"), name);
    Terms {
        tenant: kind("Tenant"),
        user: kind("User"),
        device: kind("Device"),
        record: kind("Record"),
        enrol: action("enrol"),
        wrap: action("wrap"),
        restore: action("restore"),
    }
});

impl Terms {
    fn user(&self, id: &str) -> EntityUid {
        uid(&self.user, id)
    }

    fn action(&self, action: Action) -> EntityUid {
        match action {
            Action::Enrol => self.enrol.clone(),
            Action::Wrap => self.wrap.clone(),
            Action::Restore => self.restore.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Question, TERMS};
    use crate::policy_set::SCHEMA;
    use crate::{Action, DeviceFacts, Facts, RecordFacts, TenantFacts, UserFacts};
    use cedar_policy::{Entities, Request, Schema};

    #[test]
    fn is_asked_in_the_terms_of_the_schema() {
        let schema: Schema = SCHEMA.parse().unwrap();
        for days in [None, Some(7)] {
            let facts = Facts {
                tenant: TenantFacts { id: "acme", allows_unattested_days: days },
                user: UserFacts { id: "u-1", active: true },
                device: DeviceFacts { id: "d-1", user: "u-1", active: true, attested: true, enrolled_at: 0 },
                records: &[RecordFacts { owner: "u-1", kind: "identity", generation: 3, newest: true }],
                now: 1,
                reason_given: true,
            };
            for action in [Action::Enrol, Action::Wrap, Action::Restore] {
                let Question { entities, requests } = Question::new(action, &facts).unwrap();
                Entities::from_entities(entities, Some(&schema)).unwrap();
                let [request] = requests.as_slice() else { panic!("one request") };
                let (principal, resource) = (request.principal().unwrap(), request.resource().unwrap());
                let context = request.context().unwrap().clone();
                let action = TERMS.action(action);
                Request::new(principal.clone(), action, resource.clone(), context, Some(&schema)).unwrap();
            }
        }
    }
}
