//! AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
//! Nonce-Reuse Misuse-Resistance", 2015): chunks of 64 KiB, each under the nonce `prefix(7) || counter(u32) || last(1)`,
//! so that none can be dropped, moved, or taken for the last one.

use super::Context;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use secret::Secret;
use zeroize::Zeroizing;

pub(super) const PREFIX_LEN: usize = 7;
const TAG_LEN: usize = 16;
const CHUNK_LEN: usize = 64 * 1024;

/// A stream that its key and context do not open; which chunk is wrong is nobody's business.
pub(super) struct Altered;

/// Length of the stream that holds `len` bytes of plaintext.
pub(super) const fn sealed_len(len: usize) -> usize {
    len + len.div_ceil(CHUNK_LEN) * TAG_LEN
}

/// Appends the chunks of `plaintext` to `out`, which has room for [`sealed_len`] more.
#[expect(clippy::disallowed_methods, reason = "each chunk is encrypted where it is put, and nowhere else copied")]
pub(super) fn seal(key: &Secret, context: &Context, prefix: &[u8; PREFIX_LEN], plaintext: &Secret, out: &mut Vec<u8>) {
    let key = aead_key(key);
    let last = plaintext.len().div_ceil(CHUNK_LEN) - 1;
    for (index, chunk) in plaintext.expose().chunks(CHUNK_LEN).enumerate() {
        let start = out.len();
        out.extend_from_slice(chunk);
        let tag = key
            .seal_in_place_separate_tag(nonce(prefix, index, index == last), Aad::from(context.0), &mut out[start..])
            .expect("invariant: a chunk is shorter than AES-GCM allows");
        out.extend_from_slice(tag.as_ref());
    }
}

/// Opens all chunks, or none.
pub(super) fn open(
    key: &Secret,
    context: &Context,
    prefix: &[u8; PREFIX_LEN],
    sealed: &[u8],
) -> Result<Secret, Altered> {
    let key = aead_key(key);
    let chunks = sealed.len().div_ceil(CHUNK_LEN + TAG_LEN);
    let len = sealed.len().checked_sub(chunks * TAG_LEN).ok_or(Altered)?;
    let mut plaintext = Zeroizing::new(vec![0; len].into_boxed_slice());
    let places = plaintext.chunks_mut(CHUNK_LEN);
    // A last chunk that holds nothing has no place: it would go unchecked, and with it the end of the stream.
    if len == 0 || places.len() != chunks {
        return Err(Altered);
    }
    for (index, (chunk, place)) in sealed.chunks(CHUNK_LEN + TAG_LEN).zip(places).enumerate() {
        let (ciphertext, tag) = chunk.split_last_chunk::<TAG_LEN>().ok_or(Altered)?;
        let nonce = nonce(prefix, index, index + 1 == chunks);
        key.open_separate_gather(nonce, Aad::from(context.0), ciphertext, tag, place).map_err(|_| Altered)?;
    }
    Ok(Secret::new(std::mem::take(&mut *plaintext)))
}

#[expect(clippy::disallowed_methods, reason = "the cipher is keyed straight from the secret")]
fn aead_key(key: &Secret) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("invariant: a data key has 32 bytes"))
}

fn nonce(prefix: &[u8; PREFIX_LEN], index: usize, last: bool) -> Nonce {
    let counter = u32::try_from(index).expect("invariant: a stream has fewer than 2^32 chunks");
    let mut nonce = [0; 12];
    nonce[..7].copy_from_slice(prefix);
    nonce[7..11].copy_from_slice(&counter.to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_LEN, Context, PREFIX_LEN, TAG_LEN, open, seal, sealed_len};
    use secret::Secret;

    const CONTEXT: Context = Context([7; 32]);
    const PREFIX: [u8; PREFIX_LEN] = [9; PREFIX_LEN];

    fn sealed(key: &Secret, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        seal(key, &CONTEXT, &PREFIX, &Secret::new(vec![1; len].into()), &mut out);
        assert_eq!(out.len(), sealed_len(len));
        out
    }

    #[test]
    fn lengths_around_a_chunk_come_back() {
        let key = Secret::random(32);
        for len in [1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 2 * CHUNK_LEN, 2 * CHUNK_LEN + 5] {
            let opened = open(&key, &CONTEXT, &PREFIX, &sealed(&key, len)).ok().unwrap();
            assert!(opened.matches(&vec![1; len]));
        }
    }

    #[test]
    fn chunks_cannot_be_dropped_moved_or_added() {
        const CHUNK: usize = CHUNK_LEN + TAG_LEN;
        let key = Secret::random(32);
        let whole = sealed(&key, 3 * CHUNK_LEN);
        let swapped = [&whole[CHUNK..2 * CHUNK], &whole[..CHUNK], &whole[2 * CHUNK..]].concat();
        let doubled = [&whole[..], &whole[2 * CHUNK..]].concat();
        let ended_early = [&whole[..CHUNK], &[0; TAG_LEN]].concat();
        for bad in [
            &ended_early,
            &whole[..2 * CHUNK],
            &whole[CHUNK..],
            &swapped,
            &doubled,
            &whole[..whole.len() - 1],
            &whole[..TAG_LEN],
            &[],
        ] {
            assert!(open(&key, &CONTEXT, &PREFIX, bad).is_err(), "{} bytes", bad.len());
        }
        assert!(open(&key, &Context([8; 32]), &PREFIX, &whole).is_err());
        assert!(open(&key, &CONTEXT, &[8; PREFIX_LEN], &whole).is_err());
    }
}
