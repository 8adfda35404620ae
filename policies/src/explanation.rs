//! Which policies a decision comes from, for people.

use crate::{Decision, Needs, PolicySet};

/// One policy behind a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason<'a> {
    /// Its `@id`.
    pub policy: &'a str,
    /// Its `@description`, where it has one.
    pub description: Option<&'a str>,
}

/// One thing that must happen. Whether an own device counts as an approval is in [`Needs::own_device_counts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// So many people approve.
    Approvals(u32),
    /// Another device of the user agrees.
    OwnDevice,
    /// So many seconds pass.
    Delay(u64),
    /// The user is told.
    NotifyUser,
    /// Those who may approve are told.
    NotifyApprovers,
}

impl Demand {
    /// All that `needs` demand.
    fn of(needs: Needs) -> impl Iterator<Item = Self> {
        let demands = [
            (needs.approvals > 0).then_some(Self::Approvals(needs.approvals)),
            needs.own_device.then_some(Self::OwnDevice),
            (needs.delay_seconds > 0).then_some(Self::Delay(needs.delay_seconds)),
            needs.notify.user.then_some(Self::NotifyUser),
            needs.notify.approvers.then_some(Self::NotifyApprovers),
        ];
        demands.into_iter().flatten()
    }
}

impl PolicySet {
    /// The policies that decided, as people know them; those that are no longer in this set are left out.
    #[must_use]
    pub fn reasons<'a>(&'a self, decision: &Decision) -> Vec<Reason<'a>> {
        self.deciding(decision).map(|(reason, _)| reason).collect()
    }

    /// What the decision demands, each with the policies that demand exactly that much.
    #[must_use]
    pub fn demands<'a>(&'a self, decision: &Decision) -> Vec<(Demand, Vec<Reason<'a>>)> {
        let makers = |demand| {
            let makes = |needs: Needs| Demand::of(needs).any(|theirs| theirs == demand);
            self.deciding(decision).filter(|(_, needs)| makes(*needs)).map(|(reason, _)| reason).collect()
        };
        Demand::of(decision.needs).map(|demand| (demand, makers(demand))).collect()
    }

    fn deciding<'a>(&'a self, decision: &Decision) -> impl Iterator<Item = (Reason<'a>, Needs)> {
        decision.determined_by.iter().filter_map(|id| {
            let (id, entry) = self.entries.get_key_value(id.as_str())?;
            Some((Reason { policy: id, description: entry.description.as_deref() }, entry.needs))
        })
    }
}
