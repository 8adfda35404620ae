//! The software keystore: its contract, and what its file must withstand.
#![cfg(test)]

use keyfold_providers::contract::{self, Subject};
use keyfold_providers::software::{EditError, Keystore, OpenError, Software};
use keyfold_providers::{Context, Error, KeyProvider, KeyRef, KeyState, Unusable, Wrapped};
use secret::Secret;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const CONTEXT: Context = Context::new([1; 32]);

struct Fixture {
    _folder: TempDir,
    path: PathBuf,
}

impl Fixture {
    /// A keystore with the keys `first` and `second`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keystore.json");
        Keystore::create(&path, &passphrase()).unwrap();
        let fixture = Self { _folder: folder, path };
        let software = fixture.open();
        software.create_key("first").unwrap();
        software.create_key("second").unwrap();
        fixture
    }

    fn open(&self) -> Software {
        Software::open(&self.path, &passphrase()).unwrap()
    }

    fn open_error(&self) -> OpenError {
        Software::open(&self.path, &passphrase()).unwrap_err()
    }

    fn edit_text(&self, edit: impl FnOnce(String) -> String) {
        fs::write(&self.path, edit(fs::read_to_string(&self.path).unwrap())).unwrap();
    }
}

fn passphrase() -> Secret {
    Secret::copied_from(b"correct horse battery staple")
}

fn first() -> KeyRef {
    KeyRef::new("first")
}

async fn wrap(software: &Software) -> Result<Wrapped, Error> {
    software.wrap_key(&first(), &Secret::copied_from(&[9; 32]), &CONTEXT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let fixture = Fixture::new();
    let subject = Subject {
        provider: Arc::new(fixture.open()),
        key: first(),
        other_key: KeyRef::new("second"),
        missing_key: KeyRef::new("third"),
    };
    contract::check(&subject).await;
}

#[tokio::test]
async fn opens_after_a_restart_what_it_wrapped_before() {
    let fixture = Fixture::new();
    let wrapped = wrap(&fixture.open()).await.unwrap();
    let opened = fixture.open().unwrap_key(&first(), &wrapped, &CONTEXT).await.unwrap();
    assert!(opened.matches(&[9; 32]));
}

#[tokio::test]
async fn obeys_another_process_at_once() {
    let fixture = Fixture::new();
    let (broker, admin) = (fixture.open(), fixture.open());
    let wrapped = wrap(&broker).await.unwrap();

    admin.set_state("first", false).unwrap();
    assert!(matches!(wrap(&broker).await, Err(Error::KeyUnusable(Unusable::Disabled))));
    let unwrapped = broker.unwrap_key(&first(), &wrapped, &CONTEXT).await;
    assert!(matches!(unwrapped, Err(Error::KeyUnusable(Unusable::Disabled))));
    assert_eq!(broker.inspect(&first()).await.unwrap(), KeyState::Unusable(Unusable::Disabled));

    admin.set_state("first", true).unwrap();
    assert!(broker.unwrap_key(&first(), &wrapped, &CONTEXT).await.unwrap().matches(&[9; 32]));

    admin.delete("first").unwrap();
    assert!(matches!(broker.unwrap_key(&first(), &wrapped, &CONTEXT).await, Err(Error::NoSuchKey)));
}

#[test]
fn editors_lose_nothing_of_each_other() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for editor in 0..4 {
            let software = fixture.open();
            scope.spawn(move || {
                for number in 0..8 {
                    software.create_key(&format!("{editor}-{number}")).unwrap();
                }
            });
        }
    });
    let software = fixture.open();
    for name in (0..4).flat_map(|editor| (0..8).map(move |number| format!("{editor}-{number}"))) {
        assert!(matches!(software.create_key(&name), Err(EditError::Exists)), "{name} was lost");
    }
}

#[test]
fn names_the_reason_for_not_opening() {
    let fixture = Fixture::new();
    let wrong = Software::open(&fixture.path, &Secret::copied_from(b"wrong"));
    assert!(matches!(wrong, Err(OpenError::WrongPassphrase)));

    fs::set_permissions(&fixture.path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(fixture.open_error(), OpenError::Exposed { mode: 0o640 }));
    fs::set_permissions(&fixture.path, fs::Permissions::from_mode(0o600)).unwrap();

    fixture.edit_text(|text| text.replace("\"memory_kib\": 19456", "\"memory_kib\": 2097152"));
    assert!(matches!(fixture.open_error(), OpenError::Unsupported));
    fixture.edit_text(|text| text[..text.len() / 2].to_owned());
    assert!(matches!(fixture.open_error(), OpenError::Format(_)));
    fs::remove_file(&fixture.path).unwrap();
    assert!(matches!(fixture.open_error(), OpenError::Io(_)));
}

#[test]
fn notices_edits_made_without_the_passphrase() {
    let swapped = Fixture::new();
    swapped.edit_text(|text| text.replace("first", "x").replace("second", "first").replace("\"x\"", "\"second\""));
    assert!(matches!(swapped.open_error(), OpenError::Altered { name } if name == "first"));

    let enabled = Fixture::new();
    enabled.open().set_state("second", false).unwrap();
    enabled.edit_text(|text| text.replace("disabled", "enabled"));
    assert!(matches!(enabled.open_error(), OpenError::Altered { name } if name == "second"));
}

#[tokio::test]
async fn fails_closed_when_the_file_goes_bad_under_it() {
    let fixture = Fixture::new();
    let software = fixture.open();
    fs::set_permissions(&fixture.path, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(wrap(&software).await, Err(Error::Broken(_))));
    fs::remove_file(&fixture.path).unwrap();
    assert!(matches!(wrap(&software).await, Err(Error::Broken(_))));
}

#[test]
fn replaces_no_file_and_leaves_it_private() {
    let fixture = Fixture::new();
    assert!(matches!(Keystore::create(&fixture.path, &passphrase()), Err(EditError::Exists)));
    assert_eq!(fs::metadata(&fixture.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(fixture.open().create_key("first"), Err(EditError::Exists)));
    assert!(matches!(fixture.open().delete("third"), Err(EditError::NoSuchKey)));
    assert!(matches!(fixture.open().set_state("third", true), Err(EditError::NoSuchKey)));
}
