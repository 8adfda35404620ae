//! An AES-256 key made elsewhere comes in by an import job, and wraps.

use crate::cloud::{Cloud, IMPORT, LEAST_PRIVILEGE, key, version};
use crate::{CONTEXT, SECRET, wrap};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use keyfold_providers::google_kms::GoogleKms;
use keyfold_providers::{Error, ImportKey, ImportParameters, KeyProvider, KeyState, OaepHash, Unusable};
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_key_wraps() {
    let cloud = Cloud::start().await;
    let name = cloud.create_key_to_import("own").await;
    let kms = cloud.connect_as(&[IMPORT, LEAST_PRIVILEGE].concat(), &cloud.kms.url()).await.unwrap();
    assert_eq!(kms.inspect(&name).await.unwrap(), KeyState::Unusable(Unusable::Disabled));
    assert!(matches!(kms.import_parameters(&key("missing")).await, Err(Error::NoSuchKey)));

    let offered = offered(&kms).await;
    assert_eq!(offered.hash, OaepHash::Sha256);
    assert!(offered.expires_at.is_some());
    assert_eq!(kms.import_parameters(&name).await.unwrap(), offered, "one job until it is used");
    assert!(matches!(kms.import_key(&name, &[0; 552], b"another token").await, Err(Error::Mismatch)));
    assert!(matches!(kms.import_key(&key("first"), &[0; 552], &offered.token).await, Err(Error::Mismatch)));

    let material = wrapped_material(&offered, &[7; 32]);
    kms.import_key(&name, &material, &offered.token).await.unwrap();
    kms.import_key(&name, &material, &offered.token).await.unwrap();
    assert_eq!(kms.inspect(&name).await.unwrap(), KeyState::Usable { version: "1".to_owned() }, "not imported twice");
    let wrapped = wrap(&kms, &name).await.unwrap();
    assert!(kms.unwrap_key(&name, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
    assert!(matches!(kms.inspect(&version("own", 2)).await, Err(Error::NoSuchKey)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_not_imported() {
    let cloud = Cloud::start().await;
    let name = cloud.create_key_to_import("own").await;
    let kms = cloud.connect_as(&[IMPORT, LEAST_PRIVILEGE].concat(), &cloud.kms.url()).await.unwrap();
    let first = offered(&kms).await;
    let short = wrapped_material(&first, &[7; 16]);
    assert!(matches!(kms.import_key(&name, &short, &first.token).await, Err(Error::Mismatch)));
    let second = offered(&kms).await;
    assert_ne!(first.token, second.token, "a job that has been used is not offered again");
    let wrong = wrapped_material(&first, &[7; 32]);
    assert!(matches!(kms.import_key(&name, &wrong, &second.token).await, Err(Error::Mismatch)));
    assert_eq!(kms.inspect(&name).await.unwrap(), KeyState::Unusable(Unusable::Disabled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_expires() {
    let cloud = Cloud::start().await;
    let name = cloud.create_key_to_import("own").await;
    let kms = cloud.connect_as(IMPORT, &cloud.kms.url()).await.unwrap();
    let old = offered(&kms).await;
    cloud.kms.expire_import_jobs();
    let expired = kms.import_key(&name, &wrapped_material(&old, &[7; 32]), &old.token).await;
    assert!(matches!(expired, Err(Error::KeyUnusable(Unusable::Expired))), "{expired:?}");
    let new = offered(&kms).await;
    kms.import_key(&name, &wrapped_material(&new, &[7; 32]), &new.token).await.unwrap();
}

/// As soon as the job's key has been made.
async fn offered(kms: &GoogleKms) -> ImportParameters {
    for _ in 0..300 {
        match kms.import_parameters(&key("own")).await {
            Ok(parameters) => return parameters,
            Err(Error::Unavailable { retry_after: Some(_) }) => sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("no import job gets ready");
}

/// What a ceremony makes: RSA-OAEP(ephemeral AES-256 key) || AES-KWP(ephemeral key, material).
fn wrapped_material(offered: &ImportParameters, material: &[u8]) -> Vec<u8> {
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&offered.wrapping_key).unwrap()).unwrap();
    let (ephemeral, mut sealed, mut wrapped) = ([3; 32], vec![0; key.ciphertext_size()], vec![0; material.len() + 15]);
    let sealed = key.encrypt(&OAEP_SHA256_MGF1SHA256, &ephemeral, &mut sealed, None).unwrap();
    let wrapped = AesKek::new(&AES_256, &ephemeral).unwrap().wrap_with_padding(material, &mut wrapped).unwrap();
    [sealed, wrapped].concat()
}
