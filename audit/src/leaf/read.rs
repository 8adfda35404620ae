use super::claims::{Claims, Header, Jwk, VERSION};
use super::{EventPublicKey, MAX_LEAF};
use crate::Origin;
use crate::digest::Encoded;
use crate::event::{Event, Field, MAX_TEXT};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The last second of the year 9999, beyond which RFC 3339 has no dates.
const LAST_IAT: u64 = 253_402_300_799;

/// What a leaf and the disclosures shown with it say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The log it belongs to.
    pub origin: Origin,
    /// The event's UUIDv7.
    pub jti: Uuid,
    /// Unix time in seconds.
    pub iat: u64,
    /// The run of the broker that signed it.
    pub boot: Uuid,
    /// The key id that it names; proven only by [`open`].
    pub kid: String,
    /// The event; a field that was not disclosed has no text.
    pub event: Event,
    /// The `cor` of the `subject.erased` by which nobody can disclose the event any more. No part of the leaf: whoever shows
    /// the event says so, and [`read`] and [`open`] leave it empty.
    pub erased: Option<Uuid>,
}

/// Why a leaf or its disclosures are not what a broker signed. Nothing of them may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Not a JWT with this format's header.
    #[error("not a leaf: no JWT, too long, or another header than this format's")]
    Malformed,
    /// The payload does not follow the format.
    #[error("the claims do not follow the format")]
    Claims,
    /// No known event key bears the key id it names.
    #[error("signed with a key that this log has not announced")]
    UnknownKey,
    /// The signature is not that key's over these bytes.
    #[error("the signature does not verify")]
    Signature,
    /// A digest occurs twice (RFC 9901, section 7.1).
    #[error("a digest occurs twice")]
    DuplicateDigest,
    /// A disclosure is not `[salt, field, text]` in base64url.
    #[error("a disclosure is malformed")]
    MalformedDisclosure,
    /// No digest references the disclosure: it was altered, or belongs elsewhere (RFC 9901, section 7.1).
    #[error("a disclosure is referenced by no digest")]
    UnreferencedDisclosure,
    /// The same disclosure was shown twice.
    #[error("a disclosure occurs twice")]
    DuplicateDisclosure,
}

/// Verifies `leaf` with the key among `keys` that it names, and every one of `disclosures`.
///
/// # Errors
/// [`LeafError`]; a disclosure that does not belong is an error, never ignored.
pub fn open<D: AsRef<str>>(leaf: &str, disclosures: &[D], keys: &[EventPublicKey]) -> Result<Opened, LeafError> {
    let opened = read(leaf, disclosures)?;
    let key = keys.iter().find(|key| key.kid() == opened.kid).ok_or(LeafError::UnknownKey)?;
    let (message, signature) = leaf.rsplit_once('.').ok_or(LeafError::Malformed)?;
    let signature = decode(signature)?;
    if key.verifies(message.as_bytes(), &signature) { Ok(opened) } else { Err(LeafError::Signature) }
}

/// What `leaf` and `disclosures` say, signature unchecked: for leaves that come from one's own log.
///
/// # Errors
/// [`LeafError`], except for `UnknownKey` and `Signature`.
pub fn read<D: AsRef<str>>(leaf: &str, disclosures: &[D]) -> Result<Opened, LeafError> {
    let mut parts = leaf.split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(LeafError::Malformed);
    };
    if leaf.len() > MAX_LEAF {
        return Err(LeafError::Malformed);
    }
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| LeafError::Malformed)?;
    let payload = decode(payload)?;
    let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| LeafError::Claims)?;
    let opened = opened(&claims, header.kid.as_str())?;
    Ok(Opened { event: disclosed(opened.event, &claims.digests(), disclosures)?, ..opened })
}

fn decode(part: &str) -> Result<Vec<u8>, LeafError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| LeafError::Malformed)
}

fn opened(claims: &Claims<'_>, kid: &str) -> Result<Opened, LeafError> {
    if claims.v != VERSION || claims.iat > LAST_IAT {
        return Err(LeafError::Claims);
    }
    let mut event = Event::new(claims.evt, claims.out.clone().into_owned()).exposure(claims.exposure);
    event.kek = claims.kek.as_deref().cloned();
    event.provider = claims.prov.as_deref().map(str::to_owned);
    event.correlation = claims.cor;
    event.policy_digest = claims.cfg.as_ref().map(Encoded::bytes);
    event.event_key = claims.event_key.as_ref().map(Jwk::key);
    let origin = Origin::new(&claims.iss).map_err(|_| LeafError::Claims)?;
    Ok(Opened { origin, jti: claims.jti, iat: claims.iat, boot: claims.boot, kid: kid.to_owned(), event, erased: None })
}

fn disclosed<D: AsRef<str>>(
    mut event: Event,
    digests: &[Encoded; Field::ALL.len()],
    disclosures: &[D],
) -> Result<Event, LeafError> {
    if (1..digests.len()).any(|i| digests[..i].contains(&digests[i])) {
        return Err(LeafError::DuplicateDigest);
    }
    for disclosure in disclosures {
        let disclosure = disclosure.as_ref();
        let digest = Encoded::sha256_of(disclosure.as_bytes());
        let at = digests.iter().position(|known| *known == digest).ok_or(LeafError::UnreferencedDisclosure)?;
        let field = Field::ALL[at];
        if event.text(field).is_some() {
            return Err(LeafError::DuplicateDisclosure);
        }
        event = event.with_text(field, disclosed_text(disclosure, field)?);
    }
    Ok(event)
}

fn disclosed_text(disclosure: &str, field: Field) -> Result<String, LeafError> {
    let (name, text) = decode_disclosure(disclosure)?;
    let belongs = name == field.as_str() && text.len() <= MAX_TEXT;
    if belongs { Ok(text) } else { Err(LeafError::MalformedDisclosure) }
}

/// The field that a disclosure is of, by its own words: whether a leaf references it, only [`read`] tells.
///
/// # Errors
/// [`LeafError::MalformedDisclosure`].
pub fn disclosed_field(disclosure: &str) -> Result<Field, LeafError> {
    let (name, _) = decode_disclosure(disclosure)?;
    Field::ALL.into_iter().find(|field| field.as_str() == name).ok_or(LeafError::MalformedDisclosure)
}

fn decode_disclosure(disclosure: &str) -> Result<(String, String), LeafError> {
    let json = URL_SAFE_NO_PAD.decode(disclosure).map_err(|_| LeafError::MalformedDisclosure)?;
    let (_salt, name, text): (String, String, String) =
        serde_json::from_slice(&json).map_err(|_| LeafError::MalformedDisclosure)?;
    Ok((name, text))
}
