//! What a permit demands before its effect: read from annotations on the policy.

use crate::Problem;
use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy};

const APPROVALS: &str = "needs_approvals";
const OWN_DEVICE: &str = "needs_own_device";
const OWN_DEVICE_COUNTS: &str = "own_device_counts";
const DELAY: &str = "delay_seconds";
const NOTIFY: &str = "notify";
const WITHOUT_EFFECT: [&str; 2] = ["id", "description"];

/// What must still happen before an allowed request takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Distinct people who must approve.
    pub approvals: u32,
    /// Another active device of the user must agree, too.
    pub own_device: bool,
    /// The agreement of such a device counts as one of the `approvals`; never true without any.
    pub own_device_counts: bool,
    /// Seconds from the request to the earliest effect; at most `u32::MAX`, so that adding it to a time is safe.
    pub delay_seconds: u64,
    /// Who is told at once.
    pub notify: Notify,
}

/// Who is told of a request as soon as it is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notify {
    /// The user, on every way that is known.
    pub user: bool,
    /// Everybody who may approve.
    pub approvers: bool,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// Distinct people who approved.
    pub approvals: u32,
    /// Another active device of the user agreed.
    pub own_device: bool,
    /// Seconds since the request.
    pub seconds: u64,
}

impl Needs {
    /// Whether nothing has to happen first; notices hold nothing up.
    #[must_use]
    pub fn nothing(self) -> bool {
        self.approvals == 0 && !self.own_device && self.delay_seconds == 0
    }

    /// What is still missing when so much has been given.
    #[must_use]
    pub fn after(self, given: Given) -> Self {
        let counted = u32::from(self.own_device_counts && given.own_device);
        let approvals = self.approvals.saturating_sub(given.approvals).saturating_sub(counted);
        let agreed = given.own_device;
        Self {
            approvals,
            own_device: self.own_device && !agreed,
            own_device_counts: self.own_device_counts && !agreed && approvals > 0,
            delay_seconds: self.delay_seconds.saturating_sub(given.seconds),
            notify: self.notify,
        }
    }

    /// Both: the stricter of each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            approvals: self.approvals.max(other.approvals),
            own_device: self.own_device || other.own_device,
            own_device_counts: match (self.approvals, other.approvals) {
                (0, _) => other.own_device_counts,
                (_, 0) => self.own_device_counts,
                _ => self.own_device_counts && other.own_device_counts,
            },
            delay_seconds: self.delay_seconds.max(other.delay_seconds),
            notify: self.notify.and(other.notify),
        }
    }

    /// Whether whatever meets these needs meets the others.
    #[must_use]
    pub fn at_least(self, other: Self) -> bool {
        self.and(other) == self
    }

    /// Reads the annotations of `policy`, refusing those that would have no effect.
    pub(crate) fn of(policy: &Policy) -> Result<Self, Problem> {
        let mut needs = Self::default();
        for (key, value) in policy.annotations() {
            match key {
                APPROVALS => needs.approvals = condition(policy, APPROVALS, value, number)?,
                OWN_DEVICE => needs.own_device = condition(policy, OWN_DEVICE, value, yes)?,
                OWN_DEVICE_COUNTS => needs.own_device_counts = condition(policy, OWN_DEVICE_COUNTS, value, yes)?,
                DELAY => needs.delay_seconds = condition(policy, DELAY, value, number)?.into(),
                NOTIFY => needs.notify = condition(policy, NOTIFY, value, Notify::read)?,
                _ if WITHOUT_EFFECT.contains(&key) => {}
                _ => return Err(Problem::UnknownAnnotation(key.to_owned())),
            }
        }
        let alone = needs.own_device_counts && needs.approvals == 0;
        if alone { Err(Problem::NoApprovalsToCount) } else { Ok(needs) }
    }
}

impl Notify {
    fn and(self, other: Self) -> Self {
        Self { user: self.user || other.user, approvers: self.approvers || other.approvers }
    }

    fn read(name: &'static str, value: &str) -> Result<Self, Problem> {
        let mut notify = Self::default();
        for word in value.split_whitespace() {
            match word {
                "user" => notify.user = true,
                "approvers" => notify.approvers = true,
                _ => return Err(Problem::UnknownAudience(word.to_owned())),
            }
        }
        if notify == Self::default() { Err(Problem::NoAudience(name)) } else { Ok(notify) }
    }
}

type Read<T> = fn(&'static str, &str) -> Result<T, Problem>;

fn condition<T>(policy: &Policy, name: &'static str, value: &str, read: Read<T>) -> Result<T, Problem> {
    match policy.effect() {
        Effect::Permit if can_wait(&policy.action_constraint()) => read(name, value),
        Effect::Permit => Err(Problem::ConditionOnAction(name)),
        Effect::Forbid => Err(Problem::ConditionOnForbid(name)),
    }
}

/// Whether something that a policy of this scope permits can wait: a wrap and an approval have their effect at once.
fn can_wait(scope: &ActionConstraint) -> bool {
    let waits = |uid: &EntityUid| matches!(uid.id().unescaped(), "enrol" | "restore");
    match scope {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => waits(uid),
        ActionConstraint::In(uids) => uids.iter().any(waits),
    }
}

fn number(name: &'static str, value: &str) -> Result<u32, Problem> {
    value.parse().map_err(|_| Problem::NotANumber(name))
}

fn yes(name: &'static str, value: &str) -> Result<bool, Problem> {
    if value == "yes" { Ok(true) } else { Err(Problem::NotYes(name)) }
}
