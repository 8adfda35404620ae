//! The API's enumerations and scalars in JSON: taken by name or number, given as numbers, as both clients ask for.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(i64),
    Text(String),
}

macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident { $($value:ident = $number:literal $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($value),+ }

        impl $name {
            pub(super) fn word(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(match self { $(Self::$value => $number),+ })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match Word::deserialize(deserializer)? {
                    $(Word::Number($number) => Ok(Self::$value),)+
                    Word::Number(number) => Err(de::Error::custom(format_args!("{number} is not known here"))),
                    Word::Text(text) => {
                        let found = [$(Self::$value),+].into_iter().find(|value| value.word() == text);
                        found.ok_or_else(|| de::Error::custom(format_args!("{text} is not known here")))
                    }
                }
            }
        }
    };
}

enumeration! {
    /// What a key is for.
    Purpose { EncryptDecrypt = 1 "ENCRYPT_DECRYPT", AsymmetricDecrypt = 6 "ASYMMETRIC_DECRYPT", }
}

enumeration! {
    /// Where operations run.
    ProtectionLevel { Software = 1 "SOFTWARE", Hsm = 2 "HSM", }
}

enumeration! {
    /// The algorithm of a version.
    Algorithm {
        Symmetric = 1 "GOOGLE_SYMMETRIC_ENCRYPTION",
        Oaep2048 = 8 "RSA_DECRYPT_OAEP_2048_SHA256",
        Oaep3072 = 9 "RSA_DECRYPT_OAEP_3072_SHA256",
        Oaep4096 = 10 "RSA_DECRYPT_OAEP_4096_SHA256",
    }
}

enumeration! {
    /// The state of a version.
    VersionState {
        Enabled = 1 "ENABLED",
        Disabled = 2 "DISABLED",
        Destroyed = 3 "DESTROYED",
        DestroyScheduled = 4 "DESTROY_SCHEDULED",
        PendingImport = 6 "PENDING_IMPORT",
        ImportFailed = 7 "IMPORT_FAILED",
    }
}

enumeration! {
    /// How material is wrapped for an import.
    ImportMethod { Oaep4096Sha256Aes256 = 4 "RSA_OAEP_4096_SHA256_AES_256", }
}

enumeration! {
    /// The state of an import job.
    JobState { PendingGeneration = 1 "PENDING_GENERATION", Active = 2 "ACTIVE", Expired = 3 "EXPIRED", }
}

/// Bytes as standard base64.
#[derive(Debug, Default)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

/// google.protobuf.Int64Value: a number in text, or as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Int64(pub(super) i64);

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Word::deserialize(deserializer)? {
            Word::Number(number) => Ok(Self(number)),
            Word::Text(text) => text.parse().map(Self).map_err(de::Error::custom),
        }
    }
}

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
