//! Leaves and disclosures: an SD-JWT as it comes, or claims in a leaf that is well formed otherwise.
#![no_main]

use audit::leaf::{EventPublicKey, LeafError, open, read};
use keyfold_fuzz::{event_key, release, signed};
use libfuzzer_sys::fuzz_target;
use protocol::encoding::to_base64url;
use std::sync::LazyLock;

static KEYS: LazyLock<[EventPublicKey; 1]> = LazyLock::new(|| [event_key(1).public_key().clone()]);
/// The encoded JOSE header of every leaf.
static HEADER: LazyLock<String> = LazyLock::new(|| {
    let leaf = signed(0, &release(), &event_key(1)).leaf;
    leaf.split('.').next().expect("a leaf has a header").to_owned()
});

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, text)) => open_text(&String::from_utf8_lossy(text)),
        Some((_, claims)) => sign_again(&format!("{}.{}.AA", *HEADER, to_base64url(claims))),
        None => {}
    }
});

/// What opens reads the same, and does not open under a key that did not sign it.
fn open_text(text: &str) {
    let mut parts = text.split('~');
    let leaf = parts.next().expect("a split has a first part");
    let disclosures: Vec<&str> = parts.collect();
    let said = read(leaf, &disclosures);
    if let Ok(opened) = open(leaf, &disclosures, &*KEYS) {
        assert_eq!(Ok(&opened), said.as_ref());
        let (signed, _) = leaf.rsplit_once('.').expect("a leaf has a signature");
        let forged = format!("{signed}.{}", to_base64url(&[1; 64]));
        assert_eq!(open(&forged, &disclosures, &*KEYS), Err(LeafError::Signature));
    }
}

/// An event that was read can be signed, and says the same then.
fn sign_again(leaf: &str) {
    if let Ok(said) = read::<&str>(leaf, &[]) {
        let again = signed(0, &said.event, &event_key(1));
        assert_eq!(open(&again.leaf, &again.disclosures, &*KEYS).map(|opened| opened.event), Ok(said.event));
    }
}
