//! Real keys: RSA-OAEP, AES key wrap (RFC 3394) and AES-GCM, by aws-lc-rs.

use super::jwk::Specification;
use super::refusal::Refusal;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap};
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::KeyPair as _;
use std::fmt;

const NONCE: usize = 12;
const TAG: usize = 16;

/// What a key version consists of.
pub(super) enum Material {
    /// An RSA key.
    Rsa(Box<KeyPair>),
    /// An AES key of 16 or 32 bytes.
    Oct(Vec<u8>),
}

/// A ciphertext with what AES-GCM has beside it.
pub(super) struct Sealed {
    pub(super) iv: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

impl Material {
    pub(super) fn create(specification: &Specification) -> Result<Self, Refusal> {
        match specification.kty.as_str() {
            "RSA" | "RSA-HSM" => {
                let size = match specification.key_size.unwrap_or(2048) {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    _ => return Err(Refusal::bad_parameter("key_size is not supported")),
                };
                Ok(Self::Rsa(Box::new(KeyPair::generate(size).expect("RSA keys can be made"))))
            }
            "oct-HSM" => {
                let mut key = vec![0; specification.key_size.unwrap_or(256) / 8];
                aws_lc_rs::rand::fill(&mut key).expect("the system has randomness");
                Self::oct(key)
            }
            _ => Err(Refusal::bad_parameter("kty is not supported")),
        }
    }

    pub(super) fn oct(key: Vec<u8>) -> Result<Self, Refusal> {
        match key.len() {
            16 | 32 => Ok(Self::Oct(key)),
            _ => Err(Refusal::bad_parameter("key_size is not supported")),
        }
    }

    pub(super) fn rsa(pkcs8: &[u8]) -> Result<Self, Refusal> {
        let key = KeyPair::from_pkcs8(pkcs8).map_err(|_| Refusal::bad_parameter("the key is no PKCS#8"))?;
        Ok(Self::Rsa(Box::new(key)))
    }

    pub(super) fn bits(&self) -> usize {
        match self {
            Self::Rsa(key) => key.public_modulus_len() * 8,
            Self::Oct(key) => key.len() * 8,
        }
    }

    /// Modulus and exponent, where there are any.
    pub(super) fn public(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let Self::Rsa(key) = self else { return None };
        // RSAPublicKey (RFC 8017, section A.1.1): a sequence of modulus and exponent.
        let (sequence, _) = contents(key.public_key().as_ref());
        let (modulus, rest) = contents(sequence);
        let (exponent, _) = contents(rest);
        let unsigned = |integer: &[u8]| integer.strip_prefix(&[0]).unwrap_or(integer).to_vec();
        Some((unsigned(modulus), unsigned(exponent)))
    }

    /// RSA-OAEP or AES-KW.
    pub(super) fn wrap(&self, algorithm: &str, plaintext: &[u8]) -> Result<Vec<u8>, Refusal> {
        match (self, algorithm) {
            (Self::Rsa(key), _) => {
                let public = private(key).public_key();
                let key = OaepPublicEncryptingKey::new(public).expect("an RSA key can encrypt");
                let mut ciphertext = vec![0; key.ciphertext_size()];
                let done = key.encrypt(oaep(algorithm)?, plaintext, &mut ciphertext, None);
                done.map(|ciphertext| ciphertext.to_vec()).map_err(|_| refused())
            }
            (Self::Oct(key), "A128KW" | "A256KW") => {
                let mut wrapped = vec![0; plaintext.len() + 8];
                let done = kek(algorithm, key)?.wrap(plaintext, &mut wrapped);
                done.map(|wrapped| wrapped.to_vec()).map_err(|_| refused())
            }
            (Self::Oct(_), _) => Err(incompatible()),
        }
    }

    /// Opens what `wrap` made.
    pub(super) fn unwrap(&self, algorithm: &str, ciphertext: &[u8]) -> Result<Vec<u8>, Refusal> {
        match (self, algorithm) {
            (Self::Rsa(key), _) => self::decrypt(key, oaep(algorithm)?, ciphertext),
            (Self::Oct(key), "A128KW" | "A256KW") => {
                let mut plaintext = vec![0; ciphertext.len()];
                let done = kek(algorithm, key)?.unwrap(ciphertext, &mut plaintext);
                done.map(|plaintext| plaintext.to_vec()).map_err(|_| refused())
            }
            (Self::Oct(_), _) => Err(incompatible()),
        }
    }

    /// AES-GCM under a nonce of the service's own.
    pub(super) fn seal(&self, algorithm: &str, plaintext: &[u8], aad: &[u8]) -> Result<Sealed, Refusal> {
        let mut iv = [0; NONCE];
        aws_lc_rs::rand::fill(&mut iv).expect("the system has randomness");
        let mut value = plaintext.to_vec();
        let sealed = self.gcm(algorithm)?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::from(aad),
            &mut value,
        );
        let tag = sealed.map_err(|_| refused())?.as_ref().to_vec();
        Ok(Sealed { iv: iv.to_vec(), value, tag })
    }

    /// Opens what `seal` made.
    pub(super) fn open(&self, algorithm: &str, sealed: Sealed, aad: &[u8]) -> Result<Vec<u8>, Refusal> {
        let key = self.gcm(algorithm)?;
        let nonce = Nonce::try_assume_unique_for_key(&sealed.iv).map_err(|_| refused())?;
        if sealed.tag.len() != TAG {
            return Err(refused());
        }
        let mut both = [sealed.value, sealed.tag].concat();
        let plaintext = key.open_in_place(nonce, Aad::from(aad), &mut both);
        plaintext.map(|plaintext| plaintext.to_vec()).map_err(|_| refused())
    }

    fn gcm(&self, algorithm: &str) -> Result<LessSafeKey, Refusal> {
        let algorithm = match algorithm {
            "A128GCM" => &AES_128_GCM,
            "A256GCM" => &AES_256_GCM,
            _ => return Err(incompatible()),
        };
        let Self::Oct(key) = self else { return Err(incompatible()) };
        UnboundKey::new(algorithm, key).map(LessSafeKey::new).map_err(|_| incompatible())
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "Rsa(..)",
            Self::Oct(_) => "Oct(..)",
        })
    }
}

/// RSA-OAEP decryption.
pub(super) fn decrypt(key: &KeyPair, algorithm: &'static OaepAlgorithm, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let key = OaepPrivateDecryptingKey::new(private(key)).expect("an RSA key can decrypt");
    let mut plaintext = vec![0; key.min_output_size()];
    let opened = key.decrypt(algorithm, bytes, &mut plaintext, None);
    opened.map(|plaintext| plaintext.to_vec()).map_err(|_| refused())
}

/// The contents of the first DER element, which is whole, and what follows it (X.690, section 8.1).
fn contents(der: &[u8]) -> (&[u8], &[u8]) {
    let short = usize::from(der[1]);
    let (header, len) = if short < 0x80 {
        (2, short)
    } else {
        let digits = short - 0x80;
        (2 + digits, der[2..2 + digits].iter().fold(0, |len, digit| len << 8 | usize::from(*digit)))
    };
    der[header..].split_at(len)
}

fn private(key: &KeyPair) -> PrivateDecryptingKey {
    let pkcs8 = key.as_der().expect("a key has an encoding");
    PrivateDecryptingKey::from_pkcs8(pkcs8.as_ref()).expect("the encoding is of an RSA key")
}

fn oaep(algorithm: &str) -> Result<&'static OaepAlgorithm, Refusal> {
    match algorithm {
        "RSA-OAEP" => Ok(&OAEP_SHA1_MGF1SHA1),
        "RSA-OAEP-256" => Ok(&OAEP_SHA256_MGF1SHA256),
        _ => Err(incompatible()),
    }
}

fn kek(algorithm: &str, key: &[u8]) -> Result<AesKek, Refusal> {
    let cipher = if algorithm == "A128KW" { &AES_128 } else { &AES_256 };
    AesKek::new(cipher, key).map_err(|_| incompatible())
}

fn incompatible() -> Refusal {
    Refusal::bad_parameter("Key and algorithm are incompatible.")
}

fn refused() -> Refusal {
    Refusal::bad_parameter("The parameter is incorrect.")
}
