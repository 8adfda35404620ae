//! What a permit demands before its effect: read from annotations on the policy.

use crate::Problem;
use cedar_policy::{Effect, Policy};

const APPROVALS: &str = "needs_approvals";
const DELAY: &str = "delay_seconds";
const WITHOUT_EFFECT: [&str; 2] = ["id", "description"];

/// What must still happen before an allowed request takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Distinct people who must approve.
    pub approvals: u32,
    /// Seconds from the request to the earliest effect; at most `u32::MAX`, so that adding it to a time is safe.
    pub delay_seconds: u64,
}

impl Needs {
    /// Reads the annotations of `policy`, refusing those that would have no effect.
    pub(crate) fn of(policy: &Policy) -> Result<Self, Problem> {
        let mut needs = Self::default();
        for (key, value) in policy.annotations() {
            match key {
                APPROVALS => needs.approvals = condition(policy, APPROVALS, value)?,
                DELAY => needs.delay_seconds = condition(policy, DELAY, value)?.into(),
                _ if WITHOUT_EFFECT.contains(&key) => {}
                _ => return Err(Problem::UnknownAnnotation(key.to_owned())),
            }
        }
        Ok(needs)
    }

    /// Both: the larger of each.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            approvals: self.approvals.max(other.approvals),
            delay_seconds: self.delay_seconds.max(other.delay_seconds),
        }
    }
}

fn condition(policy: &Policy, name: &'static str, value: &str) -> Result<u32, Problem> {
    match policy.effect() {
        Effect::Permit => value.parse().map_err(|_| Problem::NotANumber(name)),
        Effect::Forbid => Err(Problem::ConditionOnForbid(name)),
    }
}
