//! The providers that can be had on one machine: each as a room in this process, and as a broker's provider.

use super::emulators::{self, Emulator};
use crate::Failure;
use crate::bao::Bao;
use crate::broker::{Installation, initialised, run};
use crate::token::{MODULE, Token};
use providers::aws_kms::AwsKms;
use providers::azure_key_vault::AzureKeyVault;
use providers::google_kms::GoogleKms;
use providers::openbao::OpenBao;
use providers::pkcs11::Pkcs11;
use providers::software::Software;
use providers::{KeyProvider, KeyRef};
use secret::Secret;
use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tempfile::TempDir;

/// Calls at the same time, at most: of the loops around a room, and of a broker's provider.
pub const CALLS: usize = 16;
/// What the provider is called in the broker's configuration.
pub const PROVIDER: &str = "measured";

/// What is measured, in this order.
pub const ALL: [Kind; 7] = [
    Kind::Software,
    Kind::SoftHsm { workers: 1 },
    Kind::SoftHsm { workers: 4 },
    Kind::OpenBao,
    Kind::LocalStack,
    Kind::Google,
    Kind::Azure,
];

/// A provider that can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The software keystore.
    Software,
    /// SoftHSM2 in so many worker processes.
    SoftHsm {
        /// How many.
        workers: usize,
    },
    /// As a production server runs it.
    OpenBao,
    /// AWS KMS, emulated.
    LocalStack,
    /// Google Cloud KMS, emulated.
    Google,
    /// Azure Key Vault, emulated.
    Azure,
}

/// Where the programs are, and what all measurements share.
pub struct Place {
    /// The broker's program, and the folder of everything that is made.
    pub installation: Installation,
    /// OpenBao's program.
    pub bao: PathBuf,
    /// A software keystore, its passphrase, and certificates for `localhost`.
    initialised: TempDir,
}

/// A provider that runs, with one key.
pub struct Subject {
    /// The room, with nothing around it.
    pub room: Arc<dyn KeyProvider>,
    /// The key.
    pub key: KeyRef,
    /// The broker's configuration for the same.
    pub section: String,
    /// What must outlive the room.
    _runs: Box<dyn Any + Send>,
}

impl Place {
    /// Prepares what all share.
    pub fn new(installation: Installation, bao: PathBuf) -> Result<Self, Failure> {
        let initialised = initialised(&installation, 0)?;
        Ok(Self { installation, bao, initialised })
    }

    /// A file that `keyfold init` has made.
    pub fn path(&self, name: &str) -> PathBuf {
        self.initialised.path().join("kf").join(name)
    }

    fn folder(&self) -> &Path {
        &self.installation.folder
    }
}

impl Kind {
    /// For the report.
    pub fn name(self) -> String {
        match self {
            Self::Software => "software".into(),
            Self::SoftHsm { workers: 1 } => "SoftHSM2, 1 worker".into(),
            Self::SoftHsm { workers } => format!("SoftHSM2, {workers} workers"),
            Self::OpenBao => "OpenBao".into(),
            Self::LocalStack => "LocalStack".into(),
            Self::Google => "Google (in-tree)".into(),
            Self::Azure => "Azure (in-tree)".into(),
        }
    }

    /// Starts it, makes a key, and connects.
    pub async fn start(self, place: &Place) -> Result<Subject, Failure> {
        let (folder, keyfold) = (place.folder(), &*place.installation.keyfold);
        match self {
            Self::Software => software(place),
            Self::SoftHsm { workers } => softhsm(place, workers).await,
            Self::OpenBao => {
                let bao = Bao::start(&place.bao, folder, &place.path("")).await?;
                let room = Arc::new(OpenBao::connect(bao.options()?).await?);
                let section = bao.section(PROVIDER, &calls())?;
                Ok(Subject { room, key: KeyRef::new(Bao::KEY), section, _runs: Box::new(bao) })
            }
            Self::LocalStack => {
                let aws = emulators::localstack(folder).await?;
                connected(aws, |options| async { Ok(Arc::new(AwsKms::connect(options).await?)) }).await
            }
            Self::Google => {
                let google = emulators::google(folder, keyfold).await?;
                connected(google, |options| async { Ok(Arc::new(GoogleKms::connect(options).await?)) }).await
            }
            Self::Azure => {
                let azure = emulators::azure(folder, keyfold)?;
                connected(azure, |options| async { Ok(Arc::new(AzureKeyVault::connect(options)?)) }).await
            }
        }
    }
}

fn software(place: &Place) -> Result<Subject, Failure> {
    const KEY: &str = "kek";
    let (keystore, passphrase) = (place.path("keystore.json"), place.path("passphrase"));
    run(&place.installation.keyfold, |command| {
        command.args(["keystore", "--keystore"]).arg(&keystore).arg("--passphrase-file").arg(&passphrase);
        command.args(["add", KEY]).stdout(Stdio::null());
    })?;
    let secret = Secret::copied_from(fs::read_to_string(&passphrase)?.trim_end().as_bytes());
    let section = format!(
        "\n[providers.{PROVIDER}]\ntype = \"software\"\nkeystore = \"{}\"\npassphrase = {{ file = \"{}\" }}\n{}",
        keystore.display(),
        passphrase.display(),
        calls()
    );
    let room = Arc::new(Software::open(&keystore, &secret)?);
    Ok(Subject { room, key: KeyRef::new(KEY), section, _runs: Box::new(()) })
}

async fn softhsm(place: &Place, workers: usize) -> Result<Subject, Failure> {
    let token = Token::make(place.folder())?.ok_or("SoftHSM2 is not installed")?;
    let room = Pkcs11::open(token.options(&place.installation.keyfold, workers, CALLS)).await?;
    let section = token.section(PROVIDER, Path::new(MODULE), &format!("workers = {workers}\n{}", calls()));
    Ok(Subject { room: Arc::new(room), key: KeyRef::new(Token::KEY), section, _runs: Box::new(token) })
}

/// The room of an emulator.
async fn connected<O, R, F>(emulator: Emulator<O>, connect: impl FnOnce(O) -> F) -> Result<Subject, Failure>
where
    R: KeyProvider + 'static,
    F: Future<Output = Result<Arc<R>, Failure>>,
{
    let Emulator { settings, key, options, runs } = emulator;
    let section = format!("\n[providers.{PROVIDER}]\n{settings}{}", calls());
    Ok(Subject { room: connect(options).await?, key: KeyRef::new(key), section, _runs: Box::new(runs) })
}

fn calls() -> String {
    format!("calls = {{ concurrency = {CALLS} }}\n")
}
