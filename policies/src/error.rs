//! Why a policy text is refused, and where in it.

use cedar_policy::{ParseErrors, ValidationError, ValidationWarning};
use miette::Diagnostic;
use std::fmt;
use thiserror::Error;

/// A policy text that is not taken into force: the first mistake in it and its place, counted from 1 (columns in
/// characters).
#[derive(Debug, Error)]
pub struct PolicyError {
    /// The `@id` of the policy; `None` when it has none or could not be read.
    pub policy: Option<String>,
    /// Line of the mistake.
    pub line: usize,
    /// Column of the mistake.
    pub column: usize,
    /// The mistake.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a policy text.
#[derive(Debug, Error)]
pub enum Problem {
    /// More text than [`PolicySet::MAX_TEXT_BYTES`](crate::PolicySet::MAX_TEXT_BYTES).
    #[error("the policies together are longer than {} bytes", crate::PolicySet::MAX_TEXT_BYTES)]
    TextTooLong,
    /// A policy longer than [`PolicySet::MAX_POLICY_BYTES`](crate::PolicySet::MAX_POLICY_BYTES).
    #[error("the policy is longer than {} bytes", crate::PolicySet::MAX_POLICY_BYTES)]
    TooLong,
    /// Brackets within brackets, more than 32 deep.
    #[error("brackets nest too deeply")]
    TooDeep,
    /// Not one static Cedar policy; a template is none, since nothing here would ever link it.
    #[error(transparent)]
    Syntax(#[from] Box<ParseErrors>),
    /// No `@id`, so that no event could name the policy.
    #[error("the policy has no `@id(\"...\")`")]
    MissingId,
    /// Two policies of one name.
    #[error("another policy has the same `@id`")]
    DuplicateId,
    /// The name of a policy that is part of every set.
    #[error("the policy that always holds has the same `@id`")]
    ReservedId,
    /// An annotation without meaning: most likely a misspelt condition, which must not be lost.
    #[error("unknown annotation `@{0}`")]
    UnknownAnnotation(String),
    /// A condition that is not a whole number up to 4,294,967,295.
    #[error("`@{0}` must be a whole number in quotes")]
    NotANumber(&'static str),
    /// A condition that can only be set, and is not.
    #[error("`@{0}` must be \"yes\"; leave it out otherwise")]
    NotYes(&'static str),
    /// A notice to somebody unknown.
    #[error("`@notify` knows \"user\" and \"approvers\", not `{0}`")]
    UnknownAudience(String),
    /// A notice to nobody.
    #[error("`@{0}` names nobody")]
    NoAudience(&'static str),
    /// What would count as an approval where none is needed.
    #[error("`@own_device_counts` has no effect without `@needs_approvals`")]
    NoApprovalsToCount,
    /// A condition on a `forbid`, where it would have no effect.
    #[error("`@{0}` has no effect on a `forbid`")]
    ConditionOnForbid(&'static str),
    /// A condition on what cannot wait.
    #[error("`@{0}` has an effect on enrolments and restores only")]
    ConditionOnAction(&'static str),
    /// Contradicts the schema.
    #[error(transparent)]
    Invalid(#[from] Box<ValidationError>),
    /// Agrees with the schema but cannot be what was meant, such as a condition that never holds.
    #[error(transparent)]
    Suspect(#[from] Box<ValidationWarning>),
}

impl PolicyError {
    pub(crate) fn at(text: &str, offset: usize, policy: Option<&str>, problem: Problem) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Self { policy: policy.map(str::to_owned), line, column, problem }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        if let Some(policy) = &self.policy {
            write!(f, ", policy `{policy}`")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Byte offset of the first place that Cedar marks in `diagnostic`.
pub(crate) fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    diagnostic.labels()?.map(|label| label.offset()).min()
}
