//! The whole story through the binaries: what people read, what programs read, and what an error looks like.

use crate::harness::{Broker, TENANT, keyfold, text};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

/// An operator's and a user's terminals.
struct Terminal {
    broker: Broker,
    folder: TempDir,
}

impl Terminal {
    async fn open() -> Self {
        Self { broker: Broker::start().await, folder: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with this text; its path as an argument.
    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().into()
    }

    /// `keyfold admin`, for people.
    fn admin(&self, words: &[&str]) -> String {
        succeeded(words, &self.broker.run_admin(words))
    }

    /// `keyfold admin --json`.
    fn admin_json(&self, words: &[&str]) -> Value {
        let words = [words, &["--json"]].concat();
        serde_json::from_str(&succeeded(&words, &self.broker.run_admin(&words))).unwrap()
    }

    fn run_device(&self, name: &str, words: &[&str]) -> Output {
        let (state, passphrase) = (self.path(name), self.file("device-passphrase", "correct horse battery"));
        let options = ["device", "--state", state.to_str().unwrap(), "--passphrase-file", &passphrase];
        keyfold(&[&options[..], words].concat())
    }

    /// `keyfold device`, with a state file of this name.
    fn device(&self, name: &str, words: &[&str]) -> String {
        succeeded(words, &self.run_device(name, words))
    }

    /// Enrols a device for alice; gives its id.
    fn enrol(&self, name: &str) -> String {
        let code = self.file("code", &self.admin(&["enrolment-code", TENANT, "alice"]));
        let (url, ca) = (self.broker.url(""), self.broker.path("ca.pem"));
        let words = ["enrol", "--url", &url, "--ca", ca.to_str().unwrap(), "--tenant", TENANT, "--code-file", &code];
        let said = self.device(name, &[&words[..], &["--name", name]].concat());
        let id = said.strip_prefix("enrolled as device ").unwrap().split(' ').next().unwrap();
        id.into()
    }
}

fn succeeded(words: &[&str], output: &Output) -> String {
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// An error: exit code 1, one clear line that names the program, nothing on standard output.
fn failed(output: &Output, about: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("keyfold: ") && said.lines().count() == 1, "{said}");
    assert!(said.contains(about), "`{about}` is not in: {said}");
    assert!(output.stdout.is_empty());
}

/// The rows of a table, each a list of its cells; the first is the heading.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_lost_and_another_gets_its_key_back() {
    let terminal = Terminal::open().await;
    let vkey = terminal.admin(&["tenant", "create", TENANT, "--unattested-days", "30"]);
    terminal.broker.keystore(&["add", TENANT]);
    let kek = terminal.admin(&["kek", "register", TENANT, "--provider", "software", "--key", TENANT]);
    terminal.admin(&["user", "create", TENANT, "alice"]);
    let first = terminal.enrol("first");

    let secret = terminal.file("identity.key", "the identity key");
    let said = terminal.device("first", &["backup", "identity", &secret]);
    assert!(said.starts_with("backed up identity as generation 1, record "), "{said}");
    let revoked = terminal.admin(&["revoke", TENANT, "--reason", "lost", "device", &first]);
    assert!(revoked.starts_with("revoked, effective 20"), "{revoked}");
    let out = terminal.path("stolen");
    let restore = ["restore", "identity", "--reason", "new phone", "--out", out.to_str().unwrap()];
    failed(&terminal.run_device("first", &restore), "device_inactive");
    assert!(!out.exists());

    terminal.enrol("second");
    let out = terminal.path("restored");
    let restore = ["restore", "identity", "--reason", "new phone", "--out", out.to_str().unwrap()];
    assert_eq!(terminal.device("second", &restore), "restored identity generation 1\n");
    assert_eq!(fs::read_to_string(out.join("identity")).unwrap(), "the identity key");
    failed(&terminal.run_device("second", &restore), "cannot be made");

    lists_say_the_same_twice(&terminal, kek.trim());
    let status: Value = serde_json::from_str(&terminal.device("second", &["status"])).unwrap();
    assert_eq!(status["state"], "active");
    let (export, pinned) = (terminal.path("export"), terminal.file("vkey", &vkey));
    terminal.admin(&["export", TENANT, "--out", export.to_str().unwrap(), "--vkey", vkey.trim()]);
    let verified = keyfold(&["verify", export.to_str().unwrap(), "--vkey", &pinned]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
}

/// Every list as a table and as JSON: as many rows, and the same words.
fn lists_say_the_same_twice(terminal: &Terminal, kek: &str) {
    for (words, heading, items) in [
        (&["tenant", "list"][..], "TENANT", 1),
        (&["kek", "list", TENANT], "KEK", 1),
        (&["user", "list", TENANT], "USER", 1),
        (&["devices", TENANT], "DEVICE", 2),
        (&["records", TENANT], "RECORD", 1),
        (&["restore", "list", TENANT], "RESTORE", 2),
    ] {
        let (table, list) = (terminal.admin(words), terminal.admin_json(words));
        let (rows, list) = (rows(&table), list.as_array().unwrap());
        assert_eq!((rows[0][0], rows.len(), list.len()), (heading, items + 1, items), "{words:?}: {table}");
        for (row, item) in rows[1..].iter().zip(list) {
            assert_eq!(row[0], item["id"].as_str().unwrap(), "{words:?}");
        }
    }
    assert_eq!(terminal.admin_json(&["kek", "list", TENANT])[0]["id"], kek);
    let records = terminal.device("second", &["records"]);
    let listed: Value = serde_json::from_str(&terminal.device("second", &["records", "--json"])).unwrap();
    assert_eq!(rows(&records)[1][0], listed[0]["record"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_one_clear_line_and_exit_code_1() {
    let terminal = Terminal::open().await;
    terminal.broker.with_tenant().await;
    failed(&terminal.broker.run_admin(&["user", "create", TENANT, "alice"]), "taken");
    failed(&terminal.broker.run_admin(&["user", "create", "nobody", "alice"]), "not_found");
    failed(&terminal.broker.run_admin(&["user", "create", TENANT, "a b"]), "malformed");
    failed(
        &terminal.broker.run_admin(&["kek", "register", TENANT, "--provider", "software", "--key", "none"]),
        "kek_not_found",
    );
    let unsure = ["revoke", TENANT, "--reason", "test", "tenant", "--confirm", "acne"];
    failed(&terminal.broker.run_admin(&unsure), "nothing was revoked");
    failed(&terminal.run_device("none", &["status"]), "state file");
    let enrol = terminal.enrol("phone");
    assert_eq!(enrol.len(), 36);
    failed(
        &terminal.run_device("phone", &["restore", "nothing", "--reason", "test", "--out", "/nowhere"]),
        "record_unknown",
    );
    failed(&keyfold(&["serve", "--config", "/nowhere/keyfold.toml"]), "/nowhere/keyfold.toml");
    failed(&keyfold(&["verify", "/nowhere"]), "nowhere");

    let (ca, url) = (terminal.broker.path("ca.pem"), terminal.broker.url(""));
    let ca = ca.to_str().unwrap();
    let token = terminal.file("token", "a token that is not the operator's");
    let with =
        |url: &str, ca: &str| keyfold(&["admin", "--url", url, "--ca", ca, "--token-file", &token, "tenant", "list"]);
    failed(&with(&url, ca), "unauthorized");
    failed(&with(&url, "/nowhere"), "No such file");
    failed(&with("https://localhost:1", ca), "error sending request");
    failed(&with(&url.replace("https", "http"), ca), "URL");
    assert_eq!(keyfold(&["admin", "nonsense"]).status.code(), Some(2), "how it is called is clap's to say");
}

/// The names under `Commands:` in a help text.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("    ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn help_of(words: &[String]) -> usize {
    let asked: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
    let help = keyfold(&asked);
    assert!(help.status.success(), "{asked:?}");
    let help = text(&help.stdout);
    assert!(help.contains("Usage: keyfold"), "{help}");
    commands(&help).into_iter().map(|name| help_of(&[words, &[name]].concat())).sum::<usize>() + 1
}

#[test]
fn every_command_explains_itself() {
    let explained = help_of(&[]);
    assert!(explained > 25, "only {explained} commands were found");
}
