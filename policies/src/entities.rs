//! Facts as Cedar's entities. `None` throughout: Cedar has no way to say it.

use crate::terms::{TERMS, uid};
use crate::{ApproverFacts, Circumstances, DeviceFacts, RecordFacts, Role, TenantFacts, UserFacts};
use cedar_policy::{Context, Entity, EntityUid, RestrictedExpression as Value};

pub(crate) fn tenant(tenant: TenantFacts) -> Option<Entity> {
    let days = tenant.allows_unattested_days.map(|days| ("allows_unattested_days", Value::new_long(days.into())));
    entity(uid(&TERMS.tenant, tenant.id), days)
}

pub(crate) fn user(user: UserFacts) -> Option<Entity> {
    let managers = user.managers.iter().map(|manager| TERMS.user(manager));
    let active = ("active".to_owned(), Value::new_bool(user.active));
    Entity::new_with_tags(TERMS.user(user.id), [active], managers, []).ok()
}

pub(crate) fn device(device: DeviceFacts) -> Option<Entity> {
    let attributes = [
        ("user", Value::new_entity_uid(TERMS.user(device.user))),
        ("active", Value::new_bool(device.active)),
        ("attested", Value::new_bool(device.attested)),
        ("enrolled_by_help_desk", Value::new_bool(device.enrolled_by_help_desk)),
        ("enrolled_at", Value::new_long(device.enrolled_at)),
    ];
    entity(TERMS.device(device.id), attributes)
}

/// The `index` tells records of one question apart; policies cannot name it in any meaningful way.
pub(crate) fn record((index, record): (usize, &RecordFacts)) -> Option<Entity> {
    let attributes = [
        ("owner", Value::new_entity_uid(TERMS.user(record.owner))),
        ("kind", Value::new_string(record.kind.to_owned())),
        ("generation", Value::new_long(record.generation.try_into().ok()?)),
        ("newest", Value::new_bool(record.newest)),
    ];
    entity(uid(&TERMS.record, &index.to_string()), attributes)
}

pub(crate) fn approver(approver: ApproverFacts, of: UserFacts) -> Option<Entity> {
    let (id, party, roles) = match approver {
        ApproverFacts::Person { id, account, roles } => {
            (id, account.map(|account| ("user", TERMS.user(account.id))), roles)
        }
        ApproverFacts::Device(device) => (device.id, Some(("device", TERMS.device(device.id))), &[][..]),
    };
    let words = roles.iter().map(|role| Value::new_string(role.as_str().to_owned()));
    let own_device = matches!(approver, ApproverFacts::Device(device) if device.user == of.id);
    let attributes = [
        ("roles", Value::new_set(words)),
        ("break_glass", Value::new_bool(roles.contains(&Role::BreakGlass))),
        ("own_device", Value::new_bool(own_device)),
    ];
    let party = party.map(|(name, uid)| (name, Value::new_entity_uid(uid)));
    entity(uid(&TERMS.approver, id), attributes.into_iter().chain(party))
}

pub(crate) fn restore(user: UserFacts, device: DeviceFacts, kinds: &[&str]) -> Option<Entity> {
    let kinds = kinds.iter().map(|kind| Value::new_string((*kind).to_owned()));
    let attributes = [
        ("user", Value::new_entity_uid(TERMS.user(user.id))),
        ("device", Value::new_entity_uid(TERMS.device(device.id))),
        ("kinds", Value::new_set(kinds)),
    ];
    entity(uid(&TERMS.restore, ""), attributes)
}

pub(crate) fn circumstances(at: Circumstances, tenant: EntityUid, user: UserFacts) -> Option<Context> {
    let known = [
        ("tenant", Value::new_entity_uid(tenant)),
        ("user", Value::new_entity_uid(TERMS.user(user.id))),
        ("now", Value::new_long(at.now)),
        ("weekday", Value::new_long(at.local.weekday().into())),
        ("minute_of_day", Value::new_long(at.local.minute_of_day().into())),
        ("reason_given", Value::new_bool(at.reason_given)),
    ];
    let country = at.country.map(|country| ("country", Value::new_string(country.to_owned())));
    let login_age = at.login_age_seconds.map(|seconds| ("login_age_seconds", Value::new_long(seconds.into())));
    let pairs = known.into_iter().chain(country).chain(login_age);
    Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value))).ok()
}

fn entity(uid: EntityUid, attributes: impl IntoIterator<Item = (&'static str, Value)>) -> Option<Entity> {
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value));
    Entity::new_with_tags(uid, attributes, [], []).ok()
}
