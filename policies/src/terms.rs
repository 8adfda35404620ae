//! The schema's names, parsed once.

use crate::Action;
use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use std::sync::LazyLock;

pub(crate) struct Terms {
    pub(crate) tenant: EntityTypeName,
    pub(crate) user: EntityTypeName,
    pub(crate) device: EntityTypeName,
    pub(crate) record: EntityTypeName,
    pub(crate) approver: EntityTypeName,
    pub(crate) restore: EntityTypeName,
    pub(crate) approve: EntityUid,
    enrol: EntityUid,
    wrap: EntityUid,
    release: EntityUid,
}

pub(crate) static TERMS: LazyLock<Terms> = LazyLock::new(|| {
    let kind = |name: &str| name.parse::<EntityTypeName>().expect("invariant: a constant that is a Cedar name");
    let action = |name: &str| uid(&kind("Action"), name);
    Terms {
        tenant: kind("Tenant"),
        user: kind("User"),
        device: kind("Device"),
        record: kind("Record"),
        approver: kind("Approver"),
        restore: kind("Restore"),
        approve: action("approve"),
        enrol: action("enrol"),
        wrap: action("wrap"),
        release: action("restore"),
    }
});

impl Terms {
    pub(crate) fn user(&self, id: &str) -> EntityUid {
        uid(&self.user, id)
    }

    pub(crate) fn device(&self, id: &str) -> EntityUid {
        uid(&self.device, id)
    }

    pub(crate) fn action(&self, action: Action) -> EntityUid {
        match action {
            Action::Enrol => self.enrol.clone(),
            Action::Wrap => self.wrap.clone(),
            Action::Restore => self.release.clone(),
        }
    }
}

pub(crate) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
