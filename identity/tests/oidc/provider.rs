use super::{client, config_of};
use counterparts::oidc_provider::OidcProvider;
use keyfold_identity::oidc::{Callback, Issuer, OidcError};
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

#[tokio::test]
async fn a_person_logs_in_at_a_real_provider_once_for_each_code() {
    let provider = OidcProvider::start().await;
    let config = config_of(provider.url(), provider.ca_pem());
    let issuer = Issuer::discover(config, now()).await.unwrap();
    let (url, login) = issuer.begin(&client());
    let mut query = provider.agree(&url, "ada").await;
    let iss = query.remove("iss");
    assert_eq!(iss.as_deref(), Some(provider.url()));
    let callback = Callback { state: query.remove("state").unwrap(), code: query.remove("code").unwrap(), iss };
    let person = issuer.finish(&client(), &login, &callback, now()).await.unwrap();
    assert_eq!((person.subject.as_str(), person.email.as_deref()), ("ada", Some("ada@acme.example")));
    assert!(person.auth_time.is_some_and(|time| (now() / 1000 - time).abs() < 60));
    assert!(matches!(issuer.finish(&client(), &login, &callback, now()).await, Err(OidcError::CodeRefused)));
}
