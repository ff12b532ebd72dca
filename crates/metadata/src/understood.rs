//! Whether this release understands a metadata record: before a log is taken over, and before it is moved here.

use ottla_protocol::metadata_records::{FeatureLevelRecord, MetadataRecord};

use crate::error::MetadataError;
use crate::features;

/// The record in a frame, if it is of a kind, version and level that this release can replay.
///
/// # Errors
/// What is unknown about it, for people.
pub fn understood(framed: &[u8]) -> Result<MetadataRecord, String> {
    let (record, _) = MetadataRecord::decode_framed(framed)
        .map_err(|error| format!("a metadata record that this release does not know: {error}"))?;
    let MetadataRecord::FeatureLevelRecord(feature) = &record else { return Ok(record) };
    let range = features::supported_range(&feature.name);
    if feature.name == features::KRAFT_VERSION || range.contains(feature.feature_level) {
        return Ok(record);
    }
    let FeatureLevelRecord { name, feature_level: level } = feature.clone();
    Err(MetadataError::UnsupportedFeature { name, level, min: range.min, max: range.max }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MetadataVersion;

    #[test]
    fn records_of_a_newer_release_are_named() {
        let level = |name: &str, level: i16| {
            let record = FeatureLevelRecord { name: name.to_owned(), feature_level: level };
            understood(&MetadataRecord::from(record).encode_framed(0).unwrap()).map(drop)
        };
        assert_eq!(level("metadata.version", MetadataVersion::LATEST.level()), Ok(()));
        assert_eq!(level("kraft.version", 1), Ok(()), "a stray one is passed over");
        let newer = level("metadata.version", MetadataVersion::LATEST.level() + 1).unwrap_err();
        assert!(newer.contains("metadata.version level 31 is not supported"), "{newer}");
        assert!(level("quite.new.version", 1).unwrap_err().contains("quite.new.version"));
        // Of a kind that is not known, and in a version that is not.
        assert!(understood(&[1, 99, 0, 0]).unwrap_err().contains("99"));
        assert!(understood(&[1, 2, 7, 0]).is_err());
    }
}
