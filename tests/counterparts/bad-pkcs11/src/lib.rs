//! A PKCS#11 module that passes every call on to another one, and misbehaves as a file says.
//!
//! `BAD_PKCS11_MODULE` names the other module, `BAD_PKCS11_CONTROL` the file. Its text is a [`Fault`]; each C_Login
//! appends a byte to the file beside it that ends in `.logins`.
#![expect(unsafe_code, reason = "a PKCS#11 module is C functions")]

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BYTE, CK_FLAGS, CK_FUNCTION_LIST, CK_MECHANISM, CK_NOTIFY, CK_OBJECT_HANDLE, CK_RV,
    CK_SESSION_HANDLE, CK_SLOT_ID, CK_ULONG, CK_USER_TYPE, CKM_AES_KEY_WRAP, CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED,
    CKR_GENERAL_ERROR, CKR_MECHANISM_INVALID, CKR_OK, CKR_SESSION_COUNT, Pkcs11,
};
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::abort;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::Duration;

/// Sessions that the leaking module can open in one process.
const MAX_LEAKED: usize = 6;

/// What the control file can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// C_WrapKey and C_UnwrapKey never return.
    Hang,
    /// C_WrapKey and C_UnwrapKey end the process.
    Crash,
    /// C_Initialize ends the process.
    CrashAtStart,
    /// C_CloseSession closes nothing, and there are few sessions.
    LeakSessions,
    /// C_WrapKey says that it has written more than there is room for.
    OverlongWrap,
    /// C_GetAttributeValue says that it has written more than there is room for.
    OverlongValue,
    /// C_GetAttributeValue gives a secret without its last byte.
    ShortValue,
    /// C_WrapKey gives other bytes than the standard says.
    WrapsOtherwise,
    /// C_UnwrapKey opens what was wrapped last, whatever it is given.
    OpensAnything,
    /// C_UnwrapKey words each refusal as CKR_DEVICE_ERROR.
    WordsItOtherwise,
    /// C_WrapKey and C_UnwrapKey say CKR_DEVICE_REMOVED.
    DeviceRemoved,
    /// C_WrapKey and C_UnwrapKey print, also to standard output.
    Prints,
    /// C_WrapKey and C_UnwrapKey know no CKM_AES_KEY_WRAP.
    HasNoAesKw,
}

impl Fault {
    const ALL: [Self; 14] = [
        Self::None,
        Self::Hang,
        Self::Crash,
        Self::CrashAtStart,
        Self::LeakSessions,
        Self::OverlongWrap,
        Self::OverlongValue,
        Self::ShortValue,
        Self::WrapsOtherwise,
        Self::OpensAnything,
        Self::WordsItOtherwise,
        Self::DeviceRemoved,
        Self::Prints,
        Self::HasNoAesKw,
    ];

    /// The text of the control file.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    fn now() -> Self {
        let asked =
            env::var_os("BAD_PKCS11_CONTROL").and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        Self::ALL.into_iter().find(|fault| fault.name() == asked).unwrap_or(Self::None)
    }
}

/// The module behind this one.
struct Real {
    list: CK_FUNCTION_LIST,
    /// Keeps the code loaded that `list` points to.
    _library: Pkcs11,
}

static REAL: OnceLock<Option<Real>> = OnceLock::new();
static LIST: OnceLock<Shared> = OnceLock::new();
static OPENED: AtomicUsize = AtomicUsize::new(0);
static LAST_WRAPPED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Shared(CK_FUNCTION_LIST);

// SAFETY: the list holds nothing but pointers to functions, and is never written to.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}
// SAFETY: as above; the library is never unloaded.
unsafe impl Sync for Real {}
// SAFETY: as above.
unsafe impl Send for Real {}

fn real() -> Option<&'static Real> {
    REAL.get_or_init(|| {
        let path = env::var_os("BAD_PKCS11_MODULE")?;
        // SAFETY: the tests name a module that is made to be loaded.
        let library = unsafe { Pkcs11::new(path) }.ok()?;
        let mut list = std::ptr::null_mut();
        // SAFETY: PKCS#11 3.1, section 5.4: writes one pointer, to a list that lives as long as the library.
        let answer = unsafe { (library.C_GetFunctionList.as_ref().ok()?)(&mut list) };
        // SAFETY: the call has succeeded, so the pointer is valid.
        (answer == CKR_OK).then(|| Real { list: unsafe { list.read_unaligned() }, _library: library })
    })
    .as_ref()
}

/// The entry point of the module.
///
/// # Safety
/// `list` must point to room for one pointer (PKCS#11 3.1, section 5.4).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    let Some(real) = real() else { return CKR_GENERAL_ERROR };
    let shared = LIST.get_or_init(|| {
        let mut list = real.list;
        list.C_Initialize = Some(initialize);
        list.C_GetFunctionList = Some(C_GetFunctionList);
        list.C_OpenSession = Some(open_session);
        list.C_CloseSession = Some(close_session);
        list.C_Login = Some(login);
        list.C_GetAttributeValue = Some(get_attribute_value);
        list.C_WrapKey = Some(wrap_key);
        list.C_UnwrapKey = Some(unwrap_key);
        Shared(list)
    });
    // SAFETY: as the caller promises; nobody writes through it.
    unsafe { *list = std::ptr::from_ref(&shared.0).cast_mut() };
    CKR_OK
}

unsafe extern "C" fn initialize(arguments: *mut std::ffi::c_void) -> CK_RV {
    if Fault::now() == Fault::CrashAtStart {
        abort();
    }
    let Some(pass_on) = real().and_then(|real| real.list.C_Initialize) else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's own arguments.
    unsafe { pass_on(arguments) }
}

unsafe extern "C" fn open_session(
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    application: *mut std::ffi::c_void,
    notify: CK_NOTIFY,
    session: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    if Fault::now() == Fault::LeakSessions && OPENED.fetch_add(1, Ordering::Relaxed) >= MAX_LEAKED {
        return CKR_SESSION_COUNT;
    }
    let Some(pass_on) = real().and_then(|real| real.list.C_OpenSession) else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's own arguments.
    unsafe { pass_on(slot, flags, application, notify, session) }
}

unsafe extern "C" fn close_session(session: CK_SESSION_HANDLE) -> CK_RV {
    if Fault::now() == Fault::LeakSessions {
        return CKR_OK;
    }
    let Some(pass_on) = real().and_then(|real| real.list.C_CloseSession) else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's own arguments.
    unsafe { pass_on(session) }
}

unsafe extern "C" fn login(
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_BYTE,
    length: CK_ULONG,
) -> CK_RV {
    if let Some(control) = env::var_os("BAD_PKCS11_CONTROL") {
        let logins = std::path::PathBuf::from(control).with_extension("logins");
        let counted =
            OpenOptions::new().create(true).append(true).open(logins).and_then(|mut file| file.write_all(b"."));
        if counted.is_err() {
            return CKR_GENERAL_ERROR;
        }
    }
    let Some(pass_on) = real().and_then(|real| real.list.C_Login) else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's own arguments.
    unsafe { pass_on(session, user, pin, length) }
}

unsafe extern "C" fn get_attribute_value(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    let Some(pass_on) = real().and_then(|real| real.list.C_GetAttributeValue) else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's own arguments.
    let answer = unsafe { pass_on(session, object, template, count) };
    let fault = Fault::now();
    if answer == CKR_OK && count == 1 {
        // SAFETY: the caller has given one attribute.
        let attribute = unsafe { &mut *template };
        match fault {
            Fault::OverlongValue => attribute.ulValueLen += 1 << 20,
            Fault::ShortValue if attribute.ulValueLen > 32 => attribute.ulValueLen -= 1,
            _ => {}
        }
    }
    answer
}

unsafe extern "C" fn wrap_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    kek: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
    out: *mut CK_BYTE,
    length: *mut CK_ULONG,
) -> CK_RV {
    let fault = Fault::now();
    if let Some(answer) = before(fault, mechanism) {
        return answer;
    }
    let Some(pass_on) = real().and_then(|real| real.list.C_WrapKey) else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's own arguments.
    let answer = unsafe { pass_on(session, mechanism, kek, key, out, length) };
    if answer != CKR_OK || out.is_null() {
        return answer;
    }
    // SAFETY: the call has succeeded, so `out` has `length` bytes.
    let wrapped = unsafe { slice::from_raw_parts_mut(out, usize::try_from(*length).unwrap_or(0)) };
    if fault == Fault::WrapsOtherwise {
        wrapped[0] ^= 1;
    }
    *LAST_WRAPPED.lock().unwrap_or_else(PoisonError::into_inner) = wrapped.to_vec();
    if fault == Fault::OverlongWrap {
        // SAFETY: as above.
        unsafe { *length += 1 << 20 };
    }
    answer
}

unsafe extern "C" fn unwrap_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    kek: CK_OBJECT_HANDLE,
    wrapped: *mut CK_BYTE,
    length: CK_ULONG,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    let fault = Fault::now();
    if let Some(answer) = before(fault, mechanism) {
        return answer;
    }
    let Some(pass_on) = real().and_then(|real| real.list.C_UnwrapKey) else { return CKR_GENERAL_ERROR };
    let mut last = LAST_WRAPPED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (wrapped, length) = match (fault, CK_ULONG::try_from(last.len())) {
        (Fault::OpensAnything, Ok(length)) => (last.as_mut_ptr(), length),
        _ => (wrapped, length),
    };
    // SAFETY: the caller's own arguments, or bytes that outlive the call.
    let answer = unsafe { pass_on(session, mechanism, kek, wrapped, length, template, count, key) };
    if answer != CKR_OK && fault == Fault::WordsItOtherwise { CKR_DEVICE_ERROR } else { answer }
}

/// What wrapping and unwrapping do before they do anything.
fn before(fault: Fault, mechanism: *const CK_MECHANISM) -> Option<CK_RV> {
    match fault {
        Fault::Hang => loop {
            sleep(Duration::from_secs(3600));
        },
        Fault::Crash => abort(),
        Fault::DeviceRemoved => Some(CKR_DEVICE_REMOVED),
        Fault::Prints => {
            let (mut out, mut error) = (std::io::stdout(), std::io::stderr());
            let printed = out
                .write_all(&[0; 64])
                .and_then(|()| out.flush())
                .and_then(|()| error.write_all(b"the module prints\n"));
            printed.err().map(|_| CKR_GENERAL_ERROR)
        }
        Fault::HasNoAesKw => {
            // SAFETY: every caller gives a mechanism.
            let number = unsafe { (*mechanism).mechanism };
            (number == CKM_AES_KEY_WRAP).then_some(CKR_MECHANISM_INVALID)
        }
        Fault::None
        | Fault::CrashAtStart
        | Fault::LeakSessions
        | Fault::OverlongWrap
        | Fault::OverlongValue
        | Fault::ShortValue
        | Fault::WrapsOtherwise
        | Fault::OpensAnything
        | Fault::WordsItOtherwise => None,
    }
}
