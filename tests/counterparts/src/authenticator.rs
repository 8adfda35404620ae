//! A WebAuthn authenticator in software, with as much of a browser around it as makes its answers. What it does wrong is
//! signed as well as what it does right.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

/// Flags of authenticator data (WebAuthn section 6.1).
const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const SYNCHRONISABLE: u8 = 1 << 3;
const ATTESTED_DATA: u8 = 1 << 6;
/// Where a packed attestation's certificate names the make: id-fido-gen-ce-aaguid.
const AAGUID_EXTENSION: &[u64] = &[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4];

/// An authenticator and its browser. A clone has the same keys, and counts on from the same place.
#[derive(Debug, Clone)]
pub struct Authenticator {
    /// How it behaves from now on.
    pub manner: Manner,
    make: Option<Make>,
    held: Vec<Held>,
}

/// What the next answers say, whatever was asked.
#[derive(Debug, Clone)]
pub struct Manner {
    /// The page that the browser is on.
    pub origin: String,
    /// Instead of the RP ID that was asked for.
    pub rp_id: Option<String>,
    /// Instead of `webauthn.create` or `webauthn.get`.
    pub kind: Option<String>,
    /// Whether somebody touched it.
    pub present: bool,
    /// Whether it verified who that was.
    pub verified: bool,
    /// Whether its keys may be in several devices.
    pub synchronised: bool,
    /// Whether the page is inside another site's.
    pub framed: bool,
    /// The counter of the last signature; without one, all say 0.
    pub counter: Option<u32>,
}

/// A make of authenticators that attests what it is, and the certificate of who vouches for it.
#[derive(Debug, Clone)]
pub struct Make {
    aaguid: [u8; 16],
    root: String,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Held {
    id: Vec<u8>,
    rp_id: String,
    user: String,
    key: Vec<u8>,
}

impl Authenticator {
    /// One that does everything right for a browser at `origin`, and attests nothing.
    #[must_use]
    pub fn new(origin: &str) -> Self {
        let manner = Manner {
            origin: origin.to_owned(),
            rp_id: None,
            kind: None,
            present: true,
            verified: true,
            synchronised: false,
            framed: false,
            counter: Some(0),
        };
        Self { manner, make: None, held: Vec::new() }
    }

    /// The same, of a make that attests.
    #[must_use]
    pub fn of_make(origin: &str, make: Make) -> Self {
        Self { make: Some(make), ..Self::new(origin) }
    }

    /// What `navigator.credentials.create` gives for these options, as JSON. The passkey is held from now on.
    ///
    /// # Panics
    /// When the options are none.
    pub fn create(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        let held = Held {
            id: aws_lc_rs::rand::generate::<[u8; 32]>(&SystemRandom::new()).expect("there is chance").expose().to_vec(),
            rp_id: text(&options["rp"]["id"]),
            user: text(&options["user"]["id"]),
            key: new_key(),
        };
        let client_data = self.client_data("webauthn.create", options);
        let mut data = self.data(&held.rp_id, ATTESTED_DATA);
        data.extend(self.make.as_ref().map_or([0; 16], |make| make.aaguid));
        data.extend((held.id.len() as u16).to_be_bytes());
        data.extend(&held.id);
        data.extend(cose_key(&held.key));
        let object = self.attestation_object(&data, &client_data);
        let id = URL_SAFE_NO_PAD.encode(&held.id);
        self.held.push(held);
        json!({
            "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
            "response": {
                "attestationObject": URL_SAFE_NO_PAD.encode(object),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "transports": ["internal"],
            },
        })
    }

    /// What `navigator.credentials.get` gives for these options, as JSON: by the first passkey that it holds and that is
    /// allowed, or the newest where all are.
    ///
    /// # Panics
    /// When the options are none, or it holds no such passkey.
    pub fn get(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        if let Some(counter) = &mut self.manner.counter {
            *counter += 1;
        }
        let held = self.chosen(options);
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(&held.rp_id, 0);
        let id = URL_SAFE_NO_PAD.encode(&held.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
            "response": {
                "authenticatorData": URL_SAFE_NO_PAD.encode(&data),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(&client_data),
                "signature": URL_SAFE_NO_PAD.encode(sign(&held.key, &data, &client_data)),
                "userHandle": held.user,
            },
        })
    }

    fn chosen(&self, options: &Value) -> &Held {
        let allowed = options["allowCredentials"].as_array().map_or(&[][..], Vec::as_slice);
        if allowed.is_empty() {
            return self.held.last().expect("it holds a passkey");
        }
        let mut held = allowed
            .iter()
            .filter_map(|allowed| self.held.iter().find(|held| allowed["id"] == URL_SAFE_NO_PAD.encode(&held.id)));
        held.next().expect("it holds one of these passkeys")
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        json!({
            "type": self.manner.kind.as_deref().unwrap_or(kind),
            "challenge": options["challenge"],
            "origin": self.manner.origin,
            "crossOrigin": self.manner.framed,
        })
        .to_string()
        .into_bytes()
    }

    fn data(&self, rp_id: &str, flags: u8) -> Vec<u8> {
        let manner = &self.manner;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flags
            | flag(manner.present, PRESENT)
            | flag(manner.verified, VERIFIED)
            | flag(manner.synchronised, SYNCHRONISABLE);
        let rp_id = manner.rp_id.as_deref().unwrap_or(rp_id);
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(manner.counter.unwrap_or_default().to_be_bytes());
        data
    }

    /// CBOR (RFC 8949): `{"fmt", "attStmt", "authData"}`.
    fn attestation_object(&self, data: &[u8], client_data: &[u8]) -> Vec<u8> {
        let statement = match &self.make {
            None => [&b"\x64none\x67attStmt\xa0"[..]].concat(),
            Some(make) => [
                &b"\x66packed\x67attStmt\xa3\x63alg\x26\x63sig"[..],
                &byte_string(&sign(&make.key, data, client_data)),
                b"\x63x5c\x81",
                &byte_string(&make.certificate),
            ]
            .concat(),
        };
        [&b"\xa3\x63fmt"[..], &statement, b"\x68authData", &byte_string(data)].concat()
    }
}

impl Make {
    /// A make with a root of its own, called `issuer`.
    ///
    /// # Panics
    /// Never: keys and certificates can be made.
    #[must_use]
    pub fn new(aaguid: [u8; 16], issuer: &str) -> Self {
        let (root_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, issuer);
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = root.self_signed(&root_key).expect("a certificate can be made").pem();
        let certificate = attesting(aaguid).signed_by(&key, &Issuer::new(root, root_key));
        let certificate = certificate.expect("a certificate can be made").der().to_vec();
        Self { aaguid, root: pem, certificate, key: key.serialize_der() }
    }

    /// The root's certificate in PEM.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }
}

/// As section 8.2.1 wants the certificates of packed attestations.
fn attesting(aaguid: [u8; 16]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::ExplicitNoCa;
    let name = &mut params.distinguished_name;
    name.push(DnType::CountryName, "CH");
    name.push(DnType::OrganizationName, "Keyfold");
    name.push(DnType::OrganizationalUnitName, "Authenticator Attestation");
    name.push(DnType::CommonName, "authenticator");
    let aaguid = [&[0x04, 0x10][..], &aaguid].concat();
    params.custom_extensions = vec![CustomExtension::from_oid_content(AAGUID_EXTENSION, aaguid)];
    params
}

fn text(value: &Value) -> String {
    value.as_str().expect("the options say it").to_owned()
}

fn new_key() -> Vec<u8> {
    KeyPair::generate().expect("keys can be made").serialize_der()
}

fn key_pair(key: &[u8]) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key).expect("it was made here")
}

fn sign(key: &[u8], data: &[u8], client_data: &[u8]) -> Vec<u8> {
    let signed = [data, digest(&SHA256, client_data).as_ref()].concat();
    key_pair(key).sign(&SystemRandom::new(), &signed).expect("there is chance").as_ref().to_vec()
}

/// COSE (RFC 9053, section 2.1) of an ES256 key: an EC2 key on P-256 with its two coordinates.
fn cose_key(key: &[u8]) -> Vec<u8> {
    let point = key_pair(key);
    let (x, y) = point.public_key().as_ref()[1..].split_at(32);
    [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat()
}

/// With a length of two bytes, whatever it is.
fn byte_string(bytes: &[u8]) -> Vec<u8> {
    [&b"\x59"[..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
}
