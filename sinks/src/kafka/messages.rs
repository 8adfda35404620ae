//! The five calls that a producer makes, in versions that Kafka 2.5 to 4 and their like all speak: there is nothing to negotiate.
//!
//! Written here because a crate with all of Kafka's messages believes the lengths in an answer, and reserves memory for them.

use super::wire::{Malformed, Reader, put_bytes, put_string};
use crate::tcp::Address;
use std::collections::{BTreeMap, HashMap};

/// Which call, and in which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) key: i16,
    pub(super) version: i16,
}

pub(super) const PRODUCE: Api = Api { key: 0, version: 7 };
pub(super) const METADATA: Api = Api { key: 3, version: 4 };
pub(super) const SASL_HANDSHAKE: Api = Api { key: 17, version: 1 };
/// The only flexible version here (KIP-482): its headers and bodies end with a count of tagged fields, of which none is used.
pub(super) const INIT_PRODUCER_ID: Api = Api { key: 22, version: 3 };
pub(super) const SASL_AUTHENTICATE: Api = Api { key: 36, version: 0 };

/// In-sync replicas must have a batch before it counts.
const ACKS_ALL: i16 = -1;
/// How long a leader may wait for them.
const PRODUCE_TIMEOUT_MS: i32 = 10_000;
const NULL_STRING: [u8; 2] = (-1_i16).to_be_bytes();
const NO_TAGS: [u8; 1] = [0];

/// Where a topic's partitions are.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) nodes: HashMap<i32, Address>,
    /// The error code of the topic; 0 is none.
    pub(super) error: i16,
    /// By partition, the node that leads it; negative where there is none.
    pub(super) leaders: BTreeMap<i32, i32>,
}

/// The identity under which batches are numbered.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProducerId {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

pub(super) fn metadata_request(topic: &str) -> Vec<u8> {
    let mut out = 1_i32.to_be_bytes().to_vec();
    put_string(&mut out, topic);
    // A topic is made by whoever decides about its partitions, replicas and retention.
    let may_create = 0;
    out.push(may_create);
    out
}

pub(super) fn metadata_response(answer: &[u8]) -> Result<Layout, Malformed> {
    let mut reader = Reader::new(answer);
    let _throttle_ms = reader.i32()?;
    let nodes = reader.array(node)?.into_iter().collect();
    let _cluster_id = reader.nullable_string()?;
    let _controller_id = reader.i32()?;
    let topics = reader.array(topic)?;
    let (error, leaders) = topics.into_iter().next().ok_or(Malformed)?;
    Ok(Layout { nodes, error, leaders })
}

fn node(reader: &mut Reader<'_>) -> Result<(i32, Address), Malformed> {
    let id = reader.i32()?;
    let host = reader.string()?.to_owned();
    let port = u16::try_from(reader.i32()?).map_err(|_| Malformed)?;
    let _rack = reader.nullable_string()?;
    Ok((id, Address { host, port }))
}

fn topic(reader: &mut Reader<'_>) -> Result<(i16, BTreeMap<i32, i32>), Malformed> {
    let error = reader.i16()?;
    let _name = reader.string()?;
    let _is_internal = reader.boolean()?;
    let leaders = reader.array(|reader| {
        let _error = reader.i16()?;
        let (partition, leader) = (reader.i32()?, reader.i32()?);
        let _replicas = reader.array(Reader::i32)?;
        let _in_sync = reader.array(Reader::i32)?;
        Ok((partition, leader))
    })?;
    Ok((error, leaders.into_iter().collect()))
}

pub(super) fn init_producer_id_request() -> Vec<u8> {
    let (transactional_id, no_transaction_timeout) = ([0], i32::MAX.to_be_bytes());
    let (no_id, no_epoch) = ((-1_i64).to_be_bytes(), (-1_i16).to_be_bytes());
    [&NO_TAGS, transactional_id.as_slice(), &no_transaction_timeout, &no_id, &no_epoch, &NO_TAGS].concat()
}

/// With the error code; 0 is none.
pub(super) fn init_producer_id_response(answer: &[u8]) -> Result<(i16, ProducerId), Malformed> {
    let mut reader = Reader::new(answer);
    if reader.bytes_of::<1>()? != NO_TAGS {
        return Err(Malformed);
    }
    let _throttle_ms = reader.i32()?;
    let error = reader.i16()?;
    Ok((error, ProducerId { id: reader.i64()?, epoch: reader.i16()? }))
}

/// One record batch for one partition.
pub(super) fn produce_request(topic: &str, partition: i32, records: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(records.len() + topic.len() + 64);
    out.extend_from_slice(&NULL_STRING);
    out.extend_from_slice(&ACKS_ALL.to_be_bytes());
    out.extend_from_slice(&PRODUCE_TIMEOUT_MS.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    put_string(&mut out, topic);
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&partition.to_be_bytes());
    put_bytes(&mut out, records);
    out
}

/// The error code of the one partition; 0 is none.
pub(super) fn produce_response(answer: &[u8]) -> Result<i16, Malformed> {
    let mut reader = Reader::new(answer);
    let topics = reader.array(|reader| {
        let _name = reader.string()?;
        reader.array(|reader| {
            let _partition = reader.i32()?;
            let error = reader.i16()?;
            let (_base_offset, _append_time, _log_start) = (reader.i64()?, reader.i64()?, reader.i64()?);
            Ok(error)
        })
    })?;
    topics.into_iter().flatten().next().ok_or(Malformed)
}

pub(super) fn sasl_handshake_request(mechanism: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_string(&mut out, mechanism);
    out
}

/// The error code; 0 is none.
pub(super) fn sasl_handshake_response(answer: &[u8]) -> Result<i16, Malformed> {
    Reader::new(answer).i16()
}

/// The error code, 0 being none, and what the server says.
pub(super) fn sasl_authenticate_response(answer: &[u8]) -> Result<(i16, &[u8]), Malformed> {
    let mut reader = Reader::new(answer);
    let error = reader.i16()?;
    let _message = reader.nullable_string()?;
    Ok((error, reader.bytes()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::proptest;

    #[test]
    fn a_length_that_is_not_there_is_malformed() {
        let mut answer = 0_i32.to_be_bytes().to_vec();
        answer.extend_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(metadata_response(&answer).err(), Some(Malformed));
        assert_eq!(sasl_authenticate_response(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_an_answer_or_malformed(answer: Vec<u8>, small in proptest::collection::vec(0..3_u8, 0..300)) {
            for answer in [answer, small] {
                let _ = (metadata_response(&answer), init_producer_id_response(&answer), produce_response(&answer));
                let _ = (sasl_handshake_response(&answer), sasl_authenticate_response(&answer));
            }
        }
    }
}
