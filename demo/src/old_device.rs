use crate::broker::{Broker, PINNED, TENANT, USER};
use crate::error::Error;
use crate::stage::{Stage, file};
use secret::Secret;
use std::fs;

const NAME: &str = "phone-A";
const FOLDER: &str = "device-a";
const FOUND: &str = "found-in-the-taxi";

/// Device A, played through `keyfold device`. Its state lies in a folder of its own.
pub(crate) struct OldDevice<'a> {
    stage: &'a Stage,
    id: String,
}

impl<'a> OldDevice<'a> {
    /// Enrols with a one-time code.
    pub(crate) async fn enrol(stage: &'a Stage, broker: &Broker<'_>) -> Result<Self, Error> {
        stage.make_folder(FOLDER)?;
        write_secret(stage, "passphrase", &Secret::random(32))?;
        stage.write("device-a/code", broker.enrolment_code(USER).await?.reveal().as_bytes())?;
        let trust = format!("--url {} --ca broker/ca.pem --vkey {PINNED}", broker.url());
        let who = format!("--tenant {TENANT} --code-file device-a/code --name {NAME}");
        stage.run(&device_command(FOLDER, &format!("enrol {trust} {who}"))).await?;
        Ok(Self { stage, id: broker.device_id(NAME).await? })
    }

    /// The id that the broker knows it by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Backs up `material` as the newest of `kind`.
    pub(crate) async fn back_up(&self, kind: &str, material: &Secret) -> Result<(), Error> {
        write_secret(self.stage, kind, material)?;
        self.stage.run(&device_command(FOLDER, &format!("backup {kind} device-a/{kind}"))).await?;
        let path = self.stage.path(&format!("{FOLDER}/{kind}"));
        fs::remove_file(&path).map_err(file(&path))
    }

    /// Nothing of it stays with the user: state and passphrase are in the hands of whoever finds it.
    pub(crate) fn lose(&self) -> Result<(), Error> {
        let path = self.stage.path(FOLDER);
        fs::rename(&path, self.stage.path(FOUND)).map_err(file(&path))
    }

    /// The finder can unlock it and asks for the keys, is refused, and gives up.
    pub(crate) async fn is_refused_to_finder(&self) -> Result<(), Error> {
        let restore = "restore identity archive --reason found --out stolen";
        self.stage.run_refused(&device_command(FOUND, restore), "(device_inactive)").await?;
        self.stage.remove_folder(FOUND)
    }
}

fn device_command(folder: &str, action: &str) -> String {
    format!("device --state {folder}/state --passphrase-file {folder}/passphrase {action}")
}

#[expect(clippy::disallowed_methods, reason = "the command line takes its secrets from files")]
fn write_secret(stage: &Stage, name: &str, secret: &Secret) -> Result<(), Error> {
    stage.write(&format!("{FOLDER}/{name}"), secret.expose())
}
