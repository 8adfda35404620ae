use audit::Hash;
use audit::note::MAX_NOTE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// Most hashes of a consistency proof: one for each level of a tree of 2^63 leaves.
const MAX_PROOF: usize = 63;

/// Longest request in bytes: the old size, the proof's lines, and the note.
pub const MAX_REQUEST: usize = 32 + MAX_PROOF * 45 + MAX_NOTE;

/// What a log asks a witness to cosign: the body of `add-checkpoint`. Printed and read as the standard writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the newest tree that the witness has cosigned; 0 when it has cosigned none.
    pub old: u64,
    /// Consistency proof from there to the checkpoint (RFC 6962, section 2.1.2).
    pub proof: Vec<Hash>,
    /// The signed note.
    pub checkpoint: String,
}

/// Not a request as the standard writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an add-checkpoint request")]
pub struct Malformed;

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for AddCheckpoint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(Malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(size).ok_or(Malformed)?;
        let proof: Option<Vec<Hash>> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect();
        let proof = proof.filter(|proof| proof.len() <= MAX_PROOF).ok_or(Malformed)?;
        Ok(Self { old, proof, checkpoint: checkpoint.to_owned() })
    }
}

/// A tree's size in decimal, without leading zeroes.
pub(crate) fn size(digits: &str) -> Option<u64> {
    digits.parse().ok().filter(|size: &u64| size.to_string() == digits)
}

#[cfg(test)]
mod tests {
    use super::{AddCheckpoint, MAX_PROOF, Malformed};

    fn request(hashes: usize) -> AddCheckpoint {
        AddCheckpoint { old: 7, proof: vec![[3; 32]; hashes], checkpoint: "a\n\n\u{2014} a AAAA\n".into() }
    }

    #[test]
    fn what_is_written_is_read() {
        for hashes in [0, 1, MAX_PROOF] {
            assert_eq!(request(hashes).to_string().parse(), Ok(request(hashes)));
        }
        assert_eq!(request(0).to_string(), "old 7\n\na\n\n\u{2014} a AAAA\n");
    }

    #[test]
    fn nothing_else_is_read() {
        let good = request(1).to_string();
        for bad in [
            "",
            "old 7",
            "old 7\n",
            &good.replace("old 7", "old 07"),
            &good.replace("old 7", "old +7"),
            &good.replace("old 7", "old"),
            &good.replace("old 7", "Old 7"),
            &good.replace("old 7", "old 18446744073709551616"),
            &good.replace("AwM=", "AwM"),
            &good.replacen("AwM=", "AwN=", 1),
            &good.replacen('\n', "\r\n", 1),
            &request(MAX_PROOF + 1).to_string(),
        ] {
            assert_eq!(bad.parse::<AddCheckpoint>(), Err(Malformed), "{bad}");
        }
    }
}
