//! The guard around a provider that does as the test says.

use super::connect::Room;
use super::{CallLimits, Kms};
use crate::store::keks::{Kek, KekState};
use async_trait::async_trait;
use futures_util::future::join_all;
use providers::{
    Capabilities, Context, Error, KeyProvider, KeyRef, KeyState, Permissions, RewrapKey, Unusable, Wrapped,
};
use secret::Secret;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Does what the name of the key says; counts its calls.
#[derive(Debug, Default)]
struct Puppet {
    calls: AtomicUsize,
    version: Mutex<String>,
}

impl Puppet {
    async fn answer(&self, key: &KeyRef) -> Result<Wrapped, Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let nonsense = || std::io::Error::other("nonsense");
        match key.as_str() {
            "hangs" => sleep(Duration::from_secs(600)).await,
            "breaks" => return Err(Error::Broken(nonsense().into())),
            "is down" => return Err(Error::Unavailable { retry_after: None }),
            "refuses" => return Err(Error::Refused),
            "throttles" => return Err(Error::Throttled { retry_after: None }),
            _ => {}
        }
        Ok(Wrapped { bytes: Vec::new(), version: self.version.lock().unwrap().clone() })
    }

    fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyProvider for Puppet {
    fn capabilities(&self) -> Capabilities {
        let permissions = Permissions { inspect: "", wrap: "", unwrap: "" };
        Capabilities { binds_context: false, hardware: false, max_payload: 4_096, permissions }
    }

    async fn inspect(&self, _: &KeyRef) -> Result<KeyState, Error> {
        Ok(KeyState::Usable { version: self.version.lock().unwrap().clone() })
    }

    async fn wrap_key(&self, key: &KeyRef, _: &Secret, _: &Context) -> Result<Wrapped, Error> {
        self.answer(key).await
    }

    async fn unwrap_key(&self, key: &KeyRef, _: &Wrapped, _: &Context) -> Result<Secret, Error> {
        self.answer(key).await.map(|_| Secret::random(32))
    }
}

#[async_trait]
impl RewrapKey for Puppet {
    async fn rewrap_key(&self, from: &KeyRef, to: &KeyRef, _: &Wrapped, _: &Context) -> Result<Wrapped, Error> {
        self.answer(from).await?;
        self.answer(to).await
    }
}

const LIMITS: CallLimits =
    CallLimits { deadline: Duration::from_millis(500), concurrency: 8, per_second: None, wrap_budget: 1 << 31 };

/// Two names for providers: `able` can rewrap, `plain` cannot.
fn guarded(limits: CallLimits) -> (Kms, Arc<Puppet>) {
    let puppet = Arc::new(Puppet::default());
    let room = |rewrap| Room { keys: puppet.clone(), rewrap, import: None, pkcs11: None, limits };
    let rooms = BTreeMap::from([("able".into(), room(Some(puppet.clone() as _))), ("plain".into(), room(None))]);
    (Kms::new(rooms), puppet)
}

fn kek(provider: &str, key_name: &str) -> Kek {
    let (id, tenant, state) = (Uuid::now_v7(), "acme".into(), KekState::Active);
    Kek { id, tenant, provider: provider.into(), key_name: key_name.into(), version: 1, state, created_at: 0 }
}

fn wrapped() -> Wrapped {
    Wrapped { bytes: Vec::new(), version: String::new() }
}

async fn unwrap(kms: &Kms, kek: &Kek) -> Result<(), Error> {
    kms.unwrap(kek, &wrapped(), &Context::new([0; 32])).await.map(drop)
}

async fn wrap(kms: &Kms, kek: &Kek) -> Result<(), Error> {
    kms.wrap(kek, &Secret::random(32), &Context::new([0; 32])).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_hangs_leaves_room_for_the_other_keys_of_its_provider() {
    let (kms, _) = guarded(CallLimits { deadline: Duration::from_secs(2), ..LIMITS });
    let (good, hung, started) = (kek("able", "good"), kek("able", "hangs"), Instant::now());
    let stuck = join_all((0..100).map(|_| unwrap(&kms, &hung)));
    let others = async {
        sleep(Duration::from_millis(100)).await;
        for _ in 0..200 {
            unwrap(&kms, &good).await.unwrap();
        }
        started.elapsed()
    };
    let (stuck, others) = tokio::join!(stuck, others);
    assert!(stuck.iter().all(|done| matches!(done, Err(Error::Unavailable { .. }))));
    assert!(others < Duration::from_secs(1), "{others:?}");
    assert!(unwrap(&kms, &good).await.is_ok(), "the circuit of another key is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_provider_that_does_not_answer_opens_the_circuit_of_its_key() {
    for (name, opens) in [("is down", true), ("breaks", true), ("refuses", false), ("throttles", false)] {
        let (kms, puppet) = guarded(LIMITS);
        let kek = kek("able", name);
        for _ in 0..10 {
            assert!(unwrap(&kms, &kek).await.is_err());
        }
        puppet.take_calls();
        let told = unwrap(&kms, &kek).await;
        let is_open = matches!(told, Err(Error::Unavailable { retry_after: Some(_) })) && puppet.take_calls() == 0;
        assert_eq!(is_open, opens, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_its_caller_drops_gives_its_permit_back() {
    let (kms, _) = guarded(LIMITS);
    let (good, hung) = (kek("able", "good"), kek("able", "hangs"));
    for _ in 0..20 {
        let calls = join_all((0..20).map(|_| unwrap(&kms, &hung)));
        assert!(timeout(Duration::from_millis(5), calls).await.is_err());
    }
    let started = Instant::now();
    assert!(join_all((0..200).map(|_| unwrap(&kms, &good))).await.iter().all(Result::is_ok));
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_wraps_no_more_than_its_budget_until_it_is_rotated() {
    let (kms, puppet) = guarded(CallLimits { wrap_budget: 5, ..LIMITS });
    let kek = kek("able", "good");
    for version in ["1", "2"] {
        *puppet.version.lock().unwrap() = version.into();
        kms.inspect(&kek).await.unwrap();
        for _ in 0..5 {
            wrap(&kms, &kek).await.unwrap();
        }
        puppet.take_calls();
        assert!(matches!(wrap(&kms, &kek).await, Err(Error::KeyUnusable(Unusable::Exhausted))));
        assert_eq!(puppet.take_calls(), 0);
        assert!(unwrap(&kms, &kek).await.is_ok(), "it still unwraps");
    }
    *puppet.version.lock().unwrap() = "3".into();
    assert!(wrap(&kms, &kek).await.is_ok(), "a rotation is noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rewraps_only_inside_one_provider_that_can() {
    let (kms, puppet) = guarded(LIMITS);
    let kms = kms.background();
    let (context, bytes) = (Context::new([0; 32]), wrapped());
    let rewrap = async |from, to| kms.rewrap(&kek(from, "good"), &kek(to, "good"), &bytes, &context).await;
    assert!(rewrap("able", "plain").await.is_none());
    assert!(rewrap("plain", "plain").await.is_none());
    assert!(rewrap("able", "able").await.is_some_and(|done| done.is_ok()));
    assert_eq!(kms.capabilities("able"), Some(puppet.capabilities()));

    // A dead new key must not close the old one to releases.
    let (old, dead) = (kek("able", "good"), kek("able", "is down"));
    for _ in 0..10 {
        assert!(kms.rewrap(&old, &dead, &bytes, &context).await.is_some_and(|done| done.is_err()));
    }
    assert!(unwrap(&kms, &old).await.is_ok());
}
