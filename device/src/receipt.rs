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

#[cfg(test)]
mod tests {
    use super::{ReceiptRefused, verify};
    use audit::{
        Origin,
        event::{Event, Kind, Outcome},
        leaf::{EventKey, Stamp},
        note::LogKey,
        receipt::Receipt,
        tree::Edge,
    };
    use protocol::messages::LogKeys;
    use secret::Secret;
    use uuid::Uuid;

    /// A log of its own, and its key as a device pins it.
    fn log(origin: &str) -> (Origin, LogKey, LogKeys) {
        let origin = Origin::new(origin).unwrap();
        let key = LogKey::from_seed(&origin, &Secret::random(32)).unwrap();
        let pinned = LogKeys { origin: origin.to_string(), vkeys: vec![key.vkey()] };
        (origin, key, pinned)
    }

    /// The receipt and the leaf of `event`, the second of three in the log.
    fn logged(event: &Event, origin: &Origin, key: &LogKey) -> (String, String) {
        let events = EventKey::from_seed(&Secret::random(32)).unwrap();
        let stamp = Stamp { origin: origin.clone(), boot: Uuid::new_v4(), at_ms: 0 };
        let other = Event::new(Kind::LogHeartbeat, Outcome::OK);
        let leaves = [&other, event, &other].map(|event| event.sign(&stamp, &events));
        let mut edge = Edge::new();
        leaves.iter().for_each(|leaf| edge.append(leaf.hash()));
        let proof = edge.inclusion_of_recent(1).unwrap();
        let receipt = Receipt { index: 1, proof, checkpoint: key.checkpoint(edge.size(), &edge.root()) };
        (receipt.to_text(), leaves[1].leaf.clone())
    }

    #[test]
    fn a_logged_event_is_proven_for_its_subject_and_kind_only() {
        let (origin, key, pinned) = log("keyfold.example/acme");
        let subject = Uuid::new_v4();
        let wrapped = Event::new(Kind::RecordWrapped, Outcome::OK).correlation(subject);
        let (receipt, leaf) = logged(&wrapped, &origin, &key);
        assert_eq!(verify(&pinned, (&receipt, &leaf), Kind::RecordWrapped, subject).unwrap().index, 1);

        let other_kind = verify(&pinned, (&receipt, &leaf), Kind::RestoreReleased, subject);
        assert!(matches!(other_kind, Err(ReceiptRefused::OtherEvent)), "{other_kind:?}");
        let other_subject = verify(&pinned, (&receipt, &leaf), Kind::RecordWrapped, Uuid::new_v4());
        assert!(matches!(other_subject, Err(ReceiptRefused::OtherEvent)), "{other_subject:?}");

        let failed = Event::new(Kind::RecordWrapped, Outcome::from_static("refused")).correlation(subject);
        let (receipt, leaf) = logged(&failed, &origin, &key);
        let refused = verify(&pinned, (&receipt, &leaf), Kind::RecordWrapped, subject);
        assert!(matches!(refused, Err(ReceiptRefused::OtherEvent)), "{refused:?}");
    }

    #[test]
    fn another_leaf_or_another_log_proves_nothing() {
        let (origin, key, pinned) = log("keyfold.example/acme");
        let subject = Uuid::new_v4();
        let wrapped = Event::new(Kind::RecordWrapped, Outcome::OK).correlation(subject);
        let (receipt, leaf) = logged(&wrapped, &origin, &key);
        let (_, never_logged) = logged(&wrapped, &origin, &key);
        let refused = verify(&pinned, (&receipt, &never_logged), Kind::RecordWrapped, subject);
        assert!(matches!(refused, Err(ReceiptRefused::Receipt(_))), "{refused:?}");

        let (_, _, same_name) = log("keyfold.example/acme");
        let (_, _, other_name) = log("keyfold.example/other");
        for pinned in [same_name, other_name] {
            let refused = verify(&pinned, (&receipt, &leaf), Kind::RecordWrapped, subject);
            assert!(matches!(refused, Err(ReceiptRefused::Receipt(_))), "{refused:?}");
        }
        for keys in [vec![], vec!["nonsense".to_owned()], vec![log("keyfold.example/other").1.vkey()]] {
            let pinned = LogKeys { origin: pinned.origin.clone(), vkeys: keys };
            let refused = verify(&pinned, (&receipt, &leaf), Kind::RecordWrapped, subject);
            assert!(matches!(refused, Err(ReceiptRefused::Keys)), "{refused:?}");
        }
    }
}
