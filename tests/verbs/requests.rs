//! A signed request counts once, for its own URL, nonce and payload; everything else is refused with the same few words.

use crate::harness::faketime::{FakeClock, Stopwatch};
use crate::harness::{Broker, Raw, TENANT, outcomes};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use futures_util::future::join_all;
use protocol::encoding::to_base64url;
use protocol::jws::{CONTENT_TYPE, DeviceKey, Signer};
use secret::Secret;
use serde_json::{Value, json};
use uuid::Uuid;

/// Text that no answer and no log line may repeat.
const PLANTED: &str = "planted-7f3a";

/// A device whose signed headers a test writes itself.
struct Forger {
    device: Raw,
    pair: EcdsaKeyPair,
}

impl Forger {
    async fn enrol(broker: &Broker) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let pkcs8 = Secret::copied_from(pair.to_pkcs8v1().unwrap().as_ref());
        let device = Raw::enrol_key(broker, TENANT, "alice", DeviceKey::from_pkcs8(&pkcs8).unwrap()).await;
        Self { device, pair }
    }

    /// Where the forgeries go.
    fn path(&self) -> String {
        self.device.path(&format!("/devices/{}", self.device.id()))
    }

    /// The members of a header that is right.
    async fn header(&self, broker: &Broker) -> Value {
        let (kid, nonce) = (self.device.id(), self.device.nonce().await);
        json!({"alg": "ES256", "kid": kid, "nonce": nonce, "url": broker.url(&self.path())})
    }

    fn sign(&self, input: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec()
    }

    /// A request with this header, word for word, and a good signature over it.
    fn signed(&self, header: &str, payload: &[u8]) -> Vec<u8> {
        flattened(header, payload, |input| self.sign(input))
    }
}

fn flattened(header: &str, payload: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (protected, payload) = (to_base64url(header.as_bytes()), to_base64url(payload));
    let signature = to_base64url(&sign(format!("{protected}.{payload}").as_bytes()));
    json!({"protected": protected, "payload": payload, "signature": signature}).to_string().into_bytes()
}

/// The header with one member replaced, or removed where `value` is null.
fn with(header: &Value, member: &str, value: Value) -> String {
    let mut header = header.as_object().unwrap().clone();
    if value.is_null() {
        header.remove(member)
    } else {
        header.insert(member.into(), value)
    };
    Value::Object(header).to_string()
}

async fn prepared() -> (Broker, String, Forger) {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let forger = Forger::enrol(&broker).await;
    (broker, vkey, forger)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_good_once_and_only_at_the_broker_that_issued_it() {
    let ((broker, vkey, forger), elsewhere) = (prepared().await, Broker::start().await);
    let (device, path) = (&forger.device, forger.device.path("/records"));
    let wrap = serde_json::to_vec(&device.wrap("identity", 1, b"key")).unwrap();
    let once = device.sign(&path, &device.nonce().await, &wrap);
    assert_eq!(device.send(&path, once.clone()).await.status, 201);
    let next = serde_json::to_vec(&device.wrap("identity", 2, b"key")).unwrap();
    let foreign = elsewhere.http().get(elsewhere.url("/v1/nonce")).send().await.unwrap();
    let foreign = foreign.headers()["replay-nonce"].to_str().unwrap().to_owned();
    for nonce in [&*foreign, "AAAA", &"A".repeat(54), "not+base64url", &device.nonce().await[1..]] {
        let refused = device.send(&path, device.sign(&path, nonce, &next)).await;
        assert_eq!((refused.status, refused.code()), (400, "bad_nonce".into()), "{nonce}");
        assert!(refused.headers.contains_key("replay-nonce"), "every refusal brings a nonce to go on with");
    }
    // The very same request again asks for what is stored already: the same answer, and nothing is stored twice.
    assert_eq!(device.send(&path, once).await.status, 201);
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "record.wrapped"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captured_request_sent_often_has_one_effect() {
    let (broker, vkey, forger) = prepared().await;
    let device = &forger.device;
    device.backup("identity", 1, b"key").await;
    let path = device.path("/restores");
    let receive = protocol::sealing::OpeningKey::generate();
    let receive = serde_json::to_value(protocol::encoding::Base64Url(receive.public().clone())).unwrap();
    let ask = json!({"kinds": ["identity"], "receive_key": receive, "reason": "test"}).to_string();
    let captured = device.sign(&path, &device.nonce().await, ask.as_bytes());

    let answers = join_all((0..20).map(|_| device.send(&path, captured.clone()))).await;
    let opened = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(opened.count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.code() == "bad_nonce"));
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.requested"), ["ok"]);
    assert!(outcomes(&log, "restore.denied").is_empty(), "replaying a request must not grow the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_nonce_is_refused() {
    let (mut broker, _, forger) = prepared().await;
    let device = &forger.device;
    let (fresh, path) = (device.nonce().await, forger.path());
    assert_eq!(device.send(&path, device.sign(&path, &fresh, b"")).await.status, 200);
    let clock = FakeClock::new(&broker, Stopwatch::Steady, "+4m");
    broker.stop();
    clock.run(&mut broker).await;
    assert_eq!(device.send(&path, device.sign(&path, &fresh, b"")).await.status, 200, "good over a restart");
    broker.stop();
    clock.set("+6m");
    clock.run(&mut broker).await;
    assert_eq!(device.send(&path, device.sign(&path, &fresh, b"")).await.code(), "bad_nonce");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_counts_for_its_url_and_its_payload_only() {
    let (broker, _, forger) = prepared().await;
    let (header, path) = (forger.header(&broker).await, forger.path());
    let send = |header: String| forger.device.send(&path, forger.signed(&header, b""));
    for url in [
        broker.url(&forger.device.path("/restores")),
        broker.url(&(path.clone() + "/")),
        broker.url(&(path.clone() + "?a=b")),
        broker.url(&path).replace("localhost", "LOCALHOST"),
        broker.url(&path).replace("https", "http"),
        format!("https://elsewhere.example{path}"),
        path.clone(),
    ] {
        let refused = send(with(&header, "url", url.clone().into())).await;
        assert_eq!((refused.status, refused.code()), (401, "url_mismatch".into()), "{url}");
    }
    let good: Value = serde_json::from_slice(&forger.signed(&header.to_string(), b"")).unwrap();
    for (member, other) in [("payload", to_base64url(b"{}")), ("signature", to_base64url(&[7; 64]))] {
        let mut altered = good.clone();
        altered[member] = other.into();
        let refused = forger.device.send(&path, altered.to_string().into_bytes()).await;
        assert_eq!((refused.status, refused.code()), (401, "unauthorized".into()), "{member}");
    }
    assert_eq!(
        forger.device.send(&path, good.to_string().into_bytes()).await.status,
        200,
        "the request itself is good"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_algorithm_is_spoken() {
    let (broker, _, forger) = prepared().await;
    let (header, path) = (forger.header(&broker).await, forger.path());
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let public = hmac::Key::new(hmac::HMAC_SHA256, forger.pair.public_key().as_ref());
    let bodies = [
        ("HS256", flattened(&with(&header, "alg", "HS256".into()), b"", |i| hmac::sign(&public, i).as_ref().to_vec())),
        ("none", flattened(&with(&header, "alg", "none".into()), b"", |_| Vec::new())),
        ("None", flattened(&with(&header, "alg", "None".into()), b"", |i| forger.sign(i))),
        (
            "ES384",
            flattened(&with(&header, "alg", "ES384".into()), b"", |input| {
                p384.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec()
            }),
        ),
        ("RS256", flattened(&with(&header, "alg", "RS256".into()), b"", |_| vec![0; 256])),
        ("no signature", flattened(&header.to_string(), b"", |_| Vec::new())),
    ];
    for (alg, body) in bodies {
        let refused = forger.device.send(&path, body).await;
        assert_eq!((refused.status, refused.code()), (400, "malformed_jws".into()), "{alg}");
    }
    // The key decides, not the header: EdDSA is spoken, but not by this key.
    let refused = forger.device.send(&path, forger.signed(&with(&header, "alg", "EdDSA".into()), b"")).await;
    assert_eq!((refused.status, refused.code()), (401, "unauthorized".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_has_exactly_its_members() {
    let (broker, _, forger) = prepared().await;
    let (header, path) = (forger.header(&broker).await, forger.path());
    let text = header.to_string();
    let (id, jwk) = (forger.device.id(), serde_json::to_value(forger.device.key.public()).unwrap());
    let twice = |member: &str| text.replacen('{', &format!("{{\"{member}\":{},", header[member]), 1);
    let headers = [
        twice("alg"),
        twice("kid"),
        twice("nonce"),
        twice("url"),
        with(&header, "alg", Value::Null),
        with(&header, "nonce", Value::Null),
        with(&header, "url", Value::Null),
        with(&header, "kid", Value::Null),
        with(&header, "jwk", jwk),
        with(&header, "crit", json!(["exp"])),
        with(&header, "b64", false.into()),
        with(&header, "kid", "".into()),
        with(&header, "kid", "k".repeat(129).into()),
        with(&header, "nonce", "n".repeat(129).into()),
        text.replace(&format!("\"{id}\""), "null"),
        format!("[{text}]"),
        format!("{text} x"),
        String::new(),
    ];
    for header in headers {
        let refused = forger.device.send(&path, forger.signed(&header, b"")).await;
        assert_eq!((refused.status, refused.code()), (400, "malformed_jws".into()), "{header}");
    }
    let mut unprotected: Value = serde_json::from_slice(&forger.signed(&text, b"")).unwrap();
    unprotected["header"] = json!({"kid": id});
    let refused = forger.device.send(&path, unprotected.to_string().into_bytes()).await;
    assert_eq!((refused.status, refused.code()), (400, "malformed_jws".into()), "an unprotected header");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_named_where_it_is_known_and_shown_where_it_enrols() {
    let (broker, _, forger) = prepared().await;
    let (device, path, nonce) = (&forger.device, forger.path(), forger.device.nonce().await);
    let by_jwk = device.key.sign_request(&Signer::Jwk(device.key.public().clone()), &nonce, &broker.url(&path), b"");
    let refused = device.send(&path, by_jwk).await;
    assert_eq!((refused.status, refused.code()), (400, "malformed".into()));

    let enrol = device.path("/devices");
    let refused = device.send(&enrol, device.sign(&enrol, &nonce, b"{}")).await;
    assert_eq!((refused.status, refused.code()), (400, "malformed".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_device_and_a_wrong_signature_get_the_same_answer() {
    let (broker, _, forger) = prepared().await;
    let header = forger.header(&broker).await;
    broker.tenant("other", "alice").await;
    let wrong = flattened(&header.to_string(), b"", |_| vec![7; 64]);
    let unknown = forger.signed(&with(&header, "kid", Uuid::new_v4().to_string().into()), b"");
    let no_id = forger.signed(&with(&header, "kid", "' OR 1=1 --".replace(' ', "_").into()), b"");
    let elsewhere = forger.path().replace(TENANT, "other");
    let nowhere = forger.path().replace(TENANT, "nobody");
    let mut answers = Vec::new();
    for (path, body) in [
        (forger.path(), wrong),
        (forger.path(), unknown),
        (forger.path(), no_id),
        (elsewhere.clone(), forger.signed(&with(&header, "url", broker.url(&elsewhere).into()), b"")),
        (nowhere.clone(), forger.signed(&with(&header, "url", broker.url(&nowhere).into()), b"")),
    ] {
        let mut answer = forger.device.send(&path, body).await;
        assert_eq!((answer.status, answer.code()), (401, "unauthorized".into()), "{path}");
        answer.headers.remove("replay-nonce").expect("a nonce");
        answer.headers.remove("date");
        answers.push((answer.headers.clone(), answer.body));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_one_json_object_of_known_members() {
    let (broker, vkey, forger) = prepared().await;
    let (device, path) = (&forger.device, forger.device.path("/records"));
    let good = serde_json::to_string(&device.wrap("identity", 1, PLANTED.as_bytes())).unwrap();
    let open = good.strip_suffix('}').unwrap();
    let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let before = broker.verified_log(TENANT, &vkey).len();
    let payloads = [
        Vec::new(),
        b"null".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe{}".to_vec(),
        good.replace("identity", "ident\u{0}ty").into_bytes(),
        [open.as_bytes(), b",\"kind\":\"\xff\"}"].concat(),
        format!("{open},\"generation\":2}}").into_bytes(),
        format!("{open},\"{PLANTED}\":1}}").into_bytes(),
        format!("{good}{good}").into_bytes(),
        format!("{good} {PLANTED}").into_bytes(),
        format!("[{good}]").into_bytes(),
        good.replace("\"generation\":1", "\"generation\":[1]").into_bytes(),
        good.replace("\"generation\":1", "\"generation\":-1").into_bytes(),
        good.replace("\"generation\":1", "\"generation\":1e400").into_bytes(),
        good.replace("\"generation\":1", &format!("\"generation\":\"{PLANTED}\"")).into_bytes(),
        nested(45_000),
        format!("{open},\"deep\":{}}}", String::from_utf8(nested(40_000)).unwrap()).into_bytes(),
    ];
    for payload in payloads {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(100)]).into_owned();
        let refused = device.send(&path, device.sign(&path, &device.nonce().await, &payload)).await;
        assert_eq!((refused.status, refused.code()), (400, "malformed".into()), "{shown}");
        assert!(!String::from_utf8_lossy(&refused.body).contains(PLANTED), "{refused:?}");
    }
    assert!(!broker.log().contains(PLANTED));
    assert_eq!(broker.verified_log(TENANT, &vkey).len(), before, "what is no request is no event");
    assert_eq!(device.send_wrap(&device.wrap("identity", 1, b"key")).await.status, 201, "nothing was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_a_flattened_jws_of_a_bounded_size() {
    let (broker, _, forger) = prepared().await;
    let (device, path) = (&forger.device, forger.path());
    let good = String::from_utf8(forger.signed(&forger.header(&broker).await.to_string(), b"")).unwrap();
    for body in [
        Vec::new(),
        b"\xff\xff\xff".to_vec(),
        b"[".repeat(100_000),
        b"{\"protected\":".repeat(8_000),
        format!("{good}{good}").into_bytes(),
        format!("[{good}]").into_bytes(),
        good.replacen('{', "{\"payload\":\"\",", 1).into_bytes(),
        good.replace("\"payload\":\"\"", "\"payload\":\"=\"").into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        let refused = device.send(&path, body).await;
        assert_eq!((refused.status, refused.code()), (400, "malformed_jws".into()), "{shown}");
    }
    let large = device.send(&path, vec![b'a'; 128 * 1024 + 1]).await;
    assert_eq!((large.status, large.code()), (413, "too_large".into()));
    // Ten megabytes are not read to their end: the answer, or a connection that is cut, comes first.
    let client = broker.http().post(broker.url(&path)).header("content-type", CONTENT_TYPE);
    if let Ok(answer) = client.body(vec![b'a'; 10 * 1024 * 1024]).send().await {
        assert_eq!(answer.status(), 413);
    }
    for content_type in ["application/json", "application/jose", "text/plain", "APPLICATION/JOSE+JSON; charset=utf-8"] {
        let request = broker.http().post(broker.url(&path)).header("content-type", content_type);
        let refused = request.body(good.clone()).send().await.unwrap();
        assert_eq!(refused.status(), 400, "{content_type}");
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], "malformed");
    }
    assert_eq!(device.send(&path, good.into_bytes()).await.status, 200, "nothing was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_and_methods_are_problems_too() {
    let (broker, _, forger) = prepared().await;
    let device = forger.device.id();
    for (method, path) in [
        ("GET", "/".to_owned()),
        ("GET", "/v1".into()),
        ("GET", "/v1/tenants/acme/devices".into()),
        ("DELETE", format!("/v1/tenants/acme/devices/{device}")),
        ("PUT", "/v1/admin/tenants".into()),
        ("POST", "/v1/nonce".into()),
        ("POST", "/v1/tenants/acme/nothing".into()),
        ("POST", "/v1/tenants/acme/restores/no-uuid/release".into()),
        ("POST", "/v1/tenants/..%2f..%2fetc%2fpasswd/records".into()),
        ("POST", "/v1/tenants/acme'%20OR%20'1'='1/records".into()),
        ("POST", "/v1/tenants/%ff%fe/records".into()),
        ("GET", "/openapi.json/../healthz/x".into()),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = broker.http().request(method.clone(), broker.url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{method} {path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&"not_found".into(), &404.into()), "{path}");
    }
}
