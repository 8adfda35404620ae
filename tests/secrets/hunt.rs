//! Finds secrets in bytes, in every form in which software is wont to spill them.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use std::collections::BTreeMap;

const PAGE: usize = 4096;
const ZEROS: [u8; PAGE] = [0; PAGE];

/// Which secret, in which form, at which offset.
type Found = (&'static str, &'static str, usize);

/// A secret that the test knows.
pub(crate) struct Planted {
    name: &'static str,
    bytes: Vec<u8>,
}

impl Planted {
    pub(crate) fn new(name: &'static str, bytes: Vec<u8>) -> Self {
        assert!(bytes.len() >= 8, "{name} is too short to be told from chance");
        Self { name, bytes }
    }

    /// Raw, in halves, in hex, and in base64 wherever in a longer text it may stand.
    fn needles(&self) -> Vec<Needle> {
        let needle = |form, bytes| Needle { name: self.name, form, bytes };
        let hex = hex::encode(&self.bytes);
        let mut needles = vec![
            needle("raw", self.bytes.clone()),
            needle("upper-case hex", hex.to_uppercase().into_bytes()),
            needle("hex", hex.into_bytes()),
        ];
        if self.bytes.len() >= 32 {
            needles.extend(self.bytes.chunks_exact(16).map(|half| needle("part", half.to_vec())));
        }
        for shift in 0..3 {
            needles.push(needle(
                "base64",
                base64_within(&self.bytes, shift, |bytes| BASE64_STANDARD_NO_PAD.encode(bytes)),
            ));
            needles.push(needle(
                "base64url",
                base64_within(&self.bytes, shift, |bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes)),
            ));
        }
        needles
    }
}

/// The characters that depend on `bytes` alone when `shift` other bytes stand before them.
fn base64_within(bytes: &[u8], shift: usize, encode: impl Fn(Vec<u8>) -> String) -> Vec<u8> {
    let text = encode([&vec![0; shift], bytes].concat());
    let (first, last) = ((shift * 8).div_ceil(6), (shift + bytes.len()) * 8 / 6);
    text.as_bytes()[first..last].to_vec()
}

/// One secret in one form.
struct Needle {
    name: &'static str,
    form: &'static str,
    bytes: Vec<u8>,
}

/// All needles, by their first two bytes, so that one pass over any haystack finds them.
pub(crate) struct Hunt(Vec<Vec<Needle>>);

impl Hunt {
    pub(crate) fn of(planted: &[Planted]) -> Self {
        let mut by_start: Vec<Vec<Needle>> = (0..=u16::MAX).map(|_| Vec::new()).collect();
        for needle in planted.iter().flat_map(Planted::needles) {
            by_start[start(&needle.bytes)].push(needle);
        }
        Self(by_start)
    }

    /// All that is found.
    pub(crate) fn find(&self, haystack: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        for page in (0..haystack.len().saturating_sub(1)).step_by(PAGE) {
            let end = (page + PAGE).min(haystack.len() - 1);
            // Most of a process's memory was never used.
            if haystack[page..end] != ZEROS[..end - page] {
                found.extend((page..end).flat_map(|at| self.starting_at(haystack, at)));
            }
        }
        found
    }

    fn starting_at(&self, haystack: &[u8], at: usize) -> impl Iterator<Item = Found> {
        let rest = &haystack[at..];
        let here = self.0[start(rest)].iter().filter(|needle| rest.starts_with(&needle.bytes));
        here.map(move |needle| (needle.name, needle.form, at))
    }

    pub(crate) fn must_not_find(&self, place: &str, haystack: &[u8]) {
        let found = self.report(place, haystack);
        assert!(found.is_empty(), "{found}");
    }

    /// What was found, in words; empty where nothing was.
    pub(crate) fn report(&self, place: &str, haystack: &[u8]) -> String {
        let found = self.find(haystack);
        if found.is_empty() {
            return String::new();
        }
        format!("{place} holds secrets {} times:{}\n", found.len(), told(haystack, &found))
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Each secret and form once, with what stands around it, to learn whose memory it is.
fn told(haystack: &[u8], found: &[Found]) -> String {
    let around = |at: usize| haystack[at.saturating_sub(96)..haystack.len().min(at + 160)].escape_ascii().to_string();
    let first: BTreeMap<_, _> = found.iter().rev().map(|(name, form, at)| ((name, form), *at)).collect();
    first.iter().map(|((name, form), at)| format!("\n{name}, {form}, at {at}: {}", around(*at))).collect()
}

#[test]
fn finds_every_form() {
    let secret: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(37) ^ 0xa5).collect();
    let hunt = Hunt::of(&[Planted::new("a secret", secret.clone())]);
    let longer = [b"ab", &secret[..], b"cd"].concat();
    for text in [
        hex::encode(&secret),
        hex::encode_upper(&secret),
        BASE64_STANDARD_NO_PAD.encode(&secret),
        BASE64_URL_SAFE_NO_PAD.encode(&longer[1..]),
        BASE64_STANDARD_NO_PAD.encode(&longer),
        format!("{{\"text\":\"{}\"}}", BASE64_URL_SAFE_NO_PAD.encode(&longer)),
    ] {
        assert!(!hunt.find(text.as_bytes()).is_empty(), "{text}");
    }
    assert!(!hunt.find(&longer).is_empty());
    assert!(!hunt.find(&secret[16..]).is_empty());
    assert!(hunt.find(&secret[1..16]).is_empty());
}
