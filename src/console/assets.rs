//! Stylesheet, scripts and icon. Their names have a hash of their content, so that browsers may keep them for good.

use super::refusal::Refusal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;

/// How much of the hash is in the name, in hexadecimal digits.
const DIGITS: usize = 16;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: String,
    /// With the hash.
    file: String,
    href: String,
}

macro_rules! assets {
    ($($name:literal as $kind:literal),+ $(,)?) => {
        static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
            let given = [$(($name, $kind, include_str!(concat!("assets/", $name)))),+];
            given.into_iter().fold(Vec::new(), |before, asset| {
                let asset = Asset::new(asset, &before);
                before.into_iter().chain([asset]).collect()
            })
        });
    };
}

// What is imported comes before what imports it.
assets! {
    "console.css" as "text/css; charset=utf-8",
    "ask.js" as "text/javascript; charset=utf-8",
    "console.js" as "text/javascript; charset=utf-8",
    "enter.js" as "text/javascript; charset=utf-8",
    "events.js" as "text/javascript; charset=utf-8",
    "policies.js" as "text/javascript; charset=utf-8",
    "check.js" as "text/javascript; charset=utf-8",
    "icon.svg" as "image/svg+xml",
}

impl Asset {
    /// With what it imports named as it is served.
    fn new((name, kind, content): (&'static str, &'static str, &str), before: &[Self]) -> Self {
        let imported =
            |content: String, other: &Self| content.replace(&format!("./{}", other.name), &format!("./{}", other.file));
        let content = before.iter().fold(content.to_owned(), imported);
        let hash = hex::encode(digest(&SHA256, content.as_bytes()));
        let file = format!("{}-{name}", &hash[..DIGITS]);
        Self { name, kind, content, href: format!("/console/assets/{file}"), file }
    }
}

/// Where the asset of this name is.
pub(super) fn href(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.href)
}

/// One of them, by its name with hash.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Refusal> {
    let asset = ASSETS.iter().find(|asset| asset.file == name).ok_or_else(Refusal::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, asset.content.as_str()).into_response())
}
