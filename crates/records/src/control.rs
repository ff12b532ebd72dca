//! Control records: what brokers and controllers write about the log itself, invisible to applications.
//!
//! A control batch has attribute bit 5; the key of its records is an i16 version (0) and an i16 type. The
//! value of a transaction marker is an i16 version and an i32 coordinator epoch. The values of KRaft's own
//! records (KIP-595, KIP-630, KIP-853) are bare messages in flexible encoding, whose first field is their
//! version.

use uuid::Uuid;

use crate::builder::{BatchBuilder, NewRecord};
use crate::ids::{LeaderEpoch, NO_SEQUENCE, Offset, ProducerEpoch, ProducerId, TimestampMs};
use crate::record::Record;
use crate::varint;

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

/// `LeaderChangeMessage`: first record of every raft epoch. Kafka 4.3 writes version 0, without directory ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaderChange {
    /// 0 or 1; from 1 on voters carry their directory id.
    pub version: i16,
    /// The new leader.
    pub leader_id: i32,
    /// The voters of the epoch.
    pub voters: Vec<LeaderChangeVoter>,
    /// The voters that voted for the leader.
    pub granting_voters: Vec<LeaderChangeVoter>,
}

/// A voter in [`LeaderChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaderChangeVoter {
    /// Node id.
    pub id: i32,
    /// Directory id; nil in version 0.
    pub directory_id: Uuid,
}

/// `SnapshotHeaderRecord`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotHeader {
    /// Always 0.
    pub version: i16,
    /// Append time of the last record that is contained in the snapshot.
    pub last_contained_log_timestamp: TimestampMs,
}

/// `SnapshotFooterRecord`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotFooter {
    /// Always 0.
    pub version: i16,
}

/// `KRaftVersionRecord`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KRaftVersion {
    /// Always 0.
    pub version: i16,
    /// The finalized level of the feature `kraft.version`.
    pub kraft_version: i16,
}

/// `VotersRecord`: the whole voter set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Voters {
    /// Always 0.
    pub version: i16,
    /// All voters.
    pub voters: Vec<Voter>,
}

/// A voter in [`Voters`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Voter {
    /// Node id.
    pub id: i32,
    /// Directory id of its metadata log.
    pub directory_id: Uuid,
    /// Where it can be reached, one per listener.
    pub endpoints: Vec<Endpoint>,
    /// Lowest `kraft.version` it supports.
    pub min_kraft_version: i16,
    /// Highest `kraft.version` it supports.
    pub max_kraft_version: i16,
}

/// An endpoint of a [`Voter`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// Listener name.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
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

impl Voter {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(self.directory_id.as_bytes());
        write_count(out, self.endpoints.len());
        for endpoint in &self.endpoints {
            for text in [&endpoint.name, &endpoint.host] {
                write_count(out, text.len());
                out.extend_from_slice(text.as_bytes());
            }
            out.extend_from_slice(&endpoint.port.to_be_bytes());
            out.push(0);
        }
        out.extend_from_slice(&self.min_kraft_version.to_be_bytes());
        out.extend_from_slice(&self.max_kraft_version.to_be_bytes());
        // Tagged fields of the version range, then of the voter.
        out.extend_from_slice(&[0, 0]);
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

fn write_count(out: &mut Vec<u8>, count: usize) {
    varint::write_u32(out, count as u32 + 1);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], ControlError> {
        let bytes = self.bytes[self.at..].get(..count).ok_or(ControlError::CutOff)?;
        self.at += count;
        Ok(bytes)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ControlError> {
        let bytes = self.bytes[self.at..].first_chunk::<N>().ok_or(ControlError::CutOff)?;
        self.at += N;
        Ok(*bytes)
    }

    fn i16(&mut self) -> Result<i16, ControlError> {
        self.fixed().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, ControlError> {
        self.fixed().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, ControlError> {
        self.fixed().map(i64::from_be_bytes)
    }

    fn uvarint(&mut self) -> Result<usize, ControlError> {
        let value = varint::read_u32(self.bytes, &mut self.at).map_err(|_| ControlError::CutOff)?;
        Ok(value as usize)
    }

    /// A length or count that is not null and fits what is left when each element takes `smallest` bytes.
    fn count(&mut self, smallest: usize) -> Result<usize, ControlError> {
        let count = self.uvarint()?.checked_sub(1).ok_or(ControlError::CutOff)?;
        if count.saturating_mul(smallest) > self.bytes.len() - self.at {
            return Err(ControlError::CutOff);
        }
        Ok(count)
    }

    fn string(&mut self) -> Result<String, ControlError> {
        let length = self.count(1)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ControlError::NotUtf8)
    }

    fn tagged_fields(&mut self) -> Result<(), ControlError> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let size = self.uvarint()?;
            self.take(size)?;
        }
        Ok(())
    }

    fn list<T>(
        &mut self,
        smallest: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, ControlError>,
    ) -> Result<Vec<T>, ControlError> {
        let count = self.count(smallest)?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    fn leader_change_voters(&mut self, version: i16) -> Result<Vec<LeaderChangeVoter>, ControlError> {
        let smallest = if version >= 1 { 21 } else { 5 };
        self.list(smallest, |reader| {
            let id = reader.i32()?;
            let directory_id = if version >= 1 { Uuid::from_bytes(reader.fixed()?) } else { Uuid::nil() };
            reader.tagged_fields()?;
            Ok(LeaderChangeVoter { id, directory_id })
        })
    }

    fn voters(&mut self) -> Result<Vec<Voter>, ControlError> {
        self.list(27, |reader| {
            let id = reader.i32()?;
            let directory_id = Uuid::from_bytes(reader.fixed()?);
            let endpoints = reader.list(5, |reader| {
                let endpoint =
                    Endpoint { name: reader.string()?, host: reader.string()?, port: reader.i16()? as u16 };
                reader.tagged_fields()?;
                Ok(endpoint)
            })?;
            let (min_kraft_version, max_kraft_version) = (reader.i16()?, reader.i16()?);
            reader.tagged_fields()?;
            reader.tagged_fields()?;
            Ok(Voter { id, directory_id, endpoints, min_kraft_version, max_kraft_version })
        })
    }
}
