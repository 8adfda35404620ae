//! A fresh SoftHSM2 token for each test.
//!
//! SoftHSM2 reads its configuration from the environment, once per process, and keeps process-wide state: so each test
//! runs again in a process of its own, started with the environment it needs.

use keyfold_providers::pkcs11::{OpenError, Options, Pkcs11};
use secret::Secret;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
pub(crate) const LABEL: &str = "keyfold";
pub(crate) const PIN: &str = "1234";

pub(crate) struct Token {
    folder: PathBuf,
}

/// Runs `body` with a fresh token, in a process of its own. `name` is the name of the calling test.
pub(crate) fn with_token<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Token) -> F) {
    if let Some(folder) = env::var_os("KEYFOLD_TOKEN") {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(body(Token { folder: folder.into() }));
    }
    let folder = tempfile::tempdir().unwrap();
    initialise(folder.path());
    let again = in_folder(Command::new(env::current_exe().unwrap()), folder.path())
        .args([name, "--exact", "--nocapture"])
        .env("KEYFOLD_TOKEN", folder.path())
        .env("KEYFOLD_FAULT", folder.path().join("fault"))
        .env("KEYFOLD_REAL_MODULE", SOFTHSM)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&again.stdout) + String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && output.contains("1 passed"), "{output}");
}

impl Token {
    pub(crate) fn module(&self) -> PathBuf {
        SOFTHSM.into()
    }

    pub(crate) fn open(&self) -> Pkcs11 {
        self.open_with(self.module(), PIN).unwrap()
    }

    pub(crate) fn open_with(&self, module: PathBuf, pin: &str) -> Result<Pkcs11, OpenError> {
        let pin = Secret::copied_from(pin.as_bytes());
        Pkcs11::open(Options { module, token: LABEL.to_owned(), pin, max_sessions: 4 })
    }

    /// SoftHSM2 behind a layer that misbehaves as [`Token::fault`] says.
    pub(crate) fn faulty_module(&self) -> PathBuf {
        let (source, library) = (env!("CARGO_MANIFEST_DIR").to_owned() + "/tests/pkcs11/faulty.c", "faulty.so");
        run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(self.folder.join(library)).arg(source));
        self.folder.join(library)
    }

    pub(crate) fn fault(&self, name: &str) {
        fs::write(self.folder.join("fault"), name).unwrap();
    }

    /// OpenSC's tool, in another process: another implementation's view of the same token.
    pub(crate) fn tool(&self, arguments: &[&str]) {
        run(Command::new("pkcs11-tool")
            .args(["--module", SOFTHSM, "--token-label", LABEL, "--login", "--pin", PIN])
            .args(arguments));
    }

    /// Puts an AES key of known bytes on the token.
    pub(crate) fn import(&self, label: &str, key: &[u8]) {
        let file = self.folder.join("key");
        fs::write(&file, key).unwrap();
        let file = file.to_str().unwrap();
        let key_type = format!("AES:{}", key.len());
        self.tool(&["-w", file, "--type", "secrkey", "--key-type", &key_type, "--label", label, "--usage-wrap"]);
    }
}

fn initialise(folder: &Path) {
    fs::create_dir(folder.join("tokens")).unwrap();
    fs::write(folder.join("softhsm2.conf"), format!("directories.tokendir = {}/tokens\n", folder.display())).unwrap();
    let mut init = in_folder(Command::new("softhsm2-util"), folder);
    run(init.args(["--init-token", "--free", "--label", LABEL, "--so-pin", "12345678", "--pin", PIN]));
}

fn in_folder(mut command: Command, folder: &Path) -> Command {
    command.env("SOFTHSM2_CONF", folder.join("softhsm2.conf"));
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
