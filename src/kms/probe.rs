//! Whether a KEK can be used: each call that the broker needs is tried with a canary, and told by its permission.

use super::{Kms, code};
use crate::digest::sha256;
use crate::store::keks::Kek;
use providers::{Context, Error, KeyState, Permissions, Wrapped};
use secret::Secret;
use uuid::Uuid;

/// What became of one call.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// `inspect`, `wrap` or `unwrap`.
    pub call: &'static str,
    /// What the vendor calls the permission that the call needs.
    pub permission: &'static str,
    /// `ok`, `not_tried`, or the reason code of the failure.
    pub outcome: &'static str,
}

/// A KEK that can be used.
#[derive(Debug)]
pub struct Fit {
    /// What was tried.
    pub steps: Vec<Step>,
    /// The vendor's version that wraps next; empty where it shows none.
    pub version: String,
    /// A random secret of no further use, under the KEK: opens again for as long as the KEK does.
    pub canary: Wrapped,
}

/// A KEK that cannot be used: what fails, and so what is missing.
#[derive(Debug, thiserror::Error)]
#[error("the KEK cannot be used: {}", described(.steps))]
pub struct Unfit {
    /// What was tried.
    pub steps: Vec<Step>,
    /// The first failure.
    #[source]
    pub error: Error,
}

/// `inspect: ok, wrap: provider_refused (needs ..), unwrap: not_tried`: constant words only, none of the vendor's answer.
#[must_use]
pub fn described(steps: &[Step]) -> String {
    let told = steps.iter().map(|Step { call, permission, outcome }| match *outcome {
        "provider_refused" => format!("{call}: {outcome} (needs {permission})"),
        _ => format!("{call}: {outcome}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// What a KEK's canary is bound to.
#[must_use]
pub fn canary_context(kek: Uuid) -> Context {
    Context::new(sha256(&[b"keyfold/1 canary", &kek.as_bytes()[..]].concat()))
}

impl Kms {
    /// Inspects the KEK, wraps a canary and unwraps it. A refused inspection does not end it, for the vendor grants each
    /// call by itself; any other failure does.
    pub async fn probe(&self, kek: &Kek) -> Result<Fit, Box<Unfit>> {
        let permissions = self.capabilities(&kek.provider).map(|capabilities| capabilities.permissions);
        let Some(permissions) = permissions else {
            return Err(Box::new(Unfit { steps: Vec::new(), error: Error::NoSuchKey }));
        };
        let mut steps = not_tried(permissions);
        let inspected = self.inspect(kek).await.and_then(usable);
        steps[0].outcome = outcome(&inspected);
        let inspected = match inspected {
            Ok(_) | Err(Error::Refused) => inspected,
            Err(error) => return Err(unfit(steps, error)),
        };
        let (secret, context) = (Secret::random(providers::SECRET_LEN), canary_context(kek.id));
        let wrapped = self.wrap(kek, &secret, &context).await;
        steps[1].outcome = outcome(&wrapped);
        let canary = match wrapped {
            Ok(canary) => canary,
            Err(error) => return Err(unfit(steps, inspected.err().unwrap_or(error))),
        };
        let unwrapped = self.unwrap(kek, &canary, &context).await.and_then(|back| same(&back, &secret));
        steps[2].outcome = outcome(&unwrapped);
        match (inspected, unwrapped) {
            (Ok(version), Ok(())) => Ok(Fit { steps, version, canary }),
            (Err(error), _) | (Ok(_), Err(error)) => Err(unfit(steps, error)),
        }
    }
}

fn not_tried(permissions: Permissions) -> Vec<Step> {
    let step = |(call, permission)| Step { call, permission, outcome: "not_tried" };
    let Permissions { inspect, wrap, unwrap, .. } = permissions;
    [("inspect", inspect), ("wrap", wrap), ("unwrap", unwrap)].map(step).to_vec()
}

fn outcome<T>(result: &Result<T, Error>) -> &'static str {
    result.as_ref().err().map_or("ok", code)
}

fn usable(state: KeyState) -> Result<String, Error> {
    match state {
        KeyState::Usable { version } => Ok(version),
        KeyState::Unusable(why) => Err(Error::KeyUnusable(why)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the canary is compared in constant time, and protects nothing")]
fn same(back: &Secret, secret: &Secret) -> Result<(), Error> {
    if back.matches(secret.expose()) { Ok(()) } else { Err(Error::Mismatch) }
}

fn unfit(steps: Vec<Step>, error: Error) -> Box<Unfit> {
    Box::new(Unfit { steps, error })
}
