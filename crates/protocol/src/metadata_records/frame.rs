//! The frame around a metadata record: `uvarint 1 · uvarint id · uvarint version · message` (kafka-raft's `BytesApiMessageSerde`).

use super::MetadataRecord;
use crate::wire::{DecodeError, DecodeErrorKind, EncodeError, Reader, Writer};

const FRAME_VERSION: u32 = 1;

impl MetadataRecord {
    /// The record's value in the metadata log, in `version` of its schema.
    pub fn encode_framed(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        if !(0..=self.max_version()).contains(&version) {
            return Err(EncodeError::Version { name: self.name(), version });
        }
        let mut w = Writer::new(Vec::with_capacity(64), version, true);
        w.uvarint(FRAME_VERSION);
        w.uvarint(self.id() as u32);
        w.uvarint(version as u32);
        self.write_body(&mut w)?;
        Ok(w.into_bytes())
    }

    /// The record in a value of the metadata log, and the version that it was written in.
    pub fn decode_framed(value: &[u8]) -> Result<(MetadataRecord, i16), DecodeError> {
        let mut r = Reader::new(value, 0, true);
        let frame = r.uvarint()?;
        if frame != FRAME_VERSION {
            return Err(
                r.error(DecodeErrorKind::Unknown { what: "metadata frame version", value: frame.into() })
            );
        }
        let id = r.uvarint()?;
        let version = r.uvarint()?;
        let Ok(version) = i16::try_from(version) else {
            return Err(
                r.error(DecodeErrorKind::Unknown { what: "metadata record version", value: version.into() })
            );
        };
        let mut body = Reader::new(r.rest(), version, true);
        let record = MetadataRecord::read_body(id, &mut body)?;
        body.finish()?;
        Ok((record, version))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FeatureLevelRecord, NoOpRecord};
    use super::*;

    #[test]
    fn frames_are_kafkas() {
        let noop = MetadataRecord::from(NoOpRecord::default());
        assert_eq!(noop.encode_framed(0).unwrap(), [1, 20, 0, 0]);
        let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
        let bytes = MetadataRecord::from(level.clone()).encode_framed(0).unwrap();
        assert_eq!(bytes[..3], [1, 12, 0]);
        assert_eq!(MetadataRecord::decode_framed(&bytes).unwrap(), (level.into(), 0));
    }

    #[test]
    fn unknown_frames_ids_versions_and_trailing_bytes_are_refused() {
        for bad in [&[0, 20, 0, 0][..], &[1, 99, 0, 0], &[1, 20, 7, 0], &[1, 20, 0, 0, 0], &[1, 20], &[]] {
            assert!(MetadataRecord::decode_framed(bad).is_err(), "{bad:?}");
        }
    }
}
