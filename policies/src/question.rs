//! The facts in Cedar's terms.

use crate::terms::TERMS;
use crate::{Action, ApprovalFacts, ApproverFacts, DeviceFacts, Facts, UserFacts, entities};
use cedar_policy::{Entities, Entity, EntityUid, Request};

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
            Action::Wrap | Action::Restore => {
                facts.records.iter().enumerate().map(entities::record).collect::<Option<_>>()?
            }
        };
        let tenant = entities::tenant(facts.tenant)?;
        let resources: Vec<EntityUid> = match action {
            Action::Enrol => vec![tenant.uid()],
            Action::Wrap | Action::Restore => records.iter().map(Entity::uid).collect(),
        };
        let device = entities::device(facts.device)?;
        let context = entities::circumstances(facts.circumstances, tenant.uid(), facts.user)?;
        let ask = |resource| Request::new(device.uid(), TERMS.action(action), resource, context.clone(), None).ok();
        let requests = resources.into_iter().map(ask).collect::<Option<_>>()?;
        let entities = records.into_iter().chain([tenant, device, entities::user(facts.user)?]);
        Some(Self { entities: Entities::from_entities(entities, None).ok()?, requests })
    }

    /// May this party approve? `None` when the facts cannot be said in Cedar.
    pub(crate) fn of_approval(facts: &ApprovalFacts) -> Option<Self> {
        let tenant = entities::tenant(facts.tenant)?;
        let restore = entities::restore(facts.user, facts.device, facts.kinds)?;
        let approver = entities::approver(facts.approver, facts.user)?;
        let context = entities::circumstances(facts.circumstances, tenant.uid(), facts.user)?;
        let request = Request::new(approver.uid(), TERMS.approve.clone(), restore.uid(), context, None).ok()?;
        let (account, device) = behind(facts);
        let users = [Some(facts.user), account].into_iter().flatten().map(entities::user);
        let devices = [Some(facts.device), device].into_iter().flatten().map(entities::device);
        let known = users.chain(devices).collect::<Option<Vec<_>>>()?;
        let entities = Entities::from_entities(known.into_iter().chain([tenant, restore, approver]), None).ok()?;
        Some(Self { entities, requests: vec![request] })
    }
}

/// The approver's account and device, unless they are those of the restore, of which Cedar is told already.
fn behind<'a>(facts: &ApprovalFacts<'a>) -> (Option<UserFacts<'a>>, Option<DeviceFacts<'a>>) {
    match facts.approver {
        ApproverFacts::Person { account, .. } => (account.filter(|account| account.id != facts.user.id), None),
        ApproverFacts::Device(device) => (None, Some(device).filter(|device| device.id != facts.device.id)),
    }
}

#[cfg(test)]
mod tests;
