//! What the program says and takes is documented: problem codes, routes, metrics, configuration.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use audit::finding::Rule;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The Rust sources below `folder`, one after the other.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| match path.extension() {
        Some(extension) if extension == "rs" => fs::read_to_string(path).unwrap(),
        Some(_) => String::new(),
        None => sources(&path),
    };
    entries.map(text).collect()
}

fn broker_sources() -> String {
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// All texts in quotes on one line.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

fn is_word(text: &str) -> bool {
    text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The part of `text` from `start` to `end`.
fn part<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

/// Every word that can be the `code` of a problem document.
fn codes() -> BTreeSet<String> {
    let (errors, problem, kms) = (read("src/error.rs"), read("src/http/problem.rs"), read("src/kms/mod.rs"));
    let refusals = part(&errors, "Refusal {", "\n}");
    let described = part(&problem, "fn describe(", "\n}");
    let providers = part(&kms, "pub fn code(", "\n}");
    let words = [refusals, described, providers].into_iter().flat_map(quoted).filter(|word| is_word(word));
    let bad_nonce = protocol::messages::Problem::BAD_NONCE;
    // A spent nonce goes out as `bad_nonce`.
    words.chain([bad_nonce]).filter(|code| *code != "nonce_spent").map(str::to_owned).collect()
}

/// The first cell of each row of the table below `heading`.
fn first_cells(document: &str, heading: &str) -> BTreeSet<String> {
    table_cells(document.split_once(heading).unwrap().1.split("\n## ").next().unwrap())
}

/// The first cell of each row of each table.
fn table_cells(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(cell, _)| cell.to_owned()).collect()
}

#[test]
fn each_problem_code_is_documented_and_no_other() {
    let codes = codes();
    assert!(codes.len() > 40, "{codes:?}");
    assert_eq!(first_cells(&read("docs/API.md"), "## Refusals"), codes);
}

fn openapi() -> Value {
    let printed = Command::new(env!("CARGO_BIN_EXE_keyfold")).arg("openapi").output().unwrap();
    serde_json::from_slice(&printed.stdout).unwrap()
}

#[test]
fn each_problem_code_is_the_answer_of_a_route() {
    let openapi = openapi();
    let operations = openapi["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let answers = operations.flat_map(|operation| operation["responses"].as_object().unwrap().values());
    let lines = answers.flat_map(|answer| answer["description"].as_str().unwrap().lines());
    let answered: BTreeSet<_> = lines.filter_map(|line| line.strip_prefix("- `")?.split_once('`')).collect();
    let answered: BTreeSet<_> = answered.into_iter().map(|(code, _)| code.to_owned()).collect();
    // Told in a rewrap's progress, not by a route.
    let told = BTreeSet::from(["record_rewrapped", "rewrap_incomplete"].map(str::to_owned));
    assert_eq!(answered, codes().difference(&told).cloned().collect());
}

#[test]
fn each_route_is_documented_and_no_other() {
    let openapi = openapi();
    let methods = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(|method| format!("{method} {path}")).collect::<Vec<_>>()
    };
    let mut routes: BTreeSet<_> = openapi["paths"].as_object().unwrap().iter().flat_map(methods).collect();
    routes.insert("GET /openapi.json".into());
    let api = read("docs/API.md");
    let documented = ["## Devices", "## People", "## Sessions", "## Administrators", "## Auditors", "## Operators"];
    let documented: BTreeSet<_> = documented.iter().flat_map(|heading| first_cells(&api, heading)).collect();
    assert_eq!(documented, routes);
}

#[test]
fn each_metric_is_documented_and_no_other() {
    let sources = broker_sources();
    let metrics: BTreeSet<_> = quoted(&sources)
        .into_iter()
        // Tokens begin with the bare `keyfold_`.
        .filter(|word| {
            word.starts_with("keyfold_")
                && *word != "keyfold_"
                && is_word(&word.replace(|c: char| c.is_ascii_digit(), ""))
        })
        .map(str::to_owned)
        .collect();
    assert!(metrics.len() > 8, "{metrics:?}");
    assert_eq!(first_cells(&read("docs/OPERATIONS.md"), "## Metrics"), metrics);
}

/// The configuration of sinks, without its tests: each transport may have a file of its own.
fn sink_sources() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/sink");
    let entry = read("src/config/sink.rs");
    let transports = if folder.exists() { sources(&folder) } else { String::new() };
    entry.split("#[cfg(test)]").next().unwrap().to_owned() + &transports
}

#[test]
fn each_rule_is_documented_with_its_threshold() {
    let operations = read("docs/OPERATIONS.md");
    let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.as_str().to_owned()).collect();
    assert_eq!(first_cells(&operations, "## Findings"), ids);
    for rule in Rule::ALL {
        let row = operations.lines().find(|line| line.starts_with(&format!("| `{}` |", rule.as_str()))).unwrap();
        let threshold = row.split(" | ").nth(2).unwrap();
        assert!(threshold.ends_with(&format!(" {}", rule.default_threshold())), "{threshold}");
        assert_eq!(threshold.contains("**off**"), !rule.runs_by_default(), "{threshold}");
    }
}

#[test]
fn each_field_of_the_configuration_is_documented() {
    let (config, limits) = (read("src/config/mod.rs"), read("src/limits.rs"));
    let provider = read("src/config/provider.rs");
    let structs = part(&config, "/// The whole file.", "fn default_connections");
    let provider = part(&provider, "pub enum Provider", "impl Provider");
    let azure = read("src/config/azure_key_vault.rs");
    let (sinks, witness) = (sink_sources(), read("src/config/witness.rs"));
    let cosigning = read("src/config/cosigning.rs");
    let cosigning = part(&cosigning, "pub struct Witness {", "impl Config");
    let notices = read("src/config/notices.rs");
    let rates = part(&limits, "pub struct Rates {", "\n}");
    let fields = [structs, provider, &azure, &sinks, cosigning, &witness, &notices, rates]
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| {
            let (field, kind) = line.trim().trim_start_matches("pub ").split_once(": ")?;
            // `folder` and `receiver` are not read from the file by these names; what has a `(` is code.
            (is_field(field) && !["folder", "receiver"].contains(&field) && kind.ends_with(',') && !kind.contains('('))
                .then(|| field.to_owned())
        });
    let fields: BTreeSet<_> = fields.collect();
    assert!(fields.len() > 35, "{fields:?}");
    let mut documented = first_cells(&read("docs/OPERATIONS.md"), "## Configuration");
    documented.extend(table_cells(&read("docs/SINKS.md")));
    documented.extend(table_cells(&read("docs/WITNESS.md")));
    documented.extend(table_cells(&read("docs/NOTICES.md")));
    let names: BTreeSet<_> = documented.iter().flat_map(|name| name.split('.')).map(str::to_owned).collect();
    let missing: Vec<_> = fields.difference(&names).collect();
    assert!(missing.is_empty(), "not in docs/OPERATIONS.md: {missing:?}");
}

fn is_field(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
