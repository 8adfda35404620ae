//! Four real modules: what each can do, and that the contract holds for all of it.

use crate::token::{Token, Vendor, with_token_of};
use cryptoki::mechanism::Mechanism as RawMechanism;
use cryptoki::object::Attribute;
use cryptoki::session::Session;
use keyfold_bad_pkcs11::Fault;
use keyfold_providers::contract::{self, Subject};
use keyfold_providers::pkcs11::{Mechanism, Options, Outcome, Pkcs11};
use keyfold_providers::{KeyProvider, KeyRef, KeyState};
use std::sync::Arc;

/// What the table of the room's README says about a module.
struct Expected {
    aes: [(Mechanism, Outcome); 3],
    oaep: Mechanism,
    exports: bool,
}

#[test]
fn softhsm_keeps_the_contract() {
    let expected = Expected {
        aes: aes([Outcome::Usable, Outcome::Usable, Outcome::Usable]),
        oaep: Mechanism::RsaOaepSha1,
        exports: false,
    };
    with_token_of(Vendor::SoftHsm, "modules::softhsm_keeps_the_contract", async |token| {
        keeps_the_contract(&token, &expected).await;
        keeps_the_contract_by_kwp(&token).await;
    });
}

#[test]
fn nss_keeps_the_contract() {
    let expected = Expected {
        aes: aes([Outcome::Usable, Outcome::Usable, Outcome::Usable]),
        oaep: Mechanism::RsaOaepSha256,
        exports: true,
    };
    with_token_of(Vendor::Nss, "modules::nss_keeps_the_contract", async |token| {
        keeps_the_contract(&token, &expected).await;
        keeps_the_contract_by_kwp(&token).await;
    });
}

#[test]
fn kryoptic_keeps_the_contract() {
    let expected = Expected {
        aes: aes([Outcome::Usable, Outcome::Usable, Outcome::Usable]),
        oaep: Mechanism::RsaOaepSha256,
        exports: false,
    };
    with_token_of(Vendor::Kryoptic, "modules::kryoptic_keeps_the_contract", async |token| {
        keeps_the_contract(&token, &expected).await;
        keeps_the_contract_by_kwp(&token).await;
    });
}

#[test]
fn opencryptoki_keeps_the_contract() {
    let expected = Expected {
        aes: aes([Outcome::NotOffered, Outcome::NotOffered, Outcome::NotOffered]),
        oaep: Mechanism::RsaOaepSha256,
        exports: false,
    };
    with_token_of(Vendor::Opencryptoki, "modules::opencryptoki_keeps_the_contract", async |token| {
        keeps_the_contract(&token, &expected).await;
    });
}

async fn keeps_the_contract(token: &Token, expected: &Expected) {
    let session = token.session();
    let hsm = Arc::new(token.open().await);
    let report = hsm.report().unwrap();
    let found: Vec<_> = report.verdicts.iter().map(|verdict| (verdict.mechanism, verdict.outcome)).collect();
    assert_eq!((&found[..], report.exports), (&expected.aes[..], expected.exports));

    let usable = |mechanism| expected.aes.contains(&(mechanism, Outcome::Usable));
    if usable(Mechanism::AesKw) {
        let usage = [Attribute::Wrap(true), Attribute::Unwrap(true)];
        ["kw-1", "kw-2"].into_iter().for_each(|label| generate_aes(&session, label, label.as_bytes(), &usage));
        check(&hsm, "kw", Mechanism::AesKw).await;
    }
    if usable(Mechanism::AesGcm) {
        let usage =
            [Attribute::Encrypt(true), Attribute::Decrypt(true), Attribute::Wrap(false), Attribute::Unwrap(false)];
        ["gcm-1", "gcm-2"].into_iter().for_each(|label| generate_aes(&session, label, label.as_bytes(), &usage));
        check(&hsm, "gcm", Mechanism::AesGcm).await;
    }
    ["rsa-1", "rsa-2"].into_iter().for_each(|label| generate_rsa(&session, label));
    check(&hsm, "rsa", expected.oaep).await;
}

/// RFC 5649 is second choice, so the module is made to look as if it had no RFC 3394.
async fn keeps_the_contract_by_kwp(token: &Token) {
    token.fault(Fault::HasNoAesKw);
    let hsm = Pkcs11::open(Options { module: token.bad_module(), ..token.options() }).await.unwrap();
    check(&Arc::new(hsm), "kw", Mechanism::AesKwp).await;
}

/// The contract with keys `<name>-1` and `<name>-2`, and that they wrap by `mechanism`.
async fn check(hsm: &Arc<Pkcs11>, name: &str, mechanism: Mechanism) {
    let key = |number: &str| KeyRef::new(format!("{name}-{number}"));
    let state = hsm.inspect(&key("1")).await.unwrap();
    assert_eq!(state, KeyState::Usable { version: mechanism.name().to_owned() });
    let provider = Arc::<Pkcs11>::clone(hsm);
    contract::check(&Subject { provider, key: key("1"), other_key: key("2"), missing_key: key("3") }).await;
}

fn aes([kw, kwp, gcm]: [Outcome; 3]) -> [(Mechanism, Outcome); 3] {
    [(Mechanism::AesKw, kw), (Mechanism::AesKwp, kwp), (Mechanism::AesGcm, gcm)]
}

pub(crate) fn generate_aes(session: &Session, label: &str, id: &[u8], usage: &[Attribute]) {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Label(label.into()),
        Attribute::Id(id.into()),
        Attribute::ValueLen(32.into()),
    ];
    template.extend_from_slice(usage);
    session.generate_key(&RawMechanism::AesKeyGen, &template).unwrap();
}

fn generate_rsa(session: &Session, label: &str) {
    let name = [Attribute::Token(true), Attribute::Label(label.into()), Attribute::Id(label.into())];
    let mut public = name.to_vec();
    let exponent = Attribute::PublicExponent(vec![1, 0, 1]);
    public.extend([Attribute::ModulusBits(2048.into()), exponent, Attribute::Wrap(true)]);
    let mut private = name.to_vec();
    private.extend([Attribute::Private(true), Attribute::Sensitive(true), Attribute::Unwrap(true)]);
    session.generate_key_pair(&RawMechanism::RsaPkcsKeyPairGen, &public, &private).unwrap();
}
