//! Public keys as JSON Web Keys (RFC 7517): P-256 (RFC 7518, section 6.2) and Ed25519 (RFC 8037), nothing else.

use super::{Alg, present};
use crate::encoding::{Base64Url, object, to_base64url};
use aws_lc_rs::{
    digest,
    signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey},
};
use curve25519_dalek::edwards::CompressedEdwardsY;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A device's public key; the point is on its curve and, for Ed25519, canonical and not of small order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicJwk(Point);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Point {
    /// Uncompressed, as SEC 1 has it: `04 || x || y`.
    P256([u8; 65]),
    Ed25519([u8; 32]),
}

/// Members that are no P-256 or Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 or Ed25519 public key")]
pub struct BadJwk;

impl PublicJwk {
    /// The key with the coordinates `x` and `y` on P-256.
    ///
    /// # Errors
    /// [`BadJwk`] when there is no such point.
    pub fn p256(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, BadJwk> {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(x);
        point[33..].copy_from_slice(y);
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| BadJwk)?;
        Ok(Self(Point::P256(point)))
    }

    /// The Ed25519 key that RFC 8032 encodes as `x`.
    ///
    /// # Errors
    /// [`BadJwk`] when it is no point, not its canonical encoding, or of small order (whose signatures anyone can make).
    pub fn ed25519(x: &[u8; 32]) -> Result<Self, BadJwk> {
        let point = CompressedEdwardsY(*x).decompress().ok_or(BadJwk)?;
        if point.is_small_order() || point.compress().0 != *x {
            return Err(BadJwk);
        }
        Ok(Self(Point::Ed25519(*x)))
    }

    /// The one algorithm this key signs with.
    #[must_use]
    pub fn alg(&self) -> Alg {
        match self.0 {
            Point::P256(_) => Alg::Es256,
            Point::Ed25519(_) => Alg::EdDsa,
        }
    }

    /// The canonical JSON: the required members alone, in the order of RFC 7638, section 3.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.0 {
            Point::P256(point) => {
                let (x, y) = point[1..].split_at(32);
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, to_base64url(x), to_base64url(y))
            }
            Point::Ed25519(x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, to_base64url(x)),
        }
    }

    /// The SHA-256 thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        let digest = digest::digest(&digest::SHA256, self.to_json().as_bytes());
        digest.as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes")
    }

    pub(super) fn raw(&self) -> &[u8] {
        match &self.0 {
            Point::P256(point) => point,
            Point::Ed25519(x) => x,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    crv: Curve,
    kty: KeyType,
    x: Base64Url<[u8; 32]>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    y: Option<Base64Url<[u8; 32]>>,
}

#[derive(Serialize, Deserialize)]
enum Curve {
    #[serde(rename = "P-256")]
    P256,
    Ed25519,
}

#[derive(Serialize, Deserialize)]
enum KeyType {
    #[serde(rename = "EC")]
    Ec,
    #[serde(rename = "OKP")]
    Okp,
}

impl TryFrom<Members> for PublicJwk {
    type Error = BadJwk;

    fn try_from(members: Members) -> Result<Self, BadJwk> {
        match (members.kty, members.crv, members.y) {
            (KeyType::Ec, Curve::P256, Some(y)) => Self::p256(&members.x.0, &y.0),
            (KeyType::Okp, Curve::Ed25519, None) => Self::ed25519(&members.x.0),
            (KeyType::Ec | KeyType::Okp, Curve::P256 | Curve::Ed25519, Some(_) | None) => Err(BadJwk),
        }
    }
}

impl<'de> Deserialize<'de> for PublicJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members: Members = object(deserializer)?;
        Self::try_from(members).map_err(serde::de::Error::custom)
    }
}

impl Serialize for PublicJwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = match &self.0 {
            Point::P256(point) => {
                let (x, y) = point[1..].split_at(32);
                Members { crv: Curve::P256, kty: KeyType::Ec, x: coordinate(x), y: Some(coordinate(y)) }
            }
            Point::Ed25519(x) => Members { crv: Curve::Ed25519, kty: KeyType::Okp, x: Base64Url(*x), y: None },
        };
        members.serialize(serializer)
    }
}

fn coordinate(bytes: &[u8]) -> Base64Url<[u8; 32]> {
    Base64Url(bytes.try_into().expect("invariant: a point of P-256 has two coordinates of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::PublicJwk;
    use crate::encoding::to_base64url;

    fn parse(json: &str) -> Option<PublicJwk> {
        serde_json::from_str(json).ok()
    }

    /// RFC 8037, appendices A.2 and A.3.
    #[test]
    fn has_the_thumbprint_of_rfc_8037() {
        let jwk = parse(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#).unwrap();
        assert_eq!(to_base64url(&jwk.thumbprint()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(serde_json::to_string(&jwk).unwrap(), jwk.to_json());
    }

    /// RFC 7515, appendix A.3.1, for the good one.
    #[test]
    fn refuses_what_is_no_point_of_its_curve() {
        const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
        let good = format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}"}}"#);
        let jwk = parse(&good).unwrap();
        assert_eq!(serde_json::to_string(&jwk).unwrap(), jwk.to_json());
        for bad in [
            good.replace(Y, X),
            good.replace("P-256", "P-384"),
            good.replace("EC", "OKP"),
            good.replace(r#""kty""#, r#""d":"AA","kty""#),
            good.replace(r#""kty""#, r#""kty":"EC","kty""#),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}"}}"#),
            format!(r#"["P-256","EC","{X}","{Y}"]"#),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn refuses_ed25519_keys_that_anyone_can_sign_for() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let of_order_4 = [0; 32];
        for x in [identity, of_order_4, [2; 32]] {
            assert_eq!(PublicJwk::ed25519(&x), Err(super::BadJwk), "{x:?}");
        }
        // The 19 values from p on, which say a second time what 0 to 18 say.
        for low in 0xed..=0xff {
            let mut x = [0xff; 32];
            (x[0], x[31]) = (low, 0x7f);
            assert_eq!(PublicJwk::ed25519(&x), Err(super::BadJwk), "{x:?}");
        }
    }
}
