//! Receipts: the proof that one leaf is in the log, to be checked offline (C2SP tlog-proof).

use crate::Hash;
use crate::note::{self, Checkpoint, NoteError, Verifier};
use crate::tree::{ProofError, leaf_hash, verify_inclusion};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// An inclusion proof and the checkpoint it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The leaf's index.
    pub index: u64,
    /// From the leaf's sibling up to the root's child (RFC 6962, section 2.1.1).
    pub proof: Vec<Hash>,
    /// The signed note, verbatim.
    pub checkpoint: String,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a C2SP tlog-proof.
    #[error("not a tlog-proof")]
    Malformed,
    /// The checkpoint is not accepted.
    #[error("the receipt's checkpoint is not accepted")]
    Checkpoint(#[from] NoteError),
    /// The leaf is not where the receipt says.
    #[error("the receipt does not prove the leaf")]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// The text of the proof, without `extra` line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let hashes: String = self.proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
        format!("{FIRST_LINE}\nindex {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    /// Reads the text of a proof. An `extra` line is skipped: nothing authenticates it.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        let (proof, checkpoint) = text.split_once("\n\n").ok_or(ReceiptError::Malformed)?;
        let mut lines = proof.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ReceiptError::Malformed);
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        if extra.is_some_and(|line| STANDARD.decode(&line["extra ".len()..]).is_err()) {
            return Err(ReceiptError::Malformed);
        }
        let index = lines.next().and_then(parse_index).ok_or(ReceiptError::Malformed)?;
        let proof: Option<_> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect();
        Ok(Self { index, proof: proof.ok_or(ReceiptError::Malformed)?, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that `leaf` is in the log of one of `verifiers`, and gives the checkpoint that proves it.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, leaf: &[u8], verifiers: &[Verifier]) -> Result<Checkpoint, ReceiptError> {
        let checkpoint = note::open(&self.checkpoint, verifiers)?;
        verify_inclusion(self.index, checkpoint.size, &leaf_hash(leaf), &self.proof, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

fn parse_index(line: &str) -> Option<u64> {
    let digits = line.strip_prefix("index ")?;
    digits.parse().ok().filter(|index: &u64| index.to_string() == digits)
}
