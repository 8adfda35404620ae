//! How a page is looked at: wide and on a phone, light and dark, by a screen reader, over a slow line, without script.

use counterparts::browser::{Browser, Look};
use serde_json::json;
use std::path::PathBuf;
use std::{env, fs};

/// A page, with all that it needs, may weigh so many bytes.
const PAGE_BUDGET: u64 = 100_000;
/// So may its picture, because it is kept.
const PICTURE_BUDGET: usize = 100_000;

/// A page of the console.
#[derive(Debug)]
pub struct Page<'p> {
    /// Names its pictures.
    pub name: &'p str,
    /// Where it is.
    pub url: String,
    /// The HTTP status that it comes with.
    pub status: u16,
}

/// Looks at the page in every way. `KEYFOLD_PICTURES` names a folder for pictures of it.
pub async fn look_at(browser: &Browser, page: &Page<'_>) {
    for look in Look::ALL {
        browser.look(look).await;
        browser.go(&page.url).await;
        judge(browser, page, look).await;
        keep(page, look, &browser.screenshot().await);
    }
    browser.look(Look::Light).await;
    is_there_without_script(browser, page).await;
}

async fn judge(browser: &Browser, page: &Page<'_>, look: Look) {
    let name = page.name;
    let loaded = browser.loaded().await;
    let weight: u64 = loaded.iter().map(|loaded| loaded.bytes).sum();
    assert!(weight < PAGE_BUDGET, "{name} weighs {weight} bytes: {loaded:#?}");
    assert!(!browser.is_too_wide().await, "{name} is too wide ({look:?}): {}", sticking_out(browser).await);
    let violations = browser.axe().await;
    assert!(violations.is_empty(), "{name} ({look:?}): {violations:#?}");
    let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
    assert_eq!(browser.run(status, json!([])).await, page.status, "{name}");
    let mut complaints = browser.complaints().await;
    // The browser complains of a page that is an error, whatever it says.
    complaints.retain(|one| one.source != "network" || page.status < 400 || !one.message.starts_with(&page.url));
    assert!(complaints.is_empty(), "{name} ({look:?}): {complaints:#?}");
}

/// The elements that are wider than the window.
async fn sticking_out(browser: &Browser) -> serde_json::Value {
    let out = "const width = document.documentElement.clientWidth;
        return [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > width)
            .map(one => one.outerHTML.slice(0, 80))";
    browser.run(out, json!([])).await
}

/// What the page says has to come from the server.
async fn is_there_without_script(browser: &Browser, page: &Page<'_>) {
    let heading = "return document.querySelector('main h1').innerText";
    let with = browser.run(heading, json!([])).await;
    browser.runs_scripts(false).await;
    browser.go(&page.url).await;
    assert_eq!(browser.run(heading, json!([])).await, with, "{} without script", page.name);
    assert!(browser.first_paint().await.is_some(), "{} shows nothing without script", page.name);
    browser.runs_scripts(true).await;
    browser.complaints().await;
}

fn keep(page: &Page<'_>, look: Look, picture: &[u8]) {
    assert!(picture.len() < PICTURE_BUDGET, "the picture of {} ({look:?}) has {} bytes", page.name, picture.len());
    if let Some(folder) = env::var_os("KEYFOLD_PICTURES") {
        fs::write(PathBuf::from(folder).join(format!("{}-{}.webp", page.name, look.as_str())), picture).unwrap();
    }
}
