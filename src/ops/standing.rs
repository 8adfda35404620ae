//! Whether policy lets a device act, and whoever would approve.

use super::circumstances::Circumstances;
use crate::broker::Broker;
use crate::clock::Timestamp;
use crate::directory::{self, User};
use crate::error::Error;
use crate::inventory::Device;
use crate::roster::Admin;
use crate::rulebook::Rules;
use crate::store::devices::Membership;
use crate::store::{Connection, Standing, StoreError};
use crate::time_zone::TimeZone;
use policies::{
    Action, ApprovalFacts, ApproverFacts, Decision, DeviceFacts, Facts, LocalTime, RecordFacts, TenantFacts, UserFacts,
};

/// A user as policies know them.
#[derive(Debug, Clone)]
pub struct Account {
    id: String,
    active: bool,
    /// Everybody above in the reporting line; nobody where no policy asks.
    above: Vec<String>,
    time_zone: Option<TimeZone>,
}

impl Account {
    /// Whoever a device belongs to; `lines`: some policy asks for reporting lines.
    pub(super) async fn load(
        broker: &Broker,
        db: &mut Connection,
        (tenant, id): (&str, &str),
        lines: bool,
    ) -> Result<Self, Error> {
        let user = directory::user(&broker.keys, db, tenant, id).await?;
        Self::of(broker, db, user.ok_or(StoreError::Corrupt { column: "user_id" })?, lines).await
    }

    async fn of(broker: &Broker, db: &mut Connection, user: User, lines: bool) -> Result<Self, Error> {
        let above = if lines { directory::above(&broker.keys, db, &user).await? } else { Vec::new() };
        let active = user.state == Standing::Active;
        Ok(Self { id: user.id, active, above, time_zone: user.particulars.time_zone })
    }

    /// The account that an administrator says is theirs. Where no such user is known, nobody knows their line either.
    pub(super) async fn of_admin(
        broker: &Broker,
        db: &mut Connection,
        (tenant, admin): (&str, &Admin),
        lines: bool,
    ) -> Result<Option<Self>, Error> {
        let Some(id) = &admin.user else { return Ok(None) };
        match directory::user(&broker.keys, db, tenant, id).await? {
            Some(user) => Self::of(broker, db, user, lines).await.map(Some),
            None => Ok(Some(Self { id: id.clone(), active: !lines, above: Vec::new(), time_zone: None })),
        }
    }
}

/// A device that asks, and what else policies know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) device: &'a Device,
    pub(super) membership: &'a Membership,
    /// The device's user.
    pub(super) account: &'a Account,
    pub(super) circumstances: &'a Circumstances,
}

/// What the policies say at `now` (Unix milliseconds) about this action on these records.
pub(super) fn decide(
    now: Timestamp,
    rules: &Rules,
    asking: Asking<'_>,
    (action, records): (Action, &[RecordFacts<'_>]),
) -> Decision {
    let Asking { device, membership, account, circumstances } = asking;
    let (id, above) = (device.id.to_string(), names(&account.above));
    let facts = Facts {
        tenant: tenant_facts(device, membership),
        user: user_facts(device, membership, &above),
        device: device_facts(device, &id),
        records,
        circumstances: policies::Circumstances {
            reason_given: action == Action::Restore,
            country: circumstances.country.as_deref(),
            login_age_seconds: circumstances.login_age(now),
            ..at(now, account)
        },
    };
    policies::decide(&rules.set, action, &facts)
}

/// Who would approve.
#[derive(Debug, Clone, Copy)]
pub(super) enum Candidate<'a> {
    /// With their own account, where there is one.
    Admin(&'a Admin, Option<&'a Account>),
    Device(&'a Device),
}

/// Whether the policies let the candidate approve at `now` that the device gets records of these kinds. Where the approval
/// comes from, nobody keeps: it is judged again when there is no request.
pub(super) fn may_approve(
    now: Timestamp,
    rules: &Rules,
    asking: Asking<'_>,
    (kinds, candidate): (&[&str], Candidate<'_>),
) -> bool {
    let Asking { device, membership, account, .. } = asking;
    let (id_of_device, above) = (device.id.to_string(), names(&account.above));
    let (id, above_candidate) = match candidate {
        Candidate::Admin(admin, own) => (admin.id.to_string(), own.map(|own| names(&own.above)).unwrap_or_default()),
        Candidate::Device(device) => (device.id.to_string(), Vec::new()),
    };
    let facts = ApprovalFacts {
        tenant: tenant_facts(device, membership),
        user: user_facts(device, membership, &above),
        device: device_facts(device, &id_of_device),
        kinds,
        approver: match candidate {
            Candidate::Admin(admin, own) => {
                let own = own.map(|own| UserFacts { id: &own.id, active: own.active, managers: &above_candidate });
                ApproverFacts::Person { id: &id, account: own, roles: &admin.roles }
            }
            Candidate::Device(device) => ApproverFacts::Device(device_facts(device, &id)),
        },
        circumstances: policies::Circumstances { reason_given: true, ..at(now, account) },
    };
    policies::decide_approval(&rules.set, &facts).allowed
}

/// That time, on the clocks of the user's time zone.
fn at(now: Timestamp, account: &Account) -> policies::Circumstances<'static> {
    let (seconds, ahead) = (now / 1_000, account.time_zone.as_ref().map_or(0, |zone| zone.minutes_ahead(now)));
    policies::Circumstances { local: LocalTime::at(seconds, ahead), ..policies::Circumstances::at(seconds) }
}

fn names(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

fn tenant_facts<'a>(device: &'a Device, membership: &Membership) -> TenantFacts<'a> {
    TenantFacts { id: &device.tenant, allows_unattested_days: membership.unattested_days }
}

fn user_facts<'a>(device: &'a Device, membership: &Membership, managers: &'a [&'a str]) -> UserFacts<'a> {
    UserFacts { id: &device.user, active: membership.user == Standing::Active, managers }
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
