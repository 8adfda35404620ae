//! What a restore is about, in one hash: approvals and step-ups sign it, and sealed answers are bound to it.

use crate::{
    encoding::hash_fields,
    names::{TenantId, UserId},
    sealing::SealingKey,
};
use uuid::Uuid;

/// The SHA-256 of a restore's [`Facts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transcript([u8; 32]);

/// Everything a restore is decided on. What is not in here may change after an approval; what is, may not.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The restore's own id.
    pub restore: Uuid,
    /// Whose keys.
    pub tenant: &'a TenantId,
    /// Whose keys, within the tenant.
    pub user: &'a UserId,
    /// The device that asks.
    pub device: Uuid,
    /// RFC 7638 thumbprint of that device's key.
    pub thumbprint: &'a [u8; 32],
    /// The key the device made for this restore alone.
    pub receive_key: &'a SealingKey,
    /// The records, in the order of the answer that opened the restore.
    pub records: &'a [Uuid],
    /// Digest of the policy it was decided under.
    pub policy: &'a [u8; 32],
    /// The JWS nonce of the request that opened it.
    pub nonce: &'a str,
    /// The reason that was given; approvers read it.
    pub reason: &'a str,
}

impl Facts<'_> {
    /// `hash_fields("keyfold/1 restore", ..)` over the facts in the order in which they are declared; ids are 16 bytes
    /// each, those of the records one after the other in one field.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        let records: Vec<u8> = self.records.iter().flat_map(|record| *record.as_bytes()).collect();
        Transcript(hash_fields(
            "keyfold/1 restore",
            &[
                self.restore.as_bytes(),
                self.tenant.as_str().as_bytes(),
                self.user.as_str().as_bytes(),
                self.device.as_bytes(),
                self.thumbprint,
                self.receive_key.as_ref(),
                &records,
                self.policy,
                self.nonce.as_bytes(),
                self.reason.as_bytes(),
            ],
        ))
    }
}

impl Transcript {
    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Transcript {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl AsRef<[u8]> for Transcript {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for Transcript {
    type Error = Vec<u8>;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        bytes.try_into().map(Self)
    }
}
