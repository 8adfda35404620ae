//! The counterpart of Google Cloud KMS, judged by Google's own Python client.
#![cfg(test)]

use keyfold_counterparts::google::{ALL_PERMISSIONS, GoogleKms};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::task::spawn_blocking;

#[tokio::test(flavor = "multi_thread")]
async fn satisfies_googles_own_client() {
    let kms = GoogleKms::start().await;
    kms.accept_token("owner", ALL_PERMISSIONS);
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("account.json");
    std::fs::write(&account, kms.service_account(&["cloudkms.cryptoKeys.get"])).unwrap();
    let host = kms.url().replace("http://", "");
    let client = spawn_blocking(move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oracles/google_kms.py");
        Command::new(python()).arg(script).args([&host, "owner"]).arg(account).stdin(Stdio::null()).output()
    });
    let output = client.await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let oracles = env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
    oracles.join("bin/python")
}
