//! The other half: what a device does to back up its key material and to get it back.
//!
//! ```no_run
//! # use keyfold_device as device;
//! # async fn example(secret: secret::Secret, code: protocol::enrolment::EnrolmentCode) -> Result<(), device::Error> {
//! use device::{Broker, Device, DeviceInfo, RestoreRequest, Selection};
//!
//! let broker = Broker { url: "https://keyfold.example".into(), roots_pem: "-----BEGIN CERTIFICATE-----..".into() };
//! let info = DeviceInfo { name: "Alice's phone".parse()?, platform: "Android 17".parse()? };
//! let pinned = device::Verifier::parse("keyfold.example/acme+5b1e4f2a+AT..").ok();
//! let mut device = Device::enrol(broker, "acme".parse()?, code, info, pinned.as_ref()).await?;
//! device.backup(&"identity".parse()?, &secret, None).await?;
//!
//! let asked = RestoreRequest { selection: Selection::Kinds(vec!["identity".parse()?]), reason: "new phone".parse()? };
//! let pending = device.restore(asked).await?;
//! let keys = pending.release(None).await?;
//! pending.acknowledge().await?;
//! # Ok(()) }
//! ```

mod backup;
mod connection;
mod error;
mod ingress;
mod login;
mod receipt;
mod restore;
mod state;
mod state_file;

pub use audit::note::{NoteError, Verifier};
pub use backup::BackedUp;
pub use connection::Broker;
pub use error::Error;
pub use ingress::IngressRefused;
pub use login::Login;
pub use receipt::{Proven, ReceiptRefused};
pub use restore::{Pending, RestoreRequest, RestoredKey, Selection};
pub use state_file::{StateError, StateFile};

use connection::Connection;
use protocol::{
    approval::MatchCode,
    enrolment::EnrolmentCode,
    jws::{DeviceKey, Signer},
    messages::{Approve, DeviceState, DeviceStatus, Enrol, Enrolled, RecordEntry, RecordList, UserRestore, Veto},
    names::{TenantId, Text, UserId},
};
use state::State;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How a device presents itself to the people who approve.
#[derive(Debug, Clone)]
pub struct DeviceInfo {
    /// What the user calls it.
    pub name: Text<128>,
    /// Operating system and version.
    pub platform: Text<64>,
}

/// An enrolled device. Every change of what it knows is written to its [`StateFile`], where it has one.
pub struct Device {
    connection: Connection,
    state: State,
    file: Option<StateFile>,
}

impl Device {
    /// Enrols a new Ed25519 key with a one-time code and pins the tenant's log key: only `log_key`, where it is known
    /// beforehand; else what the broker offers is believed. Not repeated when the answer is lost: the code may be spent.
    ///
    /// # Errors
    /// [`Error`]; see its variants.
    pub async fn enrol(
        broker: Broker,
        tenant: TenantId,
        code: EnrolmentCode,
        info: DeviceInfo,
        log_key: Option<&Verifier>,
    ) -> Result<Self, Error> {
        let key = DeviceKey::generate_ed25519();
        let stored_key = key.to_pkcs8();
        let signer = Signer::Jwk(key.public().clone());
        let mut connection = Connection::new(&broker, key, signer)?;
        let payload = Enrol { code, name: info.name, platform: info.platform };
        let (enrolled, _): (Enrolled, _) = connection.post(&format!("v1/tenants/{tenant}/devices"), &payload).await?;
        if enrolled.tenant != tenant {
            return Err(Error::Contradiction("another tenant than the one enrolled in"));
        }
        let offered = receipt::verifiers(&enrolled.log)?;
        if log_key.is_some_and(|expected| offered.iter().any(|offered| offered != expected)) {
            return Err(Error::OtherLogKey);
        }
        ingress::verify(&enrolled.ingress, &offered)?;
        connection.sign_as(Signer::Kid(enrolled.device.to_string()));
        let state = State {
            version: state::VERSION,
            broker,
            key: stored_key,
            device: enrolled.device,
            tenant: enrolled.tenant,
            user: enrolled.user,
            log: enrolled.log,
            ingress: enrolled.ingress,
            generations: BTreeMap::new(),
            restore: None,
        };
        Ok(Self { connection, state, file: None })
    }

    /// Keeps the device's state in `file` from now on; writes it at once.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn kept_in(mut self, file: StateFile) -> Result<Self, Error> {
        self.file = Some(file);
        self.save()?;
        Ok(self)
    }

    /// Takes up the device whose state `file` holds.
    ///
    /// # Errors
    /// [`Error::State`], or what makes a connection impossible.
    pub fn load(file: StateFile) -> Result<Self, Error> {
        let state = State::from_json(&file.read()?)?;
        let key = DeviceKey::from_pkcs8(&state.key).map_err(|_| StateError::Content)?;
        let connection = Connection::new(&state.broker, key, Signer::Kid(state.device.to_string()))?;
        Ok(Self { connection, state, file: Some(file) })
    }

    /// The device's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.state.device
    }

    /// The tenant it belongs to.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.state.tenant
    }

    /// The user it belongs to.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.state.user
    }

    /// Asks the broker for the device's status, and takes over the current ingress key if the tenant's log key vouches
    /// for it.
    ///
    /// # Errors
    /// [`Error`]; after any, the device seals to the key it knew before.
    pub async fn status(&mut self) -> Result<DeviceStatus, Error> {
        let status: DeviceStatus = self.connection.fetch(&self.path("")).await?;
        if status.device != self.state.device || status.user != self.state.user || status.tenant != self.state.tenant {
            return Err(Error::Contradiction("the status of another device"));
        }
        ingress::verify(&status.ingress, &receipt::verifiers(&self.state.log)?)?;
        if status.state == DeviceState::Active && status.ingress != self.state.ingress {
            self.state.ingress = status.ingress.clone();
            self.save()?;
        }
        Ok(status)
    }

    /// Stops a restore of the device's user that was not released yet, whichever device asked for it; [`Self::status`]
    /// tells of them. Again is no fault.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is too late, or any other [`Error`].
    pub async fn veto(&self, restore: Uuid) -> Result<(), Error> {
        self.connection.tell(&format!("v1/tenants/{}/restores/{restore}/veto", self.state.tenant), &Veto {}).await
    }

    /// Approves a restore that another device of the user asks for; [`Self::status`] tells of it. `match_code` is what that
    /// device shows and the user has typed here: who approves has both in their hands. Again is no fault.
    ///
    /// # Errors
    /// [`Error::Refused`] where the code is wrong, after three wrong ones, or where it is too late; or any other [`Error`].
    pub async fn approve(&self, restore: &UserRestore, match_code: MatchCode) -> Result<(), Error> {
        let path = format!("v1/tenants/{}/restores/{}/approve", self.state.tenant, restore.restore);
        self.connection.tell(&path, &Approve { transcript: restore.transcript, match_code }).await
    }

    /// All records of the device's user.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn records(&self) -> Result<Vec<RecordEntry>, Error> {
        let list: RecordList = self.connection.fetch(&self.path("/records")).await?;
        Ok(list.records)
    }

    fn path(&self, below: &str) -> String {
        format!("v1/tenants/{}/devices/{}{below}", self.state.tenant, self.state.device)
    }

    fn save(&self) -> Result<(), Error> {
        if let Some(file) = &self.file {
            file.write(&self.state.to_json())?;
        }
        Ok(())
    }
}
