//! What a broker that lies can send, and that the device takes none of it.

use super::{OpenRestore, OpenedRestore, RestoredKey, State};
use crate::{Broker, Error};
use protocol::{
    encoding::Base64Url,
    jws::DeviceKey,
    messages::{IngressKey, LogKeys, Needs, RecordEntry, Released, ReleasedRecord, RestoreOpened, RestoreState, Wrap},
    names::Kind,
    record::{Context, WrappingSecret},
    sealing::{Info, OpeningKey, seal},
    transcript::Facts,
};
use secret::Secret;
use std::collections::BTreeMap;
use uuid::Uuid;

const NONCE: &str = "nonce";
const POLICY: [u8; 32] = [6; 32];

/// One device, its records as an honest broker keeps them, and a restore of all of them.
struct Scene {
    state: State,
    ingress: OpeningKey,
    thumbprint: [u8; 32],
    receive: OpeningKey,
    wraps: Vec<Wrap>,
}

impl Scene {
    fn new(kinds: &[(&str, Option<&str>)]) -> Self {
        let (key, ingress) = (DeviceKey::generate_ed25519(), OpeningKey::generate());
        let mut state = State {
            version: 1,
            broker: Broker { url: "https://keyfold.example".to_owned(), roots_pem: String::new() },
            key: key.to_pkcs8(),
            device: Uuid::new_v4(),
            tenant: "acme".parse().unwrap(),
            user: "alice".parse().unwrap(),
            log: LogKeys { origin: "keyfold.example/acme".to_owned(), vkeys: Vec::new() },
            ingress: IngressKey {
                id: "1".parse().unwrap(),
                key: Base64Url(ingress.public().clone()),
                endorsement: String::new(),
            },
            generations: BTreeMap::new(),
            restore: None,
        };
        let mut wraps = Vec::new();
        for (kind, passphrase) in kinds {
            let passphrase = passphrase.map(secret);
            wraps.push(
                state.wrap(&kind.parse().unwrap(), &secret(&format!("key {kind}")), passphrase.as_ref()).unwrap(),
            );
            state.learn(&kind.parse().unwrap(), 1);
        }
        let receive = OpeningKey::generate();
        Self { state, ingress, thumbprint: key.public().thumbprint(), receive, wraps }
    }

    fn asked(&self) -> OpenRestore {
        OpenRestore {
            records: Vec::new(),
            kinds: self.wraps.iter().map(|wrap| wrap.kind.clone()).collect(),
            receive_key: Base64Url(self.receive.public().clone()),
            reason: "new phone".parse().unwrap(),
            id_token: None,
        }
    }

    fn entries(&self) -> Vec<RecordEntry> {
        let entry = |wrap: &Wrap| RecordEntry {
            record: wrap.record,
            kind: wrap.kind.clone(),
            generation: wrap.generation,
            suite: wrap.suite,
            device: self.state.device,
            wrapped_at: 0,
        };
        self.wraps.iter().map(entry).collect()
    }

    /// What a broker answers that was asked `heard` and opens `records`.
    fn opened(&self, heard: &OpenRestore, records: Vec<RecordEntry>) -> RestoreOpened {
        let restore = Uuid::new_v4();
        let ids: Vec<Uuid> = records.iter().map(|entry| entry.record).collect();
        let facts = Facts {
            restore,
            tenant: &self.state.tenant,
            user: &self.state.user,
            device: self.state.device,
            thumbprint: &self.thumbprint,
            receive_key: &heard.receive_key.0,
            records: &ids,
            policy: &POLICY,
            nonce: NONCE,
            reason: heard.reason.as_str(),
        };
        RestoreOpened {
            restore,
            state: RestoreState::Approved,
            transcript: Base64Url(facts.transcript()),
            records,
            policy: Base64Url(POLICY),
            needs: Needs::default(),
            match_code: None,
            not_before: 0,
            expires_at: 600,
        }
    }

    fn check(&self, asked: &OpenRestore, opened: &RestoreOpened) -> Result<(), Error> {
        self.state.check_opened(asked, opened, NONCE, &self.thumbprint)
    }

    fn restore(&self) -> OpenedRestore {
        let opened = self.opened(&self.asked(), self.entries());
        OpenedRestore { opened, receive: self.receive.to_seed() }
    }

    /// What an honest broker releases: it opens what was sealed to it, and seals it to the receive key.
    fn released(&self, restore: &OpenedRestore) -> Released {
        let record = |wrap: &Wrap| {
            let payload = self.ingress.open(&Info::wrap(&self.context(wrap)), &wrap.sealed.0).unwrap();
            let info = Info::release(&self.context(wrap), &restore.opened.transcript.0);
            self.record(wrap, seal(self.receive.public(), &info, &payload).unwrap())
        };
        Released { records: self.wraps.iter().map(record).collect(), receipt: String::new(), leaf: String::new() }
    }

    fn record(&self, wrap: &Wrap, sealed: protocol::sealing::Sealed) -> ReleasedRecord {
        ReleasedRecord {
            record: wrap.record,
            kind: wrap.kind.clone(),
            generation: wrap.generation,
            suite: wrap.suite,
            device: self.state.device,
            sealed: Base64Url(sealed),
            commitment: wrap.commitment,
            bundle: wrap.bundle.clone(),
        }
    }

    fn context(&self, wrap: &Wrap) -> Context {
        let name = protocol::record::RecordName {
            tenant: self.state.tenant.clone(),
            user: self.state.user.clone(),
            kind: wrap.kind.clone(),
            generation: wrap.generation,
            record: wrap.record,
            device: self.state.device,
            suite: wrap.suite,
        };
        name.context()
    }

    fn open(
        &self,
        restore: &OpenedRestore,
        released: &Released,
        passphrase: Option<&str>,
    ) -> Result<Vec<RestoredKey>, Error> {
        self.state.open_released(restore, released, passphrase.map(secret).as_ref())
    }
}

fn secret(text: &str) -> Secret {
    Secret::copied_from(text.as_bytes())
}

#[test]
fn what_was_backed_up_comes_back() {
    let scene = Scene::new(&[("identity", None), ("archive", Some("open sesame"))]);
    let restore = scene.restore();
    scene.check(&scene.asked(), &restore.opened).unwrap();
    let released = scene.released(&restore);
    let keys = scene.open(&restore, &released, Some("open sesame")).unwrap();
    assert!(keys[0].material.matches(b"key identity") && keys[1].material.matches(b"key archive"));
    assert!(
        matches!(scene.open(&restore, &released, None), Err(Error::PassphraseNeeded(kind)) if kind.as_str() == "archive")
    );
    assert!(matches!(scene.open(&restore, &released, Some("open")), Err(Error::WrongPassphrase)));
}

#[test]
fn a_transcript_of_another_question_is_refused() {
    let scene = Scene::new(&[("identity", None)]);
    let asked = scene.asked();
    let another_reason = OpenRestore { reason: "no reason to worry".parse().unwrap(), ..asked.clone() };
    let another_key = OpenRestore { receive_key: Base64Url(OpeningKey::generate().public().clone()), ..asked.clone() };
    for heard in [another_reason, another_key] {
        let refused = scene.check(&asked, &scene.opened(&heard, scene.entries()));
        assert!(matches!(refused, Err(Error::Contradiction(_))), "{refused:?}");
    }
    let opened = scene.opened(&asked, scene.entries());
    let refused = scene.state.check_opened(&asked, &opened, "another nonce", &scene.thumbprint);
    assert!(matches!(refused, Err(Error::Contradiction(_))), "{refused:?}");
}

#[test]
fn other_records_than_those_asked_for_are_refused() {
    let scene = Scene::new(&[("identity", None), ("archive", None)]);
    let (by_kind, all) = (scene.asked(), scene.entries());
    let by_record =
        OpenRestore { kinds: Vec::new(), records: all.iter().map(|entry| entry.record).collect(), ..by_kind.clone() };
    let another = RecordEntry { record: Uuid::new_v4(), ..all[0].clone() };
    let fewer = all[..1].to_vec();
    let more = [all.clone(), vec![another]].concat();
    let twice = [all.clone(), all[..1].to_vec()].concat();
    for asked in [by_kind, by_record] {
        scene.check(&asked, &scene.opened(&asked, all.clone())).unwrap();
        for records in [&fewer, &more, &twice] {
            let refused = scene.check(&asked, &scene.opened(&asked, records.clone()));
            assert!(matches!(refused, Err(Error::Contradiction(_))), "{records:?}: {refused:?}");
        }
    }
}

#[test]
fn the_newest_is_not_older_than_what_the_device_has_seen() {
    let mut scene = Scene::new(&[("identity", None)]);
    let kind: Kind = "identity".parse().unwrap();
    scene.state.learn(&kind, 2);
    let by_kind = scene.asked();
    let refused = scene.check(&by_kind, &scene.opened(&by_kind, scene.entries()));
    assert!(matches!(refused, Err(Error::Rollback { offered: 1, known: 2, .. })), "{refused:?}");
    let by_record = OpenRestore { kinds: Vec::new(), records: vec![scene.wraps[0].record], ..by_kind };
    scene.check(&by_record, &scene.opened(&by_record, scene.entries())).unwrap();
}

#[test]
fn nothing_released_can_be_exchanged() {
    let scene = Scene::new(&[("identity", None), ("archive", None)]);
    let restore = scene.restore();
    let honest = scene.released(&restore);
    assert!(scene.open(&restore, &honest, None).is_ok());
    let exchanged = |change: fn(&mut Vec<ReleasedRecord>)| {
        let mut released = honest.clone();
        change(&mut released.records);
        scene.open(&restore, &released, None).map(|keys| keys.len())
    };
    let sealed = exchanged(|records| records[0].sealed = records[1].sealed.clone());
    assert!(matches!(sealed, Err(Error::Released)), "{sealed:?}");
    for (what, refused) in [
        ("bundle", exchanged(|records| records[0].bundle = records[1].bundle.clone())),
        ("commitment", exchanged(|records| records[0].commitment = records[1].commitment)),
    ] {
        assert!(matches!(refused, Err(Error::Bundle(_))), "{what}: {refused:?}");
    }
    for (what, refused) in [
        ("order", exchanged(|records| records.reverse())),
        ("number", exchanged(|records| records.truncate(1))),
        ("generation", exchanged(|records| records[0].generation += 1)),
        ("device", exchanged(|records| records[0].device = Uuid::new_v4())),
    ] {
        assert!(matches!(refused, Err(Error::Contradiction(_))), "{what}: {refused:?}");
    }
}

#[test]
fn an_answer_to_another_restore_does_not_open() {
    let scene = Scene::new(&[("identity", None)]);
    let (one, other) = (scene.restore(), scene.restore());
    let refused = scene.open(&one, &scene.released(&other), None);
    assert!(matches!(refused, Err(Error::Released)), "{refused:?}");
}

#[test]
fn a_payload_of_another_record_is_refused() {
    let scene = Scene::new(&[("identity", None)]);
    let restore = scene.restore();
    let wrap = &scene.wraps[0];
    let other = WrappingSecret::generate().payload(&Scene::new(&[]).context(wrap));
    let info = Info::release(&scene.context(wrap), &restore.opened.transcript.0);
    let record = scene.record(wrap, seal(scene.receive.public(), &info, &other).unwrap());
    let released = Released { records: vec![record], receipt: String::new(), leaf: String::new() };
    let refused = scene.open(&restore, &released, None);
    assert!(matches!(refused, Err(Error::Released)), "{refused:?}");
}

#[test]
fn state_survives_being_written() {
    let mut scene = Scene::new(&[("identity", None)]);
    scene.state.restore = Some(scene.restore());
    let read = State::from_json(&scene.state.to_json()).unwrap();
    assert_eq!(*read.to_json(), *scene.state.to_json());
    let restore = read.restore.unwrap();
    assert!(scene.open(&restore, &scene.released(&restore), None).is_ok());
}
