//! Every request and answer of the device's side of the API, as JSON. Requests refuse members they do not know.
//!
//! Times are seconds since 1970 (UTC), ids of devices, records and restores are UUIDs.

mod enrol;
mod problem;
mod restore;
mod wrap;

pub use enrol::{DeviceState, DeviceStatus, Enrol, Enrolled, IngressKey, LogKeys};
pub use problem::Problem;
pub use restore::{
    Acknowledge, Approve, MAX_RECORDS, Needs, OpenRestore, Release, Released, ReleasedRecord, RestoreOpened,
    RestoreState, Selection, SelectionError, UserRestore, Veto,
};
pub use wrap::{Bundle, RecordEntry, RecordList, Wrap, Wrapped};
