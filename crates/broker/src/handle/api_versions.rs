//! ApiVersions (key 18): the APIs that this listener serves, and the cluster's features (KIP-511, KIP-584).

use ottla_metadata::features;
use ottla_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use ottla_protocol::messages::{ApiVersionsRequestView, ApiVersionsResponse};
use ottla_protocol::{APIS, ApiInfo, ErrorCode, Listener};

use crate::dispatch::{self, Call};
use crate::reply::{Outcome, Refusal, ReplyTo};

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let info = call.head.api.info();
    let version = call.version();
    if !info.serves(version, call.node().unstable_api_versions()) {
        // The client cannot know yet what is spoken here: it is answered in version 0 with the versions of this API.
        let (min_version, max_version) =
            info.advertised(call.peer.listener, call.node().unstable_api_versions());
        let body = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            api_keys: vec![ApiVersion { api_key: info.key as i16, min_version, max_version }],
            ..Default::default()
        };
        return ReplyTo { version: 0, ..call.reply_to() }.with(&body).map(Outcome::Reply);
    }
    let request: ApiVersionsRequestView<'_> = call.view()?;
    if version >= 3
        && !(is_software(request.client_software_name) && is_software(request.client_software_version))
    {
        let body = ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
        return call.reply(&body);
    }
    call.reply(&answer(call, version))
}

/// Letters, digits, `-` and `.`, beginning and ending with a letter or digit.
fn is_software(text: &str) -> bool {
    let bytes = text.as_bytes();
    let end = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    end(bytes.first())
        && end(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn answer(call: &Call<'_>, version: i16) -> ApiVersionsResponse {
    let node = call.node();
    let listener = call.peer.listener;
    let told = |api: &&ApiInfo| dispatch::is_served(api, listener);
    let api_keys = APIS
        .iter()
        .filter(told)
        .map(|api| {
            let (min_version, max_version) = api.advertised(listener, node.unstable_api_versions());
            ApiVersion { api_key: api.key as i16, min_version, max_version }
        })
        .collect();
    let image = node.image();
    let mut supported = features::supported();
    if listener == Listener::Controller || version >= 4 {
        supported
            .insert(features::KRAFT_VERSION.to_owned(), features::supported_range(features::KRAFT_VERSION));
    }
    let supported_features = supported
        .into_iter()
        // Java clients before ApiVersions 4 cannot parse a feature whose lowest level is 0 (KAFKA-17011).
        .filter(|(_, range)| version >= 4 || range.min > 0)
        .map(|(name, range)| SupportedFeatureKey { name, min_version: range.min, max_version: range.max })
        .collect();
    let mut levels: Vec<(String, i16)> =
        image.features.levels.iter().map(|(name, level)| (name.clone(), *level)).collect();
    if let Some(metadata_version) = image.features.metadata_version {
        levels.push((features::METADATA_VERSION.to_owned(), metadata_version.level()));
    }
    let kraft_version = node.kraft_version();
    if kraft_version > 0 {
        levels.push((features::KRAFT_VERSION.to_owned(), kraft_version));
    }
    let finalized_features = levels
        .into_iter()
        .filter(|(_, level)| *level > 0)
        .map(|(name, level)| FinalizedFeatureKey { name, max_version_level: level, min_version_level: level })
        .collect();
    ApiVersionsResponse {
        api_keys,
        supported_features,
        finalized_features_epoch: image.provenance.offset,
        finalized_features,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::is_software;

    #[test]
    fn software_names() {
        assert!(is_software("apache-kafka-java") && is_software("4.3.1") && is_software("x"));
        assert!(!is_software("") && !is_software("-a") && !is_software("a.") && !is_software("a b"));
    }
}
