use super::{NOW, both, config, log_in};
use counterparts::oidc::Issuer as Counterpart;
use counterparts::tls::Authority;
use keyfold_identity::oidc::{Client, Config, Issuer, MAX_ANSWER, OidcError};
use serde_json::Value;
use url::Url;

async fn refused(change: impl Fn(&mut Value) + Send + 'static) -> OidcError {
    let counterpart = Counterpart::start(NOW / 1000).await;
    counterpart.describe(change);
    Issuer::discover(config(&counterpart), NOW).await.unwrap_err()
}

#[tokio::test]
async fn an_issuer_describes_itself_and_nobody_else() {
    let another = refused(|document| document["issuer"] = "https://other.example".into()).await;
    assert!(matches!(another, OidcError::AnotherIssuer));
    let slash = refused(|document| document["issuer"] = format!("{}/", document["issuer"].as_str().unwrap()).into());
    assert!(matches!(slash.await, OidcError::AnotherIssuer));
}

#[tokio::test]
async fn all_goes_over_tls() {
    for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        let error = refused(move |document| document[endpoint] = "http://localhost:1/".into()).await;
        assert!(matches!(error, OidcError::Endpoint), "{endpoint}: {error:?}");
    }
    let counterpart = Counterpart::start(NOW / 1000).await;
    for issuer in ["http://localhost:1", "http://127.0.0.1:1", "https://user@localhost", "https://localhost/?a=b", "-"]
    {
        let config = Config { issuer: issuer.to_owned(), ..config(&counterpart) };
        assert!(matches!(Issuer::discover(config, NOW).await, Err(OidcError::Url)), "{issuer}");
    }
    let plain = Url::parse("http://keyfold.example/").unwrap();
    assert!(matches!(Client::new(plain, None), Err(OidcError::Url)));
}

#[tokio::test]
async fn the_certificate_is_under_the_roots_given() {
    let counterpart = Counterpart::start(NOW / 1000).await;
    let others = Config { ca_pem: Some(Authority::new().pem().into()), ..config(&counterpart) };
    assert!(matches!(Issuer::discover(others, NOW).await, Err(OidcError::Unreachable(_))));
}

#[tokio::test]
async fn long_answers_and_redirects_are_refused() {
    let long = refused(|document| document["padding"] = "x".repeat(MAX_ANSWER).into()).await;
    assert!(matches!(long, OidcError::LongAnswer));
    let counterpart = Counterpart::start(NOW / 1000).await;
    counterpart.move_away();
    assert!(matches!(Issuer::discover(config(&counterpart), NOW).await, Err(OidcError::Status(307))));
    let empty = refused(|document| *document = Value::Null).await;
    assert!(matches!(empty, OidcError::MalformedAnswer(_)));
}

#[tokio::test]
async fn an_answer_as_long_as_allowed_is_read() {
    let counterpart = Counterpart::start(NOW / 1000).await;
    counterpart.describe(|document| {
        document["padding"] = "".into();
        let room = MAX_ANSWER - document.to_string().len();
        document["padding"] = "x".repeat(room).into();
    });
    Issuer::discover(config(&counterpart), NOW).await.unwrap();
    let (counterpart, issuer) = both().await;
    log_in(&counterpart, &issuer).await.unwrap();
}
