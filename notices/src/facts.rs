use crate::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is told of a restore. Names, platform and reason are the words of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// Its id.
    pub restore: Uuid,
    /// Whose keys were asked for.
    pub user: String,
    /// The device that asked.
    pub device: Uuid,
    /// What that device calls itself.
    pub device_name: String,
    /// What it says it runs on.
    pub platform: String,
    /// What was asked for, such as `identity`.
    pub kinds: Vec<String>,
    /// What the device said why.
    pub reason: String,
    /// When it asked.
    pub asked_at: Time,
    /// Nothing is released before.
    pub not_before: Time,
    /// Nothing is released from then on.
    pub expires_at: Time,
}

/// What is told of a tenant's policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Which version.
    pub version: u64,
    /// Who proposed it.
    pub proposed_by: String,
    /// Whether it is proven to be nowhere weaker than the one in force.
    pub nowhere_weaker: bool,
    /// The console's page about it.
    pub page: String,
}
