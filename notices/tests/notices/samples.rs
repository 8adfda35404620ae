//! One notice of each sort.

use keyfold_notices::{Envelope, Notice, Policy, Recipient, Restore, Time};
use uuid::Uuid;

/// Where pages are.
pub(crate) const PAGE: &str = "https://keyfold.example/console/x";
/// Where a restore can be stopped.
pub(crate) const VETO: &str = "https://keyfold.example/veto/8Zq0cJ2mTn6uWk4yXb1dEg";
/// 2026-11-23T09:31:01Z.
pub(crate) const NOW: i64 = 1_795_426_261_000;

/// A restore whose device calls itself, and says why, in these words.
pub(crate) fn restore(words: &str) -> Restore {
    Restore {
        restore: Uuid::from_u128(7),
        user: "alice@corp.example".into(),
        device: Uuid::from_u128(8),
        device_name: words.into(),
        platform: "iOS 27.1".into(),
        kinds: vec!["identity".into(), "archive".into()],
        reason: words.into(),
        asked_at: Time::from_ms(NOW),
        not_before: Time::from_ms(NOW + 900_000),
        expires_at: Time::from_ms(NOW + 3_600_000),
    }
}

/// One of each sort, with `words` wherever somebody else's words stand.
pub(crate) fn all(words: &str) -> Vec<Notice> {
    let (restore, page, words) = (restore(words), PAGE.to_owned(), words.to_owned());
    let policy = Policy { version: 3, proposed_by: words.clone(), nowhere_weaker: false, page: page.clone() };
    vec![
        Notice::RestoreRequested { restore: restore.clone(), veto: VETO.into() },
        Notice::ApprovalWanted { restore: restore.clone(), approvals: 2, page: page.clone() },
        Notice::RestoreApproved { restore: restore.clone() },
        Notice::RestoreRejected { restore: restore.clone() },
        Notice::RestoreVetoed { restore: restore.clone() },
        Notice::RestoreReleased { restore: restore.clone() },
        Notice::RestoreExpired { restore },
        Notice::TenantFrozen { more_than: Some(200), page: page.clone() },
        Notice::EmailChanged { user: words.clone() },
        Notice::UserLocked { user: words.clone(), failures: Some(5), page: page.clone() },
        Notice::BreakGlassUsed { key: words.clone(), act: words.clone(), page: page.clone() },
        Notice::PolicyProposed { policy: policy.clone() },
        Notice::PolicyScheduled { policy, takes_effect_at: Time::from_ms(NOW + 86_400_000) },
        Notice::AdminAppointed { admin: words.clone(), role: words.clone(), by: words, page },
    ]
}

/// On its way to `alice`.
pub(crate) fn envelope(notice: Notice) -> Envelope {
    let to = Recipient::Mail("alice@corp.example".parse().unwrap());
    Envelope { id: Uuid::from_u128(9), tenant: "acme".into(), at: Time::from_ms(NOW), to, notice }
}
