//! Keys made elsewhere, brought into the real server.

use crate::server::Server;
use crate::{CONTEXT, SECRET, wrap};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use keyfold_providers::openbao::OpenBao;
use keyfold_providers::{
    Error, ImportKey, ImportParameters, KeyProvider, KeyRef, KeyState, OaepHash, WrappingMechanism,
};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const KEY: [u8; 32] = [0x4b; 32];

/// Only a policy for imports; what an import needs and no more.
const IMPORTER: &str = r#"
    path "team/transit/wrapping_key" { capabilities = ["read"] }
    path "team/transit/keys/+/import" { capabilities = ["update"] }
"#;

/// The oracle makes the material from a key it knows, and opens with that key alone what transit has wrapped.
#[tokio::test]
async fn imports_exactly_the_key_that_was_given() {
    let server = Server::start().await;
    let (bao, imported) = (server.connect().await, KeyRef::new("imported"));
    import(&server.connect_as(IMPORTER, "1h").await, &imported, &KEY).await.unwrap();
    assert_eq!(bao.inspect(&imported).await.unwrap(), KeyState::Usable { version: "1".to_owned() });
    let wrapped = wrap(&bao, &imported).await.unwrap();
    let opened = oracle(&json!({
        "do": "open_transit",
        "key": hex(&KEY),
        "ciphertext": str::from_utf8(&wrapped.bytes).unwrap(),
        "context": hex(CONTEXT.as_bytes()),
    }));
    assert_eq!(opened["plaintext"], hex(&[SECRET, *CONTEXT.as_bytes()].concat()));
    assert!(bao.unwrap_key(&imported, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
    let export = server.try_admin(reqwest::Method::GET, "team/transit/export/encryption-key/imported", json!({}));
    assert_eq!(export.await, None, "nobody gets it out again");
}

#[tokio::test]
async fn an_import_replaces_no_key() {
    let server = Server::start().await;
    let bao = server.connect().await;
    let imported = KeyRef::new("imported");
    import(&bao, &imported, &KEY).await.unwrap();
    for name in ["first", "imported"] {
        let key = KeyRef::new(name);
        let wrapped = wrap(&bao, &key).await.unwrap();
        let again = import(&bao, &key, &[0x4c; 32]).await;
        assert!(matches!(again, Err(Error::Broken(_))), "{name}: {again:?}");
        assert_eq!(bao.inspect(&key).await.unwrap(), KeyState::Usable { version: "1".to_owned() });
        assert!(bao.unwrap_key(&key, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
    }
}

#[tokio::test]
async fn takes_no_other_material() {
    let server = Server::start().await;
    let (bao, imported) = (server.connect().await, KeyRef::new("imported"));
    let parameters = bao.import_parameters(&imported).await.unwrap();
    let right = material(&parameters, &KEY);
    assert_eq!(right.len(), 512 + 40, "RSA-4096, and AES-KWP of 32 bytes");
    let mut altered = vec![vec![], right[..512].to_vec(), right[..551].to_vec(), material(&parameters, &KEY[..16])];
    for byte in [0, 511, 512, 551] {
        altered.push(right.clone());
        altered.last_mut().unwrap()[byte] ^= 1;
    }
    for material in altered {
        let refused = bao.import_key(&imported, &material, &[]).await;
        assert!(matches!(refused, Err(Error::Mismatch)), "{} bytes: {refused:?}", material.len());
    }
    assert!(matches!(bao.inspect(&imported).await, Err(Error::NoSuchKey)));
    assert!(matches!(bao.import_parameters(&KeyRef::new("../x")).await, Err(Error::NoSuchKey)));
    let another = server.connect_as(crate::LEAST_PRIVILEGE, "1h").await;
    assert!(matches!(another.import_parameters(&imported).await, Err(Error::Refused)));
    assert!(matches!(another.import_key(&imported, &right, &[]).await, Err(Error::Refused)));
}

async fn import(bao: &OpenBao, name: &KeyRef, key: &[u8]) -> Result<(), Error> {
    let parameters = bao.import_parameters(name).await?;
    assert_eq!((parameters.mechanism, parameters.hash), (WrappingMechanism::RsaAesKeyWrap, OaepHash::Sha256));
    bao.import_key(name, &material(&parameters, key), &parameters.token).await
}

/// `key`, wrapped by the oracle.
fn material(parameters: &ImportParameters, key: &[u8]) -> Vec<u8> {
    let answer = oracle(&json!({
        "do": "wrap_material",
        "wrapping_key": BASE64_URL_SAFE_NO_PAD.encode(&parameters.wrapping_key),
        "mechanism": "CKM_RSA_AES_KEY_WRAP",
        "hash": "SHA-256",
        "key": hex(key),
    }));
    BASE64_URL_SAFE_NO_PAD.decode(answer["material"].as_str().unwrap()).unwrap()
}

/// What `tests/oracles/ceremony.py` answers, run by the Python of KEYFOLD_ORACLES.
///
/// # Panics
/// When it fails: `./dev test` installs what it needs.
fn oracle(question: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let oracles = std::env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), Into::into);
    let mut python = Command::new(oracles.join("bin/python"))
        .arg(root.join("tests/oracles/ceremony.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "the oracle refuses");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
