//! The example configuration is one that this broker reads, down to its last field.

use std::{fs, process::Command};

#[test]
fn the_example_configuration_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyfold.toml");
    let example = include_str!("../deploy/keyfold.toml");
    let example = example.replace("0.0.0.0:8443", "127.0.0.1:0").replace("/etc/keyfold/tls.pem", "no-such.pem");
    fs::write(&path, &example).unwrap();
    let serve = Command::new(env!("CARGO_BIN_EXE_keyfold")).args(["serve", "--config"]).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&serve.stderr);
    assert!(!serve.status.success() && said.contains("no-such.pem"), "{said}");
}
