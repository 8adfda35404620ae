//! What every provider promises, as a check that the tests of every room call against the real part.

use crate::{Context, Error, KeyProvider, KeyRef, KeyState, SECRET_LEN, Wrapped};
use secret::Secret;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The provider under test and three key names.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The provider.
    pub provider: Arc<dyn KeyProvider>,
    /// A key that may be used.
    pub key: KeyRef,
    /// Another key that may be used.
    pub other_key: KeyRef,
    /// A name that no key has.
    pub missing_key: KeyRef,
}

const SECRET: [u8; SECRET_LEN] = [0x5e; SECRET_LEN];
const CONTEXT: Context = Context::new([0xc0; 32]);
const CONCURRENT_CALLS: u8 = 64;

/// Checks every promise of [`KeyProvider`].
///
/// # Panics
/// When a promise is broken, naming it.
pub async fn check(subject: &Subject) {
    gives_back_what_it_took(subject).await;
    refuses_another_context(subject).await;
    refuses_another_key(subject).await;
    refuses_altered_bytes(subject).await;
    refuses_another_length(subject).await;
    refuses_an_altered_version(subject).await;
    refuses_other_secrets(subject).await;
    knows_no_missing_key(subject).await;
    serves_concurrent_calls(subject).await;
}

async fn gives_back_what_it_took(subject: &Subject) {
    let (first, second) = (wrap(subject).await, wrap(subject).await);
    for wrapped in [&first, &second] {
        let opened = subject.provider.unwrap_key(&subject.key, wrapped, &CONTEXT).await;
        assert!(opened.is_ok_and(|secret| secret.matches(&SECRET)), "unwrap gives back what wrap took");
    }
    assert!(!first.bytes.windows(SECRET_LEN).any(|window| window == SECRET), "wrapped bytes hide the secret");
    let state = subject.provider.inspect(&subject.key).await.expect("a usable key can be inspected");
    assert_eq!(state, KeyState::Usable { version: first.version }, "wrap uses the version that inspect names");
}

async fn refuses_another_context(subject: &Subject) {
    let wrapped = wrap(subject).await;
    for byte in 0..32 {
        let mut digest = *CONTEXT.as_bytes();
        digest[byte] ^= 1;
        let opened = subject.provider.unwrap_key(&subject.key, &wrapped, &Context::new(digest)).await;
        assert_mismatch(&opened, &format!("context altered at byte {byte}"));
    }
}

async fn refuses_another_key(subject: &Subject) {
    let opened = subject.provider.unwrap_key(&subject.other_key, &wrap(subject).await, &CONTEXT).await;
    assert_mismatch(&opened, "another key");
}

async fn refuses_altered_bytes(subject: &Subject) {
    let wrapped = wrap(subject).await;
    for byte in 0..wrapped.bytes.len() {
        let mut altered = wrapped.clone();
        altered.bytes[byte] ^= 1 << (byte % 8);
        assert_refused(subject, &altered, &format!("byte {byte} altered")).await;
    }
}

async fn refuses_another_length(subject: &Subject) {
    let wrapped = wrap(subject).await;
    let full = wrapped.bytes.len();
    for len in [0, 1, 8, 16, full / 2, full - 8, full - 1] {
        let truncated = Wrapped { bytes: wrapped.bytes[..len].to_vec(), ..wrapped.clone() };
        assert_refused(subject, &truncated, &format!("truncated to {len} of {full} bytes")).await;
    }
    for extra in [1, 8, 4096] {
        let mut extended = wrapped.clone();
        extended.bytes.resize(full + extra, 0);
        assert_refused(subject, &extended, &format!("extended by {extra} bytes")).await;
    }
}

async fn refuses_an_altered_version(subject: &Subject) {
    let wrapped = wrap(subject).await;
    let altered = Wrapped { version: format!("{}0", wrapped.version), ..wrapped };
    assert_refused(subject, &altered, "version altered").await;
}

async fn refuses_other_secrets(subject: &Subject) {
    for len in [0, 16, 31, 33, 64] {
        let secret = Secret::copied_from(&vec![1; len]);
        let wrapped = subject.provider.wrap_key(&subject.key, &secret, &CONTEXT).await;
        assert!(matches!(wrapped, Err(Error::Broken(_))), "a secret of {len} bytes is refused");
    }
}

async fn knows_no_missing_key(subject: &Subject) {
    let (provider, missing) = (&subject.provider, &subject.missing_key);
    let wrapped = wrap(subject).await;
    // The last inspection shows that neither call before it has created the key.
    let inspected = provider.inspect(missing).await.map(drop);
    let wrap = provider.wrap_key(missing, &Secret::copied_from(&SECRET), &CONTEXT).await.map(drop);
    let unwrap = provider.unwrap_key(missing, &wrapped, &CONTEXT).await.map(drop);
    let inspected_again = provider.inspect(missing).await.map(drop);
    for (call, answer) in
        [("inspect", inspected), ("wrap", wrap), ("unwrap", unwrap), ("inspect after them", inspected_again)]
    {
        assert!(matches!(answer, Err(Error::NoSuchKey)), "{call} on a missing key gave {answer:?}");
    }
}

async fn serves_concurrent_calls(subject: &Subject) {
    let mut calls = JoinSet::new();
    for number in 0..CONCURRENT_CALLS {
        calls.spawn(round_trip(subject.clone(), number));
    }
    while let Some(done) = calls.join_next().await {
        assert!(done.is_ok_and(|right| right), "each of {CONCURRENT_CALLS} concurrent calls gets its own answer");
    }
}

async fn round_trip(subject: Subject, number: u8) -> bool {
    let (secret, context) = ([number; SECRET_LEN], Context::new([!number; 32]));
    let wrapped = subject.provider.wrap_key(&subject.key, &Secret::copied_from(&secret), &context).await;
    let wrapped = wrapped.expect("concurrent wraps succeed");
    let opened = subject.provider.unwrap_key(&subject.key, &wrapped, &context).await;
    opened.expect("concurrent unwraps succeed").matches(&secret)
}

async fn wrap(subject: &Subject) -> Wrapped {
    let secret = Secret::copied_from(&SECRET);
    subject.provider.wrap_key(&subject.key, &secret, &CONTEXT).await.expect("a usable key wraps")
}

async fn assert_refused(subject: &Subject, wrapped: &Wrapped, change: &str) {
    let opened = subject.provider.unwrap_key(&subject.key, wrapped, &CONTEXT).await;
    assert_mismatch(&opened, change);
}

fn assert_mismatch(opened: &Result<Secret, Error>, change: &str) {
    assert!(matches!(opened, Err(Error::Mismatch)), "{change}: expected a mismatch, got {opened:?}");
}
