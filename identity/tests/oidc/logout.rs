use super::{NOW, both};
use counterparts::oidc::{SUBJECT, Signer, Token};
use keyfold_identity::oidc::{Logout, OidcError};
use serde_json::{Value, json};

async fn logout(change: impl Fn(&mut Token)) -> Result<Logout, OidcError> {
    let (counterpart, issuer) = both().await;
    let mut token = counterpart.logout_token();
    change(&mut token);
    issuer.logout(&counterpart.sign(&token), NOW).await
}

fn without(claims: &'static [&'static str]) -> impl Fn(&mut Token) {
    move |token| token.claims.as_object_mut().unwrap().retain(|name, _| !claims.contains(&name.as_str()))
}

#[tokio::test]
async fn the_issuer_ends_a_session_or_all_of_a_persons() {
    let [subject, sid] = [SUBJECT, "session-1"].map(|text| Some(text.to_owned()));
    let both = Logout { subject: subject.clone(), sid: sid.clone(), jti: "logout-1".to_owned() };
    assert_eq!(logout(|_| {}).await.unwrap(), both);
    assert_eq!(logout(without(&["sid"])).await.unwrap(), Logout { sid: None, ..both.clone() });
    assert_eq!(logout(without(&["sub"])).await.unwrap(), Logout { subject: None, ..both });
}

#[tokio::test]
async fn what_is_no_logout_token_ends_nothing() {
    assert!(matches!(logout(without(&["sub", "sid"])).await, Err(OidcError::NoLogout)));
    assert!(matches!(logout(without(&["events"])).await, Err(OidcError::NoLogout)));
    assert!(matches!(logout(|token| token.claims["events"] = json!({"other": {}})).await, Err(OidcError::NoLogout)));
    assert!(matches!(logout(|token| token.claims["nonce"] = "any".into()).await, Err(OidcError::NoLogout)));
    for claim in [&["jti"], &["exp"], &["iat"]] {
        assert!(matches!(logout(without(claim)).await, Err(OidcError::MalformedToken)), "{claim:?}");
    }
    for typ in [Value::Null, "JWT".into()] {
        assert!(matches!(logout(|token| token.header["typ"] = typ.clone()).await, Err(OidcError::Type)));
    }
}

#[tokio::test]
async fn a_logout_token_is_verified_like_any_other() {
    assert!(matches!(
        logout(|token| token.claims["iss"] = "https://other.example".into()).await,
        Err(OidcError::Issuer)
    ));
    assert!(matches!(logout(|token| token.claims["aud"] = "other".into()).await, Err(OidcError::Audience)));
    assert!(matches!(logout(|token| token.claims["exp"] = (NOW / 1000 - 60).into()).await, Err(OidcError::Expired)));
    assert!(matches!(logout(|token| token.signer = Signer::Stranger).await, Err(OidcError::Signature)));
}

#[tokio::test]
async fn a_logout_token_logs_nobody_in() {
    let (counterpart, issuer) = both().await;
    let mut token = counterpart.logout_token();
    token.claims["nonce"] = "nonce".into();
    let signed = counterpart.sign(&token);
    assert!(matches!(issuer.verify_login(&signed, "nonce", NOW).await, Err(OidcError::Type)));
}
