//! Record batches (Kafka's message format v2): how messages lie in a partition, and which partition.

use super::messages::ProducerId;
use super::wire::put_varint;
use crate::{Message, Place};
use std::io::Write;

/// A batch's checksum covers what comes after it.
const CHECKSUM_AT: usize = 17;
/// The length covers what comes after it.
const LENGTH_AT: usize = 8;

/// The key of all messages of a log: its tenant.
pub(super) fn key(message: &Message) -> &str {
    let origin = message.origin.as_str();
    origin.rsplit_once('/').map_or(origin, |(_, tenant)| tenant)
}

/// One batch, uncompressed, numbered from `sequence`.
pub(super) fn encode(messages: &[&Message], producer: ProducerId, sequence: i32) -> Vec<u8> {
    let times = || messages.iter().map(|message| message.at_ms as i64);
    let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    let count = messages.len() as i32;
    let mut out = Vec::with_capacity(messages.iter().map(|message| message.body.len() + 256).sum::<usize>() + 64);
    out.extend_from_slice(&0_i64.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    let magic = 2;
    out.push(magic);
    out.extend_from_slice(&[0; 4]);
    let attributes = 0_i16;
    out.extend_from_slice(&attributes.to_be_bytes());
    out.extend_from_slice(&(count - 1).to_be_bytes());
    out.extend_from_slice(&first.to_be_bytes());
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&producer.id.to_be_bytes());
    out.extend_from_slice(&producer.epoch.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    let mut record = Vec::new();
    for (offset, message) in messages.iter().enumerate() {
        record.clear();
        put_record(&mut record, message, first, offset as i64);
        put_varint(&mut out, record.len() as i64);
        out.extend_from_slice(&record);
    }
    let length = (out.len() - LENGTH_AT - 4) as i32;
    out[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&out[CHECKSUM_AT + 4..]);
    out[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_be_bytes());
    out
}

fn put_record(out: &mut Vec<u8>, message: &Message, first_ms: i64, offset: i64) {
    let attributes = 0;
    out.push(attributes);
    put_varint(out, message.at_ms as i64 - first_ms);
    put_varint(out, offset);
    put_field(out, key(message).as_bytes());
    put_field(out, &message.body);
    match message.place {
        Place::Event(index) => {
            put_varint(out, 3);
            put_number_header(out, "index", index);
        }
        Place::Checkpoint(size) => {
            put_varint(out, 3);
            put_number_header(out, "size", size);
        }
        Place::Test => put_varint(out, 2),
    }
    for (name, value) in [("id", message.id.as_str()), ("origin", message.origin.as_str())] {
        put_field(out, name.as_bytes());
        put_field(out, value.as_bytes());
    }
}

fn put_number_header(out: &mut Vec<u8>, name: &str, number: u64) {
    // As many digits as the largest number has.
    let mut digits = [0; 20];
    let mut rest = digits.as_mut_slice();
    write!(rest, "{number}").expect("invariant: no number is longer");
    let len = 20 - rest.len();
    put_field(out, name.as_bytes());
    put_field(out, &digits[..len]);
}

fn put_field(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// Where Kafka's own producers put a key: MurmurHash2, made positive, modulo the number of partitions.
pub(super) fn partition(key: &str, partitions: usize) -> i32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) as i32 % (partitions.max(1) as i32)
}

fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = SEED ^ bytes.len() as u32;
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ (word >> 24)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}
