use super::{CLIENT, NOW, agreed, both, client, client_with, config, log_in};
use counterparts::oidc::{Issuer as Counterpart, SUBJECT};
use keyfold_identity::oidc::{Issuer, Login, LoginState, OidcError};

#[tokio::test]
async fn a_person_logs_in() {
    let (counterpart, issuer) = both().await;
    let login = log_in(&counterpart, &issuer).await.unwrap();
    let expected = Login {
        subject: SUBJECT.to_owned(),
        email: Some("ada@acme.example".to_owned()),
        name: Some("Ada".to_owned()),
        auth_time: Some(NOW / 1000 - 30),
        sid: Some("session-1".to_owned()),
    };
    assert_eq!(login, expected);
    counterpart.alter(|token| token.claims["email_verified"] = false.into());
    assert_eq!(log_in(&counterpart, &issuer).await.unwrap().email, None);
}

#[tokio::test]
async fn a_login_that_was_begun_can_be_kept_and_is_not_printed() {
    let (counterpart, issuer) = both().await;
    let (login, callback) = agreed(&counterpart, &issuer).await;
    assert_eq!(format!("{login:?}"), "LoginState(..)");
    let kept: LoginState = serde_json::from_str(&serde_json::to_string(&login).unwrap()).unwrap();
    issuer.finish(&client(), &kept, &callback, NOW).await.unwrap();
}

#[tokio::test]
async fn a_code_is_good_once() {
    let (counterpart, issuer) = both().await;
    let (login, callback) = agreed(&counterpart, &issuer).await;
    issuer.finish(&client(), &login, &callback, NOW).await.unwrap();
    assert!(matches!(issuer.finish(&client(), &login, &callback, NOW).await, Err(OidcError::CodeRefused)));
}

/// Login CSRF: the victim's browser is given the attacker's answer. PKCE is the second line: the code of one login is
/// worth nothing in another.
#[tokio::test]
async fn an_answer_belongs_to_one_login() {
    let (counterpart, issuer) = both().await;
    let (_, attackers) = agreed(&counterpart, &issuer).await;
    let (login, mut callback) = agreed(&counterpart, &issuer).await;
    assert!(matches!(issuer.finish(&client(), &login, &attackers, NOW).await, Err(OidcError::State)));
    callback.code = attackers.code;
    assert!(matches!(issuer.finish(&client(), &login, &callback, NOW).await, Err(OidcError::CodeRefused)));
}

#[tokio::test]
async fn an_answer_comes_from_the_issuer_that_was_asked() {
    let (counterpart, issuer) = both().await;
    let (login, right) = agreed(&counterpart, &issuer).await;
    for iss in [None, Some("https://other.example".to_owned()), Some(format!("{}/", counterpart.url()))] {
        let mut callback = right.clone();
        callback.iss = iss;
        assert!(matches!(issuer.finish(&client(), &login, &callback, NOW).await, Err(OidcError::MixedUp)));
    }
    issuer.finish(&client(), &login, &right, NOW).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_does_not_name_itself_in_answers_may_stay_silent_but_not_lie() {
    let counterpart = Counterpart::start(NOW / 1000).await;
    counterpart.describe(|document| document["authorization_response_iss_parameter_supported"] = false.into());
    let issuer = Issuer::discover(config(&counterpart), NOW).await.unwrap();
    let (login, mut callback) = agreed(&counterpart, &issuer).await;
    callback.iss = Some("https://other.example".to_owned());
    assert!(matches!(issuer.finish(&client(), &login, &callback, NOW).await, Err(OidcError::MixedUp)));
    callback.iss = None;
    issuer.finish(&client(), &login, &callback, NOW).await.unwrap();
}

#[tokio::test]
async fn a_client_needs_its_secret() {
    let counterpart = Counterpart::start(NOW / 1000).await;
    let issuer = Issuer::discover(config(&counterpart), NOW).await.unwrap();
    for secret in [None, Some(CLIENT)] {
        let (login, callback) = agreed(&counterpart, &issuer).await;
        let refused = issuer.finish(&client_with(secret), &login, &callback, NOW).await;
        assert!(matches!(refused, Err(OidcError::ClientRefused)));
    }
}

#[tokio::test]
async fn a_code_follows_no_redirect() {
    let (counterpart, issuer) = both().await;
    let (login, callback) = agreed(&counterpart, &issuer).await;
    counterpart.move_away();
    assert!(matches!(issuer.finish(&client(), &login, &callback, NOW).await, Err(OidcError::Status(307))));
}
