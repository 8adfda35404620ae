//! What the logs say for good: whose access was taken away, and which policies came and went. Whoever reads the logs from
//! end to end tells it here; from then on no row of the database can say otherwise. Kept in memory: it is heard again after
//! each start.

use crate::keys::TenantKeys;
use crate::store::Standing;
use crate::store::log::Head;
use audit::event::{Event, Field, Kind};
use audit::note;
use audit::tree::{Edge, leaf_hash};
use std::collections::{HashMap, HashSet};
use std::sync::RwLock;
use uuid::Uuid;

/// What was heard so far, by tenant.
#[derive(Debug, Default)]
pub struct Testimony(RwLock<HashMap<String, Heard>>);

/// Of one log.
#[derive(Debug, Default)]
struct Heard {
    revoked: bool,
    users: HashSet<String>,
    devices: HashSet<Uuid>,
    /// The index of the newest event that tells of other policies.
    policies: Option<u64>,
    withdrawn: HashSet<Uuid>,
    altered: bool,
}

/// What a device and those it belongs to can be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Its tenant.
    pub tenant: Standing,
    /// Its user.
    pub user: Standing,
    /// Itself.
    pub device: Standing,
}

impl Bounds {
    /// What both leave.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            tenant: self.tenant.max(other.tenant),
            user: self.user.max(other.user),
            device: self.device.max(other.device),
        }
    }
}

impl Testimony {
    /// An event of the tenant's log, at this index.
    pub fn hear(&self, tenant: &str, index: u64, event: &Event) {
        let tells =
            [Kind::TenantRevoked, Kind::UserRevoked, Kind::DeviceRevoked, Kind::PolicyChanged, Kind::PolicyWithdrawn];
        if tells.contains(&event.kind) {
            self.write(tenant, |heard| heard.hear(index, event));
        }
    }

    /// The log does not lead to its signed head, or cannot be read: nothing is written to it any more.
    pub fn doubt(&self, tenant: &str) {
        self.write(tenant, |heard| heard.altered = true);
    }

    /// Whether the log was found to be altered.
    #[must_use]
    pub fn is_doubted(&self, tenant: &str) -> bool {
        self.read(tenant, |heard| heard.altered)
    }

    /// What the log leaves of a device of this user.
    #[must_use]
    pub fn bounds(&self, (tenant, user): (&str, &str), device: Uuid) -> Bounds {
        let limit = |revoked| if revoked { Standing::Revoked } else { Standing::Active };
        let (of_tenant, of_user, of_device) =
            self.read(tenant, |heard| (heard.revoked, heard.users.contains(user), heard.devices.contains(&device)));
        Bounds { tenant: limit(of_tenant), user: limit(of_user), device: limit(of_device) }
    }

    /// The index of the newest event that is known to tell of other policies.
    #[must_use]
    pub fn newest_policies(&self, tenant: &str) -> Option<u64> {
        self.read(tenant, |heard| heard.policies)
    }

    /// Whether this version of the policies is known to be withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self, tenant: &str, version: Uuid) -> bool {
        self.read(tenant, |heard| heard.withdrawn.contains(&version))
    }

    fn read<T: Default>(&self, tenant: &str, ask: impl FnOnce(&Heard) -> T) -> T {
        let heard = self.0.read().expect("invariant: nothing panics while holding this lock");
        heard.get(tenant).map(ask).unwrap_or_default()
    }

    fn write(&self, tenant: &str, tell: impl FnOnce(&mut Heard)) {
        let mut heard = self.0.write().expect("invariant: nothing panics while holding this lock");
        tell(heard.entry(tenant.to_owned()).or_default());
    }
}

impl Heard {
    fn hear(&mut self, index: u64, event: &Event) {
        self.revoked |= event.kind == Kind::TenantRevoked;
        if event.kind == Kind::UserRevoked {
            self.users.extend(event.text(Field::User).map(str::to_owned));
        }
        if event.kind == Kind::DeviceRevoked {
            self.devices.extend(event.text(Field::Device).and_then(|id| id.parse::<Uuid>().ok()));
        }
        if event.kind == Kind::PolicyChanged {
            self.policies = self.policies.max(Some(index));
        }
        if event.kind == Kind::PolicyWithdrawn {
            self.withdrawn.extend(event.correlation);
        }
    }
}

/// The tree over the leaves that were read, from the first on.
#[derive(Debug, Default)]
pub struct Reading(Edge);

impl Reading {
    /// The leaf that follows.
    pub fn add(&mut self, leaf: &str) {
        self.0.append(leaf_hash(leaf.as_bytes()));
        drop(self.0.take_full_tiles());
    }

    /// Whether these are the leaves of a head that the log key has signed.
    #[must_use]
    pub fn leads_to(&self, head: &Head, keys: &TenantKeys) -> bool {
        let signed = note::open(&head.checkpoint, std::slice::from_ref(keys.log.verifier()));
        signed.is_ok_and(|signed| (signed.size, signed.root) == (self.0.size(), self.0.root()))
    }
}
