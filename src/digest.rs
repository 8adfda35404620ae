use aws_lc_rs::digest::{self, SHA256};

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&SHA256, bytes).as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes")
}
