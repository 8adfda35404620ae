//! What approvers sign: a person one decision on one restore, another device of the user also what its user has compared.

use crate::encoding::hash_fields;
use crate::transcript::Transcript;
use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an approver says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The restore may go on.
    Approve,
    /// It must not: it is over.
    Reject,
}

impl Decision {
    /// The word that is signed, sent and stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// The text is no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a decision is `approve` or `reject`")]
pub struct NoDecision;

impl FromStr for Decision {
    type Err = NoDecision;

    fn from_str(word: &str) -> Result<Self, NoDecision> {
        [Self::Approve, Self::Reject].into_iter().find(|decision| decision.as_str() == word).ok_or(NoDecision)
    }
}

/// `hash_fields("keyfold/1 approve", transcript, decision)`: the WebAuthn challenge that a person signs with a passkey.
#[must_use]
pub fn challenge(transcript: &Transcript, decision: Decision) -> [u8; 32] {
    hash_fields("keyfold/1 approve", &[transcript.as_bytes(), decision.as_str().as_bytes()])
}

/// Two digits that the device that asks shows, and that its user types on the device that approves: who approves has both
/// in their hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MatchCode(u8);

/// The text is no match code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a match code is two digits")]
pub struct BadMatchCode;

impl MatchCode {
    /// A random one.
    #[must_use]
    pub fn generate() -> Self {
        let mut random = [0; 8];
        rand::fill(&mut random).expect("invariant: the system random number generator works");
        // The bias of 2^64 modulo 100 is nobody's gain.
        Self((u64::from_be_bytes(random) % 100) as u8)
    }
}

impl fmt::Display for MatchCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

impl FromStr for MatchCode {
    type Err = BadMatchCode;

    fn from_str(text: &str) -> Result<Self, BadMatchCode> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().map(Self).map_err(|_| BadMatchCode) } else { Err(BadMatchCode) }
    }
}

impl TryFrom<String> for MatchCode {
    type Error = BadMatchCode;

    fn try_from(text: String) -> Result<Self, BadMatchCode> {
        text.parse()
    }
}

impl From<MatchCode> for String {
    fn from(code: MatchCode) -> Self {
        code.to_string()
    }
}
