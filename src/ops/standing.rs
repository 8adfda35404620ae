//! Whether policy lets a device act, and whoever would approve.

use crate::broker::Broker;
use crate::clock::Timestamp;
use crate::inventory::Device;
use crate::roster::Admin;
use crate::rulebook::Rules;
use crate::store::Standing;
use crate::store::devices::Membership;
use policies::{
    Action, ApprovalFacts, ApproverFacts, Circumstances, Decision, DeviceFacts, Facts, RecordFacts, TenantFacts,
    UserFacts,
};

/// What the policies say about this action of the device.
pub(super) fn decide(
    broker: &Broker,
    rules: &Rules,
    (device, membership): (&Device, &Membership),
    action: Action,
    records: &[RecordFacts<'_>],
) -> Decision {
    decide_at(broker.clock.now(), rules, (device, membership), action, records)
}

/// What they say as of then.
pub(super) fn decide_at(
    now: Timestamp,
    rules: &Rules,
    (device, membership): (&Device, &Membership),
    action: Action,
    records: &[RecordFacts<'_>],
) -> Decision {
    let id = device.id.to_string();
    let facts = Facts {
        tenant: tenant_facts(device, membership),
        user: user_facts(device, membership),
        device: device_facts(device, &id),
        records,
        circumstances: Circumstances { reason_given: action == Action::Restore, ..Circumstances::at(now / 1_000) },
    };
    policies::decide(&rules.set, action, &facts)
}

/// Who would approve.
#[derive(Debug, Clone, Copy)]
pub(super) enum Candidate<'a> {
    Admin(&'a Admin),
    Device(&'a Device),
}

/// Whether the policies let the candidate approve that the device gets records of these kinds.
pub(super) fn may_approve(
    broker: &Broker,
    rules: &Rules,
    (device, membership): (&Device, &Membership),
    kinds: &[&str],
    candidate: Candidate<'_>,
) -> bool {
    let asking = device.id.to_string();
    let id = match candidate {
        Candidate::Admin(admin) => admin.id.to_string(),
        Candidate::Device(device) => device.id.to_string(),
    };
    let facts = ApprovalFacts {
        tenant: tenant_facts(device, membership),
        user: user_facts(device, membership),
        device: device_facts(device, &asking),
        kinds,
        approver: match candidate {
            Candidate::Admin(admin) => ApproverFacts::Person { id: &id, account: account(admin), roles: &admin.roles },
            Candidate::Device(device) => ApproverFacts::Device(device_facts(device, &id)),
        },
        circumstances: Circumstances { reason_given: true, ..Circumstances::at(broker.clock.now() / 1_000) },
    };
    policies::decide_approval(&rules.set, &facts).allowed
}

fn account(admin: &Admin) -> Option<UserFacts<'_>> {
    admin.user.as_deref().map(|id| UserFacts { id, active: true, managers: &[] })
}

fn tenant_facts<'a>(device: &'a Device, membership: &Membership) -> TenantFacts<'a> {
    TenantFacts { id: &device.tenant, allows_unattested_days: membership.unattested_days }
}

fn user_facts<'a>(device: &'a Device, membership: &Membership) -> UserFacts<'a> {
    UserFacts { id: &device.user, active: membership.user == Standing::Active, managers: &[] }
}

fn device_facts<'a>(device: &'a Device, id: &'a str) -> DeviceFacts<'a> {
    DeviceFacts {
        id,
        user: &device.user,
        active: device.state == Standing::Active,
        attested: device.attested,
        enrolled_by_help_desk: device.by_help_desk,
        enrolled_at: device.enrolled_at / 1_000,
    }
}
