//! Whether policy lets a device act.

use crate::broker::Broker;
use crate::store::Standing;
use crate::store::devices::{Device, Membership};
use policies::{Action, Circumstances, Decision, DeviceFacts, Facts, RecordFacts, TenantFacts, UserFacts};

/// What the policies say about this action of the device.
pub(super) fn decide(
    broker: &Broker,
    (device, membership): (&Device, &Membership),
    action: Action,
    records: &[RecordFacts<'_>],
) -> Decision {
    let facts = Facts {
        tenant: TenantFacts { id: &device.tenant, allows_unattested_days: membership.unattested_days },
        user: UserFacts { id: &device.user, active: membership.user == Standing::Active, managers: &[] },
        device: DeviceFacts {
            id: &device.id.to_string(),
            user: &device.user,
            active: device.state == Standing::Active,
            attested: device.attested,
            enrolled_by_help_desk: false,
            enrolled_at: device.enrolled_at / 1_000,
        },
        records,
        circumstances: Circumstances {
            reason_given: action == Action::Restore,
            ..Circumstances::at(broker.clock.now() / 1_000)
        },
    };
    policies::decide(&broker.policies, action, &facts)
}
