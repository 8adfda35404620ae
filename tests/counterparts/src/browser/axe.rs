//! axe-core: what keeps people with a screen reader, a keyboard or poor sight from using a page.

#![expect(clippy::panic, reason = "a test without axe-core fails")]

use super::Browser;
use serde::Deserialize;
use serde_json::json;
use std::env;
use std::fs;

/// A rule that the page violates.
#[derive(Debug, Clone, Deserialize)]
pub struct Violation {
    /// As axe-core names the rule.
    pub id: String,
    /// What is wrong.
    pub help: String,
    /// Where.
    pub nodes: Vec<Node>,
}

/// A piece of a page that violates a rule.
#[derive(Debug, Clone, Deserialize)]
pub struct Node {
    /// As it stands in the page.
    pub html: String,
    /// What is wrong with it, and with what around it.
    #[serde(rename = "failureSummary", default)]
    pub summary: String,
}

impl Browser {
    /// Every rule of axe-core that the page violates as it is shown now.
    ///
    /// # Panics
    /// When there is no axe-core: name `axe.min.js` in `KEYFOLD_AXE`.
    pub async fn axe(&self) -> Vec<Violation> {
        let axe = env::var_os("KEYFOLD_AXE").unwrap_or_else(|| panic!("KEYFOLD_AXE is not set; ./dev test sets it"));
        let axe = fs::read_to_string(axe).unwrap_or_else(|error| panic!("axe-core: {error}"));
        if self.run("return typeof axe === 'undefined'", json!([])).await == true {
            self.run(&axe, json!([])).await;
        }
        let run = "return axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)";
        serde_json::from_value(self.run(run, json!([])).await).unwrap_or_else(|error| panic!("axe-core: {error}"))
    }
}
