//! What a module must show before it is trusted with keys: a mechanism number is not a wire format.

use super::client::{Client, Connection, Failure};
use crate::payload::Payload;
use crate::{Context, SECRET_LEN};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use cryptoki::error::Error;
use cryptoki::object::ObjectHandle;
use secret::Secret;

const KEY: [u8; 32] = [0x4b; 32];
const SECRET: [u8; SECRET_LEN] = [0x53; SECRET_LEN];
const CONTEXT: Context = Context::new([0x43; 32]);

/// Why a module is not used.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestFailure {
    /// CKM_AES_KEY_WRAP is not offered for both wrapping and unwrapping.
    #[error("the module does not offer CKM_AES_KEY_WRAP for wrapping and unwrapping")]
    NoKeyWrap,
    /// A call failed that has to work.
    #[error("a call failed that has to work")]
    Call(#[source] Error),
    /// Wrapping a known payload under a known key gave other bytes than RFC 3394 defines.
    #[error("the module's CKM_AES_KEY_WRAP is not RFC 3394")]
    WrongWrap,
    /// Unwrapping gave other bytes than were wrapped, or the payload binding did not hold.
    #[error("the module does not give back what it wrapped")]
    WrongUnwrap,
    /// An altered blob was unwrapped.
    #[error("the module opens an altered blob")]
    OpensAltered,
}

/// Wraps and unwraps a known payload under a known session key.
pub(super) fn run(client: &Client, connection: &Connection) -> Result<(), SelfTestFailure> {
    if !client.has_key_wrap().map_err(SelfTestFailure::Call)? {
        return Err(SelfTestFailure::NoKeyWrap);
    }
    let kek = connection.import_kek(&Secret::copied_from(&KEY)).map_err(SelfTestFailure::Call)?;
    let result = known_answer(connection, kek).and_then(|wrapped| altered(connection, kek, wrapped));
    connection.destroy(kek).map_err(SelfTestFailure::Call)?;
    result
}

fn known_answer(connection: &Connection, kek: ObjectHandle) -> Result<Vec<u8>, SelfTestFailure> {
    let payload = || Payload::bind(&Secret::copied_from(&SECRET), &CONTEXT).map_err(|_| SelfTestFailure::WrongUnwrap);
    let wrapped = connection.wrap(kek, &payload()?).map_err(call)?;
    if wrapped != expected() {
        return Err(SelfTestFailure::WrongWrap);
    }
    let unwrap = || connection.unwrap(kek, &wrapped).map_err(call);
    let right = unwrap()?.release(&CONTEXT).is_ok_and(|secret| secret.matches(&SECRET));
    let elsewhere = unwrap()?.release(&Context::new([0; 32])).is_ok();
    if right && !elsewhere { Ok(wrapped) } else { Err(SelfTestFailure::WrongUnwrap) }
}

fn altered(connection: &Connection, kek: ObjectHandle, mut wrapped: Vec<u8>) -> Result<(), SelfTestFailure> {
    wrapped[40] ^= 1;
    match connection.unwrap(kek, &wrapped) {
        Ok(_) => Err(SelfTestFailure::OpensAltered),
        Err(Failure::Call(_)) => Ok(()),
        Err(Failure::Around(error)) => Err(SelfTestFailure::Call(error)),
    }
}

fn call(failure: Failure) -> SelfTestFailure {
    match failure {
        Failure::Call(error) | Failure::Around(error) => SelfTestFailure::Call(error),
    }
}

/// The same payload wrapped by AWS-LC.
fn expected() -> Vec<u8> {
    let payload = [SECRET, *CONTEXT.as_bytes()].concat();
    let mut output = vec![0; payload.len() + 8];
    let kek = AesKek::new(&AES_256, &KEY).expect("invariant: the key has 32 bytes");
    kek.wrap(&payload, &mut output).expect("invariant: the lengths are those of RFC 3394").to_vec()
}
