//! The records of `__transaction_state` (Kafka: `TransactionLog`).
//!
//! A key is `i16` record type 0 and the transactional id, a value `i16` version and the value message: version 0 under
//! `transaction.version` 0, else 1. A null value forgets the id.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::coordinator_records::transaction_log_key::TransactionLogKey;
use ottla_protocol::coordinator_records::transaction_log_value::{PartitionsSchema, TransactionLogValue};
use ottla_protocol::wire::{DecodeError, Message, Reader};
use ottla_records::ids::NO_PRODUCER_EPOCH;

use crate::api::Record;
use crate::state::State;
use crate::txn::{TopicPartition, Txn};

const TRANSACTION_LOG: i16 = 0;
const LATEST_VALUE: i16 = 1;

/// Why a record of the log cannot be taken in. The shard must not be served then: its state would be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Key or value is not what its type and version say.
    #[error("record of type {record_type}: {source}")]
    Malformed {
        /// The record type; -1 when even that is missing.
        record_type: i16,
        /// What was wrong with the bytes.
        source: DecodeError,
    },
    /// A state that this version does not know.
    #[error("transactional id {transactional_id} is in the unknown state {state}")]
    State {
        /// The transactional id.
        transactional_id: String,
        /// The state's number.
        state: i8,
    },
}

/// A record, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    Txn(String, Txn),
    Tombstone(String),
    /// A key type or value version of a later Kafka: passed over, as in Kafka.
    Unknown,
}

fn key(transactional_id: &str) -> Bytes {
    let mut out = TRANSACTION_LOG.to_be_bytes().to_vec();
    let key = TransactionLogKey { transactional_id: transactional_id.to_owned() };
    key.encode(&mut out, 0).expect("TRANSACTIONS-4 a key of a decoded string is encodable");
    out.into()
}

/// The record that says `txn` of an id.
pub(crate) fn record(transactional_id: &str, txn: &Txn, transaction_version: i16) -> Record {
    assert!(
        txn.state != State::Empty || txn.partitions.is_empty(),
        "TRANSACTIONS-5 nothing takes part in no transaction"
    );
    let version = transaction_version.clamp(0, LATEST_VALUE);
    let mut topics: Vec<PartitionsSchema> = Vec::new();
    for at in &txn.partitions {
        match topics.last_mut().filter(|last| *last.topic == *at.topic) {
            Some(last) => last.partition_ids.push(at.partition),
            None => topics
                .push(PartitionsSchema { topic: at.topic.to_string(), partition_ids: vec![at.partition] }),
        }
    }
    let mut value = TransactionLogValue {
        producer_id: txn.producer_id,
        producer_epoch: txn.epoch,
        transaction_timeout_ms: txn.timeout_ms,
        transaction_status: txn.state.id(),
        transaction_partitions: (txn.state != State::Empty).then_some(topics),
        transaction_last_update_timestamp_ms: txn.updated_ms,
        transaction_start_timestamp_ms: txn.started_ms,
        ..TransactionLogValue::default()
    };
    if version >= 1 {
        value.previous_producer_id = txn.previous_producer_id;
        value.next_producer_id = txn.next_producer_id;
        value.client_transaction_version = txn.client_version;
    }
    let mut out = version.to_be_bytes().to_vec();
    value.encode(&mut out, version).expect("TRANSACTIONS-6 a value of decoded fields is encodable");
    Record { key: key(transactional_id), value: Some(out.into()) }
}

/// The record that forgets an id.
pub(crate) fn tombstone(transactional_id: &str) -> Record {
    Record { key: key(transactional_id), value: None }
}

/// Takes a record apart.
pub(crate) fn parse(key: &[u8], value: Option<&[u8]>) -> Result<Parsed, ReplayError> {
    let mut r = Reader::new(key, 0, false);
    let record_type = r.i16().map_err(|source| ReplayError::Malformed { record_type: -1, source })?;
    if record_type != TRANSACTION_LOG {
        return Ok(Parsed::Unknown);
    }
    let wrong = |source| ReplayError::Malformed { record_type, source };
    let TransactionLogKey { transactional_id } = TransactionLogKey::read(&mut r).map_err(wrong)?;
    let Some(value) = value else { return Ok(Parsed::Tombstone(transactional_id)) };
    let version = Reader::new(value, 0, false).i16().map_err(wrong)?;
    if !(0..=LATEST_VALUE).contains(&version) {
        return Ok(Parsed::Unknown);
    }
    let mut r = Reader::new(value, version, TransactionLogValue::is_flexible(version));
    r.i16().map_err(wrong)?;
    let value = TransactionLogValue::read(&mut r).map_err(wrong)?;
    let Some(state) = State::from_id(value.transaction_status) else {
        return Err(ReplayError::State { transactional_id, state: value.transaction_status });
    };
    let mut partitions = BTreeSet::new();
    if state != State::Empty {
        for of_topic in value.transaction_partitions.unwrap_or_default() {
            let topic: Arc<str> = of_topic.topic.into();
            partitions.extend(
                of_topic
                    .partition_ids
                    .into_iter()
                    .map(|partition| TopicPartition { topic: topic.clone(), partition }),
            );
        }
    }
    let txn = Txn {
        producer_id: value.producer_id,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        epoch: value.producer_epoch,
        last_epoch: NO_PRODUCER_EPOCH,
        timeout_ms: value.transaction_timeout_ms,
        state,
        partitions,
        started_ms: value.transaction_start_timestamp_ms,
        updated_ms: value.transaction_last_update_timestamp_ms,
        client_version: value.client_transaction_version,
    };
    Ok(Parsed::Txn(transactional_id, txn))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txn() -> Txn {
        let partitions = [("a", 2), ("b", 0), ("a", 10)].map(|(t, p)| TopicPartition::new(t, p));
        Txn {
            producer_id: 7,
            previous_producer_id: 6,
            next_producer_id: -1,
            epoch: 3,
            last_epoch: NO_PRODUCER_EPOCH,
            timeout_ms: 60_000,
            state: State::Ongoing,
            partitions: partitions.into(),
            started_ms: 1,
            updated_ms: 2,
            client_version: 2,
        }
    }

    fn value_of(record: &Record) -> &[u8] {
        record.value.as_deref().unwrap()
    }

    #[test]
    fn version_1_has_the_tagged_fields() {
        let record = record("tx", &txn(), 2);
        assert_eq!(&record.key[..], b"\0\0\0\x02tx");
        let mut expected = b"\0\x01\0\0\0\0\0\0\0\x07\0\x03\0\0\xea\x60\x01".to_vec();
        // Topics "a" with 2 and 10, "b" with 0; compact arrays, each with an empty tag section.
        expected.extend(b"\x03\x02a\x03\0\0\0\x02\0\0\0\x0a\0\x02b\x02\0\0\0\0\0");
        expected.extend(b"\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01");
        // Tags 0 (previous producer id) and 2 (client's version).
        expected.extend(b"\x02\0\x08\0\0\0\0\0\0\0\x06\x02\x02\0\x02");
        assert_eq!(value_of(&record), expected);
        assert_eq!(parse(&record.key, Some(&expected)), Ok(Parsed::Txn("tx".into(), txn())));
    }

    #[test]
    fn version_0_knows_no_versions_of_clients() {
        let record = record("tx", &txn(), 0);
        let mut expected = b"\0\0\0\0\0\0\0\0\0\x07\0\x03\0\0\xea\x60\x01\0\0\0\x02".to_vec();
        expected.extend(b"\0\x01a\0\0\0\x02\0\0\0\x02\0\0\0\x0a\0\x01b\0\0\0\x01\0\0\0\0");
        expected.extend(b"\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01");
        assert_eq!(value_of(&record), expected);
        let forgotten = Txn { previous_producer_id: -1, client_version: 0, ..txn() };
        assert_eq!(parse(&record.key, Some(&expected)), Ok(Parsed::Txn("tx".into(), forgotten)));
    }

    #[test]
    fn an_empty_state_has_no_partitions_at_all() {
        let empty = Txn { state: State::Empty, partitions: BTreeSet::new(), started_ms: -1, ..txn() };
        let written = record("tx", &empty, 0);
        assert_eq!(&value_of(&written)[17..21], b"\xff\xff\xff\xff");
        assert_eq!(tombstone("tx"), Record { key: written.key, value: None });
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_cut_off_refused() {
        let record = record("tx", &txn(), 1);
        assert_eq!(parse(b"\0\x01whatever", None), Ok(Parsed::Unknown));
        assert_eq!(parse(&record.key, Some(b"\0\x02?")), Ok(Parsed::Unknown));
        assert_eq!(parse(&record.key, None), Ok(Parsed::Tombstone("tx".into())));
        let value = value_of(&record);
        for cut in 0..value.len() {
            assert!(parse(&record.key, Some(&value[..cut])).is_err(), "cut at {cut}");
        }
        let mut strange = value.to_vec();
        strange[16] = 7;
        let error = parse(&record.key, Some(&strange)).unwrap_err();
        assert_eq!(error.to_string(), "transactional id tx is in the unknown state 7");
    }
}
