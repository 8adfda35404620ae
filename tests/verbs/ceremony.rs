//! `keyfold ceremony`: what it makes, a provider opens; what it must not make, it refuses.

use crate::harness::{KEYFOLD, text};
use protocol::ceremony::Material;
use protocol::encoding::to_base64url;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const AES_KEY_WRAP: &str = "CKM_RSA_AES_KEY_WRAP";
const OAEP: &str = "CKM_RSA_PKCS_OAEP";

/// What `tests/oracles/ceremony.py` answers.
pub fn oracle(request: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let oracles = std::env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), Into::into);
    let mut python = Command::new(oracles.join("bin/python"));
    let python = python.arg(root.join("tests/oracles/ceremony.py"));
    let done = with_input(python, &request.to_string());
    assert!(done.status.success(), "{}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// `keyfold ceremony wrap` in this folder, from `parameters.json` to `material.json`.
pub fn ceremony(folder: &Path, words: &[&str]) -> Output {
    with_input(&mut command(folder, &[], words), "")
}

fn command(folder: &Path, wrapper: &[&str], words: &[&str]) -> Command {
    let ceremony = [KEYFOLD, "ceremony", "wrap", "--parameters", "parameters.json", "--out", "material.json"];
    let all = [wrapper, &ceremony, words].concat();
    let mut command = Command::new(all[0]);
    command.args(&all[1..]).current_dir(folder);
    command
}

fn with_input(command: &mut Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who refuses the rest of the command line reads no input.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// An offline machine: a folder with the parameters of a provider whose private key a test has.
struct Offline {
    folder: TempDir,
    vendor: Value,
    mechanism: &'static str,
    hash: &'static str,
}

impl Offline {
    /// With an RSA key of so many bits and the most usual mechanism.
    fn with_key(bits: u32) -> Self {
        Self::with(bits, AES_KEY_WRAP, "SHA-256")
    }

    fn with(bits: u32, mechanism: &'static str, hash: &'static str) -> Self {
        let vendor = oracle(&json!({"do": "make", "bits": bits}));
        let offline = Self { folder: TempDir::new().unwrap(), vendor, mechanism, hash };
        offline.parameters(&json!({}));
        offline
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the parameters, but for `changed`.
    fn parameters(&self, changed: &Value) {
        let mut parameters = json!({
            "tenant": "acme", "provider": "bao", "key": "customer-key", "wrapping_key": self.vendor["wrapping_key"],
            "mechanism": self.mechanism, "hash": self.hash, "token": "dG9rZW4", "expires_at": 4_000_000_000_000_i64,
        });
        parameters.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        fs::write(self.path("parameters.json"), parameters.to_string()).unwrap();
    }

    fn fingerprint(&self) -> &str {
        self.vendor["fingerprint"].as_str().unwrap()
    }

    /// A file of `bytes` with these permissions.
    fn file(&self, name: &str, bytes: &[u8], mode: u32) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self, wrapper: &[&str], words: &[&str]) -> Command {
        command(self.folder.path(), wrapper, words)
    }

    /// `keyfold ceremony wrap` with the right fingerprint.
    fn wrap(&self, words: &[&str]) -> Output {
        let fingerprint = ["--fingerprint", self.fingerprint()];
        ceremony(self.folder.path(), &[&fingerprint, words].concat())
    }

    fn material(&self) -> Material {
        protocol::encoding::from_json(&fs::read(self.path("material.json")).unwrap()).unwrap()
    }

    /// What the provider finds in `material`.
    fn open(&self, material: &[u8]) -> Value {
        let (private, material) = (&self.vendor["private"], to_base64url(material));
        let (mechanism, hash) = (self.mechanism, self.hash);
        oracle(&json!({"do": "open_material", "private": private, "mechanism": mechanism, "hash": hash,
            "material": material}))
    }

    /// It refused, said why, and made nothing.
    fn refused(&self, output: &Output, why: &str) {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "`{why}` is not in: {said}");
        assert!(
            output.stdout.is_empty() && !self.path("material.json").exists() && !self.path("kek").exists(),
            "{why}"
        );
    }
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn python_opens_what_the_ceremony_wrapped() {
    for (bits, mechanism, hash) in [
        (2_048, AES_KEY_WRAP, "SHA-1"),
        (3_072, AES_KEY_WRAP, "SHA-256"),
        (4_096, AES_KEY_WRAP, "SHA-256"),
        (2_048, OAEP, "SHA-1"),
        (4_096, OAEP, "SHA-256"),
    ] {
        let offline = Offline::with(bits, mechanism, hash);
        let done = offline.wrap(&["--keep", "kek"]);
        let said = succeeded(&done) + &text(&done.stderr);
        let (material, kept) = (offline.material(), fs::read(offline.path("kek")).unwrap());
        let opened = offline.open(&material.material.0);
        assert_eq!(opened["key"], hex::encode(&kept), "{bits} {mechanism} {hash}");
        assert_eq!(opened["check_value"], material.check_value.to_string());
        assert_eq!(material.fingerprint, offline.fingerprint().parse().unwrap());
        assert_eq!(material.token.0, b"token");
        assert_eq!(fs::metadata(offline.path("kek")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(said.contains("warning: `kek` holds the KEK in clear"), "{said}");
        let everywhere = said + &fs::read_to_string(offline.path("material.json")).unwrap();
        for shown in [hex::encode(&kept), to_base64url(&kept)] {
            assert!(!everywhere.contains(&shown[..16]));
        }
    }
}

#[test]
fn python_opens_no_material_that_was_altered() {
    let offline = Offline::with_key(2_048);
    succeeded(&offline.wrap(&[]));
    let good = offline.material().material.0;
    assert!(offline.open(&good)["key"].is_string());
    for at in [1, 255, 256, good.len() - 1] {
        let mut altered = good.clone();
        altered[at] ^= 1;
        assert!(offline.open(&altered)["key"].is_null(), "byte {at}");
    }
}

#[test]
fn each_new_key_is_another_and_an_own_key_stays_what_it_is() {
    let offline = Offline::with_key(2_048);
    let kek = |words: &[&str]| {
        let done = offline.wrap(words);
        succeeded(&done);
        let material = offline.material();
        fs::remove_file(offline.path("material.json")).unwrap();
        (offline.open(&material.material.0)["key"].clone(), text(&done.stderr))
    };
    let ((first, warned), (second, _)) = (kek(&[]), kek(&[]));
    assert_ne!(first, second);
    assert!(warned.contains("nobody keeps a copy"), "{warned}");
    offline.file("own", &[7; 32], 0o400);
    let (own, warned) = kek(&["--key-file", "own"]);
    assert_eq!(own, hex::encode([7; 32]));
    assert!(!warned.contains("KEK in clear") && !warned.contains("nobody keeps"), "{warned}");
}

#[test]
fn only_the_wrapping_key_that_people_compared_is_used() {
    let offline = Offline::with_key(2_048);
    let typed = |said: &str| with_input(&mut offline.command(&[], &[]), said);
    let groups: Vec<_> = offline.fingerprint().as_bytes().chunks(4).map(text).collect();
    let other = offline.fingerprint().replace(&offline.fingerprint()[..1], "g");
    offline.refused(&typed(""), "64 hexadecimal digits");
    offline.refused(&typed(&other), "64 hexadecimal digits");
    let exchanged = oracle(&json!({"do": "make", "bits": 2_048}));
    offline.refused(&typed(exchanged["fingerprint"].as_str().unwrap()), "the wrapping key is another");
    succeeded(&typed(&groups.join(" ").to_uppercase()));
    fs::remove_file(offline.path("material.json")).unwrap();
    offline.parameters(&json!({"wrapping_key": exchanged["wrapping_key"]}));
    offline.refused(&offline.wrap(&["--keep", "kek"]), "the wrapping key is another");
}

#[test]
fn what_a_provider_would_not_take_is_not_made() {
    let offline = Offline::with_key(2_048);
    for (changed, why) in [
        (json!({"expires_at": 1_700_000_000_000_i64}), "expired"),
        (json!({"hash": "MD5"}), "holds no parameters"),
        (json!({"mechanism": "CKM_RSA_PKCS"}), "holds no parameters"),
        (json!({"key": "a\u{1b}[2Jb"}), "holds no parameters"),
        (json!({"more": 1}), "holds no parameters"),
    ] {
        offline.parameters(&changed);
        offline.refused(&offline.wrap(&["--keep", "kek"]), why);
    }
    for bits in [0, 1_024] {
        let weak = Offline::with_key(bits);
        weak.refused(&weak.wrap(&["--keep", "kek"]), "no RSA public key of 2048 to 8192 bits");
    }
    let nonsense = json!({"wrapping_key": to_base64url(b"nonsense")});
    offline.parameters(&nonsense);
    let fingerprint = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"nonsense"));
    let done = ceremony(offline.folder.path(), &["--fingerprint", &fingerprint]);
    offline.refused(&done, "no RSA public key of 2048 to 8192 bits");
}

#[test]
fn a_key_file_that_others_may_read_or_that_is_no_key_is_refused() {
    let offline = Offline::with_key(2_048);
    for (len, mode, why) in [
        (31, 0o600, "has 31 bytes"),
        (33, 0o600, "has 33 bytes"),
        (0, 0o600, "has 0 bytes"),
        (32, 0o640, "chmod 600"),
        (32, 0o604, "chmod 600"),
    ] {
        offline.file("own", &vec![7; len], mode);
        offline.refused(&offline.wrap(&["--key-file", "own"]), why);
    }
    offline.refused(&offline.wrap(&["--key-file", "nowhere"]), "cannot be read");
}

#[test]
fn no_file_is_ever_replaced() {
    let offline = Offline::with_key(2_048);
    offline.file("copy", b"another key", 0o600);
    offline.refused(&offline.wrap(&["--keep", "copy"]), "cannot be made");
    assert_eq!(fs::read(offline.path("copy")).unwrap(), b"another key");
    offline.file("material.json", b"other material", 0o600);
    assert!(!offline.wrap(&["--keep", "kek"]).status.success());
    assert!(!offline.path("kek").exists());
    assert_eq!(fs::read(offline.path("material.json")).unwrap(), b"other material");
}

#[test]
fn it_opens_no_socket() {
    let offline = Offline::with_key(2_048);
    let words = ["--fingerprint", offline.fingerprint()];
    let trace = ["strace", "-f", "-qq", "-e", "trace=network,openat", "-o", "trace"];
    succeeded(&with_input(&mut offline.command(&trace, &words), ""));
    let calls = fs::read_to_string(offline.path("trace")).unwrap();
    assert!(calls.contains("parameters.json"), "strace sees nothing: {calls}");
    let network: Vec<_> = calls.lines().filter(|call| !call.contains("openat(")).collect();
    assert!(network.is_empty(), "{network:?}");
}
