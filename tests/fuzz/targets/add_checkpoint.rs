//! What a log asks a witness: a request as it comes, or one whose checkpoint the log's own key signed.
#![no_main]

use audit::note::LogKey;
use keyfold_fuzz::log_key;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use witness::AddCheckpoint;

static KEY: LazyLock<LogKey> = LazyLock::new(log_key);

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let text = if *which == 0 { text.into_owned() } else { format!("{text}\n\n{}", KEY.checkpoint(3, &[7; 32])) };
    if let Ok(request) = text.parse::<AddCheckpoint>() {
        assert_eq!(request.to_string().parse(), Ok(request));
    }
});
