//! Bundles: one as it comes, or one made from the input and then altered.
#![no_main]

use keyfold_fuzz::record_keys;
use libfuzzer_sys::fuzz_target;
use protocol::record::{KeySchedule, needs_user_secret, open_bundle, seal_bundle_with_prefix};
use secret::Secret;
use std::sync::LazyLock;

const PREFIX_LEN: usize = 7;

static KEYS: LazyLock<KeySchedule> = LazyLock::new(record_keys);

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, bundle)) => open(bundle),
        Some((at, material)) => alter(usize::from(*at), material),
        None => {}
    }
});

/// The only bundle that opens is the one its keys, prefix and material make.
fn open(bundle: &[u8]) {
    let needs = needs_user_secret(bundle);
    if let Ok(material) = open_bundle(&KEYS, KEYS.commitment(), bundle) {
        assert_eq!(needs, Ok(false));
        let prefix = bundle[1..=PREFIX_LEN].try_into().expect("a bundle that opens has a prefix");
        assert_eq!(seal_bundle_with_prefix(&KEYS, &material, prefix).as_deref(), Ok(bundle));
    }
}

fn alter(at: usize, material: &[u8]) {
    let Ok(mut bundle) = seal_bundle_with_prefix(&KEYS, &Secret::copied_from(material), &[9; PREFIX_LEN]) else {
        return;
    };
    let opened = open_bundle(&KEYS, KEYS.commitment(), &bundle).expect("what was sealed opens");
    assert!(opened.matches(material));
    let at = at % bundle.len();
    bundle[at] ^= 1;
    assert!(open_bundle(&KEYS, KEYS.commitment(), &bundle).is_err());
    assert!(open_bundle(&KEYS, KEYS.commitment(), &bundle[..at]).is_err());
}
