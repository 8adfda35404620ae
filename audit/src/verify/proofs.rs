use super::Fault;
use crate::note::{self, Checkpoint, Verifier};
use crate::receipt::{Receipt, ReceiptError};
use crate::tree::{leaf_hash, verify_inclusion};

/// Checks events' own proofs. Many lead to the same checkpoint, whose signature is verified once.
pub(super) struct Proofs<'a> {
    verifier: &'a Verifier,
    last: Option<(String, Checkpoint)>,
}

impl<'a> Proofs<'a> {
    pub(super) fn of(verifier: &'a Verifier) -> Self {
        Self { verifier, last: None }
    }

    /// Checks that `proof`, a C2SP tlog-proof, has the leaf at `index`, whatever index it names itself; gives it
    /// with the checkpoint that it leads to.
    pub(super) fn check(&mut self, index: u64, leaf: &str, proof: &str) -> Result<(Receipt, Checkpoint), Fault> {
        let receipt = Receipt::parse(proof).map_err(Fault::Proof)?;
        let head = self.opened(&receipt.checkpoint).map_err(Fault::Proof)?;
        let included = verify_inclusion(index, head.size, &leaf_hash(leaf.as_bytes()), &receipt.proof, &head.root);
        included.map_err(|error| Fault::Proof(error.into()))?;
        Ok((receipt, head))
    }

    fn opened(&mut self, note: &str) -> Result<Checkpoint, ReceiptError> {
        if let Some((last, head)) = &self.last
            && last == note
        {
            return Ok(head.clone());
        }
        let head = note::open(note, std::slice::from_ref(self.verifier))?;
        self.last = Some((note.to_owned(), head.clone()));
        Ok(head)
    }
}
