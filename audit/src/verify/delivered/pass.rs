use super::{DeliveryReport, Heads, Whole};
use crate::leaf::{self, Opened};
use crate::note::{Checkpoint, Verifier};
use crate::tree::{Edge, leaf_hash};
use crate::verify::gaps::Gaps;
use crate::verify::history::{History, Told};
use crate::verify::message::{Shown, agrees};
use crate::verify::proofs::Proofs;
use crate::verify::sorter::Sorted;
use crate::verify::{Failure, Fault};

/// One pass over the events of a log in order.
///
/// As long as none is missing, the tree and its rules are followed, and each checkpoint on the way vouches for all before
/// it. After a gap an event must bring its own proof.
pub(super) struct Pass<'a> {
    checkpoint: &'a Checkpoint,
    heads: Heads,
    gaps: Gaps,
    proofs: Proofs<'a>,
    tree: Edge,
    history: History,
    /// The lowest index not seen yet.
    next: u64,
    /// Whether nothing is missing so far.
    whole: bool,
    /// The first event for which neither a checkpoint nor a proof of its own vouches yet.
    unproven: Option<u64>,
    events: u64,
    repeated: u64,
    disclosures: u64,
}

impl<'a> Pass<'a> {
    pub(super) fn new(verifier: &'a Verifier, heads: Heads, checkpoint: &'a Checkpoint, complete: bool) -> Self {
        Self {
            checkpoint,
            gaps: if complete { Gaps::none() } else { Gaps::of(&heads.withheld) },
            heads,
            proofs: Proofs::of(verifier),
            tree: Edge::new(),
            history: History::of(checkpoint.origin.clone()),
            next: 0,
            whole: true,
            unproven: None,
            events: 0,
            repeated: 0,
            disclosures: 0,
        }
    }

    pub(super) fn over(mut self, mut events: Sorted) -> Result<DeliveryReport, Failure> {
        let mut beyond = 0;
        self.check_root()?;
        while let Some((index, message)) = events.next().map_err(Fault::Scratch)? {
            if index >= self.checkpoint.size {
                beyond += 1;
                while events.next_of(index).map_err(Fault::Scratch)?.is_some() {}
                continue;
            }
            self.skip_to(index)?;
            let leaf = self.event(index, &message).map_err(|what| what.at(index))?;
            while let Some(message) = events.next_of(index).map_err(Fault::Scratch)? {
                self.repeat(index, &leaf, &message).map_err(|what| what.at(index))?;
            }
            self.next = index + 1;
            self.check_root()?;
        }
        self.skip_to(self.checkpoint.size)?;
        self.conclude(beyond)
    }

    /// What lies between the last event and `index` is missing.
    fn skip_to(&mut self, index: u64) -> Result<(), Failure> {
        if index == self.next {
            return Ok(());
        }
        self.gaps.skip(self.next, index)?;
        self.whole = false;
        self.unproven.map_or(Ok(()), |first| Err(Fault::Unproven.at(first)))
    }

    /// Checks the first message of an event, and gives its leaf.
    fn event(&mut self, index: u64, message: &[u8]) -> Result<String, Fault> {
        let shown: Shown = serde_json::from_slice(message).map_err(|_| Fault::Line)?;
        let proven = self.check_proof(index, &shown)?;
        let opened = match (self.whole, proven) {
            (true, _) => self.history.open(index, &shown.leaf, &shown.disclosures)?,
            (false, true) => self.history.open_proven(index, &shown.leaf, &shown.disclosures)?,
            (false, false) => return Err(Fault::Unproven),
        };
        let opened = self.compare(index, message, &shown, opened)?;
        if self.whole {
            self.history.observe(index, &opened)?;
            self.tree.append(leaf_hash(shown.leaf.as_bytes()));
            self.unproven = self.unproven.or((!proven).then_some(index));
        } else {
            self.history.observe_alone(index, &opened)?;
        }
        self.events += 1;
        Ok(shown.leaf)
    }

    /// Checks a further message of an event.
    fn repeat(&mut self, index: u64, leaf: &str, message: &[u8]) -> Result<(), Fault> {
        let shown: Shown = serde_json::from_slice(message).map_err(|_| Fault::Line)?;
        if shown.leaf != leaf {
            return Err(Fault::Contradiction);
        }
        self.check_proof(index, &shown)?;
        let opened = leaf::read(leaf, &shown.disclosures).map_err(Fault::Leaf)?;
        self.compare(index, message, &shown, opened)?;
        self.repeated += 1;
        Ok(())
    }

    fn check_proof(&mut self, index: u64, shown: &Shown) -> Result<bool, Fault> {
        let Some(proof) = &shown.proof else { return Ok(false) };
        let (_, head) = self.proofs.check(index, &shown.leaf, proof)?;
        self.heads.learn(&head)?;
        Ok(true)
    }

    fn compare(&mut self, index: u64, message: &[u8], shown: &Shown, opened: Opened) -> Result<Opened, Fault> {
        let opened = Opened { erased: shown.erased, ..opened };
        self.disclosures += shown.disclosures.len() as u64;
        if agrees(message, index, &opened, shown) { Ok(opened) } else { Err(Fault::Line) }
    }

    /// Where a checkpoint ends, its root must be that of the events up to there.
    fn check_root(&mut self) -> Result<(), Failure> {
        let Some(root) = self.heads.roots.get(&self.next).filter(|_| self.whole) else { return Ok(()) };
        if *root != self.tree.root() {
            let first = self.unproven.unwrap_or(self.next.saturating_sub(1));
            return Err(Fault::Exchanged { end: self.next }.at(first));
        }
        self.unproven = None;
        Ok(())
    }

    fn conclude(self, beyond: u64) -> Result<DeliveryReport, Failure> {
        let Self { events, repeated, disclosures, .. } = self;
        let (whole, erasures) = if self.whole {
            let Told { released, records_under, open, erasures } = self.history.conclude()?;
            (Some(Whole { released, records_under, open }), erasures)
        } else {
            (None, self.history.erasures())
        };
        let checkpoint = self.checkpoint.clone();
        Ok(DeliveryReport { checkpoint, events, beyond, repeated, other_lines: 0, disclosures, erasures, whole })
    }
}
