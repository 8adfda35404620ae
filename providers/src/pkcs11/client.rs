//! Exactly the PKCS#11 calls in use. Blocking; whoever calls owns the session.

use super::failure::{CallFailed, Failure};
use super::method::{Gcm, Method};
use super::raw::{self, Functions};
use super::uri::{KeyName, TokenUri};
use crate::Context;
use crate::payload::Payload;
use cryptoki::context::{Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use cryptoki_sys::{
    CK_ATTRIBUTE_TYPE, CKA_ID, CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKF_TOKEN_INITIALIZED, CKF_USER_PIN_FINAL_TRY,
    CKF_USER_PIN_LOCKED,
};
use secret::Secret;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroize;

/// Room for what any of the mechanisms makes of a payload: RSA-8192 is the longest.
const WRAPPED_ROOM: usize = 1024;
/// The longest modulus that is read: RSA-16384.
const MODULUS_ROOM: usize = 2048;
/// The longest CKA_ID that is read.
const ID_ROOM: usize = 1024;

/// A module, loaded and initialised: once in a process.
#[derive(Debug)]
pub(super) struct Module {
    module: Pkcs11,
    functions: Functions,
}

/// One token of a module.
#[derive(Debug, Clone)]
pub(super) struct Client {
    module: Arc<Module>,
    slot: Slot,
}

/// What failed: the wrapping call itself, which may be the fault of its input, or a call around it, which cannot be.
#[derive(Debug)]
pub(super) enum CallError {
    /// C_WrapKey, C_UnwrapKey, C_Encrypt or C_Decrypt.
    Call(Error),
    /// Any other call.
    Around(Error),
}

impl CallError {
    pub(super) fn inner(&self) -> &Error {
        match self {
            Self::Call(error) | Self::Around(error) => error,
        }
    }
}

impl Module {
    /// Loads and initialises the library at `path`.
    pub(super) fn load(path: &str, parameters: &str) -> Result<Self, Failure> {
        let failed = |error| Failure::Module(CallFailed::of(&error));
        let module = Pkcs11::new(path).map_err(failed)?;
        // What it needs may not be there yet: a daemon, a network.
        raw::initialize(&module, parameters).map_err(|error| Failure::Trouble(CallFailed::of(&error)))?;
        let functions = Functions::load(Path::new(path)).ok_or(Error::NullFunctionPointer).map_err(failed)?;
        Ok(Self { module, functions })
    }
}

impl Client {
    /// Finds the one token that `token` describes.
    pub(super) fn find(module: Arc<Module>, token: &TokenUri) -> Result<Self, Failure> {
        let failed = |error| Failure::of_call(&error);
        let mut found = Vec::new();
        for slot in module.module.get_slots_with_token().map_err(failed)? {
            let info = module.functions.token_info(slot).map_err(failed)?;
            if info.flags & CKF_TOKEN_INITIALIZED != 0 && token.describes(slot.id(), &info) {
                found.push(slot);
            }
        }
        match found[..] {
            [slot] => Ok(Self { module, slot }),
            [] => Err(Failure::NoSuchToken),
            [_, _, ..] => Err(Failure::AmbiguousToken),
        }
    }

    /// Whether the module says that the slot is hardware.
    pub(super) fn is_hardware(&self) -> Result<bool, Error> {
        Ok(self.module.module.get_slot_info(self.slot)?.hardware_slot())
    }

    /// Whether one more wrong PIN would lock the token, or it is locked already.
    pub(super) fn is_last_attempt(&self) -> Result<bool, Error> {
        let info = self.module.functions.token_info(self.slot)?;
        Ok(info.flags & (CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED) != 0)
    }

    /// Opens a session. Read-only: session objects are all it ever creates.
    pub(super) fn connect(&self) -> Result<Connection, Error> {
        Ok(Connection { session: self.module.module.open_ro_session(self.slot)?, client: self.clone() })
    }
}

/// A session of a logged-in user; closed on drop, and its session objects destroyed.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    session: Session,
}

impl Connection {
    /// C_Login as the normal user, for all sessions of this process with the token.
    pub(super) fn login(&self, pin: &Secret) -> Result<(), Error> {
        #[expect(clippy::disallowed_methods, reason = "the PIN goes to the token; this copy is wiped on drop")]
        let pin = RawAuthPin::new(Box::new(pin.expose().to_vec()));
        match self.session.login_with_raw(UserType::User, &pin) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The objects on the token of that name, class and type.
    pub(super) fn find(
        &self,
        name: &KeyName,
        class: ObjectClass,
        key_type: KeyType,
    ) -> Result<Vec<ObjectHandle>, Error> {
        let mut template = vec![Attribute::Token(true), Attribute::Class(class), Attribute::KeyType(key_type)];
        template.extend(name.label().map(|label| Attribute::Label(label.to_vec())));
        template.extend(name.id().map(|id| Attribute::Id(id.to_vec())));
        self.session.find_objects(&template)
    }

    /// Fails when the token has lost the login: it then just does not show private objects.
    pub(super) fn check_login(&self) -> Result<(), Error> {
        match self.session.get_session_info()?.session_state() {
            SessionState::RoUser | SessionState::RwUser => Ok(()),
            SessionState::RoPublic | SessionState::RwPublic | SessionState::RwSecurityOfficer => {
                Err(Error::Pkcs11(RvError::UserNotLoggedIn, Function::GetSessionInfo))
            }
        }
    }

    /// A boolean attribute; false where the module does not know it.
    pub(super) fn flag(&self, object: ObjectHandle, attribute: CK_ATTRIBUTE_TYPE) -> Result<bool, Error> {
        self.functions().flag(&self.session, object, attribute)
    }

    /// CKA_ID.
    pub(super) fn id(&self, object: ObjectHandle) -> Result<Vec<u8>, Error> {
        self.read(object, CKA_ID, ID_ROOM)
    }

    /// Modulus and public exponent, big endian.
    pub(super) fn rsa_public(&self, object: ObjectHandle) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let modulus = self.read(object, CKA_MODULUS, MODULUS_ROOM)?;
        Ok((modulus, self.read(object, CKA_PUBLIC_EXPONENT, MODULUS_ROOM)?))
    }

    /// Generates an AES-256 key on the token that never leaves it, and can do nothing but wrap and unwrap.
    pub(super) fn generate_kek(&self, label: &str) -> Result<(), Error> {
        let session = self.client.module.module.open_rw_session(self.client.slot)?;
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

    /// Imports a key of that type that lives as long as the session.
    pub(super) fn import(&self, key_type: KeyType, value: &Secret, usage: &[Attribute]) -> Result<ObjectHandle, Error> {
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
        let object = self.session.create_object(&template);
        if let Some(Attribute::Value(mut copy)) = template.pop() {
            copy.zeroize();
        }
        object
    }

    /// C_DestroyObject.
    pub(super) fn destroy(&self, object: ObjectHandle) -> Result<(), Error> {
        self.session.destroy_object(object)
    }

    /// C_WrapKey of the payload as a generic secret.
    pub(super) fn wrap(&self, method: &Method, kek: ObjectHandle, payload: &Payload) -> Result<Vec<u8>, CallError> {
        let usage = [Attribute::Extractable(true)];
        let value = self.import(KeyType::GENERIC_SECRET, payload.bytes(), &usage).map_err(CallError::Around)?;
        let wrapped = self.wrap_object(method, kek, value).map_err(CallError::Call);
        self.destroy(value).map_err(CallError::Around)?;
        wrapped
    }

    /// C_WrapKey.
    pub(super) fn wrap_object(
        &self,
        method: &Method,
        kek: ObjectHandle,
        object: ObjectHandle,
    ) -> Result<Vec<u8>, Error> {
        let mut wrapped = vec![0; WRAPPED_ROOM];
        let length = self.functions().wrap_key(&self.session, method, (kek, object), &mut wrapped)?;
        wrapped.truncate(length);
        Ok(wrapped)
    }

    /// C_UnwrapKey, and the value of the resulting session object.
    pub(super) fn unwrap(&self, method: &Method, kek: ObjectHandle, wrapped: &[u8]) -> Result<Payload, CallError> {
        let value = self.functions().unwrap_key(&self.session, method, kek, wrapped).map_err(CallError::Call)?;
        let bytes = self.functions().value(&self.session, value, Payload::LEN).map_err(CallError::Around);
        self.destroy(value).map_err(CallError::Around)?;
        bytes.map(Payload::unwrapped)
    }

    /// C_Encrypt with AES-GCM: IV, ciphertext, tag.
    pub(super) fn encrypt(&self, key: ObjectHandle, gcm: Gcm, payload: &Payload) -> Result<Vec<u8>, CallError> {
        let mut wrapped = vec![0; WRAPPED_ROOM];
        wrapped[..Gcm::IV_LEN].copy_from_slice(&gcm.iv);
        #[expect(clippy::disallowed_methods, reason = "the payload goes to the token")]
        let sides = (payload.bytes().expose(), &mut wrapped[Gcm::IV_LEN..]);
        let length = self.functions().encrypt(&self.session, key, gcm, sides).map_err(CallError::Call)?;
        wrapped.truncate(Gcm::IV_LEN + length);
        Ok(wrapped)
    }

    /// C_Decrypt of what [`Connection::encrypt`] makes.
    pub(super) fn decrypt(&self, key: ObjectHandle, wrapped: &[u8], context: Context) -> Result<Payload, CallError> {
        let Some((iv, ciphertext)) = wrapped.split_first_chunk().filter(|(_, rest)| rest.len() > Gcm::TAG_LEN) else {
            let short = Error::Pkcs11(RvError::EncryptedDataLenRange, Function::Decrypt);
            return Err(CallError::Call(short));
        };
        let gcm = Gcm { iv: *iv, context };
        let plaintext = self.functions().decrypt(&self.session, key, gcm, ciphertext).map_err(CallError::Call)?;
        Ok(Payload::unwrapped(plaintext))
    }

    fn read(&self, object: ObjectHandle, attribute: CK_ATTRIBUTE_TYPE, room: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; room];
        let length = self.functions().attribute(&self.session, object, attribute, &mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    fn functions(&self) -> &Functions {
        &self.client.module.functions
    }
}
