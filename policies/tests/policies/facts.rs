//! An active user, whose attested device asks for a record of their own.

use keyfold_policies::{Circumstances, DeviceFacts, Facts, RecordFacts, TenantFacts, UserFacts};

pub const TENANT: TenantFacts = TenantFacts { id: "acme", allows_unattested_days: None };
pub const USER: UserFacts = UserFacts { id: "u-1", active: true, managers: &[] };
pub const DEVICE: DeviceFacts = DeviceFacts {
    id: "d-1",
    user: "u-1",
    active: true,
    attested: true,
    enrolled_by_help_desk: false,
    enrolled_at: 1_700_000_000,
};
pub const OWN: RecordFacts = RecordFacts { owner: "u-1", kind: "identity", generation: 3, newest: true };

/// A minute after the enrolment: Tuesday, 14 November 2023, 22:14:20 UTC.
pub const NOW: i64 = 1_700_000_060;

pub fn facts<'a>(records: &'a [RecordFacts<'a>]) -> Facts<'a> {
    let circumstances = Circumstances { reason_given: true, ..Circumstances::at(NOW) };
    Facts { tenant: TENANT, user: USER, device: DEVICE, records, circumstances }
}
