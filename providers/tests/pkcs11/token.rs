//! A fresh token of a real module for each test.
//!
//! Modules read their configuration from the environment, once per process, and keep process-wide state: so each test
//! runs again in a process of its own, started with the environment it needs.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use keyfold_bad_pkcs11::Fault;
use keyfold_providers::pkcs11::{Options, Pkcs11, Program, TokenUri};
use secret::Secret;
use std::collections::BTreeMap;
use std::env;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::NonNull;
use std::time::Duration;

pub(crate) const LABEL: &str = "keyfold";
/// Of a length that every module takes.
pub(crate) const PIN: &str = "87651234";
const SO_PIN: &str = "23456789";

/// Whose module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    SoftHsm,
    Nss,
    Kryoptic,
    Opencryptoki,
}

pub(crate) struct Token {
    folder: PathBuf,
    vendor: Vendor,
}

/// Runs `body` with a fresh SoftHSM2 token, in a process of its own. `name` is the name of the calling test.
pub(crate) fn with_token<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Token) -> F) {
    with_token_of(Vendor::SoftHsm, name, body);
}

pub(crate) fn with_token_of<F: Future<Output = ()>>(vendor: Vendor, name: &str, body: impl FnOnce(Token) -> F) {
    if let Some(folder) = env::var_os("KEYFOLD_TOKEN") {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(body(Token { folder: folder.into(), vendor }));
    }
    let folder = tempfile::tempdir().unwrap();
    let token = Token { folder: folder.path().into(), vendor };
    token.prepare();
    let mut again = token.again();
    again.args([name, "--exact", "--nocapture"]).env("KEYFOLD_TOKEN", folder.path());
    let output = again.env("RUST_BACKTRACE", "0").output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.contains("1 passed"), "{output}");
}

impl Token {
    pub(crate) fn module(&self) -> PathBuf {
        match self.vendor {
            Vendor::SoftHsm => "/usr/lib/softhsm/libsofthsm2.so".into(),
            Vendor::Nss => "/usr/lib/x86_64-linux-gnu/libsoftokn3.so".into(),
            Vendor::Kryoptic => env::var_os("KEYFOLD_KRYOPTIC").expect("KEYFOLD_KRYOPTIC names the module").into(),
            Vendor::Opencryptoki => "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so".into(),
        }
    }

    /// The same behind a layer that misbehaves as [`Token::fault`] says.
    pub(crate) fn bad_module(&self) -> PathBuf {
        env::current_exe().unwrap().with_file_name("libkeyfold_bad_pkcs11.so")
    }

    pub(crate) async fn open(&self) -> Pkcs11 {
        Pkcs11::open(self.options()).await.unwrap()
    }

    pub(crate) async fn open_bad(&self) -> Pkcs11 {
        Pkcs11::open(Options { module: self.bad_module(), ..self.options() }).await.unwrap()
    }

    /// One worker with four sessions.
    pub(crate) fn options(&self) -> Options {
        let bad = [("BAD_PKCS11_MODULE", self.module()), ("BAD_PKCS11_CONTROL", self.folder.join("control"))];
        let mut environment =
            BTreeMap::from(bad.map(|(name, path)| (name.to_owned(), path.to_str().unwrap().to_owned())));
        environment.insert(FEW_ITERATIONS.0.to_owned(), FEW_ITERATIONS.1.to_owned());
        Options {
            module: self.module(),
            library_parameters: self.library_parameters(),
            token: self.uri(),
            pin: Secret::copied_from(PIN.as_bytes()),
            worker: Program { path: env!("CARGO_BIN_EXE_keyfold-pkcs11-worker").into(), arguments: Vec::new() },
            environment,
            workers: 1,
            sessions: 4,
            // Long, for a machine that is busy with other tests.
            deadline: Duration::from_secs(30),
        }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        fs::write(self.folder.join("control"), fault.name()).unwrap();
    }

    /// How often the bad module was asked to log in.
    pub(crate) fn logins(&self) -> usize {
        fs::read(self.folder.join("control.logins")).map_or(0, |logins| logins.len())
    }

    /// Makes another SoftHSM2 token.
    pub(crate) fn initialise(&self, label: &str) {
        run(Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN])
            .env("SOFTHSM2_CONF", self.folder.join("softhsm2.conf")));
    }

    /// OpenSC's tool, in another process: another implementation's view of the same token.
    pub(crate) fn tool(&self, arguments: &[&str]) {
        let login = ["--token-label", LABEL, "--login", "--pin", PIN];
        run(Command::new("pkcs11-tool").arg("--module").arg(self.module()).args(login).args(arguments));
    }

    /// Puts an AES key of known bytes on the token.
    pub(crate) fn import(&self, label: &str, key: &[u8]) {
        let file = self.folder.join("key");
        fs::write(&file, key).unwrap();
        let file = file.to_str().unwrap();
        let key_type = format!("AES:{}", key.len());
        self.tool(&["-w", file, "--type", "secrkey", "--key-type", &key_type, "--label", label, "--usage-wrap"]);
    }

    /// A session past the room, in this process, logged in.
    pub(crate) fn session(&self) -> Session {
        let module = Module::new(self.module()).unwrap();
        let _already = module.initialize(self.initialize_args());
        let wanted = |slot: &Slot| match self.vendor {
            // Its token's time is none, which cryptoki does not take.
            Vendor::Opencryptoki => slot.id() == 3,
            Vendor::Nss => module.get_token_info(*slot).unwrap().label() == NSS_LABEL,
            Vendor::SoftHsm | Vendor::Kryoptic => module.get_token_info(*slot).unwrap().label() == LABEL,
        };
        let slot = module.get_slots_with_token().unwrap().into_iter().find(wanted);
        let session = module.open_rw_session(slot.unwrap()).unwrap();
        let _already = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
        session
    }

    #[expect(unsafe_code, reason = "NSS takes its configuration as a pointer")]
    fn initialize_args(&self) -> CInitializeArgs {
        let flags = CInitializeFlags::OS_LOCKING_OK;
        let Some(parameters) = self.library_parameters() else { return CInitializeArgs::new(flags) };
        let parameters = CString::new(parameters).unwrap().into_raw();
        // SAFETY: a string that ends in NUL, as NSS wants it, and is never freed.
        unsafe { CInitializeArgs::new_with_reserved(flags, NonNull::new(parameters).unwrap().cast()) }
    }

    fn library_parameters(&self) -> Option<String> {
        let database = self.folder.join("nss");
        (self.vendor == Vendor::Nss).then(|| {
            format!("configdir='sql:{}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=", database.display())
        })
    }

    fn uri(&self) -> TokenUri {
        match self.vendor {
            Vendor::SoftHsm => TokenUri::labelled(LABEL),
            Vendor::Nss => TokenUri::labelled(NSS_LABEL),
            Vendor::Kryoptic => "pkcs11:token=keyfold;slot-id=1".parse().unwrap(),
            Vendor::Opencryptoki => "pkcs11:token=keyfold;model=IBM%20SoftTok".parse().unwrap(),
        }
    }

    /// Makes the token, other than opencryptoki's: that one is made where it is used.
    fn prepare(&self) {
        let folder = self.folder.as_path();
        match self.vendor {
            Vendor::SoftHsm => {
                fs::create_dir(folder.join("tokens")).unwrap();
                let tokens = format!("directories.tokendir = {}/tokens\n", folder.display());
                fs::write(folder.join("softhsm2.conf"), tokens).unwrap();
                self.initialise(LABEL);
            }
            Vendor::Nss => prepare_nss(folder),
            Vendor::Kryoptic => prepare_kryoptic(folder, &self.module()),
            Vendor::Opencryptoki => {}
        }
    }

    /// This test program, with the environment that the module needs.
    fn again(&self) -> Command {
        let program = env::current_exe().unwrap();
        let mut command = Command::new(&program);
        match self.vendor {
            Vendor::SoftHsm => drop(command.env("SOFTHSM2_CONF", self.folder.join("softhsm2.conf"))),
            Vendor::Kryoptic => drop(command.env("KRYOPTIC_CONF", self.folder.join("kryoptic.conf"))),
            Vendor::Nss => drop(command.env(FEW_ITERATIONS.0, FEW_ITERATIONS.1)),
            Vendor::Opencryptoki => {
                command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pkcs11/opencryptoki.sh"));
                command.arg(&self.folder).args([LABEL, SO_PIN, PIN]).arg(program);
            }
        }
        command
    }
}

/// What NSS calls its token.
const NSS_LABEL: &str = "NSS Certificate DB";
/// Lets NSS derive its keys fast, for it does so again for each use of a private key.
const FEW_ITERATIONS: (&str, &str) = ("NSS_MAX_MP_PBE_ITERATION_COUNT", "1");

fn prepare_nss(folder: &Path) {
    fs::create_dir(folder.join("nss")).unwrap();
    fs::write(folder.join("password"), PIN).unwrap();
    let database = format!("sql:{}", folder.join("nss").display());
    run(Command::new("certutil")
        .env(FEW_ITERATIONS.0, FEW_ITERATIONS.1)
        .args(["-N", "-d", &database, "-f"])
        .arg(folder.join("password")));
}

fn prepare_kryoptic(folder: &Path, module: &Path) {
    let database = folder.join("kryoptic.sql");
    let slot = format!("[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n", database.display());
    fs::write(folder.join("kryoptic.conf"), slot).unwrap();
    let tool = |arguments: &[&str]| {
        let mut command = Command::new("pkcs11-tool");
        command.arg("--module").arg(module).env("KRYOPTIC_CONF", folder.join("kryoptic.conf"));
        run(command.args(["--slot", "1", "--so-pin", SO_PIN]).args(arguments));
    };
    tool(&["--init-token", "--label", LABEL]);
    tool(&["--login", "--login-type", "so", "--init-pin", "--new-pin", PIN]);
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
