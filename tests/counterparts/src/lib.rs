//! What the tests run the providers against, where nothing real can be had; and faults in front of what can.

pub mod aws;
pub mod azure;
pub mod front;
pub mod google;
pub mod tls;
