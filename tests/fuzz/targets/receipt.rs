//! Receipts: C2SP tlog-proofs.
#![no_main]

use audit::{note::LogKey, receipt::Receipt};
use keyfold_fuzz::log_key;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<LogKey> = LazyLock::new(log_key);

fuzz_target!(|text: &str| {
    let Ok(receipt) = Receipt::parse(text) else { return };
    assert_eq!(Receipt::parse(&receipt.to_text()), Ok(receipt.clone()));
    if let Ok(checkpoint) = receipt.verify(b"leaf", std::slice::from_ref(KEY.verifier())) {
        assert!(receipt.index < checkpoint.size);
        assert!(receipt.verify(b"another leaf", std::slice::from_ref(KEY.verifier())).is_err());
    }
});
