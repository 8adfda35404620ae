use super::wrap::{Bundle, RecordEntry};
use crate::{
    approval::MatchCode,
    encoding::{Base64Url, present},
    login::IdToken,
    names::{Kind, Text},
    sealing::{Sealed, SealingKey},
    transcript::Transcript,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use uuid::Uuid;

/// The most records one restore covers.
pub const MAX_RECORDS: usize = 16;

/// `POST /v1/tenants/{t}/restores`: asks for keys, by record or by kind (the newest of each), not both.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenRestore {
    /// 1 to [`MAX_RECORDS`] different records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Uuid>,
    /// 1 to [`MAX_RECORDS`] different kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// A key made for this restore alone.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub receive_key: Base64Url<SealingKey>,
    /// Why; approvers read it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub reason: Text<512>,
    /// That the user has just logged in, by a token with [`crate::login::nonce`] of this device and `receive_key`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 8192))]
    pub id_token: Option<IdToken>,
}

/// What an [`OpenRestore`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// These records.
    Records(&'a [Uuid]),
    /// The newest record of each of these kinds.
    Kinds(&'a [Kind]),
}

/// A restore that asks for nothing, for too much, for something twice, or in both ways at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a restore asks for 1 to {MAX_RECORDS} different records or kinds, not both")]
pub struct SelectionError;

impl OpenRestore {
    /// What is asked for.
    ///
    /// # Errors
    /// [`SelectionError`].
    pub fn selection(&self) -> Result<Selection<'_>, SelectionError> {
        match (self.records.as_slice(), self.kinds.as_slice()) {
            (records, []) if is_selection(records) => Ok(Selection::Records(records)),
            ([], kinds) if is_selection(kinds) => Ok(Selection::Kinds(kinds)),
            ([..], [..]) => Err(SelectionError),
        }
    }
}

fn is_selection<T: Eq + std::hash::Hash>(asked: &[T]) -> bool {
    (1..=MAX_RECORDS).contains(&asked.len()) && asked.iter().collect::<HashSet<_>>().len() == asked.len()
}

/// The answer to [`OpenRestore`], and to a POST-as-GET of `/v1/tenants/{t}/restores/{r}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreOpened {
    /// Its id.
    pub restore: Uuid,
    /// How far it is.
    pub state: RestoreState,
    /// The transcript that approvals sign and the release is bound to.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub transcript: Base64Url<Transcript>,
    /// The records it covers, in the transcript's order.
    pub records: Vec<RecordEntry>,
    /// SHA-256 digest of the policy it was decided under: a part of the transcript.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub policy: Base64Url<[u8; 32]>,
    /// What is still missing.
    pub needs: Needs,
    /// What the user types on another device of theirs to approve there; absent where no device can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[0-9]{2}$"))]
    pub match_code: Option<MatchCode>,
    /// No release before this time.
    pub not_before: u64,
    /// No release from this time on.
    pub expires_at: u64,
}

/// What a restore still waits for, besides time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Needs {
    /// So many more approvals.
    pub approvals: u32,
    /// The approval of another device of the user.
    pub own_device: bool,
    /// A fresh proof of who the user is.
    pub step_up: bool,
}

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RestoreState {
    /// Something is missing.
    Pending,
    /// May be released.
    Approved,
    /// The customer's KMS is at work.
    Releasing,
    /// Released; the same device may fetch the answer again.
    Released,
    /// Over: the device has its keys.
    Acknowledged,
    /// Over: an approver said no.
    Rejected,
    /// Over: a part broke.
    Failed,
    /// Over: nobody acted in time.
    Expired,
    /// Over: its tenant, user, device or key was revoked.
    Revoked,
    /// Over: the user stopped it.
    Vetoed,
}

/// `POST /v1/tenants/{t}/restores/{r}/release`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Release {
    /// The transcript the device was told and checked.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub transcript: Base64Url<Transcript>,
}

/// The answer to [`Release`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Released {
    /// In the transcript's order.
    pub records: Vec<ReleasedRecord>,
    /// C2SP tlog-proof that `leaf` is in the tenant's log.
    pub receipt: String,
    /// The `restore.released` event, an SD-JWT (RFC 9901) whose `cor` is the restore's id.
    pub leaf: String,
}

/// One record, sealed to the restore's receive key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleasedRecord {
    /// Its id.
    pub record: Uuid,
    /// What sort of key.
    pub kind: Kind,
    /// Which of its kind.
    pub generation: u64,
    /// How it is protected.
    pub suite: u16,
    /// The device that wrapped it.
    pub device: Uuid,
    /// The payload, sealed with [`crate::sealing::Info::release`].
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub sealed: Base64Url<Sealed>,
    /// The key schedule's commitment.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub commitment: Base64Url<[u8; 32]>,
    /// The encrypted key material.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub bundle: Base64Url<Bundle>,
}

/// A restore as the other devices of its user are told of it, so that they can stop it, or approve it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserRestore {
    /// Its id.
    pub restore: Uuid,
    /// The device that asked.
    pub device: Uuid,
    /// What the user called it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub device_name: Text<128>,
    /// Its operating system and version, by its own word.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub platform: Text<64>,
    /// What it said why.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub reason: Text<512>,
    /// What a device that approves signs.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub transcript: Base64Url<Transcript>,
    /// How far it is.
    pub state: RestoreState,
    /// When it was asked for.
    pub asked_at: u64,
    /// No release before this time.
    pub not_before: u64,
    /// No release from this time on.
    pub expires_at: u64,
}

/// `POST /v1/tenants/{t}/restores/{r}/veto`: by any active device of its user, until it is released. The answer is empty (204).
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Veto {}

/// `POST /v1/tenants/{t}/restores/{r}/approve`: by another active device of its user. The answer is empty (204).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approve {
    /// The transcript of the restore.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub transcript: Base64Url<Transcript>,
    /// What the device that asks shows, as the user has typed it here.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[0-9]{2}$"))]
    pub match_code: MatchCode,
}

/// `POST /v1/tenants/{t}/restores/{r}/ack`: the device has its keys. The answer is empty (204).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Acknowledge {
    /// The transcript of the restore.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub transcript: Base64Url<Transcript>,
}

#[cfg(test)]
mod tests {
    use super::{OpenRestore, SelectionError};
    use crate::{encoding::Base64Url, sealing::OpeningKey};
    use uuid::Uuid;

    #[test]
    fn asks_for_records_or_kinds_and_never_twice() {
        let ask = |records: &[u128], kinds: &[&str]| {
            let open = OpenRestore {
                records: records.iter().copied().map(Uuid::from_u128).collect(),
                kinds: kinds.iter().map(|kind| kind.parse().unwrap()).collect(),
                receive_key: Base64Url(OpeningKey::generate().public().clone()),
                reason: "new phone".parse().unwrap(),
                id_token: None,
            };
            open.selection().map(|_| ())
        };
        assert_eq!(ask(&[1, 2], &[]), Ok(()));
        assert_eq!(ask(&[], &["identity"]), Ok(()));
        let many: Vec<u128> = (0..17).collect();
        for (records, kinds) in
            [(&[][..], &[][..]), (&[1], &["identity"]), (&[1, 1], &[]), (&[], &["a", "a"]), (&many, &[])]
        {
            assert_eq!(ask(records, kinds), Err(SelectionError));
        }
    }
}
