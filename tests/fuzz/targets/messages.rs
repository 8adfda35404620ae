//! Every request and answer, as JSON; the first byte says which.
#![no_main]

use keyfold_fuzz::MESSAGES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((which, json)) = data.split_first() {
        let _ = MESSAGES[usize::from(*which) % MESSAGES.len()](json);
    }
});
