//! The admin pages: a client of the public API and nothing else.
//!
//! A page is a `GET`. It asks the API in process, with the credentials of whoever asks for the page, and renders the answer:
//! what the API does not show, no page shows. What changes something is asked of the API by the browser itself.

mod account;
mod admins;
mod assets;
mod cell;
mod chart;
mod client;
mod csv;
mod decisions;
mod devices;
mod diff;
mod entrance;
mod events;
mod filter;
mod filters;
mod findings;
mod form;
mod frame;
mod headers;
mod keks;
mod list;
mod locks;
mod overview;
mod people;
mod policies;
mod records;
mod refusal;
mod restores;
mod rewraps;
mod sheet;
mod sinks;
mod table;
mod tenants;
mod tokens;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use client::Site;

/// The pages below `/console`, in front of the API that they are made from.
pub fn router(api: Router) -> Router {
    let pages = Router::new()
        .route("/", get(tenants::list))
        .route("/tenants.csv", get(tenants::csv))
        .route("/tenants/{tenant}/people", get(people::list))
        .route("/tenants/{tenant}/people.csv", get(people::csv))
        .route("/sign-in", get(entrance::sign_in))
        .route("/join", get(entrance::join))
        .route("/sso", get(entrance::sso))
        .route("/account", get(account::show))
        .route("/search", get(overview::search))
        .route("/tenants/{tenant}", get(overview::show))
        .route("/tenants/{tenant}/restores", get(restores::list))
        .route("/tenants/{tenant}/restores.csv", get(restores::csv))
        .route("/tenants/{tenant}/locks", get(locks::list))
        .route("/tenants/{tenant}/locks.csv", get(locks::csv))
        .route("/tenants/{tenant}/devices", get(devices::list))
        .route("/tenants/{tenant}/devices.csv", get(devices::csv))
        .route("/tenants/{tenant}/records", get(records::list))
        .route("/tenants/{tenant}/records.csv", get(records::csv))
        .route("/tenants/{tenant}/keks", get(keks::list))
        .route("/tenants/{tenant}/keks.csv", get(keks::csv))
        .route("/tenants/{tenant}/sinks", get(sinks::list))
        .route("/tenants/{tenant}/sinks.csv", get(sinks::csv))
        .route("/tenants/{tenant}/findings", get(findings::list))
        .route("/tenants/{tenant}/findings.csv", get(findings::csv))
        .route("/tenants/{tenant}/findings/dry-run", get(findings::dry_run))
        .route("/tenants/{tenant}/people/{user}", get(people::show))
        .route("/tenants/{tenant}/restores/{restore}", get(restores::show))
        .route("/tenants/{tenant}/devices/{device}", get(devices::show))
        .route("/tenants/{tenant}/records/{record}", get(records::show))
        .route("/tenants/{tenant}/keks/{kek}", get(keks::show))
        .route("/tenants/{tenant}/sinks/{sink}", get(sinks::show))
        .route("/tenants/{tenant}/sinks/{sink}/dead-letters.csv", get(sinks::dead_letters))
        .route("/tenants/{tenant}/events/{index}", get(events::show))
        .route("/tenants/{tenant}/events", get(events::list))
        .route("/tenants/{tenant}/rewraps/{rewrap}", get(rewraps::show))
        .route("/tenants/{tenant}/events.csv", get(events::csv))
        .route("/tenants/{tenant}/admins", get(admins::list))
        .route("/tenants/{tenant}/admins/{admin}", get(admins::show))
        .route("/tenants/{tenant}/admins.csv", get(admins::csv))
        .route("/tenants/{tenant}/tokens", get(tokens::list))
        .route("/tenants/{tenant}/tokens.csv", get(tokens::csv))
        .route("/tenants/{tenant}/policies", get(policies::list))
        .route("/tenants/{tenant}/policies.csv", get(policies::csv))
        .route("/tenants/{tenant}/policies/editor", get(policies::editor))
        .route("/tenants/{tenant}/policies/{version}", get(policies::show))
        .fallback(refusal::nowhere)
        .layer(from_fn(headers::dressed))
        .route("/assets/{name}", get(assets::asset));
    Router::new().nest("/console", pages).with_state(Site(api.clone())).fallback_service(api)
}
