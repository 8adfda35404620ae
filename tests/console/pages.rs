//! Every page of the console, looked at.

use crate::gallery::{Page, look_at};
use crate::harness::Broker;
use crate::sample::{self, Sample};
use crate::visitor::{Visitor, first_link};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The routes of the console's pages, and what its pictures are called.
const PAGES: [(&str, &str); 30] = [
    ("tenants", "/console"),
    ("account", "/console/account"),
    ("search", "/console/search?tenant=acme&q=a"),
    ("overview", "/console/tenants/{tenant}"),
    ("restores", "/console/tenants/{tenant}/restores"),
    ("restore", "/console/tenants/{tenant}/restores/{restore}"),
    ("locks", "/console/tenants/{tenant}/locks"),
    ("people", "/console/tenants/{tenant}/people"),
    ("person", "/console/tenants/{tenant}/people/{user}"),
    ("devices", "/console/tenants/{tenant}/devices"),
    ("device", "/console/tenants/{tenant}/devices/{device}"),
    ("records", "/console/tenants/{tenant}/records"),
    ("record", "/console/tenants/{tenant}/records/{record}"),
    ("keks", "/console/tenants/{tenant}/keks"),
    ("kek", "/console/tenants/{tenant}/keks/{kek}"),
    ("rewrap", "/console/tenants/{tenant}/rewraps/{rewrap}"),
    ("sinks", "/console/tenants/{tenant}/sinks"),
    ("sink", "/console/tenants/{tenant}/sinks/{sink}"),
    ("policies", "/console/tenants/{tenant}/policies"),
    ("policy", "/console/tenants/{tenant}/policies/{version}"),
    ("editor", "/console/tenants/{tenant}/policies/editor"),
    ("findings", "/console/tenants/{tenant}/findings"),
    ("dry-run", "/console/tenants/{tenant}/findings/dry-run"),
    ("events", "/console/tenants/{tenant}/events"),
    ("event", "/console/tenants/{tenant}/events/{index}"),
    ("admins", "/console/tenants/{tenant}/admins"),
    ("tokens", "/console/tenants/{tenant}/tokens"),
    ("sign-in", "/console/sign-in"),
    ("join", "/console/join"),
    ("sso", "/console/sso"),
];
/// The one page that needs what only a person can make; [`every_page_is_fit_to_be_seen`] looks at it too.
const OF_AN_ADMIN: &str = "/console/tenants/{tenant}/admins/{admin}";

/// The routes of pages, as the router lists them.
fn routes() -> BTreeSet<String> {
    let router = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/mod.rs")).unwrap();
    let routes = router.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let pages = routes.filter(|route| !route.ends_with(".csv") && !route.starts_with("/assets/"));
    pages.map(|route| format!("/console{}", route.trim_end_matches('/'))).collect()
}

#[test]
fn the_table_has_every_page() {
    let listed = PAGES.iter().map(|(_, path)| path.split('?').next().unwrap().to_owned());
    assert_eq!(listed.chain([OF_AN_ADMIN.to_owned()]).collect::<BTreeSet<_>>(), routes());
}

/// The paths of the sample's pages.
pub fn paths(sample: &Sample) -> impl Iterator<Item = (&'static str, String)> {
    PAGES.into_iter().map(|(name, path)| (name, sample.path(path)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_fit_to_be_seen() {
    let broker = Broker::start().await;
    let sample = sample::fill(&broker).await;
    let owner = Visitor::join(&broker, &first_link(&broker), Some("olga")).await;
    for (name, path) in paths(&sample) {
        look_at(&owner.browser, &Page { name, url: broker.url(&path), status: 200 }).await;
    }
    let (_, admins) = owner.get("/v1/admin/tenants/installation/admins").await;
    let admin = format!("/console/tenants/installation/admins/{}", admins["items"][0]["id"].as_str().unwrap());
    look_at(&owner.browser, &Page { name: "admin", url: broker.url(&admin), status: 200 }).await;
    let nowhere = broker.url("/console/nowhere");
    look_at(&owner.browser, &Page { name: "nowhere", url: nowhere, status: 404 }).await;
    owner.leave().await;
}
