//! What somebody who answers in the broker's place can offer as a key to seal to, and that the device takes none of it.

use crate::server::{Answer, enrol, enrolled, ingress, json, log_key, problem, server, status};
use keyfold_device::{Broker, Device, Error, IngressRefused, NoteError, StateFile};
use protocol::{
    encoding::{from_base64url, from_json},
    messages::{Enrolled, IngressKey, Problem, Wrap},
};
use rustls::version::TLS13;
use secret::Secret;
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;

const ORIGIN: &str = "keyfold.example/acme";

/// Keys that are not the tenant's, each with what it is refused for; `good` is one of the tenant's.
fn lies(good: &IngressKey) -> Vec<(&'static str, IngressKey, IngressRefused)> {
    let (own, other_key, other_log) = (log_key(ORIGIN, 1), log_key(ORIGIN, 2), log_key("keyfold.example/other", 1));
    let swapped = ingress(&other_key, "1");
    let with = |endorsement: String| IngressKey { endorsement, ..swapped.clone() };
    let unsigned = IngressRefused::Endorsement(NoteError::Unsigned);
    let broken = good.endorsement.replace("ingress 1 ", "ingress 2 ");
    vec![
        ("endorsed by another key", swapped.clone(), unsigned),
        ("endorsed by another log", ingress(&other_log, "1"), unsigned),
        ("under the good key's endorsement", with(good.endorsement.clone()), IngressRefused::OtherKey),
        ("under another id", IngressKey { id: "2".parse().unwrap(), ..good.clone() }, IngressRefused::OtherKey),
        ("under an altered endorsement", with(broken), IngressRefused::Endorsement(NoteError::Signature)),
        ("under a checkpoint", with(own.checkpoint(1, &swapped.key.0.hash())), NoteError::Endorsement.into()),
        ("without endorsement", with(String::new()), NoteError::Malformed.into()),
    ]
}

/// A server that answers an enrolment, and then what follows.
async fn after_enrolment(enrolled: &Enrolled, answers: Vec<Answer>) -> (Broker, UnboundedReceiver<Vec<u8>>) {
    let enrolling = vec![Some((204, "n", String::new())), Some((201, "n", json(enrolled)))];
    server(&TLS13, enrolling.into_iter().chain(answers).collect()).await
}

fn refused<T>(result: &Result<T, Error>) -> Option<IngressRefused> {
    if let Err(Error::Ingress(why)) = result { Some(*why) } else { None }
}

#[tokio::test]
async fn a_key_that_the_log_key_does_not_vouch_for_ends_the_enrolment() {
    let good = enrolled("acme");
    for (what, key, why) in lies(&good.ingress) {
        let (broker, _requests) = after_enrolment(&Enrolled { ingress: key, ..good.clone() }, vec![]).await;
        assert_eq!(refused(&enrol(broker, None).await), Some(why), "{what}");
    }
    let (broker, _requests) = after_enrolment(&good, vec![]).await;
    enrol(broker, None).await.unwrap();
}

#[tokio::test]
async fn a_key_that_the_log_key_does_not_vouch_for_is_not_sealed_to_later() {
    let good = enrolled("acme");
    for (what, key, why) in lies(&good.ingress) {
        let lie = status(Enrolled { ingress: key, ..good.clone() });
        let stale = problem(409, Problem::STALE_INGRESS);
        let answers = vec![Some((200, "n", json(&lie))), Some((409, "n", stale)), Some((200, "n", json(&lie)))];
        let (broker, _requests) = after_enrolment(&good, answers).await;
        let mut device = enrol(broker, None).await.unwrap();
        assert_eq!(refused(&device.status().await), Some(why), "{what}");
        // A refused wrap makes the device ask again, and it wraps to no key that it does not know.
        let backed_up = device.backup(&"identity".parse().unwrap(), &Secret::random(32), None).await;
        assert_eq!(refused(&backed_up), Some(why), "{what}");
    }
}

#[tokio::test]
async fn the_key_before_stays_in_use_until_the_tenant_has_another() {
    let good = enrolled("acme");
    let offered = |log| Some((200, "n", json(&status(Enrolled { ingress: ingress(log, "2"), ..good.clone() }))));
    let busy = || Some((403, "n", problem(403, "policy_denied")));
    let answers = vec![
        offered(&log_key(ORIGIN, 2)),
        Some((204, "n", String::new())),
        busy(),
        offered(&log_key(ORIGIN, 1)),
        busy(),
    ];
    let (broker, mut requests) = after_enrolment(&good, answers).await;
    let folder = TempDir::new().unwrap();
    let file = || StateFile::with_key(folder.path().join("state"), Secret::copied_from(&[3; 32])).unwrap();
    let mut device = enrol(broker, None).await.unwrap().kept_in(file()).unwrap();
    assert!(refused(&device.status().await).is_some());

    let mut device = Device::load(file()).unwrap();
    let mut sealed_to = Vec::new();
    for _ in 0..2 {
        let busy = device.backup(&"identity".parse().unwrap(), &Secret::random(32), None).await;
        assert!(matches!(busy, Err(Error::Refused(_))));
        sealed_to.extend(std::iter::from_fn(|| requests.try_recv().ok()).filter_map(|body| wrapped_under(&body)));
        let _ended = device.status().await;
    }
    assert_eq!(sealed_to, ["1", "2"]);
}

/// The ingress key that a wrap names; `None` for other requests.
fn wrapped_under(body: &[u8]) -> Option<String> {
    let jws: serde_json::Value = serde_json::from_slice(body).ok()?;
    let payload = from_base64url(jws["payload"].as_str()?).ok()?;
    Some(from_json::<Wrap>(&payload).ok()?.ingress.to_string())
}

#[tokio::test]
async fn a_log_key_that_was_not_expected_ends_the_enrolment() {
    let (own, other) = (log_key(ORIGIN, 1), log_key(ORIGIN, 2));
    let (broker, _requests) = after_enrolment(&enrolled("acme"), vec![]).await;
    enrol(broker, Some(own.verifier())).await.unwrap();
    let (broker, _requests) = after_enrolment(&enrolled("acme"), vec![]).await;
    assert!(matches!(enrol(broker, Some(other.verifier())).await, Err(Error::OtherLogKey)));
    // One's own key beside the expected one would vouch just as well.
    let mut both = enrolled("acme");
    both.log.vkeys.push(other.vkey());
    let (broker, _requests) = after_enrolment(&both, vec![]).await;
    assert!(matches!(enrol(broker, Some(own.verifier())).await, Err(Error::OtherLogKey)));
}
