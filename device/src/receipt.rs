//! What the broker says it did must be in the tenant's log, under the keys that were pinned at enrolment.

use audit::{
    event::{Kind, Outcome},
    leaf::{self, LeafError},
    note::{NoteError, Verifier},
    receipt::{Receipt, ReceiptError},
};
use protocol::messages::LogKeys;
use uuid::Uuid;

/// A leaf that is proven to be in the tenant's log. Keep it: a log that later lacks it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The leaf's index.
    pub index: u64,
    /// The leaf, as it was hashed.
    pub leaf: String,
    /// The receipt (C2SP tlog-proof), to be checked again by anybody.
    pub receipt: String,
}

/// Why a receipt proves nothing to this device.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptRefused {
    /// The log keys that the broker gave at enrolment are none, or not those of one log.
    #[error("not the keys of a log")]
    Keys,
    /// The receipt does not prove the leaf under a pinned key.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The leaf is no event.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The leaf is another event than the one that should have happened.
    #[error("the leaf is about something else")]
    OtherEvent,
}

impl From<NoteError> for ReceiptRefused {
    fn from(_: NoteError) -> Self {
        Self::Keys
    }
}

/// The verifiers of a log: at least one, all of the log's origin.
pub(crate) fn verifiers(log: &LogKeys) -> Result<Vec<Verifier>, ReceiptRefused> {
    let verifiers = log.vkeys.iter().map(|vkey| Verifier::parse(vkey)).collect::<Result<Vec<_>, _>>()?;
    let of_one_log = verifiers.iter().all(|verifier| verifier.origin().as_str() == log.origin);
    if verifiers.is_empty() || !of_one_log { Err(ReceiptRefused::Keys) } else { Ok(verifiers) }
}

/// Checks that `leaf` is in the pinned log and says that `kind` succeeded for `subject`.
pub(crate) fn verify(
    log: &LogKeys,
    (receipt, leaf): (&str, &str),
    kind: Kind,
    subject: Uuid,
) -> Result<Proven, ReceiptRefused> {
    let proof = Receipt::parse(receipt)?;
    proof.verify(leaf.as_bytes(), &verifiers(log)?)?;
    let said = leaf::read::<&str>(leaf, &[])?;
    let is_it = said.origin.as_str() == log.origin
        && said.event.kind == kind
        && said.event.outcome == Outcome::OK
        && said.event.correlation == Some(subject);
    if is_it {
        Ok(Proven { index: proof.index, leaf: leaf.to_owned(), receipt: receipt.to_owned() })
    } else {
        Err(ReceiptRefused::OtherEvent)
    }
}
