use super::{NOW, NOW_SECONDS, both, config, log_in};
use counterparts::oidc::{Issuer as Counterpart, SUBJECT, Signer, Token};
use keyfold_identity::oidc::{Algorithm, Issuer, MAX_TOKEN, OidcError};
use serde_json::{Value, json};

/// What a login says when the issuer changes its token so.
async fn refused(change: impl Fn(&mut Token) + Send + 'static) -> OidcError {
    let (counterpart, issuer) = both().await;
    counterpart.alter(change);
    log_in(&counterpart, &issuer).await.unwrap_err()
}

async fn taken(change: impl Fn(&mut Token) + Send + 'static) {
    let (counterpart, issuer) = both().await;
    counterpart.alter(change);
    log_in(&counterpart, &issuer).await.unwrap();
}

#[tokio::test]
async fn each_allowed_algorithm_is_taken() {
    for signer in [Signer::Ecdsa, Signer::Rsa, Signer::Ed25519] {
        taken(move |token| token.sign_by(signer)).await;
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_allowed_is_not() {
    let counterpart = Counterpart::start(NOW_SECONDS).await;
    let mut config = config(&counterpart);
    config.algorithms = vec![Algorithm::Es256];
    let issuer = Issuer::discover(config, NOW).await.unwrap();
    counterpart.alter(|token| token.sign_by(Signer::Rsa));
    assert!(matches!(log_in(&counterpart, &issuer).await, Err(OidcError::Algorithm)));
}

#[tokio::test]
async fn nobody_but_the_issuer_signs() {
    assert!(matches!(refused(|token| token.sign_by(Signer::Nobody)).await, OidcError::Algorithm));
    assert!(matches!(refused(|token| token.sign_by(Signer::PublicKey)).await, OidcError::Algorithm));
    assert!(matches!(refused(|token| token.sign_by(Signer::Stranger)).await, OidcError::Signature));
    assert!(matches!(refused(|token| token.signer = Signer::Nobody).await, OidcError::Signature));
    assert!(matches!(refused(|token| token.signer = Signer::PublicKey).await, OidcError::Signature));
}

#[tokio::test]
async fn an_algorithm_fits_its_key() {
    assert!(matches!(refused(|token| token.header["alg"] = "RS256".into()).await, OidcError::Key));
    assert!(matches!(refused(|token| token.header["kid"] = "rsa".into()).await, OidcError::Key));
    assert!(matches!(refused(|token| token.header["kid"] = "ed25519".into()).await, OidcError::Key));
    for (field, value) in [("use", "enc"), ("alg", "ES384")] {
        let counterpart = Counterpart::start(NOW_SECONDS).await;
        counterpart.publish(move |set| set["keys"][0][field] = value.into());
        let issuer = Issuer::discover(config(&counterpart), NOW).await.unwrap();
        assert!(matches!(log_in(&counterpart, &issuer).await, Err(OidcError::Key)), "{field}");
    }
}

#[tokio::test]
async fn a_token_is_of_this_issuer_for_this_client() {
    assert!(matches!(refused(|token| token.claims["iss"] = "https://other.example".into()).await, OidcError::Issuer));
    let audience = |aud: Value, azp: Value| {
        refused(move |token| {
            token.claims["aud"] = aud.clone();
            token.claims["azp"] = azp.clone();
        })
    };
    assert!(matches!(audience(json!("other"), json!(null)).await, OidcError::Audience));
    assert!(matches!(audience(json!([]), json!("keyfold")).await, OidcError::Audience));
    assert!(matches!(audience(json!(["keyfold", "other"]), json!(null)).await, OidcError::Audience));
    assert!(matches!(audience(json!(["keyfold", "other"]), json!("other")).await, OidcError::Audience));
    assert!(matches!(audience(json!("keyfold"), json!("other")).await, OidcError::Audience));
    taken(|token| token.claims["aud"] = json!(["keyfold"])).await;
    taken(|token| {
        token.claims["aud"] = json!(["other", "keyfold"]);
        token.claims["azp"] = json!("keyfold");
    })
    .await;
}

#[tokio::test]
async fn a_token_is_good_for_its_time_and_a_minute() {
    let at =
        |claim: &'static str, shift: i64| move |token: &mut Token| token.claims[claim] = (NOW_SECONDS + shift).into();
    taken(at("exp", -59)).await;
    assert!(matches!(refused(at("exp", -60)).await, OidcError::Expired));
    taken(at("iat", 60)).await;
    assert!(matches!(refused(at("iat", 61)).await, OidcError::NotYetValid));
    taken(at("nbf", 60)).await;
    assert!(matches!(refused(at("nbf", 61)).await, OidcError::NotYetValid));
}

#[tokio::test]
async fn a_token_answers_one_login() {
    assert!(matches!(refused(|token| token.claims["nonce"] = "another".into()).await, OidcError::Nonce));
    assert!(matches!(refused(|token| token.claims["nonce"] = json!(null)).await, OidcError::Nonce));
}

/// The hashes are of `an access token`, by OpenSSL's command line.
#[tokio::test]
async fn an_access_token_belongs_to_its_id_token() {
    const SHA256: &str = "FPlcM-1UXiivOYozpUrp7Q";
    const SHA512: &str = "9UL8Bx6o74X3_A6XW5iK4-LmMHW0iJMLZ2YNNd2z1kc";
    taken(|token| token.claims["at_hash"] = SHA256.into()).await;
    taken(|token| {
        token.sign_by(Signer::Ed25519);
        token.claims["at_hash"] = SHA512.into();
    })
    .await;
    assert!(matches!(refused(|token| token.claims["at_hash"] = SHA512.into()).await, OidcError::AccessToken));
}

#[tokio::test]
async fn what_must_be_there_is_there() {
    for claim in ["iss", "aud", "sub", "exp", "iat"] {
        let without = move |token: &mut Token| token.claims.as_object_mut().unwrap().retain(|name, _| name != claim);
        assert!(matches!(refused(without).await, OidcError::MalformedToken), "{claim}");
    }
    assert!(matches!(refused(|token| token.claims["sub"] = "".into()).await, OidcError::MalformedToken));
    assert!(matches!(refused(|token| token.claims["sub"] = "s".repeat(256).into()).await, OidcError::MalformedToken));
    assert!(matches!(refused(|token| token.header["crit"] = json!(["b64"])).await, OidcError::MalformedToken));
    assert!(matches!(refused(|token| token.header["typ"] = "at+jwt".into()).await, OidcError::Type));
    let long = refused(|token| token.claims["padding"] = "x".repeat(MAX_TOKEN).into()).await;
    assert!(matches!(long, OidcError::LongToken));
}

#[tokio::test]
async fn a_token_that_somebody_else_asked_for_is_verified_by_its_nonce() {
    let (counterpart, issuer) = both().await;
    let token = counterpart.sign(&counterpart.id_token("a device's"));
    let login = issuer.verify_login(&token, "a device's", NOW).await.unwrap();
    let times = (login.auth_time, login.expires_at);
    assert_eq!((&*login.subject, times), (SUBJECT, (NOW_SECONDS - 30, NOW_SECONDS + 360)));
    assert!(matches!(issuer.verify_login(&token, "another's", NOW).await, Err(OidcError::Nonce)));
    for broken in ["", ".", "..", "a.b.c", "e30.e30.e30"] {
        assert!(matches!(issuer.verify_login(broken, "", NOW).await, Err(OidcError::MalformedToken)), "{broken}");
    }
}

#[tokio::test]
async fn a_login_that_somebody_else_asked_for_has_a_time_that_is_over() {
    let (counterpart, issuer) = both().await;
    let verified = async |auth_time: Value| {
        let mut token = counterpart.id_token("nonce");
        token.claims["auth_time"] = auth_time;
        issuer.verify_login(&counterpart.sign(&token), "nonce", NOW).await
    };
    assert!(matches!(verified(json!(null)).await, Err(OidcError::NoAuthTime)));
    assert!(matches!(verified(json!(NOW_SECONDS + 61)).await, Err(OidcError::NotYetValid)));
    assert_eq!(verified(json!(NOW_SECONDS + 60)).await.unwrap().auth_time, NOW_SECONDS + 60);
    assert_eq!(verified(json!(0)).await.unwrap().auth_time, 0, "how old it may be is for others to say");
}
