use super::{NOW, both};
use counterparts::oidc::Issuer as Counterpart;
use keyfold_identity::oidc::{Issuer, OidcError, ProvenLogin};
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// What is said at `now` of a token by the key with this id, which does not age.
async fn verified(counterpart: &Counterpart, issuer: &Issuer, kid: Value, now: i64) -> Result<ProvenLogin, OidcError> {
    let mut token = counterpart.id_token("nonce");
    token.header["kid"] = kid;
    token.claims["exp"] = json!(NOW);
    issuer.verify_login(&counterpart.sign(&token), "nonce", now).await
}

#[tokio::test]
async fn a_new_key_is_asked_for_once_a_minute() {
    let (counterpart, issuer) = both().await;
    let new = || json!("new");
    assert!(matches!(verified(&counterpart, &issuer, new(), NOW + MINUTE - 1).await, Err(OidcError::UnknownKey)));
    assert_eq!(counterpart.fetches(), 1);
    assert!(matches!(verified(&counterpart, &issuer, new(), NOW + MINUTE).await, Err(OidcError::UnknownKey)));
    counterpart.publish(|set| set["keys"][0]["kid"] = "new".into());
    assert!(matches!(verified(&counterpart, &issuer, new(), NOW + MINUTE + 1).await, Err(OidcError::UnknownKey)));
    assert_eq!(counterpart.fetches(), 2);
    verified(&counterpart, &issuer, new(), NOW + 2 * MINUTE).await.unwrap();
    verified(&counterpart, &issuer, new(), NOW + 2 * MINUTE).await.unwrap();
    assert_eq!(counterpart.fetches(), 3);
}

#[tokio::test]
async fn a_withdrawn_key_is_believed_for_an_hour_at_most() {
    let (counterpart, issuer) = both().await;
    counterpart.publish(|set| set["keys"][0]["kid"] = "new".into());
    verified(&counterpart, &issuer, json!("ecdsa"), NOW + HOUR - 1).await.unwrap();
    assert!(matches!(verified(&counterpart, &issuer, json!("ecdsa"), NOW + HOUR).await, Err(OidcError::UnknownKey)));
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_no_fault_of_the_token() {
    let (counterpart, issuer) = both().await;
    counterpart.move_away();
    let at = |now| verified(&counterpart, &issuer, json!("ecdsa"), now);
    assert!(matches!(at(NOW + HOUR).await, Err(OidcError::Status(307))));
    assert!(matches!(at(NOW + HOUR + 1).await, Err(OidcError::Silent)), "it is not asked again at once");
}

#[tokio::test]
async fn a_token_names_its_key() {
    let (counterpart, issuer) = both().await;
    assert!(matches!(verified(&counterpart, &issuer, json!(null), NOW).await, Err(OidcError::UnknownKey)));
}
