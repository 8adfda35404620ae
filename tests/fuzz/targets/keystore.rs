//! The software keystore's file, replaced under an open keystore by somebody who does not know the passphrase.
#![no_main]

use libfuzzer_sys::fuzz_target;
use providers::{Context, KeyProvider, KeyRef, KeyState, Wrapped, software::Software};
use secret::Secret;
use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    sync::LazyLock,
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Made with the passphrase `fuzz`; holds `first`, `second`, and `disabled`, which is.
const GOOD: &[u8] = include_bytes!("../seeds/keystore/good");
const CONTEXT: Context = Context::new([1; 32]);

struct Fixture {
    folder: TempDir,
    runtime: Runtime,
    software: Software,
    wrapped: Wrapped,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keystore");
    fs::write(&path, GOOD).expect("the file is written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is ours");
    let software = Software::open(&path, &Secret::copied_from(b"fuzz")).expect("the keystore opens");
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let (first, secret) = (KeyRef::new("first"), Secret::copied_from(&[5; 32]));
    let wrapped = runtime.block_on(software.wrap_key(&first, &secret, &CONTEXT)).expect("the key wraps");
    Fixture { folder, runtime, software, wrapped }
});

fuzz_target!(|file: &[u8]| {
    replace(file);
    FIXTURE.runtime.block_on(async {
        let Fixture { software, wrapped, .. } = &*FIXTURE;
        let disabled = software.inspect(&KeyRef::new("disabled")).await;
        assert!(!matches!(disabled, Ok(KeyState::Usable { .. })));
        for name in ["second", "disabled", ""] {
            assert!(software.unwrap_key(&KeyRef::new(name), wrapped, &CONTEXT).await.is_err());
        }
        if let Ok(secret) = software.unwrap_key(&KeyRef::new("first"), wrapped, &CONTEXT).await {
            assert!(secret.matches(&[5; 32]));
        }
    });
});

fn replace(file: &[u8]) {
    let (new, path) = (FIXTURE.folder.path().join("new"), FIXTURE.folder.path().join("keystore"));
    let mut options = OpenOptions::new();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(&new).expect("the file opens");
    opened.write_all(file).expect("the file is written");
    fs::rename(new, path).expect("the file is replaced");
}
