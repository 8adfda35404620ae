//! A module that hangs, crashes and lies: what it costs, and what it does not.

use crate::token::{Token, with_token};
use crate::{CONTEXT, SECRET, subject, within, within_a_second, wrap};
use keyfold_bad_pkcs11::Fault;
use keyfold_providers::contract;
use keyfold_providers::pkcs11::{Mechanism, Options, Outcome, Pkcs11};
use keyfold_providers::{Error, KeyProvider, KeyRef, Wrapped};
use secret::Secret;
use std::time::{Duration, Instant};

/// A module behind the bad one, with the key `first` and something wrapped under it.
async fn prepared(token: &Token, options: Options) -> (Pkcs11, KeyRef, Wrapped) {
    token.fault(Fault::None);
    let hsm = Pkcs11::open(Options { module: token.bad_module(), ..options }).await.unwrap();
    hsm.create_key("first").await.unwrap();
    let first = KeyRef::new("first");
    let wrapped = wrap(&hsm, &first).await.unwrap();
    (hsm, first, wrapped)
}

#[test]
fn keeps_the_contract_however_refusals_are_worded() {
    with_token("bad::keeps_the_contract_however_refusals_are_worded", async |token| {
        for fault in [Fault::WordsItOtherwise, Fault::Prints] {
            token.fault(fault);
            contract::check(&subject(token.open_bad().await).await).await;
        }
    });
}

#[test]
fn uses_no_mechanism_that_fails_the_self_test() {
    with_token("bad::uses_no_mechanism_that_fails_the_self_test", async |token| {
        let outcome = async |fault| {
            token.fault(fault);
            outcome_of(&token.open_bad().await, Mechanism::AesKw)
        };
        assert_eq!(outcome(Fault::None).await, Outcome::Usable);
        assert_eq!(outcome(Fault::WrapsOtherwise).await, Outcome::WrongWrap);
        assert_eq!(outcome(Fault::OverlongWrap).await, Outcome::Failed);
        assert_eq!(outcome(Fault::OverlongValue).await, Outcome::Failed);
        assert_eq!(outcome(Fault::ShortValue).await, Outcome::WrongUnwrap);
        assert_eq!(outcome(Fault::OpensAnything).await, Outcome::OpensAltered);
        let hsm = token.open_bad().await;
        hsm.create_key("first").await.unwrap();
        assert!(matches!(wrap(&hsm, &KeyRef::new("first")).await, Err(Error::Broken(_))));
    });
}

#[test]
fn a_hang_or_a_crash_costs_one_worker() {
    with_token("bad::a_hang_or_a_crash_costs_one_worker", async |token| {
        let options = Options { deadline: Duration::from_millis(500), ..token.options() };
        let (hsm, first, wrapped) = prepared(&token, options).await;
        for (fault, restarts) in [(Fault::Hang, 1), (Fault::Crash, 2)] {
            token.fault(fault);
            let start = Instant::now();
            let failed = hsm.unwrap_key(&first, &wrapped, &CONTEXT).await;
            assert!(matches!(failed, Err(Error::Unavailable { .. })), "{fault:?}: {failed:?}");
            assert!(start.elapsed() < Duration::from_secs(1), "{fault:?}: answered in time");
            token.fault(Fault::None);
            let opened = within_a_second(async || hsm.unwrap_key(&first, &wrapped, &CONTEXT).await).await;
            assert!(opened.matches(&SECRET));
            assert_eq!(hsm.restarts(), restarts, "{fault:?}");
        }
    });
}

#[test]
fn a_call_that_hangs_holds_up_no_other() {
    with_token("bad::a_call_that_hangs_holds_up_no_other", async |token| {
        let options = Options { workers: 2, sessions: 2, deadline: Duration::from_secs(2), ..token.options() };
        let (hsm, first, wrapped) = prepared(&token, options).await;
        // Until the second worker is there too.
        tokio::time::sleep(Duration::from_millis(500)).await;
        token.fault(Fault::Hang);
        let hanging = async { hsm.unwrap_key(&first, &wrapped, &CONTEXT).await };
        let others = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            token.fault(Fault::None);
            let start = Instant::now();
            for _ in 0..100 {
                hsm.unwrap_key(&first, &wrapped, &CONTEXT).await.unwrap();
            }
            start.elapsed()
        };
        let (hung, others) = tokio::join!(hanging, others);
        assert!(matches!(hung, Err(Error::Unavailable { .. })));
        assert!(others < Duration::from_millis(1500), "a hundred calls beside one that hangs took {others:?}");
    });
}

#[test]
fn answers_that_lie_about_their_length_are_no_answers() {
    with_token("bad::answers_that_lie_about_their_length_are_no_answers", async |token| {
        let (hsm, first, wrapped) = prepared(&token, token.options()).await;
        token.fault(Fault::OverlongWrap);
        assert!(matches!(wrap(&hsm, &first).await, Err(Error::Broken(_))));
        token.fault(Fault::OverlongValue);
        let overlong = hsm.unwrap_key(&first, &wrapped, &CONTEXT).await;
        assert!(matches!(overlong, Err(Error::Broken(_))), "{overlong:?}");
        token.fault(Fault::ShortValue);
        assert!(matches!(hsm.unwrap_key(&first, &wrapped, &CONTEXT).await, Err(Error::Mismatch)));
        token.fault(Fault::None);
        assert!(hsm.unwrap_key(&first, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
        assert_eq!(hsm.restarts(), 0, "lies cost no worker");
    });
}

#[test]
fn leaked_sessions_end_with_their_process() {
    with_token("bad::leaked_sessions_end_with_their_process", async |token| {
        let (hsm, first, wrapped) = prepared(&token, token.options()).await;
        token.fault(Fault::LeakSessions);
        // Each failed call throws its session away.
        let mut failed = 0;
        for _ in 0..40 {
            failed += usize::from(hsm.unwrap_key(&first, &wrapped, &CONTEXT).await.is_err());
            let _thrown_away = hsm.create_key("first").await;
            token.fault(Fault::DeviceRemoved);
            let _lost = wrap(&hsm, &first).await;
            token.fault(Fault::LeakSessions);
        }
        token.fault(Fault::None);
        within(Duration::from_secs(6), async || hsm.unwrap_key(&first, &wrapped, &CONTEXT).await).await;
        assert!(failed > 0 && hsm.restarts() > 0, "{failed} failures, {} restarts", hsm.restarts());
    });
}

#[test]
fn a_module_that_always_dies_is_tried_less_and_less_often() {
    with_token("bad::a_module_that_always_dies_is_tried_less_and_less_often", async |token| {
        token.fault(Fault::CrashAtStart);
        let hsm = token.open_bad().await;
        let end = Instant::now() + Duration::from_secs(3);
        let mut asked_to_wait = false;
        while Instant::now() < end {
            let answer = wrap(&hsm, &KeyRef::new("first")).await;
            asked_to_wait |= matches!(answer, Err(Error::Unavailable { retry_after: Some(_) }));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(asked_to_wait && (2..10).contains(&hsm.restarts()), "{} restarts", hsm.restarts());
    });
}

#[test]
fn recovers_when_the_device_comes_back() {
    with_token("bad::recovers_when_the_device_comes_back", async |token| {
        let (hsm, first, wrapped) = prepared(&token, token.options()).await;
        token.fault(Fault::DeviceRemoved);
        assert!(matches!(wrap(&hsm, &first).await, Err(Error::Unavailable { .. })));
        let unwrapped = hsm.unwrap_key(&first, &wrapped, &CONTEXT).await;
        assert!(matches!(unwrapped, Err(Error::Unavailable { .. })), "an outage is no mismatch");
        token.fault(Fault::None);
        within_a_second(async || hsm.unwrap_key(&first, &wrapped, &CONTEXT).await).await;
    });
}

#[test]
fn does_not_lock_the_token_by_a_pin_that_is_wrong() {
    with_token("bad::does_not_lock_the_token_by_a_pin_that_is_wrong", async |token| {
        token.import("first", &[5; 32]);
        let pin = Secret::copied_from(b"43214321");
        let options = Options { workers: 3, pin, module: token.bad_module(), ..token.options() };
        let hsm = Pkcs11::open(options).await.unwrap();
        for _ in 0..20 {
            assert!(matches!(wrap(&hsm, &KeyRef::new("first")).await, Err(Error::Refused)));
        }
        assert_eq!(token.logins(), 1, "three workers and twenty calls log in once");
    });
}

fn outcome_of(hsm: &Pkcs11, mechanism: Mechanism) -> Outcome {
    let verdicts = &hsm.report().unwrap().verdicts;
    verdicts.iter().find(|verdict| verdict.mechanism == mechanism).unwrap().outcome
}
