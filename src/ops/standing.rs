//! What a device's tenant and user are, for policies and for reads.

use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::error::{Error, Refusal};
use crate::store::Standing as State;
use crate::store::devices::Device;
use crate::store::tenants::{self, Tenant};
use crate::store::users::{self, User};
use policies::{Action, Decision, DeviceFacts, Facts, RecordFacts, TenantFacts, UserFacts, decide};

/// The tenant and the user of a proven device, as they are stored.
#[derive(Debug)]
pub struct Standing {
    /// Whose device.
    pub tenant: Tenant,
    /// Whose within the tenant.
    pub user: User,
}

impl Standing {
    /// Reads both.
    pub async fn load(broker: &Broker, caller: &DeviceCaller) -> Result<Self, Error> {
        let mut db = broker.store.reader().await?;
        let tenant = tenants::find(&mut db, caller.tenant.as_str()).await?.ok_or(Refusal::TenantInactive)?;
        let user = users::find(&mut db, &tenant.id, &caller.device.user).await?.ok_or(Refusal::UserInactive)?;
        Ok(Self { tenant, user })
    }

    /// Refuses where tenant, user or device is not active. For reads; writes pass the gate.
    pub fn check(&self, caller: &DeviceCaller) -> Result<(), Refusal> {
        match (self.tenant.state, self.user.state, caller.device.state) {
            (State::Active, State::Active, State::Active) => Ok(()),
            (State::Pending | State::Revoked, ..) => Err(Refusal::TenantInactive),
            (_, State::Pending | State::Revoked, _) => Err(Refusal::UserInactive),
            (_, _, State::Pending | State::Revoked) => Err(Refusal::DeviceInactive),
        }
    }

    /// What the policies say.
    #[must_use]
    pub fn decide(&self, broker: &Broker, device: &Device, action: Action, records: &[RecordFacts<'_>]) -> Decision {
        let facts = Facts {
            tenant: TenantFacts { id: &self.tenant.id, allows_unattested_days: self.tenant.unattested_days },
            user: UserFacts { id: &self.user.id, active: self.user.state == State::Active },
            device: DeviceFacts {
                id: &device.id.to_string(),
                user: &device.user,
                active: device.state == State::Active,
                attested: device.attested,
                enrolled_at: device.enrolled_at / 1_000,
            },
            records,
            now: broker.clock.now() / 1_000,
            reason_given: action == Action::Restore,
        };
        decide(&broker.policies, action, &facts)
    }
}
