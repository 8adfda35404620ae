//! The calls that are made past `cryptoki`, with the only unsafe code of this crate.
//!
//! `cryptoki` 0.12 reads attributes into buffers of its own and frees them as they are, which would leave every
//! unwrapped secret on the heap; it does not cut what C_WrapKey returns; and it knows no RFC 5649.
#![expect(unsafe_code, reason = "C functions are called through their pointers")]

use super::mechanism::Mechanism;
use super::method::{Gcm, Method};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, Rv, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_ATTRIBUTE_TYPE, CK_FUNCTION_LIST, CK_GCM_PARAMS, CK_MECHANISM, CK_MECHANISM_TYPE,
    CK_OBJECT_HANDLE, CK_RSA_PKCS_OAEP_PARAMS, CK_TOKEN_INFO, CK_ULONG, CKA_VALUE, CKG_MGF1_SHA1, CKG_MGF1_SHA256,
    CKM_AES_GCM, CKM_SHA_1, CKM_SHA256, CKR_OK, CKZ_DATA_SPECIFIED,
};
use secret::Secret;
use std::ffi::{CString, c_void};
use std::fmt;
use std::path::Path;
use std::ptr::{self, NonNull};

/// The module's functions, and the library that holds them.
pub(super) struct Functions {
    list: CK_FUNCTION_LIST,
    /// Keeps the code loaded that `list` points to.
    _library: cryptoki_sys::Pkcs11,
}

/// C_Initialize, with `parameters` as the vendor's own (NSS calls them LibraryParameters) where there are any.
pub(super) fn initialize(module: &Pkcs11, parameters: &str) -> Result<(), Error> {
    let flags = CInitializeFlags::OS_LOCKING_OK;
    if parameters.is_empty() {
        return module.initialize(CInitializeArgs::new(flags));
    }
    let parameters = CString::new(parameters).map_err(Error::NulError)?;
    let reserved = NonNull::new(parameters.into_raw()).ok_or(Error::InvalidValue)?;
    // SAFETY: a string that ends in NUL, as whoever configures it knows the vendor to want. It is never freed, for a
    // module may keep the pointer; a process does this once.
    module.initialize(unsafe { CInitializeArgs::new_with_reserved(flags, reserved.cast()) })
}

impl Functions {
    /// Loads the module once more, which only counts a reference; `None` when it offers no function list.
    pub(super) fn load(path: &Path) -> Option<Self> {
        // SAFETY: the caller has loaded this library before, so its initialisers have already run.
        let library = unsafe { cryptoki_sys::Pkcs11::new(path) }.ok()?;
        let get_function_list = *library.C_GetFunctionList.as_ref().ok()?;
        let mut list: *mut CK_FUNCTION_LIST = ptr::null_mut();
        // SAFETY: PKCS#11 3.1, section 5.4: writes one pointer, to a list that lives as long as the library.
        let answer = unsafe { get_function_list(&mut list) };
        if answer != CKR_OK || list.is_null() {
            return None;
        }
        // SAFETY: not null, and valid as said above; unaligned, for the list may be packed.
        Some(Self { list: unsafe { list.read_unaligned() }, _library: library })
    }

    /// C_GetTokenInfo, as it is: `cryptoki` refuses tokens whose clock says nothing.
    pub(super) fn token_info(&self, slot: Slot) -> Result<CK_TOKEN_INFO, Error> {
        let function = self.list.C_GetTokenInfo.ok_or(Error::NullFunctionPointer)?;
        let mut info = CK_TOKEN_INFO::default();
        // SAFETY: section 5.5.3: writes one structure.
        let answer = unsafe { function(slot.into(), &mut info) };
        Rv::from(answer).into_result(Function::GetTokenInfo)?;
        Ok(info)
    }

    /// C_WrapKey into `out`; the length of what was written.
    pub(super) fn wrap_key(
        &self,
        session: &Session,
        method: &Method,
        keys: (ObjectHandle, ObjectHandle),
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let function = self.list.C_WrapKey.ok_or(Error::NullFunctionPointer)?;
        let (kek, key) = (keys.0.handle(), keys.1.handle());
        let mut length = CK_ULONG::try_from(out.len())?;
        let answer = with_mechanism(method, |mechanism| {
            // SAFETY: section 5.18.1: writes at most `length` bytes to `out`, which has them.
            unsafe { function(session.handle(), mechanism, kek, key, out.as_mut_ptr(), &mut length) }
        });
        Rv::from(answer).into_result(Function::WrapKey)?;
        written(length, out.len())
    }

    /// C_UnwrapKey; the handle of the new object.
    pub(super) fn unwrap_key(
        &self,
        session: &Session,
        method: &Method,
        kek: ObjectHandle,
        wrapped: &[u8],
    ) -> Result<ObjectHandle, Error> {
        let function = self.list.C_UnwrapKey.ok_or(Error::NullFunctionPointer)?;
        let attributes = method.template.attributes();
        let mut template: Vec<CK_ATTRIBUTE> = attributes.iter().map(CK_ATTRIBUTE::from).collect();
        let mut object: CK_OBJECT_HANDLE = 0;
        let (length, count) = (CK_ULONG::try_from(wrapped.len())?, CK_ULONG::try_from(template.len())?);
        let answer = with_mechanism(method, |mechanism| {
            // SAFETY: section 5.18.2: reads `length` bytes and `count` attributes, whose values `attributes` holds,
            // although the pointers are not to const; writes one handle.
            unsafe {
                let wrapped = wrapped.as_ptr().cast_mut();
                function(
                    session.handle(),
                    mechanism,
                    kek.handle(),
                    wrapped,
                    length,
                    template.as_mut_ptr(),
                    count,
                    &mut object,
                )
            }
        });
        Rv::from(answer).into_result(Function::UnwrapKey)?;
        // SAFETY: the module has just given this handle.
        Ok(unsafe { ObjectHandle::new_from_raw(object) })
    }

    /// C_EncryptInit and C_Encrypt with AES-GCM; the length of what was written to `out`.
    pub(super) fn encrypt(
        &self,
        session: &Session,
        key: ObjectHandle,
        gcm: Gcm,
        (plaintext, out): (&[u8], &mut [u8]),
    ) -> Result<usize, Error> {
        let init = self.list.C_EncryptInit.ok_or(Error::NullFunctionPointer)?;
        let function = self.list.C_Encrypt.ok_or(Error::NullFunctionPointer)?;
        let (length, mut room) = (CK_ULONG::try_from(plaintext.len())?, CK_ULONG::try_from(out.len())?);
        with_gcm(gcm, |mechanism| {
            // SAFETY: section 5.8.1: reads the mechanism, whose parameters outlive both calls.
            let answer = unsafe { init(session.handle(), mechanism, key.handle()) };
            Rv::from(answer).into_result(Function::EncryptInit)?;
            let plaintext = plaintext.as_ptr().cast_mut();
            // SAFETY: section 5.8.2: reads `length` bytes, writes at most `room` bytes to `out`, which has them.
            let answer = unsafe { function(session.handle(), plaintext, length, out.as_mut_ptr(), &mut room) };
            Rv::from(answer).into_result(Function::Encrypt)
        })?;
        written(room, out.len())
    }

    /// C_DecryptInit and C_Decrypt with AES-GCM.
    pub(super) fn decrypt(
        &self,
        session: &Session,
        key: ObjectHandle,
        gcm: Gcm,
        ciphertext: &[u8],
    ) -> Result<Secret, Error> {
        let init = self.list.C_DecryptInit.ok_or(Error::NullFunctionPointer)?;
        let function = self.list.C_Decrypt.ok_or(Error::NullFunctionPointer)?;
        let mut plaintext = vec![0; ciphertext.len()].into_boxed_slice();
        let (length, mut room) = (CK_ULONG::try_from(ciphertext.len())?, CK_ULONG::try_from(plaintext.len())?);
        let done = with_gcm(gcm, |mechanism| {
            // SAFETY: section 5.10.1: reads the mechanism, whose parameters outlive both calls.
            let answer = unsafe { init(session.handle(), mechanism, key.handle()) };
            Rv::from(answer).into_result(Function::DecryptInit)?;
            let ciphertext = ciphertext.as_ptr().cast_mut();
            // SAFETY: section 5.10.2: reads `length` bytes, writes at most `room` bytes to `plaintext`, which has them.
            let answer = unsafe { function(session.handle(), ciphertext, length, plaintext.as_mut_ptr(), &mut room) };
            Rv::from(answer).into_result(Function::Decrypt)
        });
        let plaintext = Secret::new(plaintext);
        done?;
        head(plaintext, room)
    }

    /// CKA_VALUE of `object`, at most `max_len` bytes.
    pub(super) fn value(&self, session: &Session, object: ObjectHandle, max_len: usize) -> Result<Secret, Error> {
        let mut bytes = vec![0u8; max_len].into_boxed_slice();
        let length = self.attribute(session, object, CKA_VALUE, &mut bytes);
        let bytes = Secret::new(bytes);
        head(bytes, CK_ULONG::try_from(length?)?)
    }

    /// A CK_BBOOL of `object`; false where the module knows no such attribute of it.
    pub(super) fn flag(
        &self,
        session: &Session,
        object: ObjectHandle,
        attribute: CK_ATTRIBUTE_TYPE,
    ) -> Result<bool, Error> {
        let mut value = [0];
        match self.attribute(session, object, attribute, &mut value) {
            Ok(length) => Ok(length == 1 && value[0] != 0),
            Err(Error::Pkcs11(RvError::AttributeTypeInvalid, _)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// C_GetAttributeValue of one attribute into `out`; the length of what was written.
    pub(super) fn attribute(
        &self,
        session: &Session,
        object: ObjectHandle,
        attribute: CK_ATTRIBUTE_TYPE,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let function = self.list.C_GetAttributeValue.ok_or(Error::NullFunctionPointer)?;
        let room = CK_ULONG::try_from(out.len())?;
        let mut attribute = CK_ATTRIBUTE { type_: attribute, pValue: out.as_mut_ptr().cast(), ulValueLen: room };
        // SAFETY: section 5.7.5: writes at most `ulValueLen` bytes to `pValue`; `out` is that long and outlives the
        // call, and `session` is borrowed, so it is open and used by this thread alone.
        let answer = unsafe { function(session.handle(), object.handle(), &mut attribute, 1) };
        Rv::from(answer).into_result(Function::GetAttributeValue)?;
        written(attribute.ulValueLen, out.len())
    }
}

/// The first `length` bytes, if there are as many.
fn head(bytes: Secret, length: CK_ULONG) -> Result<Secret, Error> {
    bytes.split_at(usize::try_from(length)?).map(|(head, _)| head).ok_or(Error::InvalidValue)
}

/// The length that a module says it has written, if the buffer has it.
fn written(length: CK_ULONG, room: usize) -> Result<usize, Error> {
    usize::try_from(length).ok().filter(|length| *length <= room).ok_or(Error::InvalidValue)
}

/// Calls `call` with the mechanism and its parameters, which live until it returns.
fn with_mechanism<T>(method: &Method, call: impl FnOnce(*mut CK_MECHANISM) -> T) -> T {
    let (hash, mgf) = match method.mechanism {
        Mechanism::RsaOaepSha256 => (CKM_SHA256, CKG_MGF1_SHA256),
        Mechanism::RsaOaepSha1 => (CKM_SHA_1, CKG_MGF1_SHA1),
        Mechanism::AesKw | Mechanism::AesKwp | Mechanism::AesGcm => {
            return call(&mut mechanism(method.number, ptr::null_mut(), 0));
        }
    };
    let mut parameters = CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: hash,
        mgf,
        source: CKZ_DATA_SPECIFIED,
        pSourceData: ptr::null_mut(),
        ulSourceDataLen: 0,
    };
    let size = size_of::<CK_RSA_PKCS_OAEP_PARAMS>();
    call(&mut mechanism(method.number, ptr::from_mut(&mut parameters).cast(), size))
}

/// As [`with_mechanism`], for AES-GCM with a tag of 128 bits.
fn with_gcm<T>(Gcm { mut iv, context }: Gcm, call: impl FnOnce(*mut CK_MECHANISM) -> T) -> T {
    let mut aad = *context.as_bytes();
    let mut parameters = CK_GCM_PARAMS {
        pIv: iv.as_mut_ptr(),
        ulIvLen: 12,
        ulIvBits: 96,
        pAAD: aad.as_mut_ptr(),
        ulAADLen: 32,
        ulTagBits: 128,
    };
    call(&mut mechanism(CKM_AES_GCM, ptr::from_mut(&mut parameters).cast(), size_of::<CK_GCM_PARAMS>()))
}

fn mechanism(number: CK_MECHANISM_TYPE, parameter: *mut c_void, size: usize) -> CK_MECHANISM {
    let size = CK_ULONG::try_from(size).expect("invariant: parameters are small");
    CK_MECHANISM { mechanism: number, pParameter: parameter, ulParameterLen: size }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Functions")
    }
}
