//! A ceremony's material, imported by transfer blob.

use crate::vault::{CONTEXT, SECRET, Vault, opens, wrap};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap, KeyWrapPadded};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use keyfold_providers::azure_key_vault::{Algorithm, Kind};
use keyfold_providers::{Error, ImportKey, ImportParameters, KeyRef, OaepHash};
use reqwest::Method;
use serde_json::json;

const KEY: [u8; 32] = [0x4b; 32];
const EPHEMERAL: [u8; 32] = [0xe9; 32];

#[tokio::test]
async fn takes_in_a_key_that_was_made_elsewhere() {
    let (vault, key) = (hsm().await, KeyRef::new("imported"));
    let room = vault.connect();
    let parameters = room.import_parameters(&key).await.unwrap();
    assert_eq!((parameters.hash, parameters.expires_at), (OaepHash::Sha1, Some(4_000_000_000)));
    room.import_key(&key, &material(&parameters, &KEY), &parameters.token).await.unwrap();
    let wrapped = wrap(&room, &key).await.unwrap();
    assert!(opens(&room, &key, &wrapped).await);
    // The key that stayed outside opens it as well.
    let mut opened = [0; 72];
    let opened = AesKek::new(&AES_256, &KEY).unwrap().unwrap(&wrapped.bytes, &mut opened).unwrap();
    assert_eq!(opened, [SECRET, *CONTEXT.as_bytes()].concat());
}

#[tokio::test]
async fn takes_in_nothing_else() {
    let (vault, key) = (hsm().await, KeyRef::new("imported"));
    let room = vault.connect();
    let parameters = room.import_parameters(&key).await.unwrap();
    let good = material(&parameters, &KEY);
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    for bad in [altered, material(&parameters, &[1; 24]), good[..100].to_vec(), Vec::new()] {
        assert!(matches!(room.import_key(&key, &bad, &parameters.token).await, Err(Error::Mismatch)));
    }
    for token in [b"".as_slice(), b"\xff", b"https://elsewhere.vault.azure.net/keys/imported-import/0"] {
        assert!(matches!(room.import_key(&key, &good, token).await, Err(Error::Mismatch)));
    }
    assert!(matches!(wrap(&room, &key).await, Err(Error::NoSuchKey)), "nothing was imported");
}

#[tokio::test]
async fn wants_a_transfer_key_that_does_nothing_else() {
    let vault = hsm().await;
    let room = vault.connect();
    assert!(matches!(room.import_parameters(&KeyRef::new("unprepared")).await, Err(Error::NoSuchKey)));
    vault.own(&Method::POST, "/keys/loose-import/create", &json!({"kty": "RSA-HSM"}));
    assert!(matches!(room.import_parameters(&KeyRef::new("loose")).await, Err(Error::Broken(_))));
    let plain = Vault::start().await.connect().import_parameters(&KeyRef::new("first")).await;
    let Err(Error::Broken(source)) = plain else { panic!("{plain:?}") };
    assert!(source.to_string().contains("Managed HSM"), "{source}");
}

async fn hsm() -> Vault {
    let vault = Vault::start_as(Kind::ManagedHsm, Algorithm::A256Kw).await;
    let transfer = json!({"kty": "RSA-HSM", "key_ops": ["import"], "attributes": {"exp": 4_000_000_000_u64}});
    vault.own(&Method::POST, "/keys/imported-import/create", &transfer);
    vault
}

/// What a ceremony makes (`CKM_RSA_AES_KEY_WRAP`).
fn material(parameters: &ImportParameters, key: &[u8]) -> Vec<u8> {
    let public = PublicEncryptingKey::from_der(&parameters.wrapping_key).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut ephemeral = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA1_MGF1SHA1, &EPHEMERAL, &mut ephemeral, None).unwrap();
    let mut wrapped = vec![0; key.len() + 15];
    let wrapped = AesKek::new(&AES_256, &EPHEMERAL).unwrap().wrap_with_padding(key, &mut wrapped).unwrap();
    [&ephemeral, &*wrapped].concat()
}
