//! A fresh SoftHSM2 token for each test.
//!
//! SoftHSM2 reads its configuration from the environment, once per process, and keeps process-wide state: so each test
//! runs again in a process of its own, started with the environment it needs.

use keyfold_providers::pkcs11::{OpenError, Options, Pkcs11, Program, TokenUri};
use secret::Secret;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

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
    fs::create_dir(folder.path().join("tokens")).unwrap();
    let tokens = format!("directories.tokendir = {}/tokens\n", folder.path().display());
    fs::write(folder.path().join("softhsm2.conf"), tokens).unwrap();
    initialise(folder.path(), LABEL);
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

    pub(crate) async fn open(&self) -> Pkcs11 {
        self.open_with(self.module(), PIN).await.unwrap()
    }

    pub(crate) async fn open_with(&self, module: PathBuf, pin: &str) -> Result<Pkcs11, OpenError> {
        Pkcs11::open(Options { module, pin: Secret::copied_from(pin.as_bytes()), ..self.options() }).await
    }

    /// One worker with four sessions.
    pub(crate) fn options(&self) -> Options {
        let passed_on = ["KEYFOLD_FAULT", "KEYFOLD_REAL_MODULE"];
        Options {
            module: self.module(),
            library_parameters: None,
            token: TokenUri::labelled(LABEL),
            pin: Secret::copied_from(PIN.as_bytes()),
            worker: Program { path: env!("CARGO_BIN_EXE_keyfold-pkcs11-worker").into(), arguments: Vec::new() },
            environment: passed_on.map(|name| (name.to_owned(), env::var(name).unwrap())).into(),
            workers: 1,
            sessions: 4,
            deadline: Duration::from_secs(3),
        }
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

    /// How often the faulty module has done something.
    pub(crate) fn count(&self, what: &str) -> usize {
        fs::read_to_string(self.folder.join("fault").with_extension(what)).map_or(0, |lines| lines.lines().count())
    }

    /// Makes another token.
    pub(crate) fn initialise(&self, label: &str) {
        initialise(&self.folder, label);
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

fn initialise(folder: &Path, label: &str) {
    let mut init = in_folder(Command::new("softhsm2-util"), folder);
    run(init.args(["--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN]));
}

fn in_folder(mut command: Command, folder: &Path) -> Command {
    command.env("SOFTHSM2_CONF", folder.join("softhsm2.conf"));
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
