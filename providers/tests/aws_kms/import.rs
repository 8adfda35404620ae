//! Keys made elsewhere, brought into KMS.

use crate::environment::{self, CREDENTIALS};
use crate::server::{Server, program, script};
use crate::{CONTEXT, SECRET, wrap};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use keyfold_providers::{
    Error, ImportKey, ImportParameters, KeyProvider, KeyRef, KeyState, OaepHash, Unusable, WrappingMechanism,
};
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const MATERIAL: [u8; 32] = [0x4b; 32];

#[test]
fn imports_the_very_key_that_was_made_elsewhere() {
    environment::run("import::imports_the_very_key_that_was_made_elsewhere", &CREDENTIALS, async {
        let server = Server::localstack().await;
        let (kms, key) = (server.connect().await, external_key(&server).await);
        assert_eq!(kms.inspect(&key).await.unwrap(), KeyState::Unusable(Unusable::Expired));
        assert!(matches!(wrap(&kms, &key).await, Err(Error::KeyUnusable(Unusable::Expired))));

        let parameters = kms.import_parameters(&key).await.unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(parameters.expires_at.is_some_and(|end| end.cast_unsigned() > now));
        let blob = wrapped_for(&parameters, &MATERIAL);
        assert_refuses(&server, &key, &parameters, &blob).await;
        kms.import_key(&key, &blob, &parameters.token).await.unwrap();
        assert_eq!(kms.inspect(&key).await.unwrap(), KeyState::Usable { version: String::new() });

        let wrapped = wrap(&kms, &key).await.unwrap();
        assert_eq!(opened(&wrapped.bytes), [SECRET, *CONTEXT.as_bytes()].concat());
        server.admin("DeleteImportedKeyMaterial", json!({ "KeyId": key.as_str() })).await;
        assert_eq!(kms.inspect(&key).await.unwrap(), KeyState::Unusable(Unusable::Expired));
        let unwrapped = kms.unwrap_key(&key, &wrapped, &CONTEXT).await;
        assert!(matches!(unwrapped, Err(Error::KeyUnusable(Unusable::Expired))), "{unwrapped:?}");
    });
}

async fn assert_refuses(server: &Server, key: &KeyRef, parameters: &ImportParameters, blob: &[u8]) {
    let kms = server.connect().await;
    let mut altered = [blob.to_vec(), blob.to_vec(), blob[..blob.len() - 1].to_vec()];
    altered[0][0] ^= 1;
    altered[1][blob.len() - 1] ^= 1;
    for blob in altered {
        let imported = kms.import_key(key, &blob, &parameters.token).await;
        assert!(matches!(imported, Err(Error::Mismatch)), "{imported:?}");
    }
    let others = kms.import_parameters(key).await.unwrap();
    let imported = kms.import_key(key, blob, &others.token).await;
    assert!(matches!(imported, Err(Error::Mismatch)), "{imported:?}");
    assert_eq!(kms.inspect(key).await.unwrap(), KeyState::Unusable(Unusable::Expired));

    let of_kms = kms.import_parameters(&server.key("SYMMETRIC_DEFAULT").await).await;
    assert!(matches!(of_kms, Err(Error::Broken(_))), "a key that KMS made takes no other material: {of_kms:?}");
    let missing = kms.import_parameters(&KeyRef::new("alias/none")).await;
    assert!(matches!(missing, Err(Error::NoSuchKey)), "{missing:?}");
}

async fn external_key(server: &Server) -> KeyRef {
    let made = server.admin("CreateKey", json!({"Origin": "EXTERNAL"})).await;
    KeyRef::new(made["KeyMetadata"]["Arn"].as_str().unwrap())
}

/// CKM_RSA_PKCS_OAEP (PKCS#11 3.0, section 6.1.8), as a ceremony does it.
fn wrapped_for(parameters: &ImportParameters, material: &[u8; 32]) -> Vec<u8> {
    assert_eq!((parameters.mechanism, parameters.hash), (WrappingMechanism::RsaOaep, OaepHash::Sha256));
    let public = PublicEncryptingKey::from_der(&parameters.wrapping_key).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut blob = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, material, &mut blob, None).unwrap();
    assert_eq!(blob.len(), 512, "RSA-4096");
    blob
}

/// What is in a ciphertext of LocalStack, opened without LocalStack by the key that was imported.
fn opened(ciphertext: &[u8]) -> Vec<u8> {
    let context = ["keyfold", &"01".repeat(32)].concat();
    let mut command = Command::new(program("KEYFOLD_LOCALSTACK"));
    command.args([script("open_localstack.py"), hex::encode(MATERIAL), hex::encode(context)]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(ciphertext).unwrap();
    process.wait_with_output().unwrap().stdout
}
