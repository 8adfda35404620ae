//! In the worker: a token, logged in, and the keys on it.

use super::client::{CallError, Client, Connection, Module};
use super::failure::Failure;
use super::mechanism::Mechanism;
use super::method::Method;
use super::self_test::{self, Report};
use super::uri::{KeyKind, KeyName, TokenUri};
use super::wire::{Answer, Open, Request};
use crate::Context;
use crate::payload::Payload;
use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{KeyType, ObjectClass, ObjectHandle};
use cryptoki_sys::{CKA_DECRYPT, CKA_ENCRYPT, CKA_UNWRAP, CKA_WRAP};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One token, by sessions that are opened when needed and kept when their last call went well.
#[derive(Debug)]
pub(super) struct Token {
    client: Client,
    /// The AES mechanisms that have passed the self-test, the preferred first.
    methods: Vec<Method>,
    /// By name. A handle may go stale at any time; the token is asked again whenever one does not work.
    keks: Mutex<HashMap<String, Kek>>,
    /// How each RSA key does OAEP, by modulus; `None` when not at all.
    oaep: Mutex<HashMap<Vec<u8>, Option<Method>>>,
    idle: Mutex<Vec<Connection>>,
    /// The one that has logged in. It does nothing else: a token forgets a login when its last session closes.
    _login: Mutex<Connection>,
}

/// A key that may wrap.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kek {
    /// The key that wraps: the same one, or the public one of a pair.
    wrapping: ObjectHandle,
    unwrapping: ObjectHandle,
    wraps_by: Option<Method>,
    unwraps_by: Vec<Method>,
}

impl Token {
    /// Finds the token, logs in and runs the self-test.
    pub(super) fn open(module: Arc<Module>, open: &Open) -> Result<(Self, Report), Failure> {
        let uri: TokenUri = open.token.parse().map_err(|_| Failure::NoSuchToken)?;
        let failed = |error: Error| Failure::of_call(&error);
        let client = Client::find(module, &uri)?;
        let hardware = client.is_hardware().map_err(failed)?;
        if client.is_last_attempt().map_err(failed)? {
            return Err(failed(Error::Pkcs11(RvError::PinLocked, Function::Login)));
        }
        let connection = client.connect().map_err(failed)?;
        connection.login(&open.pin).map_err(failed)?;
        let (methods, verdicts) = self_test::run(&connection)?;
        let exports = self_test::exports(&connection, &methods)?;
        let (keks, oaep, idle) = (Mutex::default(), Mutex::default(), Mutex::default());
        let token = Self { client, methods, keks, oaep, idle, _login: Mutex::new(connection) };
        Ok((token, Report { hardware, exports, verdicts }))
    }

    /// Does what is asked of an open token.
    pub(super) fn perform(&self, request: &Request) -> Result<Answer, Failure> {
        self.with_session(|connection| match request {
            Request::Inspect { key } => match self.find(connection, key)?.wraps_by {
                Some(Method { mechanism, .. }) => Ok(Answer::Usable { mechanism }),
                None => Err(Failure::Disabled),
            },
            Request::Wrap { key, payload, context } => self.wrap(connection, key, payload, *context),
            Request::Unwrap { key, mechanism, wrapped, context } => {
                self.unwrap(connection, key, *mechanism, (wrapped, *context))
            }
            Request::CreateKey { label } => create(connection, label),
            Request::Open(_) => Ok(Answer::Created),
        })
    }

    fn wrap(&self, connection: &Connection, key: &str, payload: &Payload, context: Context) -> Result<Answer, Failure> {
        self.apply(connection, key, Failure::of_call, |kek| {
            let method = kek.wraps_by.ok_or(Failure::Disabled);
            let wrapped = |method: Method| {
                let bytes = method.wrap(connection, kek.wrapping, payload, context)?;
                Ok(Answer::Wrapped { mechanism: method.mechanism, bytes })
            };
            method.map(wrapped)
        })
    }

    fn unwrap(
        &self,
        connection: &Connection,
        key: &str,
        mechanism: Mechanism,
        (wrapped, context): (&[u8], Context),
    ) -> Result<Answer, Failure> {
        self.apply(connection, key, Failure::of_unwrap, |kek| {
            let method = kek.method(mechanism)?;
            // Modules differ in what they make of lengths that cannot be: kryoptic opens nothing, NSS lacks memory for it.
            if !mechanism.makes(wrapped.len()) {
                return Err(Failure::Mismatch);
            }
            Ok(method.unwrap(connection, kek.unwrapping, wrapped, context).map(Answer::Unwrapped))
        })
    }

    /// Calls `call` with `key`, anew when its handle turns out to be stale.
    ///
    /// Vendors disagree on how a failed unwrap is worded, so after any failure the token is asked about the key: its
    /// answer tells a missing or disabled key, or a token in trouble, from input that is at fault.
    fn apply(
        &self,
        connection: &Connection,
        key: &str,
        reading: impl Fn(&Error) -> Failure,
        call: impl Fn(&Kek) -> Result<Result<Answer, CallError>, Failure>,
    ) -> Result<Answer, Failure> {
        let known = self.keks().get(key).cloned();
        let kek = known.map_or_else(|| self.find(connection, key), Ok)?;
        let first = match call(&kek) {
            Ok(Ok(answer)) => return Ok(answer),
            failed => failed,
        };
        let found = self.find(connection, key)?;
        let result = if found == kek && first.is_ok() { first } else { call(&found) };
        result?.map_err(|failure| match failure {
            CallError::Call(error) => reading(&error),
            CallError::Around(error) => Failure::of_call(&error),
        })
    }

    /// Asks the token for a key, and remembers it.
    fn find(&self, connection: &Connection, key: &str) -> Result<Kek, Failure> {
        self.keks().remove(key);
        let name = KeyName::parse(key).map_err(|_| Failure::NoSuchKey)?;
        let find = |kind, class, key_type| {
            let found = if name.may_be(kind) { connection.find(&name, class, key_type) } else { Ok(Vec::new()) };
            found.map_err(|error| Failure::of_call(&error))
        };
        let secret = find(KeyKind::Secret, ObjectClass::SECRET_KEY, KeyType::AES)?;
        let private = find(KeyKind::Private, ObjectClass::PRIVATE_KEY, KeyType::RSA)?;
        connection.check_login().map_err(|error| Failure::of_call(&error))?;
        let kek = match (&secret[..], &private[..]) {
            ([key], []) => self.aes(connection, *key)?,
            ([], [key]) => self.rsa(connection, &name, *key)?,
            ([], []) => return Err(Failure::NoSuchKey),
            _ => return Err(Failure::AmbiguousKey),
        };
        self.keks().insert(key.to_owned(), kek.clone());
        Ok(kek)
    }

    /// An AES key, with the mechanisms that its attributes allow. AES-GCM comes last: who may decrypt under a key can
    /// undo a wrap outside of the broker.
    fn aes(&self, connection: &Connection, key: ObjectHandle) -> Result<Kek, Failure> {
        let flag = |attribute| connection.flag(key, attribute).map_err(|error| Failure::of_call(&error));
        let [wrap, unwrap] = [flag(CKA_WRAP)?, flag(CKA_UNWRAP)?];
        let [encrypt, decrypt] = [flag(CKA_ENCRYPT)?, flag(CKA_DECRYPT)?];
        let by_gcm = |method: &Method| method.mechanism == Mechanism::AesGcm;
        let may_wrap = |method: &Method| if by_gcm(method) { encrypt && decrypt } else { wrap && unwrap };
        let wraps_by = self.methods.iter().copied().find(may_wrap);
        if wraps_by.is_none() && (wrap && unwrap || encrypt && decrypt) {
            return Err(Failure::Unsuitable);
        }
        let may_unwrap = |method: &Method| if by_gcm(method) { decrypt } else { unwrap };
        let unwraps_by = self.methods.iter().copied().filter(may_unwrap).collect();
        Ok(Kek { wrapping: key, unwrapping: key, wraps_by, unwraps_by })
    }

    /// An RSA private key and its public one.
    fn rsa(&self, connection: &Connection, name: &KeyName, private: ObjectHandle) -> Result<Kek, Failure> {
        let failed = |error: Error| Failure::of_call(&error);
        let partner = name.partner(connection.id(private).map_err(failed)?);
        let public = match connection.find(&partner, ObjectClass::PUBLIC_KEY, KeyType::RSA).map_err(failed)?[..] {
            [public] => public,
            [] => return Err(Failure::Unsuitable),
            [_, _, ..] => return Err(Failure::AmbiguousKey),
        };
        let unwrap = connection.flag(private, CKA_UNWRAP).map_err(failed)?;
        let wrap = unwrap && connection.flag(public, CKA_WRAP).map_err(failed)?;
        if !unwrap {
            return Ok(Kek { wrapping: public, unwrapping: private, wraps_by: None, unwraps_by: Vec::new() });
        }
        let method = self.oaep(connection, public, private)?.ok_or(Failure::Unsuitable)?;
        let wraps_by = wrap.then_some(method);
        Ok(Kek { wrapping: public, unwrapping: private, wraps_by, unwraps_by: vec![method] })
    }

    fn oaep(
        &self,
        connection: &Connection,
        public: ObjectHandle,
        private: ObjectHandle,
    ) -> Result<Option<Method>, Failure> {
        let (modulus, _) = connection.rsa_public(public).map_err(|error| Failure::of_call(&error))?;
        let known = lock(&self.oaep).get(&modulus).copied();
        if let Some(method) = known {
            return Ok(method);
        }
        let method = self_test::oaep(connection, public, private)?;
        lock(&self.oaep).insert(modulus, method);
        Ok(method)
    }

    fn with_session(&self, call: impl FnOnce(&Connection) -> Result<Answer, Failure>) -> Result<Answer, Failure> {
        let idle = lock(&self.idle).pop();
        let connection = idle.map_or_else(|| self.client.connect().map_err(|error| Failure::of_call(&error)), Ok)?;
        let result = call(&connection);
        if result.as_ref().err().is_none_or(keeps_session) {
            lock(&self.idle).push(connection);
        }
        result
    }

    fn keks(&self) -> MutexGuard<'_, HashMap<String, Kek>> {
        lock(&self.keks)
    }
}

impl Kek {
    /// How it unwraps what was wrapped by `mechanism`.
    fn method(&self, mechanism: Mechanism) -> Result<&Method, Failure> {
        let method = self.unwraps_by.iter().find(|method| method.mechanism == mechanism);
        method.ok_or(if self.unwraps_by.is_empty() { Failure::Disabled } else { Failure::Mismatch })
    }
}

fn create(connection: &Connection, label: &str) -> Result<Answer, Failure> {
    let failed = |error: Error| Failure::of_call(&error);
    let name = KeyName::labelled(label);
    if !connection.find(&name, ObjectClass::SECRET_KEY, KeyType::AES).map_err(failed)?.is_empty() {
        return Err(Failure::Exists);
    }
    connection.generate_kek(label).map_err(failed)?;
    Ok(Answer::Created)
}

/// Whether the session is not at fault, and cannot hold an object that could not be destroyed.
fn keeps_session(failure: &Failure) -> bool {
    match failure {
        Failure::Mismatch
        | Failure::NoSuchKey
        | Failure::Disabled
        | Failure::AmbiguousKey
        | Failure::Unsuitable
        | Failure::Exists
        | Failure::NoSuchToken
        | Failure::AmbiguousToken => true,
        Failure::PinRefused(_) | Failure::Module(_) | Failure::Lost(_) | Failure::Trouble(_) | Failure::Broken(_) => {
            false
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
