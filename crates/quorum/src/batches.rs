//! Between raft's idea of a batch and Kafka's bytes: batches a leader appends, runs a follower fetched,
//! control records both ways.

use bytes::Bytes;
use ottla_raft::{BatchMeta, Body, Control, Endpoints, HostPort, ReplicaKey, VersionRange, Voter, VoterSet};
use ottla_records::control::{self, ControlError, ControlRecord, LeaderChange, LeaderChangeVoter};
use ottla_records::ids::{LeaderEpoch, Offset, TimestampMs};
use ottla_records::{Batch, BatchBuilder, BatchError, NewRecord, RecordError};
use uuid::Uuid;

/// Why bytes are not a run of metadata batches.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetadataError {
    /// A batch that is cut off, corrupt or contradicts itself.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A record inside a batch.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A control record.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Metadata batches are never compressed.
    #[error("metadata batch at offset {base_offset} is compressed")]
    Compressed {
        /// Its base offset.
        base_offset: Offset,
    },
    /// A record without a value.
    #[error("metadata record without a value in the batch at offset {base_offset}")]
    NoValue {
        /// Base offset of its batch.
        base_offset: Offset,
    },
}

/// The bytes of a batch that a leader appends: uncompressed, CreateTime, no producer, one timestamp.
pub(crate) fn build(base_offset: Offset, epoch: LeaderEpoch, body: &Body, now: TimestampMs) -> Vec<u8> {
    match body {
        Body::Control(records) => {
            let records: Vec<ControlRecord> = records.iter().map(to_record).collect();
            control::control_batch(base_offset, epoch, now, &records)
        }
        Body::Data(values) => build_data(base_offset, epoch, values, now),
    }
}

/// A data batch: null keys, the values, no headers.
pub(crate) fn build_data(
    base_offset: Offset,
    epoch: LeaderEpoch,
    values: &[Bytes],
    now: TimestampMs,
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(base_offset).leader_epoch(epoch);
    for value in values {
        builder.append(&NewRecord::new(now, None, Some(value)));
    }
    builder.build()
}

/// Raft's control record as Kafka's.
pub(crate) fn to_record(record: &Control) -> ControlRecord {
    match record {
        Control::LeaderChange { leader, voters, granting } => {
            let named = |ids: &[i32]| {
                ids.iter().map(|id| LeaderChangeVoter { id: *id, directory_id: Uuid::nil() }).collect()
            };
            ControlRecord::LeaderChange(LeaderChange {
                version: 0,
                leader_id: *leader,
                voters: named(voters),
                granting_voters: named(granting),
            })
        }
        Control::KraftVersion(level) => version_record(*level),
        Control::Voters(voters) => voters_record(voters),
    }
}

pub(crate) fn version_record(level: i16) -> ControlRecord {
    ControlRecord::KRaftVersion(control::KRaftVersion { version: 0, kraft_version: level })
}

pub(crate) fn voters_record(voters: &VoterSet) -> ControlRecord {
    let voters = voters.iter().map(|voter| control::Voter {
        id: voter.key.id,
        directory_id: voter.key.directory_or_nil(),
        endpoints: voter
            .endpoints
            .iter()
            .map(|(name, at)| control::Endpoint {
                name: name.to_owned(),
                host: at.host.clone(),
                port: at.port,
            })
            .collect(),
        min_kraft_version: voter.kraft_versions.min,
        max_kraft_version: voter.kraft_versions.max,
    });
    ControlRecord::KRaftVoters(control::Voters { version: 0, voters: voters.collect() })
}

/// Kafka's control record as raft's; `None` for those that mean nothing to raft.
pub(crate) fn from_record(record: ControlRecord) -> Option<Control> {
    match record {
        ControlRecord::LeaderChange(change) => Some(Control::LeaderChange {
            leader: change.leader_id,
            voters: change.voters.iter().map(|voter| voter.id).collect(),
            granting: change.granting_voters.iter().map(|voter| voter.id).collect(),
        }),
        ControlRecord::KRaftVersion(version) => Some(Control::KraftVersion(version.kraft_version)),
        ControlRecord::KRaftVoters(record) => {
            let voters = record.voters.into_iter().map(|voter| Voter {
                key: ReplicaKey::new(voter.id, voter.directory_id),
                endpoints: Endpoints::from_pairs(
                    voter.endpoints.into_iter().map(|at| (at.name, HostPort::new(at.host, at.port))),
                ),
                kraft_versions: VersionRange { min: voter.min_kraft_version, max: voter.max_kraft_version },
            });
            Some(Control::Voters(VoterSet::from_voters(voters)))
        }
        _ => None,
    }
}

/// One verified batch, its records taken apart. Values are slices of the run they came in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) base_offset: Offset,
    pub(crate) last_offset: Offset,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) timestamp: TimestampMs,
    pub(crate) size: usize,
    /// Control records with their offsets, in a control batch.
    pub(crate) control: Vec<(Offset, ControlRecord)>,
    /// Record values, in a data batch.
    pub(crate) values: Vec<Bytes>,
}

/// Takes the first batch off `run`: structure and CRC are checked, nothing is copied.
pub(crate) fn decode_first(run: &Bytes) -> Result<Decoded, MetadataError> {
    let batch = Batch::parse(run)?;
    batch.verify()?;
    let base_offset = batch.base_offset;
    let Some(records) = batch.plain_records() else { return Err(MetadataError::Compressed { base_offset }) };
    let mut decoded = Decoded {
        base_offset,
        last_offset: batch.last_offset(),
        epoch: batch.partition_leader_epoch,
        timestamp: batch.max_timestamp,
        size: batch.size_in_bytes(),
        control: Vec::new(),
        values: Vec::new(),
    };
    for record in records {
        let record = record?;
        if batch.attributes.is_control() {
            decoded.control.push((record.offset, ControlRecord::parse(&record)?));
        } else {
            let value = record.value.ok_or(MetadataError::NoValue { base_offset })?;
            decoded.values.push(run.slice_ref(value));
        }
    }
    Ok(decoded)
}

/// All batches of a run. A batch that is cut off at the end, as a fetch's size limit leaves it, is dropped.
pub(crate) fn decode_run(mut run: Bytes) -> Result<Vec<Decoded>, MetadataError> {
    let mut all = Vec::new();
    while !run.is_empty() {
        match decode_first(&run) {
            Ok(decoded) => {
                let _ = run.split_to(decoded.size);
                all.push(decoded);
            }
            Err(MetadataError::Batch(error)) if error.is_torn() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// What raft wants to know of a fetched run.
pub(crate) fn describe_run(run: &Bytes) -> Result<Vec<BatchMeta>, MetadataError> {
    let describe = |decoded: Decoded| BatchMeta {
        base_offset: decoded.base_offset,
        last_offset: decoded.last_offset,
        epoch: decoded.epoch,
        len: decoded.size,
        control: decoded
            .control
            .into_iter()
            .filter_map(|(offset, record)| Some((offset, from_record(record)?)))
            .collect(),
    };
    Ok(decode_run(run.clone())?.into_iter().map(describe).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters() -> VoterSet {
        VoterSet::from_voters([Voter {
            key: ReplicaKey::new(3, Uuid::from_u128(7)),
            endpoints: Endpoints::single("CONTROLLER", HostPort::new("localhost", 9093)),
            kraft_versions: VersionRange { min: 0, max: 1 },
        }])
    }

    #[test]
    fn what_a_leader_builds_a_follower_understands() {
        let control = vec![
            Control::LeaderChange { leader: 3, voters: vec![3, 4], granting: vec![3] },
            Control::KraftVersion(1),
            Control::Voters(voters()),
        ];
        let mut run = build(10, 2, &Body::Control(control.clone()), 55);
        let values = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        run.extend(build(13, 2, &Body::Data(values.clone()), 56));
        let run = Bytes::from(run);
        let metas = describe_run(&run).expect("sound");
        assert_eq!((metas[0].base_offset, metas[0].last_offset, metas[0].epoch), (10, 12, 2));
        let expected: Vec<_> = control.into_iter().enumerate().map(|(i, c)| (10 + i as i64, c)).collect();
        assert_eq!(metas[0].control, expected);
        let decoded = decode_run(run.clone()).expect("sound");
        assert_eq!((decoded[1].values.clone(), decoded[1].timestamp), (values, 56));
        // A fetch may end inside a batch.
        let cut = run.slice(..run.len() - 1);
        assert_eq!(describe_run(&cut).expect("sound").len(), 1);
        // A flipped bit is not taken for a cut.
        let mut bad = run.to_vec();
        *bad.last_mut().expect("not empty") ^= 1;
        assert!(matches!(
            describe_run(&Bytes::from(bad)),
            Err(MetadataError::Batch(BatchError::BadCrc { .. }))
        ));
    }
}
