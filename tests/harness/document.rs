//! Whether what the broker answers is in its OpenAPI document.

use super::{KEYFOLD, text};
use serde_json::Value;
use std::process::Command;
use std::sync::OnceLock;

/// The document, as `keyfold openapi` prints it.
fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let printed = Command::new(KEYFOLD).arg("openapi").output().unwrap();
        serde_json::from_str(&text(&printed.stdout)).unwrap()
    })
}

/// Panics where the document does not say that this route may answer so. `code` is a problem's; empty for a success.
pub fn assert_documented(method: &str, path: &str, (status, code): (u16, &str)) {
    let path = path.split('?').next().unwrap();
    let paths = document()["paths"].as_object().unwrap();
    let fitting = paths.iter().filter(|(template, item)| fits(template, path) && !item[method].is_null());
    let Some((template, item)) = fitting.min_by_key(|(template, _)| template.matches('{').count()) else {
        assert_eq!((status, code), (404, "not_found"), "{method} {path} is no route");
        return;
    };
    let answer = &item[method]["responses"][status.to_string()];
    let description = answer["description"].as_str().unwrap_or_default();
    let is_documented = !answer.is_null() && (code.is_empty() || description.contains(&format!("`{code}`")));
    assert!(is_documented, "{method} {template} answers {status} {code}, which is not documented");
}

/// Whether the path is one of the template's. A tile's name has slashes.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) | (Some("{tile}"), Some(_)) => return true,
            (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
            (Some(_) | None, _) => return false,
        }
    }
}
