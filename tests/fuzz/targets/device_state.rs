//! A device's state file: one as it comes, or a state that is encrypted as it should be.
#![no_main]

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use device::{Device, StateFile};
use libfuzzer_sys::fuzz_target;
use secret::Secret;
use std::{fs, sync::LazyLock};
use tempfile::TempDir;

const KEY: [u8; 32] = [6; 32];
/// Magic, version 1, a key that is given, and no salt.
const HEADER: &[u8; 33] = b"keyfold-device\n\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, file)) => assert!(load(file).is_none()),
        Some((_, state)) => {
            load(&sealed(state));
        }
        None => {}
    }
});

fn load(file: &[u8]) -> Option<Device> {
    let path = FOLDER.path().join("device");
    fs::write(&path, file).expect("the file is written");
    let file = StateFile::with_key(path, Secret::copied_from(&KEY)).expect("the key has 32 bytes");
    Device::load(file).ok()
}

fn sealed(state: &[u8]) -> Vec<u8> {
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, &KEY).expect("the key has 32 bytes");
    let mut state = state.to_vec();
    let (nonce, tag) =
        cipher.seal_in_place_separate_tag(Aad::from(HEADER), &mut state).expect("a state is short enough");
    [HEADER, nonce.as_ref().as_slice(), &state, tag.as_ref()].concat()
}
