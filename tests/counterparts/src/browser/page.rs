use super::Browser;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Something that a page or the browser found wrong: a script's error, a breach of the page's Content Security Policy,
/// an answer that is an error, a warning.
#[derive(Debug, Clone, Deserialize)]
pub struct Complaint {
    /// `javascript`, `security`, `network`, `console-api`, and others of Chromium's.
    pub source: String,
    /// `SEVERE` or `WARNING`.
    pub level: String,
    /// What is wrong, and where.
    pub message: String,
}

/// Something that was loaded for a page.
#[derive(Debug, Clone, Deserialize)]
pub struct Loaded {
    /// From where.
    pub name: String,
    /// Its bytes as they came, with an estimate of the header; those of the body alone where they came from the cache.
    pub bytes: u64,
}

impl Browser {
    /// What pages have complained of since this was last asked.
    pub async fn complaints(&self) -> Vec<Complaint> {
        let log = self.session.post("/se/log", json!({"type": "browser"})).await;
        let mut complaints: Vec<Complaint> = serde_json::from_value(log).expect("a log is a list of entries");
        complaints.retain(|complaint| ["SEVERE", "WARNING"].contains(&complaint.level.as_str()));
        complaints
    }

    /// The page and all that was loaded for it until now (W3C Resource Timing).
    pub async fn loaded(&self) -> Vec<Loaded> {
        let loaded = "return ['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))
            .map(entry => ({name: entry.name, bytes: Math.max(entry.transferSize, entry.encodedBodySize)}))";
        serde_json::from_value(self.run(loaded, json!([])).await).expect("entries have a name and bytes")
    }

    /// When the page first showed something of its content, in milliseconds; `None` where it does not within five seconds
    /// (W3C Paint Timing).
    pub async fn first_paint(&self) -> Option<f64> {
        let painted = "const [paint] = performance.getEntriesByName('first-contentful-paint');
            return paint ? paint.startTime : null";
        for _ in 0..100 {
            if let Some(when) = self.run(painted, json!([])).await.as_f64() {
                return Some(when);
            }
            sleep(Duration::from_millis(50)).await;
        }
        None
    }

    /// Whether the page is wider than the window, so that it has to be moved sideways to be read.
    pub async fn is_too_wide(&self) -> bool {
        let wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        self.run(wide, json!([])).await == Value::Bool(true)
    }
}
