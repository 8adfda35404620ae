//! HTTP: routes, parsing, problem documents. No decision is made here.

mod activity;
mod acts;
mod admin;
mod answers;
mod approvals;
mod authorisation;
mod destructions;
mod devices;
mod drills;
mod erasures;
mod exports;
mod findings;
mod idle;
mod import;
mod keks;
mod listener;
mod log;
mod lookup;
mod operations;
mod people;
mod policies;
mod problem;
mod records;
mod request;
mod restores;
mod rewraps;
mod router;
mod sessions;
mod sinks;
mod sso;
mod veto;
mod witness;

pub use listener::{Listener, Timeouts, serve};
pub use operations::Health;
pub use router::{openapi, router};
pub use witness::router as witness_router;
