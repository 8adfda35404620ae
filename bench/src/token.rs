//! A SoftHSM2 token with one wrapping key, in a folder of its own.

use crate::Failure;
use crate::broker::run;
use providers::pkcs11::{Options, Program, TokenUri};
use secret::Secret;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// SoftHSM2, where Debian puts it.
pub const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "keyfold-bench";
const PIN: &str = "1234";

/// A token that is removed with its folder.
pub struct Token(TempDir);

impl Token {
    /// The label of its wrapping key.
    pub const KEY: &str = "kek";

    /// A new token below `folder`; `None` where SoftHSM2 is not installed.
    pub fn make(folder: &Path) -> Result<Option<Self>, Failure> {
        if !Path::new(MODULE).exists() {
            return Ok(None);
        }
        let token = Self(TempDir::new_in(folder)?);
        let dir = token.0.path().canonicalize()?;
        fs::create_dir(dir.join("tokens"))?;
        fs::write(dir.join("softhsm2.conf"), format!("directories.tokendir = {}/tokens\n", dir.display()))?;
        fs::write(dir.join("pin"), PIN)?;
        run(Path::new("softhsm2-util"), |command| {
            token.enter(command);
            let options = ["--init-token", "--free", "--label", LABEL, "--so-pin", "12345678", "--pin", PIN];
            command.args(options).stdout(Stdio::null());
        })?;
        token.add_key(Self::KEY)?;
        Ok(Some(token))
    }

    /// Makes another wrapping key.
    pub fn add_key(&self, label: &str) -> Result<(), Failure> {
        run(Path::new("pkcs11-tool"), |command| {
            self.enter(command);
            command.args(["--module", MODULE, "--token-label", LABEL, "--login", "--pin", PIN, "--keygen"]);
            command.args(["--key-type", "AES:32", "--label", label, "--usage-wrap"]);
            // It complains that it cannot show the key that it has made.
            command.stdout(Stdio::null()).stderr(Stdio::null());
        })
    }

    /// Lets a program see this token and no other.
    fn enter(&self, command: &mut Command) {
        command.env("SOFTHSM2_CONF", self.settings());
    }

    /// SoftHSM2's own configuration.
    fn settings(&self) -> PathBuf {
        self.0.path().join("softhsm2.conf")
    }

    /// The provider `name` of a broker's configuration, by this module and with these `settings`, lines of TOML. Ends
    /// within the table of the module's environment.
    pub fn section(&self, name: &str, module: &Path, settings: &str) -> String {
        format!(
            "\n[providers.{name}]\ntype = \"pkcs11\"\nmodule = \"{}\"\ntoken = \"{LABEL}\"\n\
             pin = {{ file = \"{}\" }}\n{settings}\n[providers.{name}.environment]\nSOFTHSM2_CONF = \"{}\"\n",
            module.display(),
            self.0.path().join("pin").display(),
            self.settings().display()
        )
    }

    /// The room of the same, with so many calls at a time in all; the broker's program has its worker.
    pub fn options(&self, keyfold: &Path, workers: usize, calls: usize) -> Options {
        Options {
            module: MODULE.into(),
            library_parameters: None,
            token: TokenUri::labelled(LABEL),
            pin: Secret::copied_from(PIN.as_bytes()),
            worker: Program { path: keyfold.into(), arguments: vec!["pkcs11-worker".into()] },
            environment: [("SOFTHSM2_CONF".to_owned(), self.settings().display().to_string())].into(),
            workers,
            sessions: calls.div_ceil(workers),
            deadline: Duration::from_secs(3),
        }
    }
}
