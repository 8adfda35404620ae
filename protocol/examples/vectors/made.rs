//! The test vectors, made from fixed inputs. Binary values are lower-case hex.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all inputs are fixed, so nothing here can fail on one run only"
)]

use keyfold_protocol::{
    approval::{Decision, challenge},
    enrolment::EnrolmentCode,
    jws::{DeviceKey, PublicJwk, Signer},
    login,
    names::{TenantId, UserId},
    passphrase,
    record::{KeySchedule, RecordName, SUITE, UserSecret, WrappingSecret, seal_bundle_with_prefix},
    sealing::{Info, OpeningKey, seal_with_rng},
    transcript::{Facts, Transcript},
};
use secret::Secret;
use serde_json::{Value, json};
use uuid::Uuid;

const S_KMS: [u8; 32] = [0x11; 32];
const S_USER: [u8; 32] = [0x22; 32];
const PREFIX: [u8; 7] = [1, 2, 3, 4, 5, 6, 7];
const MATERIAL: &[u8] = b"the key material of a record";
const URL: &str = "https://keyfold.example/v1/tenants/acme/records";
const KID: &str = "0197a0c2-3b00-7c00-8d00-00000000000d";
/// The Ed25519 key of RFC 8037, appendix A.1, as PKCS#8 (RFC 8410).
const ED25519_PKCS8: &str =
    "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// ECDSA draws a random number for each signature, so this one was made once, with the key of RFC 7515, appendix A.3.
const ES256_BODY: &str = include_str!("es256.json");

/// Each file's name and text.
pub(crate) fn files() -> Vec<(&'static str, String)> {
    [
        ("context.json", context()),
        ("key-schedule.json", key_schedule()),
        ("bundle.json", bundle()),
        ("sealing.json", sealing()),
        ("transcript.json", transcript()),
        ("login.json", login()),
        ("jws.json", jws()),
        ("enrolment-code.json", enrolment_code()),
        ("passphrase.json", passphrase()),
    ]
    .map(|(name, value)| (name, sorted(value)))
    .into()
}

/// Another crate of the build may have asked serde_json to keep members in the order in which they were written.
fn sorted(mut value: Value) -> String {
    value.sort_all_objects();
    format!("{value:#}\n")
}

fn record() -> RecordName {
    RecordName {
        tenant: "acme".parse().unwrap(),
        user: "alice@example.org".parse().unwrap(),
        kind: "identity".parse().unwrap(),
        generation: 1,
        record: Uuid::from_u128(0x0197_a0c2_3b00_7c00_8d00_0000_0000_0001),
        device: Uuid::parse_str(KID).unwrap(),
        suite: SUITE,
    }
}

fn context() -> Value {
    let other = RecordName { kind: "mls-signature".parse().unwrap(), generation: (1 << 53) - 1, ..record() };
    [record(), other]
        .iter()
        .map(|name| {
            json!({
                "tenant": name.tenant, "user": name.user, "kind": name.kind, "generation": name.generation,
                "record": name.record, "device": name.device, "suite": name.suite,
                "context": hex::encode(name.context().as_bytes()),
            })
        })
        .collect()
}

fn wrapping_secret() -> WrappingSecret {
    Secret::copied_from(&S_KMS).try_into().unwrap()
}

fn schedule(with_user: bool) -> KeySchedule {
    let user: UserSecret = Secret::copied_from(&S_USER).try_into().unwrap();
    KeySchedule::new(&wrapping_secret(), with_user.then_some(&user), &record().context())
}

/// The data key does not leave the schedule; the bundles under it show it.
fn key_schedule() -> Value {
    [false, true]
        .iter()
        .map(|&with_user| {
            let keys = schedule(with_user);
            json!({
                "context": hex::encode(record().context().as_bytes()),
                "s_kms": hex::encode(S_KMS), "s_user": with_user.then(|| hex::encode(S_USER)),
                "commitment": hex::encode(keys.commitment()),
                "prefix": hex::encode(PREFIX), "material": hex::encode(MATERIAL),
                "bundle": hex::encode(seal_bundle_with_prefix(&keys, &Secret::copied_from(MATERIAL), &PREFIX).unwrap()),
            })
        })
        .collect()
}

/// Opening with the key schedule of `S_KMS` alone; `fails` names the check that refuses.
fn bundle() -> Value {
    let keys = schedule(false);
    let good = seal_bundle_with_prefix(&keys, &Secret::copied_from(MATERIAL), &PREFIX).unwrap();
    let altered = |at: usize| {
        let mut bundle = good.clone();
        bundle[at] ^= 1;
        bundle
    };
    let mut other_commitment = *keys.commitment();
    other_commitment[31] ^= 1;
    let user = seal_bundle_with_prefix(&schedule(true), &Secret::copied_from(MATERIAL), &PREFIX).unwrap();
    let case = |what: &str, commitment: &[u8; 32], bundle: &[u8], fails: Option<&str>| {
        json!({
            "what": what, "context": hex::encode(record().context().as_bytes()), "s_kms": hex::encode(S_KMS),
            "commitment": hex::encode(commitment), "bundle": hex::encode(bundle), "fails": fails,
        })
    };
    json!([
        case("as it was made", keys.commitment(), &good, None),
        case("another commitment", &other_commitment, &good, Some("commitment")),
        case("made with a user secret", keys.commitment(), &user, Some("factors")),
        case("a factor byte that there is not", keys.commitment(), &altered(0), Some("format")),
        case("another prefix", keys.commitment(), &altered(1), Some("altered")),
        case("another ciphertext", keys.commitment(), &altered(8), Some("altered")),
        case("another tag", keys.commitment(), &altered(good.len() - 1), Some("altered")),
        case("cut short", keys.commitment(), &good[..good.len() - 1], Some("altered")),
        case("a stream that is only a tag", keys.commitment(), &good[..8 + 16], Some("altered")),
        case("cut within the prefix", keys.commitment(), &good[..4], Some("format")),
    ])
}

fn sealing() -> Value {
    let key = receive_key();
    let context = record().context();
    let transcript = Transcript::from([0x44; 32]);
    [Info::wrap(&context), Info::release(&context, &transcript)]
        .iter()
        .map(|info| {
            let payload = wrapping_secret().payload(&context);
            let sealed = seal_with_rng(key.public(), info, &payload, &mut Fixed([0x55; 64])).unwrap();
            json!({
                "seed": hex::encode([0x33; 32]), "public": hex::encode(key.public()),
                "context": hex::encode(context.as_bytes()), "transcript": hex::encode(transcript.as_bytes()),
                "info": hex::encode(info.as_bytes()), "randomness": hex::encode([0x55; 64]),
                "payload": hex::encode([S_KMS, *context.as_bytes()].concat()), "sealed": hex::encode(sealed),
            })
        })
        .collect()
}

/// The 64 bytes of randomness that one X-Wing encapsulation takes.
struct Fixed([u8; 64]);

impl hpke::rand_core::TryRng for Fixed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        panic!("X-Wing draws all its randomness at once")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        panic!("X-Wing draws all its randomness at once")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

impl hpke::rand_core::TryCryptoRng for Fixed {}

fn transcript() -> Value {
    let tenant: TenantId = "acme".parse().unwrap();
    let user: UserId = "alice@example.org".parse().unwrap();
    let device = ed25519();
    let receive = receive_key();
    let facts = Facts {
        restore: Uuid::from_u128(0x0197_a0c2_3b00_7c00_8d00_0000_0000_00a1),
        tenant: &tenant,
        user: &user,
        device: Uuid::parse_str(KID).unwrap(),
        thumbprint: &device.public().thumbprint(),
        receive_key: receive.public(),
        records: &[record().record, Uuid::from_u128(0x0197_a0c2_3b00_7c00_8d00_0000_0000_0002)],
        policy: &[0x66; 32],
        nonce: "bm9uY2Utb2YtdGhlLXJlcXVlc3Q",
        reason: "new phone, ticket 4711",
    };
    let transcript = facts.transcript();
    json!([{
        "restore": facts.restore, "tenant": tenant, "user": user, "device": facts.device,
        "thumbprint": hex::encode(facts.thumbprint), "receive_key": hex::encode(facts.receive_key),
        "records": facts.records, "policy": hex::encode(facts.policy), "nonce": facts.nonce, "reason": facts.reason,
        "transcript": hex::encode(transcript.as_bytes()),
        "approve": hex::encode(challenge(&transcript, Decision::Approve)),
        "reject": hex::encode(challenge(&transcript, Decision::Reject)),
    }])
}

fn login() -> Value {
    let (device, receive) = (Uuid::parse_str(KID).unwrap(), receive_key());
    let nonce = login::nonce(device, receive.public());
    json!([{ "device": device, "receive_key": hex::encode(receive.public()), "nonce": nonce }])
}

fn receive_key() -> OpeningKey {
    OpeningKey::from_seed(&Secret::copied_from(&[0x33; 32])).unwrap()
}

fn ed25519() -> DeviceKey {
    DeviceKey::from_pkcs8(&Secret::new(hex::decode(ED25519_PKCS8).unwrap().into())).unwrap()
}

fn jws() -> Value {
    let key = ed25519();
    let p256: PublicJwk = serde_json::from_str(
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    )
    .unwrap();
    let case = |key: &PublicJwk, payload: &str, body: &str| {
        json!({
            "jwk": serde_json::from_str::<Value>(&key.to_json()).unwrap(), "thumbprint": hex::encode(key.thumbprint()),
            "payload": payload, "body": body,
        })
    };
    let sign = |signer, payload: &str| {
        let body = key.sign_request(&signer, "bm9uY2U", URL, payload.as_bytes());
        case(key.public(), payload, &String::from_utf8(body).unwrap())
    };
    json!([
        sign(Signer::Kid(KID.to_owned()), r#"{"a":1}"#),
        sign(Signer::Jwk(key.public().clone()), ""),
        case(&p256, r#"{"a":1}"#, ES256_BODY.trim_end()),
    ])
}

fn enrolment_code() -> Value {
    ["KF-0000-0000-0000-0000-0000-0000-0", "KF-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-Z"]
        .iter()
        .map(|start| {
            let code = complete(start);
            json!({ "code": *code.reveal(), "hash": hex::encode(code.hash()) })
        })
        .collect()
}

/// The first code that starts so: its last 12 bits are a checksum.
fn complete(start: &str) -> EnrolmentCode {
    let symbols = || "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars();
    let pairs = || symbols().flat_map(move |a| symbols().map(move |b| format!("{a}{b}")));
    pairs().flat_map(|ab| symbols().map(move |c| format!("{start}{ab}{c}"))).find_map(|text| text.parse().ok()).unwrap()
}

fn passphrase() -> Value {
    let context = record().context();
    let passphrase = "correct horse battery stäple";
    let user = passphrase::user_secret(&Secret::copied_from(passphrase.as_bytes()), &context).unwrap();
    json!([{
        "passphrase": passphrase, "context": hex::encode(context.as_bytes()), "s_kms": hex::encode(S_KMS),
        "commitment": hex::encode(KeySchedule::new(&wrapping_secret(), Some(&user), &context).commitment()),
    }])
}
