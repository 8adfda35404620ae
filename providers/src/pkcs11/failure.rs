//! Why a worker did not do what it was asked, in a form that crosses the pipe.

use cryptoki::error::{Error as CryptokiError, RvError};
use thiserror::Error;

/// The other side of the pipe does not keep to the format.
#[derive(Debug, Error)]
#[error("a frame that is none")]
pub(super) struct Malformed;

/// A call of the module that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{function}: {answer}")]
pub struct CallFailed {
    /// The function, without its `C_`; empty when no call came about.
    pub function: String,
    /// The return value (PKCS#11 3.1, section 5.1) by its name, without its `CKR_`; or why there was none.
    pub answer: String,
}

/// One variant for each thing that the broker does about it.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("the wrapped bytes do not open")]
    Mismatch,
    #[error("no such key")]
    NoSuchKey,
    #[error("the key may not be used for this")]
    Disabled,
    #[error("several keys on the token go by that name")]
    AmbiguousKey,
    #[error("the module has no usable mechanism for a key of this type")]
    Unsuitable,
    #[error("the label is taken")]
    Exists,
    #[error("the module has no such token")]
    NoSuchToken,
    #[error("the module has several such tokens")]
    AmbiguousToken,
    #[error("the token refuses the PIN")]
    PinRefused(#[source] CallFailed),
    #[error("the module cannot be loaded")]
    Module(#[source] CallFailed),
    /// Sessions or login are gone, or about to be: open anew.
    #[error("the session with the token is lost")]
    Lost(#[source] CallFailed),
    #[error("the module is in trouble")]
    Trouble(#[source] CallFailed),
    #[error("a call failed that has to work")]
    Broken(#[source] CallFailed),
}

impl Failure {
    /// What a failed call means that has nothing to do with its input.
    pub(super) fn of_call(error: &CryptokiError) -> Self {
        let call = CallFailed::of(error);
        let CryptokiError::Pkcs11(code, _) = error else {
            return Self::Broken(call);
        };
        match code {
            RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinExpired
            | RvError::PinLocked
            | RvError::UserPinNotInitialized => Self::PinRefused(call),
            RvError::DeviceError | RvError::GeneralError | RvError::FunctionFailed => Self::Trouble(call),
            code if is_lost(*code) => Self::Lost(call),
            _ => Self::Broken(call),
        }
    }

    /// What a failed unwrap means when the token still knows the key: modules report an altered blob as almost
    /// anything, CKR_GENERAL_ERROR and CKR_DEVICE_ERROR among it.
    pub(super) fn of_unwrap(error: &CryptokiError) -> Self {
        match error {
            CryptokiError::Pkcs11(code, _) if !is_lost(*code) => Self::Mismatch,
            error => Self::of_call(error),
        }
    }

    /// A byte for the variant, and the call it speaks of.
    pub(super) fn to_parts(&self) -> (u8, Option<&CallFailed>) {
        match self {
            Self::Mismatch => (0, None),
            Self::NoSuchKey => (1, None),
            Self::Disabled => (2, None),
            Self::AmbiguousKey => (3, None),
            Self::Unsuitable => (4, None),
            Self::Exists => (5, None),
            Self::NoSuchToken => (6, None),
            Self::AmbiguousToken => (7, None),
            Self::PinRefused(call) => (8, Some(call)),
            Self::Module(call) => (9, Some(call)),
            Self::Lost(call) => (10, Some(call)),
            Self::Trouble(call) => (11, Some(call)),
            Self::Broken(call) => (12, Some(call)),
        }
    }

    /// The inverse of [`Failure::to_parts`].
    pub(super) fn from_parts(kind: u8, call: CallFailed) -> Result<Self, Malformed> {
        Ok(match kind {
            0 => Self::Mismatch,
            1 => Self::NoSuchKey,
            2 => Self::Disabled,
            3 => Self::AmbiguousKey,
            4 => Self::Unsuitable,
            5 => Self::Exists,
            6 => Self::NoSuchToken,
            7 => Self::AmbiguousToken,
            8 => Self::PinRefused(call),
            9 => Self::Module(call),
            10 => Self::Lost(call),
            11 => Self::Trouble(call),
            12 => Self::Broken(call),
            _ => return Err(Malformed),
        })
    }
}

impl CallFailed {
    pub(super) fn of(error: &CryptokiError) -> Self {
        match error {
            CryptokiError::Pkcs11(code, function) => {
                Self { function: format!("{function:?}"), answer: format!("{code:?}") }
            }
            error => Self { function: String::new(), answer: error.to_string() },
        }
    }
}

/// Codes that can only speak of the session, the token or the host.
fn is_lost(code: RvError) -> bool {
    matches!(
        code,
        RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::SessionCount
            | RvError::OperationActive
            | RvError::DeviceRemoved
            | RvError::DeviceMemory
            | RvError::HostMemory
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::UserNotLoggedIn
            | RvError::CryptokiNotInitialized
    )
}
