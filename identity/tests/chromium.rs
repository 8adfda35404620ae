//! Passkeys as a real Chromium makes and uses them.
#![cfg(test)]

use counterparts::browser::{Answer, Browser, Credential, Site};
use keyfold_identity::passkey::{Passkey, PasskeyError, Person, RelyingParty, shows_clone};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

const CHALLENGE: [u8; 32] = [7; 32];
const CREATE: &str = "const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(arguments[0].publicKey);
    return navigator.credentials.create({publicKey}).then(made => made.toJSON(), refused => refused.name)";
const GET: &str = "const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(arguments[0].publicKey);
    return navigator.credentials.get({publicKey}).then(made => made.toJSON(), refused => refused.name)";

/// A page with nothing on it but its title.
async fn site() -> Site {
    let body = "<!doctype html><title>Sign in</title><link rel=icon href=data:,>".to_owned();
    let headers = vec![(http::header::CONTENT_TYPE, "text/html")];
    Site::start([Answer { path: "/", headers, body }]).await
}

fn relying_party(site: &Site) -> RelyingParty {
    RelyingParty::new(&Url::parse(site.url()).unwrap(), "Keyfold").unwrap()
}

fn alice() -> Person {
    Person { id: Uuid::from_u128(1), name: "alice".to_owned(), display: "Alice".to_owned() }
}

async fn register(browser: &Browser, party: &RelyingParty, existing: &[Passkey]) -> Result<Passkey, Value> {
    let (options, registration) = party.begin_registration(&alice(), existing, None).unwrap();
    let made = browser.run(CREATE, json!([options])).await;
    party.finish_registration(&registration, made.to_string().as_bytes(), 0).map_err(|_| made)
}

async fn sign(browser: &Browser, options: &Value) -> String {
    browser.run(GET, json!([options])).await.to_string()
}

#[tokio::test]
async fn a_passkey_made_in_a_browser_signs_and_signs_in() {
    let site = site().await;
    let party = relying_party(&site);
    let browser = Browser::start().await;
    browser.authenticator().await;
    browser.go(site.url()).await;
    let passkeys = [register(&browser, &party, &[]).await.unwrap()];
    assert_eq!(register(&browser, &party, &passkeys).await.unwrap_err(), "InvalidStateError", "it is there already");

    let signed = sign(&browser, &party.ask(&passkeys, &CHALLENGE)).await;
    let first = party.verify(&passkeys, &CHALLENGE, signed.as_bytes()).unwrap();
    assert!(matches!(party.verify(&passkeys, &[8; 32], signed.as_bytes()), Err(PasskeyError::Challenge)));
    let signed = sign(&browser, &party.ask(&[], &CHALLENGE)).await;
    assert_eq!(party.claimed_person(signed.as_bytes()).unwrap(), alice().id, "without a name");
    let second = party.verify(&passkeys, &CHALLENGE, signed.as_bytes()).unwrap();
    assert!(!shows_clone(first.counter, second.counter));
    browser.end().await;
}

#[tokio::test]
async fn a_copy_another_origin_and_a_stranger_are_found_out() {
    let (site, elsewhere) = (site().await, site().await);
    let party = relying_party(&site);
    let browser = Browser::start().await;
    let authenticator = browser.authenticator().await;
    browser.go(site.url()).await;
    let passkeys = [register(&browser, &party, &[]).await.unwrap()];
    let stolen: Vec<Credential> = authenticator.credentials().await;
    let ask = party.ask(&passkeys, &CHALLENGE);
    let signed = sign(&browser, &ask).await;
    let own = party.verify(&passkeys, &CHALLENGE, signed.as_bytes()).unwrap();

    let thief = Browser::start().await;
    thief.authenticator().await.put(&stolen[0]).await;
    thief.go(site.url()).await;
    let copied = party.verify(&passkeys, &CHALLENGE, sign(&thief, &ask).await.as_bytes()).unwrap();
    assert!(shows_clone(own.counter, copied.counter));
    thief.end().await;

    // A page on another port has the same RP ID, and gets a signature; but that says where it was made.
    browser.go(elsewhere.url()).await;
    let foreign = sign(&browser, &ask).await;
    assert!(foreign.contains("signature"), "{foreign}");
    assert!(matches!(party.verify(&passkeys, &CHALLENGE, foreign.as_bytes()), Err(PasskeyError::Origin)));

    browser.go(site.url()).await;
    authenticator.verifies_user(false).await;
    assert_eq!(sign(&browser, &ask).await, "\"NotAllowedError\"");
    browser.end().await;
}
