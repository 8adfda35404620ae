//! A SoftHSM2 token with one wrapping key, in a folder of its own.

use crate::Failure;
use crate::broker::run;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
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
        run(Path::new("pkcs11-tool"), |command| {
            token.enter(command);
            command.args(["--module", MODULE, "--token-label", LABEL, "--login", "--pin", PIN, "--keygen"]);
            command.args(["--key-type", "AES:32", "--label", Self::KEY, "--usage-wrap"]);
            // It complains that it cannot show the key that it has made.
            command.stdout(Stdio::null()).stderr(Stdio::null());
        })?;
        Ok(Some(token))
    }

    /// Lets a program see this token and no other.
    pub fn enter(&self, command: &mut Command) {
        command.env("SOFTHSM2_CONF", self.0.path().join("softhsm2.conf"));
    }

    /// The part of the broker's configuration that names it.
    pub fn provider(&self) -> String {
        let pin = self.0.path().join("pin");
        format!(
            "\n[providers.hsm]\ntype = \"pkcs11\"\nmodule = \"{MODULE}\"\ntoken = \"{LABEL}\"\n\
             pin = {{ file = \"{}\" }}\n",
            pin.display()
        )
    }
}
