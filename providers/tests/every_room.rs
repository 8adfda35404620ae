//! A room without a contract test is not a provider.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

/// Each folder under src/ has its README and client, and its tests (tests/<room>.rs or tests/<room>/) check the contract.
#[test]
fn every_room_checks_the_contract() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rooms: Vec<PathBuf> = folders(&crate_folder.join("src"));
    assert!(rooms.len() >= 3, "rooms are found at all: {rooms:?}");
    for room in rooms {
        for file in ["mod.rs", "client.rs", "README.md"] {
            assert!(room.join(file).is_file(), "{} has no {file}", room.display());
        }
        let name = room.file_name().unwrap().to_str().unwrap();
        let [one, many] = ["", "/main"].map(|file| crate_folder.join(format!("tests/{name}{file}.rs")));
        let tests = fs::read_to_string(one).or_else(|_| fs::read_to_string(many)).unwrap_or_default();
        assert!(tests.contains("contract::check(&"), "the tests of {name} do not call contract::check");
        assert!(!tests.contains("#[ignore"), "the tests of {name} leave something out");
    }
}

/// All rooms say the same things about themselves, in the same order.
#[test]
fn every_readme_has_the_same_headings() {
    let wanted = ["Set-up", "Least privilege", "Limits", "Costs per operation", "Quirks", "Revocation"];
    for room in folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let readme = fs::read_to_string(room.join("README.md")).unwrap();
        let headings: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, wanted, "{}", room.display());
    }
}

/// All folders are rooms, except the one that Cargo looks for programs in.
fn folders(parent: &Path) -> Vec<PathBuf> {
    let room = |path: &PathBuf| path.is_dir() && !path.ends_with("bin");
    fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).filter(room).collect()
}
