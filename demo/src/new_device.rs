use crate::broker::{Broker, TENANT, USER};
use crate::error::Error;
use crate::stage::{Stage, file};
use device::{Broker as Address, Device, DeviceInfo, Pending, RestoreRequest, RestoredKey, Selection, StateFile};
use secret::Secret;
use std::fs;
use std::path::PathBuf;

const FOLDER: &str = "device-b";

/// Device B, played through the device SDK.
pub(crate) struct NewDevice {
    device: Device,
    passphrase: Secret,
    state: PathBuf,
    /// The state as it was when the restore was open, the key that receives the secrets included.
    state_copy: PathBuf,
}

/// What came back.
pub(crate) struct Restored {
    pub(crate) identity: Secret,
    pub(crate) archive: Secret,
}

impl NewDevice {
    /// Enrols for the same user with a one-time code of its own.
    pub(crate) async fn enrol(stage: &Stage, broker: &Broker<'_>) -> Result<Self, Error> {
        stage.make_folder(FOLDER)?;
        let address = Address { url: broker.url(), roots_pem: stage.read("broker/ca.pem")? };
        let info = DeviceInfo { name: "phone-B".parse()?, platform: "demo".parse()? };
        let (state, state_copy) = (stage.path("device-b/state"), stage.path("device-b/state-copy"));
        let passphrase = Secret::random(32);
        let kept_in = StateFile::with_passphrase(&state, &passphrase)?;
        let code = broker.enrolment_code(USER).await?;
        let device = Device::enrol(address, TENANT.parse()?, code, info, Some(&broker.log_key()?)).await?;
        let device = device.kept_in(kept_in)?;
        Ok(Self { device, passphrase, state, state_copy })
    }

    /// The id that the broker knows it by.
    pub(crate) fn id(&self) -> String {
        self.device.id().to_string()
    }

    /// Asks for both secrets and gets them; the restore stays open.
    pub(crate) async fn restore(&mut self) -> Result<Restored, Error> {
        let selection = Selection::Kinds(vec!["identity".parse()?, "archive".parse()?]);
        let pending = self.device.restore(RestoreRequest { selection, reason: "phone lost".parse()? }).await?;
        fs::copy(&self.state, &self.state_copy).map_err(file(&self.state_copy))?;
        restored(pending.release(None).await?)
    }

    /// Acknowledges the restore. Then a copy of the state from before asks for the same restore, and gets nothing.
    pub(crate) async fn acknowledge_and_ask_again(&mut self) -> Result<(), Error> {
        let pending = self.device.pending().ok_or(device::Error::RestoreOver)?;
        pending.acknowledge().await?;
        let mut copy = Device::load(StateFile::with_passphrase(&self.state_copy, &self.passphrase)?)?;
        let pending = copy.pending().ok_or(device::Error::RestoreOver)?;
        is_over(&pending).await?;
        fs::remove_file(&self.state_copy).map_err(file(&self.state_copy))
    }
}

async fn is_over(pending: &Pending<'_>) -> Result<(), Error> {
    match pending.release(None).await {
        Err(device::Error::Refused(problem)) if problem.code == "restore_over" => Ok(()),
        Err(other) => Err(other.into()),
        Ok(_) => Err(Error::ReleasedAgain),
    }
}

fn restored(keys: Vec<RestoredKey>) -> Result<Restored, Error> {
    let [identity, archive] = <[RestoredKey; 2]>::try_from(keys).map_err(|_| Error::OtherKeys)?;
    if (identity.kind.as_str(), archive.kind.as_str()) != ("identity", "archive") {
        return Err(Error::OtherKeys);
    }
    Ok(Restored { identity: identity.material, archive: archive.material })
}
