//! `version-mapping` and `feature-dependencies`: what the feature table of `ottla-metadata` says.

use std::process::ExitCode;

use ottla_metadata::MetadataVersion;
use ottla_metadata::decide::Bootstrap;
use ottla_metadata::features::{Feature, METADATA_VERSION};
use ottla_protocol::metadata_records::MetadataRecord;

use super::arguments;
use crate::features::{AS_LISTED, supported_releases};

/// The metadata version of `--release-version`, the newest without it. Those that are only `tested` are named, too.
pub(super) fn release(name: Option<&str>, tested: bool) -> Result<MetadataVersion, String> {
    let Some(name) = name else { return Ok(MetadataVersion::LATEST) };
    MetadataVersion::from_release(name).ok_or_else(|| {
        format!(
            "Unknown metadata.version '{name}'. Supported metadata.version are: {}",
            supported_releases(tested)
        )
    })
}

/// `name=level`.
pub(super) fn parse_level(text: &str) -> Result<(String, i16), String> {
    let (name, level) = text
        .split_once('=')
        .ok_or_else(|| format!("Can't parse feature=level string {text}: equals sign not found."))?;
    let level = level.trim().parse().map_err(|_| {
        format!("Can't parse feature=level string {text}: unable to parse {level} as a short.")
    })?;
    Ok((name.trim().to_owned(), level))
}

/// The records a cluster begins with, as Kafka's `BootstrapMetadata` prints itself.
pub(super) fn told(bootstrap: &Bootstrap) -> String {
    let record = |(record, version): &(MetadataRecord, i16)| {
        let text = match record {
            MetadataRecord::FeatureLevelRecord(level) => {
                format!("FeatureLevelRecord(name='{}', featureLevel={})", level.name, level.feature_level)
            }
            // Formatting writes no other kind.
            other => format!("{}(...)", other.name()),
        };
        format!("ApiMessageAndVersion({text} at version {version})")
    };
    let records: Vec<String> = bootstrap.records().iter().map(record).collect();
    format!(
        "BootstrapMetadata(records=[{}], metadataVersionLevel={}, source=format command)",
        records.join(", "),
        bootstrap.version().level()
    )
}

pub(super) fn version_mapping(wanted: &arguments::VersionMapping) -> Result<ExitCode, String> {
    let version = release(wanted.release_version.as_deref(), true)?;
    // By the name that was given.
    let name = wanted.release_version.as_deref().unwrap_or(version.name());
    println!("metadata.version={} ({name})", version.level());
    for name in AS_LISTED {
        if let Some(feature) = Feature::named(name) {
            println!("{name}={}", feature.default_level(version));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn dependencies(wanted: &arguments::FeatureDependencies) -> Result<ExitCode, String> {
    for text in &wanted.feature {
        let (name, level) = parse_level(text).map_err(|_| {
            format!(
                "Invalid feature format: {text}. Expected format: 'feature=version' (e.g. 'group.version=1')"
            )
        })?;
        if name == METADATA_VERSION {
            let version = MetadataVersion::from_level(level)
                .ok_or_else(|| format!("Unknown metadata.version {level}"))?;
            println!("{name}={level} ({}) has no dependencies.", version.name());
            continue;
        }
        let feature = Feature::named(&name).ok_or_else(|| format!("Unknown feature: {name}"))?;
        if level < 0 || level > feature.max {
            return Err(format!("Feature level {level} is not supported for feature {name}"));
        }
        // The one dependency that 4.3 has is on the metadata version: find the lowest that fulfils it.
        let lowest = (MetadataVersion::MINIMUM.level()..=MetadataVersion::LATEST.level())
            .filter_map(MetadataVersion::from_level)
            .find(|&version| feature.unmet_dependency(level, Some(version)).is_none());
        match lowest.filter(|&version| version > MetadataVersion::MINIMUM) {
            Some(version) => {
                println!("{name}={level} requires:");
                println!("    {METADATA_VERSION}={} ({})", version.level(), version.name());
            }
            None => println!("{name}={level} has no dependencies."),
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_records_are_told_in_kafkas_words() {
        let levels = [("group.version".to_owned(), 1), ("kraft.version".to_owned(), 1)].into();
        let version = MetadataVersion::from_level(29).unwrap();
        assert_eq!(
            told(&Bootstrap::new(version, &levels)),
            "BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(name='metadata.version', featureLevel=29) \
             at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='group.version', featureLevel=1) at version 0)], \
             metadataVersionLevel=29, source=format command)"
        );
    }
}
