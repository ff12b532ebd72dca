//! KRaft's own messages and the flexible encoding they are written in.

use uuid::Uuid;

use super::ControlError;
use crate::ids::TimestampMs;
use crate::varint;

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

impl Voter {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
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

pub(super) fn write_count(out: &mut Vec<u8>, count: usize) {
    varint::write_u32(out, count as u32 + 1);
}

pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Reader<'_> {
    pub(super) fn take(&mut self, count: usize) -> Result<&[u8], ControlError> {
        let bytes = self.bytes[self.at..].get(..count).ok_or(ControlError::CutOff)?;
        self.at += count;
        Ok(bytes)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ControlError> {
        let bytes = self.bytes[self.at..].first_chunk::<N>().ok_or(ControlError::CutOff)?;
        self.at += N;
        Ok(*bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, ControlError> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, ControlError> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, ControlError> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub(super) fn uvarint(&mut self) -> Result<usize, ControlError> {
        let value = varint::read_u32(self.bytes, &mut self.at).map_err(|_| ControlError::CutOff)?;
        Ok(value as usize)
    }

    /// A length or count that is not null and fits what is left when each element takes `smallest` bytes.
    pub(super) fn count(&mut self, smallest: usize) -> Result<usize, ControlError> {
        let count = self.uvarint()?.checked_sub(1).ok_or(ControlError::CutOff)?;
        if count.saturating_mul(smallest) > self.bytes.len() - self.at {
            return Err(ControlError::CutOff);
        }
        Ok(count)
    }

    pub(super) fn string(&mut self) -> Result<String, ControlError> {
        let length = self.count(1)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ControlError::NotUtf8)
    }

    pub(super) fn tagged_fields(&mut self) -> Result<(), ControlError> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let size = self.uvarint()?;
            self.take(size)?;
        }
        Ok(())
    }

    pub(super) fn list<T>(
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

    pub(super) fn leader_change_voters(
        &mut self,
        version: i16,
    ) -> Result<Vec<LeaderChangeVoter>, ControlError> {
        let smallest = if version >= 1 { 21 } else { 5 };
        self.list(smallest, |reader| {
            let id = reader.i32()?;
            let directory_id = if version >= 1 { Uuid::from_bytes(reader.fixed()?) } else { Uuid::nil() };
            reader.tagged_fields()?;
            Ok(LeaderChangeVoter { id, directory_id })
        })
    }

    pub(super) fn voters(&mut self) -> Result<Vec<Voter>, ControlError> {
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
