//! A SoftHSM2 token of its own.

use std::fs;
use std::process::Command;
use tempfile::TempDir;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "keyfold";

/// Gone when it is dropped.
pub struct Hsm {
    folder: TempDir,
    pin: &'static str,
}

impl Hsm {
    /// An initialized token without keys.
    pub fn start(pin: &'static str) -> Self {
        let hsm = Self { folder: TempDir::new().unwrap(), pin };
        let tokens = hsm.folder.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        fs::write(hsm.path("softhsm2.conf"), format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        fs::write(hsm.path("pin"), pin).unwrap();
        hsm.tool("softhsm2-util", &["--init-token", "--free", "--label", LABEL, "--so-pin", "12345678", "--pin", pin]);
        hsm
    }

    /// A new AES key.
    pub fn create_key(&self, label: &str) {
        let login = ["--module", MODULE, "--token-label", LABEL, "--login", "--pin", self.pin, "--keygen"];
        let key = ["--key-type", "AES:32", "--label", label, "--usage-wrap", "--sensitive"];
        self.tool("pkcs11-tool", &[&login[..], &key].concat());
    }

    /// The provider `hsm` of a broker's configuration.
    pub fn provider(&self) -> String {
        format!(
            "\n[providers.hsm]\ntype = \"pkcs11\"\nmodule = \"{MODULE}\"\ntoken = \"{LABEL}\"\n\
             pin = {{ file = \"{}\" }}\nenvironment = {{ SOFTHSM2_CONF = \"{}\" }}\n",
            self.path("pin"),
            self.path("softhsm2.conf")
        )
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn tool(&self, program: &str, words: &[&str]) {
        let settings = self.path("softhsm2.conf");
        let output = Command::new(program).args(words).env("SOFTHSM2_CONF", settings).output().unwrap();
        assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
