//! How this module does a mechanism: which number, which template.

use super::client::{CallError, Connection};
use super::mechanism::Mechanism;
use crate::Context;
use crate::payload::Payload;
use aws_lc_rs::rand;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki_sys::{
    CK_MECHANISM_TYPE, CKM_AES_GCM, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_RSA_PKCS_OAEP,
};

/// A mechanism by the number that the module has it under. A number is not a wire format: 0x210A is RFC 5649 in
/// SoftHSM2 and something else in NSS, so a method counts only once it has passed the self-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) mechanism: Mechanism,
    pub(super) number: CK_MECHANISM_TYPE,
    pub(super) template: Template,
}

/// The attributes given to C_UnwrapKey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Template {
    /// Says that the value may be read.
    Full,
    /// Leaves that to the module's defaults: opencryptoki takes no CKA_SENSITIVE or CKA_EXTRACTABLE here.
    Bare,
}

/// The parameters of one AES-GCM call. The context is the associated data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gcm {
    pub(super) iv: [u8; Gcm::IV_LEN],
    pub(super) context: Context,
}

impl Gcm {
    pub(super) const IV_LEN: usize = 12;
    pub(super) const TAG_LEN: usize = 16;
}

impl Method {
    /// The ways in which modules are known to do `mechanism`, the standard's first.
    pub(super) fn candidates(mechanism: Mechanism) -> Vec<Self> {
        let numbers: &[CK_MECHANISM_TYPE] = match mechanism {
            Mechanism::AesKw => &[CKM_AES_KEY_WRAP],
            Mechanism::AesKwp => &[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD],
            Mechanism::AesGcm => &[CKM_AES_GCM],
            Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => &[CKM_RSA_PKCS_OAEP],
        };
        let templates: &[Template] = match mechanism {
            Mechanism::AesGcm => &[Template::Full],
            Mechanism::AesKw | Mechanism::AesKwp | Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => {
                &[Template::Full, Template::Bare]
            }
        };
        let methods = |number: &CK_MECHANISM_TYPE| {
            let number = *number;
            templates.iter().map(move |template| Self { mechanism, number, template: *template })
        };
        numbers.iter().flat_map(methods).collect()
    }

    /// Wraps the payload under `key`.
    pub(super) fn wrap(
        &self,
        connection: &Connection,
        key: ObjectHandle,
        payload: &Payload,
        context: Context,
    ) -> Result<Vec<u8>, CallError> {
        match self.mechanism {
            Mechanism::AesGcm => connection.encrypt(key, Gcm { iv: random_iv(), context }, payload),
            Mechanism::AesKw | Mechanism::AesKwp | Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => {
                connection.wrap(self, key, payload)
            }
        }
    }

    /// Unwraps what [`Method::wrap`] made.
    pub(super) fn unwrap(
        &self,
        connection: &Connection,
        key: ObjectHandle,
        wrapped: &[u8],
        context: Context,
    ) -> Result<Payload, CallError> {
        match self.mechanism {
            Mechanism::AesGcm => connection.decrypt(key, wrapped, context),
            Mechanism::AesKw | Mechanism::AesKwp | Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => {
                connection.unwrap(self, key, wrapped)
            }
        }
    }
}

/// 96 random bits: enough for the 2^32 wraps under one key that NIST SP 800-38D, section 8.3, allows.
fn random_iv() -> [u8; Gcm::IV_LEN] {
    let mut iv = [0; Gcm::IV_LEN];
    rand::fill(&mut iv).expect("invariant: the system random number generator works");
    iv
}

impl Template {
    pub(super) fn attributes(self) -> Vec<Attribute> {
        let mut attributes = vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Token(false),
        ];
        match self {
            Self::Full => {
                attributes.extend([
                    Attribute::Private(true),
                    Attribute::Sensitive(false),
                    Attribute::Extractable(true),
                ]);
            }
            Self::Bare => {}
        }
        attributes
    }
}
