//! Keys in an HSM, through its PKCS#11 module: AES-KW (CKM_AES_KEY_WRAP, RFC 3394) under non-extractable keys.

mod attribute;
mod client;
mod pool;
mod self_test;

pub use self_test::SelfTestFailure;

use crate::payload::Payload;
use crate::{Capabilities, Context, Error, KeyProvider, KeyRef, KeyState, Permissions, Unusable, Wrapped};
use async_trait::async_trait;
use client::{Client, Connection, Failure};
use cryptoki::error::{Error as CryptokiError, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::types::RawAuthPin;
use pool::Pool;
use secret::Secret;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// Where the token is and how to log in.
#[derive(Debug)]
pub struct Options {
    /// The vendor's library.
    pub module: PathBuf,
    /// CKA_LABEL of the token.
    pub token: String,
    /// The PIN of the token's normal user.
    pub pin: Secret,
    /// How many sessions to have open at most; at least one.
    pub max_sessions: usize,
}

/// Why a token is not used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The module cannot be loaded, initialised or asked for its tokens.
    #[error("the PKCS#11 module does not work")]
    Module(#[source] CryptokiError),
    /// No token has that label.
    #[error("the module has no token of that label")]
    NoSuchToken,
    /// Several tokens have that label.
    #[error("the module has several tokens of that label")]
    AmbiguousToken,
    /// No session could be opened and logged in: [`Error::Refused`] means the PIN.
    #[error("no session with the token")]
    Session(#[source] Error),
    /// The module does not do what it must.
    #[error("the PKCS#11 module fails the self-test")]
    SelfTest(#[source] SelfTestFailure),
}

/// Why no key was created.
#[derive(Debug, Error)]
pub enum CreateKeyError {
    /// A key of that label is on the token already.
    #[error("the label is taken")]
    Exists,
    /// The token did not do it.
    #[error(transparent)]
    Provider(#[from] Error),
}

/// Several keys on the token have the label: nobody can say which one is meant.
#[derive(Debug, Error)]
#[error("{0} keys on the token have the same label")]
struct AmbiguousLabel(usize);

/// One token. Keys are found by CKA_LABEL.
#[derive(Debug)]
pub struct Pkcs11 {
    pool: Arc<Pool>,
    keks: Arc<Keks>,
    hardware: bool,
}

impl Pkcs11 {
    /// Loads the module, logs in and runs the self-test. Blocks for as long as the module does.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options { module, token, pin, max_sessions } = options;
        let client = Arc::new(Client::load(&module, &token)?);
        let hardware = client.is_hardware().map_err(OpenError::Module)?;
        #[expect(clippy::disallowed_methods, reason = "the PIN goes to the token; this copy is wiped on drop")]
        let pin = RawAuthPin::new(Box::new(pin.expose().to_vec()));
        let pool = Pool::new(Arc::clone(&client), pin, max_sessions.max(1));
        pool.run_blocking(|connection| Ok(self_test::run(&client, connection)))
            .map_err(OpenError::Session)?
            .map_err(OpenError::SelfTest)?;
        Ok(Self { pool: Arc::new(pool), keks: Arc::default(), hardware })
    }

    /// Generates a non-extractable AES-256 key that can do nothing but wrap and unwrap. Blocks as `open` does.
    pub fn create_key(&self, label: &str) -> Result<(), CreateKeyError> {
        let create = |connection: &Connection| {
            let free = connection.find_keks(label).map_err(translate)?.is_empty();
            if free {
                connection.generate_kek(label).map_err(translate)?;
            }
            Ok(free)
        };
        if self.pool.run_blocking(create)? { Ok(()) } else { Err(CreateKeyError::Exists) }
    }
}

#[async_trait]
impl KeyProvider for Pkcs11 {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            binds_context: false,
            hardware: self.hardware,
            max_payload: Payload::LEN,
            permissions: Permissions {
                inspect: "the user PIN",
                wrap: "the user PIN, and CKA_WRAP on the key",
                unwrap: "the user PIN, and CKA_UNWRAP on the key",
            },
        }
    }

    async fn inspect(&self, key: &KeyRef) -> Result<KeyState, Error> {
        let (keks, key) = (Arc::clone(&self.keks), key.clone());
        match self.pool.run(move |connection| keks.find(connection, &key)).await {
            Ok(_) => Ok(KeyState::Usable { version: String::new() }),
            Err(Error::KeyUnusable(reason)) => Ok(KeyState::Unusable(reason)),
            Err(error) => Err(error),
        }
    }

    async fn wrap_key(&self, key: &KeyRef, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let (keks, key) = (Arc::clone(&self.keks), key.clone());
        let payload = Payload::bind(secret, context)?;
        let wrap = move |connection: &Connection| {
            keks.apply(connection, &key, translate, |kek| connection.wrap(kek, &payload))
        };
        Ok(Wrapped { bytes: self.pool.run(wrap).await?, version: String::new() })
    }

    async fn unwrap_key(&self, key: &KeyRef, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        let (keks, key, wrapped) = (Arc::clone(&self.keks), key.clone(), wrapped.clone());
        let unwrap = move |connection: &Connection| {
            let unwrap = |kek| connection.unwrap(kek, &wrapped.bytes);
            let payload = keks.apply(connection, &key, translate_unwrap, unwrap)?;
            if wrapped.version.is_empty() { Ok(payload) } else { Err(Error::Mismatch) }
        };
        self.pool.run(unwrap).await?.release(context)
    }
}

/// Handles of keys by name. A handle may go stale at any time; the token is asked again whenever one does not work.
#[derive(Debug, Default)]
struct Keks(Mutex<HashMap<KeyRef, ObjectHandle>>);

impl Keks {
    /// Calls `call` with the handle of `key`, anew when the handle turns out to be stale.
    ///
    /// Vendors disagree on how a failed unwrap is worded, so after any failure the token is asked about the key: its
    /// answer tells a missing or disabled key, or a token in trouble, from input that is at fault.
    fn apply<T>(
        &self,
        connection: &Connection,
        key: &KeyRef,
        reading: impl Fn(CryptokiError) -> Error,
        call: impl Fn(ObjectHandle) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let known = self.handles().get(key).copied();
        let kek = known.map_or_else(|| self.find(connection, key), Ok)?;
        let failure = match call(kek) {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        let found = self.find(connection, key)?;
        let result = if found == kek { Err(failure) } else { call(found) };
        result.map_err(|failure| match failure {
            Failure::Call(error) => reading(error),
            Failure::Around(error) => translate(error),
        })
    }

    /// Asks the token for the handle of a key that may be used, and remembers it.
    fn find(&self, connection: &Connection, key: &KeyRef) -> Result<ObjectHandle, Error> {
        self.handles().remove(key);
        let found = connection.find_keks(key.as_str()).map_err(translate)?;
        let kek = match found[..] {
            [kek] => kek,
            [] => return Err(Error::NoSuchKey),
            [_, _, ..] => return Err(Error::broken(AmbiguousLabel(found.len()))),
        };
        if !connection.wraps_and_unwraps(kek).map_err(translate)? {
            return Err(Error::KeyUnusable(Unusable::Disabled));
        }
        self.handles().insert(key.clone(), kek);
        Ok(kek)
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<KeyRef, ObjectHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What any failed call means. Token and session troubles pass, others need an operator.
fn translate(error: CryptokiError) -> Error {
    let CryptokiError::Pkcs11(code, function) = error else {
        return Error::broken(error);
    };
    tracing::debug!(%function, ?code, "PKCS#11 call failed");
    match code {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange | RvError::PinExpired => Error::Refused,
        RvError::PinLocked | RvError::UserPinNotInitialized => Error::Refused,
        RvError::DeviceError | RvError::GeneralError | RvError::FunctionFailed => {
            Error::Unavailable { retry_after: None }
        }
        code if is_lost(code) => Error::Unavailable { retry_after: None },
        _ => Error::broken(error),
    }
}

/// What a failed C_UnwrapKey means when the token still knows the key: modules report an altered blob as almost
/// anything, CKR_GENERAL_ERROR and CKR_DEVICE_ERROR among it.
fn translate_unwrap(error: CryptokiError) -> Error {
    match error {
        CryptokiError::Pkcs11(code, _) if !is_lost(code) => Error::Mismatch,
        error => translate(error),
    }
}

/// Codes that can only speak of the session, the token or the host.
fn is_lost(code: RvError) -> bool {
    matches!(
        code,
        RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::SessionCount
            | RvError::DeviceRemoved
            | RvError::DeviceMemory
            | RvError::HostMemory
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::UserNotLoggedIn
            | RvError::CryptokiNotInitialized
    )
}
