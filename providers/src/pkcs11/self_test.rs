//! What a module must show before it is trusted with keys: a mechanism number is not a wire format.

use super::client::{CallError, Connection};
use super::failure::{CallFailed, Failure, Malformed};
use super::known_answer;
use super::mechanism::Mechanism;
use super::method::Method;
use crate::payload::Payload;
use crate::{Context, SECRET_LEN};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, KeyType, ObjectHandle};
use secret::Secret;

const KEY: [u8; 32] = [0x4b; 32];
const SECRET: [u8; SECRET_LEN] = [0x53; SECRET_LEN];
const CONTEXT: Context = Context::new([0x43; 32]);
/// The AES mechanisms are tried with a known key at start; RSA-OAEP with each key when it is first used.
const AT_START: [Mechanism; 3] = [Mechanism::AesKw, Mechanism::AesKwp, Mechanism::AesGcm];

/// What was found out about a module and its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The module says that keys live in hardware.
    pub hardware: bool,
    /// The module wraps a key whose CKA_EXTRACTABLE is false: whoever has the PIN can take any key out.
    pub exports: bool,
    /// One for each AES mechanism.
    pub verdicts: Vec<Verdict>,
}

/// How the module did with one mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// How it did.
    pub outcome: Outcome,
}

/// Whether a mechanism is used, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The module does not have it.
    NotOffered,
    /// A call failed that has to work.
    Failed,
    /// Unwrapping what AWS-LC has wrapped gave other bytes.
    WrongUnwrap,
    /// AWS-LC does not open what the module has wrapped.
    WrongWrap,
    /// An altered or shortened blob was unwrapped, or one of another context.
    OpensAltered,
    /// It does what the standard says.
    Usable,
}

/// Tries every AES mechanism under a known session key; gives those that work, and how each did.
pub(super) fn run(connection: &Connection) -> Result<(Vec<Method>, Vec<Verdict>), Failure> {
    let usage = [Attribute::Wrap(true), Attribute::Unwrap(true), Attribute::Encrypt(true), Attribute::Decrypt(true)];
    let key = match connection.import(KeyType::AES, &Secret::copied_from(&KEY), &usage) {
        Ok(key) => key,
        // Without a known key nothing can be said about AES.
        Err(error) => return unless_lost(&error, (Vec::new(), all_failed())),
    };
    let (mut methods, mut verdicts) = (Vec::new(), Vec::new());
    for mechanism in AT_START {
        let (method, outcome) = best(connection, key, mechanism)?;
        methods.extend(method);
        verdicts.push(Verdict { mechanism, outcome });
    }
    connection.destroy(key).map_err(|error| Failure::of_call(&error))?;
    Ok((methods, verdicts))
}

/// Whether the module wraps a key that must not be extracted.
pub(super) fn exports(connection: &Connection, methods: &[Method]) -> Result<bool, Failure> {
    let Some(method) = methods.iter().find(|method| method.mechanism != Mechanism::AesGcm) else {
        return Ok(false);
    };
    let tried = (|| {
        let key = connection.import(KeyType::AES, &Secret::copied_from(&KEY), &[Attribute::Wrap(true)])?;
        let kept = [Attribute::Extractable(false)];
        let object = connection.import(KeyType::GENERIC_SECRET, &Secret::copied_from(&SECRET), &kept)?;
        let wrapped = connection.wrap_object(method, key, object).is_ok();
        connection.destroy(object)?;
        connection.destroy(key)?;
        Ok(wrapped)
    })();
    tried.or_else(|error| unless_lost(&error, false))
}

/// The first hash that works with this RSA key: AWS-LC encrypts to it, and the token opens that, and its own.
pub(super) fn oaep(
    connection: &Connection,
    public: ObjectHandle,
    private: ObjectHandle,
) -> Result<Option<Method>, Failure> {
    let failed = |error| Failure::of_call(&error);
    let (modulus, exponent) = connection.rsa_public(public).map_err(failed)?;
    for mechanism in [Mechanism::RsaOaepSha256, Mechanism::RsaOaepSha1] {
        let Some(theirs) = known_answer::encrypt(mechanism, &modulus, &exponent, &plain_payload()) else {
            continue;
        };
        for method in Method::candidates(mechanism) {
            if oaep_works(connection, (public, private), &method, &theirs)? {
                return Ok(Some(method));
            }
        }
    }
    Ok(None)
}

fn oaep_works(
    connection: &Connection,
    (public, private): (ObjectHandle, ObjectHandle),
    method: &Method,
    theirs: &[u8],
) -> Result<bool, Failure> {
    let opens = |wrapped: &[u8]| connection.unwrap(method, private, wrapped).map(is_right);
    let tried = opens(theirs).and_then(|right| Ok(right && opens(&connection.wrap(method, public, &payload())?)?));
    tried.or_else(|error| unless_lost(error.inner(), false))
}

fn best(
    connection: &Connection,
    key: ObjectHandle,
    mechanism: Mechanism,
) -> Result<(Option<Method>, Outcome), Failure> {
    let mut worst = Outcome::NotOffered;
    for method in Method::candidates(mechanism) {
        let outcome = match try_method(connection, key, &method) {
            Ok(outcome) => outcome,
            Err(error) => unless_lost(error.inner(), reading(error.inner()))?,
        };
        if outcome == Outcome::Usable {
            return Ok((Some(method), outcome));
        }
        worst = worst.max(outcome);
    }
    Ok((None, worst))
}

fn try_method(connection: &Connection, key: ObjectHandle, method: &Method) -> Result<Outcome, CallError> {
    let wrapped = method.wrap(connection, key, &payload(), CONTEXT)?;
    if known_answer::unwrap(method.mechanism, &KEY, &wrapped, CONTEXT) != Some(plain_payload()) {
        return Ok(Outcome::WrongWrap);
    }
    let theirs = known_answer::wrap(method.mechanism, &KEY, &plain_payload(), CONTEXT);
    if !is_right(method.unwrap(connection, key, &theirs, CONTEXT)?) {
        return Ok(Outcome::WrongUnwrap);
    }
    let mut altered = theirs.clone();
    altered[40] ^= 1;
    let shortened = &theirs[..theirs.len() - 8];
    let binds = method.mechanism == Mechanism::AesGcm;
    let another = if binds { Context::new([0; 32]) } else { CONTEXT };
    let opens = |bytes: &[u8], context| method.unwrap(connection, key, bytes, context).is_ok();
    if opens(&altered, CONTEXT) || opens(shortened, CONTEXT) || (binds && opens(&theirs, another)) {
        return Ok(Outcome::OpensAltered);
    }
    Ok(Outcome::Usable)
}

fn reading(error: &Error) -> Outcome {
    match error {
        Error::Pkcs11(RvError::MechanismInvalid | RvError::FunctionNotSupported, _) | Error::NullFunctionPointer => {
            Outcome::NotOffered
        }
        error => {
            eprintln!("self-test: {}", CallFailed::of(error));
            Outcome::Failed
        }
    }
}

/// `otherwise`, unless the error speaks of the session or the token.
fn unless_lost<T>(error: &Error, otherwise: T) -> Result<T, Failure> {
    match Failure::of_call(error) {
        lost @ Failure::Lost(_) => Err(lost),
        _ => Ok(otherwise),
    }
}

fn all_failed() -> Vec<Verdict> {
    AT_START.map(|mechanism| Verdict { mechanism, outcome: Outcome::Failed }).to_vec()
}

fn plain_payload() -> Vec<u8> {
    [SECRET, *CONTEXT.as_bytes()].concat()
}

fn payload() -> Payload {
    Payload::unwrapped(Secret::copied_from(&plain_payload()))
}

fn is_right(payload: Payload) -> bool {
    payload.release(&CONTEXT).is_ok_and(|secret| secret.matches(&SECRET))
}

impl Verdict {
    pub(super) fn to_bytes(self) -> [u8; 2] {
        let mechanism = Mechanism::ALL.iter().position(|mechanism| *mechanism == self.mechanism);
        let outcome = Outcome::ALL.iter().position(|outcome| *outcome == self.outcome);
        [mechanism, outcome].map(|place| place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX))
    }

    pub(super) fn from_bytes([mechanism, outcome]: [u8; 2]) -> Result<Self, Malformed> {
        let mechanism = *Mechanism::ALL.get(usize::from(mechanism)).ok_or(Malformed)?;
        Ok(Self { mechanism, outcome: *Outcome::ALL.get(usize::from(outcome)).ok_or(Malformed)? })
    }
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::NotOffered, Self::Failed, Self::WrongUnwrap, Self::WrongWrap, Self::OpensAltered, Self::Usable];
}
