//! Back to the policies that those in force have replaced, in one act of each who must agree.

use super::{in_force, store_proposed, take_effect, written};
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::error::{Error, Refusal};
use crate::ops::policies::find;
use crate::rulebook::PolicyVersion;
use crate::store::policy_versions::PolicyState;

/// Takes the text that was in force before as a new version. Where that is nowhere weaker, one person is enough and it holds
/// at once; else it is proposed, and another person has to activate it.
pub async fn roll_back(broker: &Broker, caller: &AdminCaller, tenant: &str) -> Result<PolicyVersion, Error> {
    caller.person()?;
    let (rules, current) = in_force(broker, tenant).await?;
    let current = current.ok_or(Refusal::NothingToRollBack)?;
    let text = match current.replaces {
        Some(before) => find(broker, (tenant, before)).await?.text,
        None => broker.policies.default_rules().set.text().into(),
    };
    let set = broker.policies.read(text).await?;
    let note = format!("rolls back version {}", current.version);
    let version = PolicyVersion {
        proposed_by: Some(caller.person.clone()),
        undoes: Some(current.version),
        ..written(broker, caller, tenant, (&set, note)).await?
    };
    if set.is_nowhere_weaker_than(&rules.set) {
        let alone = PolicyVersion { revision: 0, activated_by: Some(caller.person.clone()), ..version };
        return take_effect(broker, Some(caller), alone, Some(current)).await;
    }
    let proposed = PolicyVersion { state: PolicyState::Proposed, ..version };
    store_proposed(broker, caller, &proposed, false).await?;
    Ok(proposed)
}

/// Whether it undoes a change that is younger than the delay. What it allows again was allowed until then: whoever would
/// have to notice it in time has lived with it.
pub(super) fn is_fresh_undoing(broker: &Broker, version: &PolicyVersion, current: Option<&PolicyVersion>) -> bool {
    let Some(current) = current.filter(|current| version.undoes == Some(current.version)) else { return false };
    let age = broker.clock.now() - current.effective_at.unwrap_or(0);
    u128::from(age.max(0).unsigned_abs()) < broker.weakening_delay.as_millis()
}
