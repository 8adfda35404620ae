//! Who may import whom, as docs/ARCHITECTURE.md says: read from the sources and manifests themselves.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file, in lines.
const MAX_LINES: usize = 400;
/// Nothing is called by these: they say nothing.
const EMPTY_NAMES: [&str; 6] = ["core", "common", "util", "utils", "helper", "manager"];

/// Each module of the broker that is not free to import all of it, and what it may not import.
const FORBIDDEN: [(&str, &[&str]); 41] = [
    (
        "console",
        &[
            "cli",
            "http",
            "ops",
            "commit",
            "store",
            "broker",
            "caller",
            "config",
            "keys",
            "kms",
            "limits",
            "nonce",
            "feeds",
            "delivery",
            "cosigning",
            "sending",
        ],
    ),
    ("http", &["cli", "console"]),
    ("ops", &["cli", "console", "http", "api"]),
    ("delivery", &["cli", "console", "http", "api"]),
    ("cosigning", &["cli", "console", "http", "api", "delivery"]),
    ("sending", &["cli", "console", "http", "api", "ops", "delivery"]),
    ("commit", &["cli", "http", "api", "ops", "caller", "broker", "config", "kms", "limits", "nonce", "delivery"]),
    (
        "store",
        &["cli", "http", "api", "ops", "commit", "caller", "broker", "config", "error", "keys", "kms", "delivery"],
    ),
    ("api", UPPER),
    ("attestation", UPPER),
    ("broker", UPPER),
    ("caller", UPPER),
    ("clock", UPPER),
    ("config", UPPER),
    ("countries", UPPER),
    ("digest", UPPER),
    ("directory", UPPER),
    ("disk", UPPER),
    ("error", UPPER),
    ("feeds", UPPER),
    ("health", UPPER),
    ("inventory", UPPER),
    ("issuers", UPPER),
    ("keys", UPPER),
    ("kms", UPPER),
    ("latency", UPPER),
    ("limits", UPPER),
    ("niced", UPPER),
    ("nonce", UPPER),
    ("outbox", UPPER),
    ("pace", UPPER),
    ("pending", UPPER),
    ("quorum", UPPER),
    ("quota", UPPER),
    ("reserved", UPPER),
    ("rulebook", UPPER),
    ("roster", UPPER),
    ("sessions", UPPER),
    ("sso", UPPER),
    ("testimony", UPPER),
    ("time_zone", UPPER),
];
const UPPER: &[&str] = &["cli", "console", "http", "ops", "delivery", "cosigning", "sending"];

/// Crates that only some modules of the broker may name.
const CONFINED: [(&str, &[&str]); 7] = [
    ("axum", &["http", "console"]),
    ("askama", &["http", "console"]),
    ("utoipa_axum", &["http", "console"]),
    ("sqlx", &["store", "commit"]),
    ("device", &["cli"]),
    ("clap", &["cli", "main"]),
    ("reqwest", &["cli"]),
];

/// The rooms that each room may depend on.
const ROOMS: [(&str, &[&str]); 11] = [
    ("keyfold-secret", &[]),
    ("keyfold-identity", &["keyfold-secret"]),
    ("keyfold-providers", &["keyfold-secret"]),
    ("keyfold-policies", &[]),
    ("keyfold-audit", &["keyfold-secret"]),
    ("keyfold-sinks", &["keyfold-secret", "keyfold-audit"]),
    ("keyfold-notices", &["keyfold-secret", "keyfold-audit", "keyfold-sinks"]),
    ("keyfold-witness", &["keyfold-audit"]),
    ("keyfold-protocol", &["keyfold-secret"]),
    ("keyfold-device", &["keyfold-secret", "keyfold-protocol", "keyfold-audit"]),
    (
        "keyfold",
        &[
            "keyfold-secret",
            "keyfold-identity",
            "keyfold-providers",
            "keyfold-policies",
            "keyfold-audit",
            "keyfold-sinks",
            "keyfold-notices",
            "keyfold-witness",
            "keyfold-protocol",
            "keyfold-device",
        ],
    ),
];

/// What only the providers may depend on.
const VENDOR_CRATES: [&str; 3] = ["cryptoki", "cryptoki-sys", "aes-kw"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder, but for what was built.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The broker's files, each with the module of `src/` that it is in and its text without comments.
fn broker_files() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    let module = |path: &Path| {
        let first = path.strip_prefix(&src).unwrap().components().next().unwrap();
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    };
    let code = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    sources(&src).into_iter().map(|path| (module(&path), path.clone(), code(&path))).collect()
}

/// What follows `prefix` wherever it starts a path: one name, or the first names of a `{..}` group.
fn named_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let starts =
        text.match_indices(prefix).filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    starts.flat_map(|(at, _)| first_names(&text[at + prefix.len()..])).collect()
}

fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![identifier(rest)] };
    let (mut depth, mut names, mut due) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => due = true,
            c if due && !c.is_whitespace() => {
                names.push(identifier(&group[at..]));
                due = false;
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_are_read_as_rust_reads_them() {
    let text =
        "use crate::{caller, ops::{self, wrap}};\nlet x = crate::store::log::head(); mycrate::no(); xcrate::no();";
    assert_eq!(named_after(text, "crate::").into_iter().collect::<Vec<_>>(), ["caller", "ops", "store"]);
}

#[test]
fn the_modules_of_the_broker_import_downwards_only() {
    for (module, path, text) in broker_files() {
        let Some((_, forbidden)) = FORBIDDEN.iter().find(|(name, _)| *name == module) else {
            assert!(["main", "cli"].contains(&&*module), "`{module}` needs a place in the order: add it to FORBIDDEN");
            continue;
        };
        let imported = named_after(&text, "crate::");
        let wrong: Vec<_> = imported.iter().filter(|name| forbidden.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "{} may not import {wrong:?}", path.display());
    }
}

#[test]
fn the_web_the_database_and_the_sdk_stay_in_their_rooms() {
    for (module, path, text) in broker_files() {
        for (name, rooms) in CONFINED {
            let used = !named_after(&text, &format!("{name}::")).is_empty();
            assert!(!used || rooms.contains(&&*module), "{} may not use `{name}`", path.display());
        }
    }
}

#[test]
fn the_rooms_depend_on_what_they_may() {
    let mut cargo = Command::new(env!("CARGO"));
    let cargo = cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root());
    let metadata: Value = serde_json::from_slice(&cargo.output().unwrap().stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    for (room, allowed) in ROOMS {
        let package = packages.iter().find(|package| package["name"] == room).unwrap();
        let names =
            package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null());
        let names: Vec<&str> = names.map(|dependency| dependency["name"].as_str().unwrap()).collect();
        let rooms: Vec<_> = names.iter().filter(|name| name.starts_with("keyfold")).collect();
        assert!(rooms.iter().all(|name| allowed.contains(name)), "{room} depends on {rooms:?}");
        let vendor = names.iter().any(|name| VENDOR_CRATES.contains(name));
        assert!(!vendor || room == "keyfold-providers", "{room} depends on a vendor's crate: {names:?}");
        let engine = names.iter().any(|name| ["axum", "sqlx"].contains(name));
        assert!(!engine || room == "keyfold", "{room} depends on the broker's engines: {names:?}");
    }
}

#[test]
fn files_stay_short_and_names_say_something() {
    for path in sources(root()) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
        let shown = path.strip_prefix(root()).unwrap().with_extension("");
        let parts = shown.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        assert!(
            parts
                .flat_map(|part| part.split(['_', '-']).map(str::to_owned).collect::<Vec<_>>())
                .all(|word| !EMPTY_NAMES.contains(&&*word)),
            "{}",
            path.display()
        );
    }
}
