//! C_GetAttributeValue into memory that is wiped.
//!
//! `cryptoki` 0.12 reads attributes into buffers of its own and frees them as they are, which would leave every
//! unwrapped secret on the heap. This is the one call made past it, and the only unsafe code of this crate.
#![expect(unsafe_code, reason = "a C function is called through its pointer")]

use cryptoki::context::Function;
use cryptoki::error::{Error, Rv};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::{CK_ATTRIBUTE, CK_C_GetAttributeValue, CK_FUNCTION_LIST, CK_ULONG, CKA_VALUE, CKR_OK};
use secret::Secret;
use std::fmt;
use std::path::Path;
use std::ptr;

/// The function, and the library that holds it.
pub(super) struct AttributeReader {
    get_attribute_value: CK_C_GetAttributeValue,
    /// Keeps the code loaded that `get_attribute_value` points to.
    _library: cryptoki_sys::Pkcs11,
}

impl AttributeReader {
    /// Loads the module once more, which only counts a reference; `None` when it offers no function list.
    pub(super) fn load(path: &Path) -> Option<Self> {
        // SAFETY: the caller has loaded this library before, so its initialisers have already run.
        let library = unsafe { cryptoki_sys::Pkcs11::new(path) }.ok()?;
        let get_function_list = *library.C_GetFunctionList.as_ref().ok()?;
        let mut list: *mut CK_FUNCTION_LIST = ptr::null_mut();
        // SAFETY: PKCS#11 2.40, section 5.2: writes one pointer, to a list that lives as long as the library.
        let answer = unsafe { get_function_list(&mut list) };
        if answer != CKR_OK || list.is_null() {
            return None;
        }
        // SAFETY: not null, and valid as said above. Read by address, for the list may be packed.
        let get_attribute_value = unsafe { ptr::addr_of!((*list).C_GetAttributeValue).read_unaligned() };
        Some(Self { get_attribute_value, _library: library })
    }

    /// CKA_VALUE of `object`, at most `max_len` bytes.
    pub(super) fn value(&self, session: &Session, object: ObjectHandle, max_len: usize) -> Result<Secret, Error> {
        let function = self.get_attribute_value.ok_or(Error::NullFunctionPointer)?;
        let mut bytes = vec![0u8; max_len].into_boxed_slice();
        let mut attribute = CK_ATTRIBUTE {
            type_: CKA_VALUE,
            pValue: bytes.as_mut_ptr().cast(),
            ulValueLen: CK_ULONG::try_from(max_len)?,
        };
        // SAFETY: section 5.7: writes at most `ulValueLen` bytes to `pValue`; the buffer is that long and outlives
        // the call, and `session` is borrowed, so it is open and used by this thread alone.
        let answer = unsafe { function(session.handle(), object.handle(), &mut attribute, 1) };
        let bytes = Secret::new(bytes);
        Rv::from(answer).into_result(Function::GetAttributeValue)?;
        let (value, _) = bytes.split_at(usize::try_from(attribute.ulValueLen)?).ok_or(Error::InvalidValue)?;
        Ok(value)
    }
}

impl fmt::Debug for AttributeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttributeReader")
    }
}
