//! Exactly the PKCS#11 calls in use. Blocking; whoever calls owns the session.

use super::OpenError;
use super::attribute::AttributeReader;
use crate::payload::Payload;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use secret::Secret;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroize;

/// AES-KW (RFC 3394) adds one block of 8 bytes.
const WRAPPED_LEN: usize = Payload::LEN + 8;

/// One token of a loaded module.
#[derive(Debug)]
pub(super) struct Client {
    module: Pkcs11,
    slot: Slot,
    attributes: AttributeReader,
}

/// What failed: the wrapping call itself, which may be the fault of its input, or a call around it, which cannot be.
#[derive(Debug)]
pub(super) enum Failure {
    /// C_WrapKey or C_UnwrapKey.
    Call(Error),
    /// Any other call.
    Around(Error),
}

impl Client {
    /// Loads the module and finds the one token with this label.
    pub(super) fn load(path: &Path, label: &str) -> Result<Self, OpenError> {
        let module = Pkcs11::new(path).map_err(OpenError::Module)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another token of the same module may be open in this process.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(OpenError::Module(error)),
        }
        let slot = find_token(&module, label)?;
        let attributes = AttributeReader::load(path).ok_or(OpenError::Module(Error::NullFunctionPointer))?;
        Ok(Self { module, slot, attributes })
    }

    /// Whether the module says that the slot is hardware.
    pub(super) fn is_hardware(&self) -> Result<bool, Error> {
        Ok(self.module.get_slot_info(self.slot)?.hardware_slot())
    }

    /// Whether the module says that it wraps and unwraps by AES-KW.
    pub(super) fn has_key_wrap(&self) -> Result<bool, Error> {
        if !self.module.get_mechanism_list(self.slot)?.contains(&MechanismType::AES_KEY_WRAP) {
            return Ok(false);
        }
        let info = self.module.get_mechanism_info(self.slot, MechanismType::AES_KEY_WRAP)?;
        Ok(info.wrap() && info.unwrap())
    }

    /// Opens a session and logs in. Read-only: session objects are all it ever creates.
    ///
    /// The token forgets a login when its last session closes, so each new session makes sure of it.
    pub(super) fn connect(self: &Arc<Self>, pin: &RawAuthPin) -> Result<Connection, Error> {
        let session = self.module.open_ro_session(self.slot)?;
        match session.login_with_raw(UserType::User, pin) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(error),
        }
        Ok(Connection { client: Arc::clone(self), session })
    }
}

/// A session of a logged-in user; closed on drop, and its session objects destroyed.
#[derive(Debug)]
pub(super) struct Connection {
    client: Arc<Client>,
    session: Session,
}

impl Connection {
    /// The handles of all AES keys of that label on the token.
    pub(super) fn find_keks(&self, label: &str) -> Result<Vec<ObjectHandle>, Error> {
        let found = self.session.find_objects(&[
            Attribute::Token(true),
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Label(label.as_bytes().to_vec()),
        ])?;
        // Keys are private objects: a token that has lost the login just does not show them.
        match self.session.get_session_info()?.session_state() {
            SessionState::RoUser | SessionState::RwUser => Ok(found),
            SessionState::RoPublic | SessionState::RwPublic | SessionState::RwSecurityOfficer => {
                Err(Error::Pkcs11(RvError::UserNotLoggedIn, Function::FindObjects))
            }
        }
    }

    /// Whether the key may both wrap and unwrap.
    pub(super) fn wraps_and_unwraps(&self, kek: ObjectHandle) -> Result<bool, Error> {
        let usage = self.session.get_attributes(kek, &[AttributeType::Wrap, AttributeType::Unwrap])?;
        Ok(usage.contains(&Attribute::Wrap(true)) && usage.contains(&Attribute::Unwrap(true)))
    }

    /// Generates an AES-256 key on the token that never leaves it, and can do nothing but wrap and unwrap.
    pub(super) fn generate_kek(&self, label: &str) -> Result<(), Error> {
        let session = self.client.module.open_rw_session(self.client.slot)?;
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::ValueLen(32.into()),
            Attribute::Wrap(true),
            Attribute::Unwrap(true),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
            Attribute::Sign(false),
            Attribute::Verify(false),
            Attribute::Derive(false),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).map(drop)
    }

    /// Imports an AES key that lives as long as the session, for the self-test.
    pub(super) fn import_kek(&self, key: &Secret) -> Result<ObjectHandle, Error> {
        create_secret(&self.session, KeyType::AES, key, &[Attribute::Wrap(true), Attribute::Unwrap(true)])
    }

    /// Removes what [`Connection::import_kek`] made.
    pub(super) fn destroy(&self, kek: ObjectHandle) -> Result<(), Error> {
        self.session.destroy_object(kek)
    }

    /// C_WrapKey with AES-KW of the payload as a generic secret.
    pub(super) fn wrap(&self, kek: ObjectHandle, payload: &Payload) -> Result<Vec<u8>, Failure> {
        let value =
            create_secret(&self.session, KeyType::GENERIC_SECRET, payload.bytes(), &[Attribute::Extractable(true)]);
        let value = value.map_err(Failure::Around)?;
        let wrapped = self.session.wrap_key(&Mechanism::AesKeyWrap, kek, value).map_err(Failure::Call);
        self.session.destroy_object(value).map_err(Failure::Around)?;
        // `cryptoki` 0.12 does not cut its buffer to the length returned; a module may have asked for too much.
        wrapped.map(|mut bytes| {
            bytes.truncate(WRAPPED_LEN);
            bytes
        })
    }

    /// C_UnwrapKey with AES-KW, and the value of the resulting session object.
    pub(super) fn unwrap(&self, kek: ObjectHandle, wrapped: &[u8]) -> Result<Payload, Failure> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ];
        let value = self.session.unwrap_key(&Mechanism::AesKeyWrap, kek, wrapped, &template).map_err(Failure::Call)?;
        let bytes = self.client.attributes.value(&self.session, value, Payload::LEN).map_err(Failure::Around);
        self.session.destroy_object(value).map_err(Failure::Around)?;
        bytes.map(Payload::unwrapped)
    }
}

fn find_token(module: &Pkcs11, label: &str) -> Result<Slot, OpenError> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_initialized_token().map_err(OpenError::Module)? {
        if module.get_token_info(slot).map_err(OpenError::Module)?.label() == label {
            found.push(slot);
        }
    }
    match found[..] {
        [slot] => Ok(slot),
        [] => Err(OpenError::NoSuchToken),
        [_, _, ..] => Err(OpenError::AmbiguousToken),
    }
}

/// Creates a session object of this value; the copy that the template needs is wiped.
fn create_secret(
    session: &Session,
    key_type: KeyType,
    value: &Secret,
    usage: &[Attribute],
) -> Result<ObjectHandle, Error> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(key_type),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
    ];
    template.extend_from_slice(usage);
    #[expect(clippy::disallowed_methods, reason = "the token wraps objects, so the payload becomes one")]
    template.push(Attribute::Value(value.expose().to_vec()));
    let object = session.create_object(&template);
    if let Some(Attribute::Value(mut copy)) = template.pop() {
        copy.zeroize();
    }
    object
}
