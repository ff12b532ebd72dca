//! Control records: what brokers and controllers write about the log itself, invisible to applications.
//!
//! A control batch has attribute bit 5; the key of its records is an i16 version (0) and an i16 type. The
//! value of a transaction marker is an i16 version and an i32 coordinator epoch. The values of KRaft's own
//! records (KIP-595, KIP-630, KIP-853) are bare messages in flexible encoding, whose first field is their
//! version.

mod message;

pub use message::{
    Endpoint, KRaftVersion, LeaderChange, LeaderChangeVoter, SnapshotFooter, SnapshotHeader, Voter, Voters,
};
use message::{Reader, write_count};

use crate::builder::{BatchBuilder, NewRecord};
use crate::ids::{LeaderEpoch, NO_SEQUENCE, Offset, ProducerEpoch, ProducerId, TimestampMs};
use crate::record::Record;

/// What a control record is about, as its key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlType {
    /// The producer's transaction was aborted.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// A new raft leader begins its epoch.
    LeaderChange,
    /// The first record of a snapshot.
    SnapshotHeader,
    /// The last record of a snapshot.
    SnapshotFooter,
    /// The `kraft.version` from here on.
    KRaftVersion,
    /// The raft voters from here on.
    KRaftVoters,
    /// A type of a later Kafka, to be skipped.
    Unknown(i16),
}

impl ControlType {
    /// The number in the record's key.
    pub fn id(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KRaftVersion => 5,
            ControlType::KRaftVoters => 6,
            ControlType::Unknown(id) => id,
        }
    }

    /// The type with this number.
    pub fn from_id(id: i16) -> ControlType {
        match id {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KRaftVersion,
            6 => ControlType::KRaftVoters,
            id => ControlType::Unknown(id),
        }
    }

    /// The key of a record of this type.
    pub fn key(self) -> [u8; 4] {
        let [high, low] = self.id().to_be_bytes();
        [0, 0, high, low]
    }

    /// The type a record's key names. Newer key versions are read as version 0, as Kafka does.
    pub fn parse(key: &[u8]) -> Result<ControlType, ControlError> {
        match key {
            [version_high, version_low, high, low, ..] => {
                match i16::from_be_bytes([*version_high, *version_low]) {
                    version if version < 0 => Err(ControlError::BadVersion { version }),
                    _ => Ok(ControlType::from_id(i16::from_be_bytes([*high, *low]))),
                }
            }
            _ => Err(ControlError::CutOff),
        }
    }
}

/// Why a record is not a control record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Key or value is null.
    #[error("control record without key or value")]
    Missing,
    /// Key or value ends too early, or a length in it is negative or too large.
    #[error("control record is cut off or malformed")]
    CutOff,
    /// A negative version.
    #[error("invalid version {version} in control record")]
    BadVersion {
        /// The version.
        version: i16,
    },
    /// A name that is not UTF-8.
    #[error("control record holds a string that is not UTF-8")]
    NotUtf8,
}

/// A control record, key and value together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRecord {
    /// [`ControlType::Abort`] or [`ControlType::Commit`].
    EndTransaction {
        /// Whether it was committed.
        commit: bool,
        /// Epoch of the transaction coordinator (the leader epoch of its partition) that decided.
        coordinator_epoch: i32,
    },
    /// [`ControlType::LeaderChange`].
    LeaderChange(LeaderChange),
    /// [`ControlType::SnapshotHeader`].
    SnapshotHeader(SnapshotHeader),
    /// [`ControlType::SnapshotFooter`].
    SnapshotFooter(SnapshotFooter),
    /// [`ControlType::KRaftVersion`].
    KRaftVersion(KRaftVersion),
    /// [`ControlType::KRaftVoters`].
    KRaftVoters(Voters),
    /// A type that is not known here.
    Unknown {
        /// The number in the key.
        type_id: i16,
    },
}

impl ControlRecord {
    /// The type its key names.
    pub fn control_type(&self) -> ControlType {
        match self {
            ControlRecord::EndTransaction { commit: false, .. } => ControlType::Abort,
            ControlRecord::EndTransaction { commit: true, .. } => ControlType::Commit,
            ControlRecord::LeaderChange(_) => ControlType::LeaderChange,
            ControlRecord::SnapshotHeader(_) => ControlType::SnapshotHeader,
            ControlRecord::SnapshotFooter(_) => ControlType::SnapshotFooter,
            ControlRecord::KRaftVersion(_) => ControlType::KRaftVersion,
            ControlRecord::KRaftVoters(_) => ControlType::KRaftVoters,
            ControlRecord::Unknown { type_id } => ControlType::Unknown(*type_id),
        }
    }

    /// Reads a record of a control batch. Trailing bytes and tagged fields of newer versions are skipped.
    pub fn parse(record: &Record<'_>) -> Result<ControlRecord, ControlError> {
        ControlRecord::parse_parts(record.key, record.value)
    }

    /// Reads key and value of a control record.
    pub fn parse_parts(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<ControlRecord, ControlError> {
        let control_type = ControlType::parse(key.ok_or(ControlError::Missing)?)?;
        if let ControlType::Unknown(type_id) = control_type {
            return Ok(ControlRecord::Unknown { type_id });
        }
        let mut reader = Reader { bytes: value.ok_or(ControlError::Missing)?, at: 0 };
        let version = reader.i16()?;
        if version < 0 {
            return Err(ControlError::BadVersion { version });
        }
        let parsed = match control_type {
            ControlType::Abort | ControlType::Commit => ControlRecord::EndTransaction {
                commit: control_type == ControlType::Commit,
                coordinator_epoch: reader.i32()?,
            },
            ControlType::LeaderChange => ControlRecord::LeaderChange(LeaderChange {
                version,
                leader_id: reader.i32()?,
                voters: reader.leader_change_voters(version)?,
                granting_voters: reader.leader_change_voters(version)?,
            }),
            ControlType::SnapshotHeader => ControlRecord::SnapshotHeader(SnapshotHeader {
                version,
                last_contained_log_timestamp: reader.i64()?,
            }),
            ControlType::SnapshotFooter => ControlRecord::SnapshotFooter(SnapshotFooter { version }),
            ControlType::KRaftVersion => {
                ControlRecord::KRaftVersion(KRaftVersion { version, kraft_version: reader.i16()? })
            }
            ControlType::KRaftVoters => {
                ControlRecord::KRaftVoters(Voters { version, voters: reader.voters()? })
            }
            ControlType::Unknown(_) => unreachable!("RECORDS-16: returned above"),
        };
        // Every message but the transaction markers ends in its tagged fields.
        if !matches!(parsed, ControlRecord::EndTransaction { .. }) {
            reader.tagged_fields()?;
        }
        Ok(parsed)
    }

    /// The bytes of the record's value. Panics on [`ControlRecord::Unknown`], which cannot be written.
    pub fn value(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            ControlRecord::EndTransaction { coordinator_epoch, .. } => {
                out.extend_from_slice(&0i16.to_be_bytes());
                out.extend_from_slice(&coordinator_epoch.to_be_bytes());
                return out;
            }
            ControlRecord::LeaderChange(message) => {
                out.extend_from_slice(&message.version.to_be_bytes());
                out.extend_from_slice(&message.leader_id.to_be_bytes());
                for voters in [&message.voters, &message.granting_voters] {
                    write_count(&mut out, voters.len());
                    for voter in voters {
                        out.extend_from_slice(&voter.id.to_be_bytes());
                        if message.version >= 1 {
                            out.extend_from_slice(voter.directory_id.as_bytes());
                        }
                        out.push(0);
                    }
                }
            }
            ControlRecord::SnapshotHeader(message) => {
                out.extend_from_slice(&message.version.to_be_bytes());
                out.extend_from_slice(&message.last_contained_log_timestamp.to_be_bytes());
            }
            ControlRecord::SnapshotFooter(message) => out.extend_from_slice(&message.version.to_be_bytes()),
            ControlRecord::KRaftVersion(message) => {
                out.extend_from_slice(&message.version.to_be_bytes());
                out.extend_from_slice(&message.kraft_version.to_be_bytes());
            }
            ControlRecord::KRaftVoters(message) => {
                out.extend_from_slice(&message.version.to_be_bytes());
                write_count(&mut out, message.voters.len());
                message.voters.iter().for_each(|voter| voter.write(&mut out));
            }
            ControlRecord::Unknown { type_id } => {
                panic!("RECORDS-17: a control record of unknown type {type_id} cannot be written")
            }
        }
        // No tagged fields.
        out.push(0);
        out
    }
}

/// A control batch of KRaft records, as a raft leader (or a snapshot) writes it: uncompressed, CreateTime,
/// without producer id, every record with the same timestamp.
pub fn control_batch(
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    timestamp: TimestampMs,
    records: &[ControlRecord],
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(base_offset).leader_epoch(leader_epoch).control(true);
    append_all(&mut builder, timestamp, records);
    builder.build()
}

/// The batch of one transaction marker.
pub fn end_transaction_batch(
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    timestamp: TimestampMs,
    producer: (ProducerId, ProducerEpoch),
    commit: bool,
    coordinator_epoch: i32,
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(base_offset)
        .leader_epoch(leader_epoch)
        .producer(producer.0, producer.1, NO_SEQUENCE)
        .transactional(true)
        .control(true);
    append_all(&mut builder, timestamp, &[ControlRecord::EndTransaction { commit, coordinator_epoch }]);
    builder.build()
}

fn append_all(builder: &mut BatchBuilder, timestamp: TimestampMs, records: &[ControlRecord]) {
    for record in records {
        let (key, value) = (record.control_type().key(), record.value());
        builder.append(&NewRecord::new(timestamp, Some(&key), Some(&value)));
    }
}
