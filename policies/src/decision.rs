//! The decision itself.

use crate::question::Question;
use crate::{Action, Facts, Needs, PolicySet};
use cedar_policy::{AuthorizationError, Authorizer, PolicyId, Response};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(Authorizer::new);

/// Whether, because of which policies, and under which conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the policies allow it, once `needs` are met.
    pub allowed: bool,
    /// Sorted ids: the permits that allowed, or the forbids that refused, or the policies that could not be evaluated.
    /// Empty when nothing permitted.
    pub determined_by: Vec<String>,
    /// What must still happen; nothing when refused.
    pub needs: Needs,
}

impl Decision {
    fn refused(by: BTreeSet<&PolicyId>) -> Self {
        Self { allowed: false, determined_by: names(by), needs: Needs::default() }
    }
}

/// Decides on what `action` touches: the tenant for an enrolment, else every record, each of which must be allowed.
///
/// Refused are: what no policy permits, what one forbids, anything where the evaluation of any policy fails, a wrap or
/// restore of no record, and facts that Cedar has no number for. When several permits hold, the strictest `Needs` of
/// each kind count, so that an added permit never weakens another.
#[must_use]
pub fn decide(policies: &PolicySet, action: Action, facts: &Facts) -> Decision {
    decided(policies, Question::new(action, facts))
}

/// `None`: what cannot be said in Cedar.
pub(crate) fn decided(policies: &PolicySet, question: Option<Question>) -> Decision {
    let Some(question) = question.filter(|question| !question.requests.is_empty()) else {
        return Decision::refused(BTreeSet::new());
    };
    let ask = |request| AUTHORIZER.is_authorized(request, &policies.cedar, &question.entities);
    let responses: Vec<Response> = question.requests.iter().map(ask).collect();
    if let Some(refusal) = responses.iter().find_map(refusal) {
        return Decision::refused(refusal);
    }
    let permits: BTreeSet<&PolicyId> = responses.iter().flat_map(|response| response.diagnostics().reason()).collect();
    Decision { allowed: true, needs: policies.needs(permits.iter().copied()), determined_by: names(permits) }
}

/// The policies that refuse; `None` when the response allows.
///
/// Cedar skips a policy that fails to evaluate; a skipped `forbid` would allow, so here it refuses.
fn refusal(response: &Response) -> Option<BTreeSet<&PolicyId>> {
    let failed: BTreeSet<&PolicyId> = response.diagnostics().errors().map(failed_policy).collect();
    if !failed.is_empty() {
        return Some(failed);
    }
    match response.decision() {
        cedar_policy::Decision::Allow => None,
        cedar_policy::Decision::Deny => Some(response.diagnostics().reason().collect()),
    }
}

fn failed_policy(error: &AuthorizationError) -> &PolicyId {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
    }
}

fn names(ids: BTreeSet<&PolicyId>) -> Vec<String> {
    ids.into_iter().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect()
}
