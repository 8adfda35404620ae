//! Paths of tiles, and the bytes of tiles and entry bundles.
#![no_main]

use audit::tile::{Path, decode_tile, entries, push_entry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(path) = std::str::from_utf8(data).ok().and_then(|text| text.parse::<Path>().ok()) {
        assert_eq!(path.to_string().as_bytes(), data);
    }
    if let Some(hashes) = decode_tile(data) {
        assert_eq!(hashes.as_flattened(), data);
    }
    if let Some(entries) = entries(data).collect::<Option<Vec<_>>>() {
        let mut again = Vec::new();
        entries.iter().for_each(|entry| push_entry(&mut again, entry).expect("an entry that was read fits"));
        assert_eq!(again, data);
    }
});
