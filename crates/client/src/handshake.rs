//! The first exchange: which versions of which APIs the other side speaks (KIP-35, KIP-511).

use foldhash::HashMap;
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::wire::Message;
use ottla_protocol::{ApiKey, ErrorCode};

use crate::{CallError, Connection};

/// The first version of ApiVersions that tells the client's software.
const SOFTWARE_NAME_FROM: i16 = 3;

/// What the other side speaks.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    ranges: HashMap<i16, (i16, i16)>,
    /// The answer itself: features, their finalized levels.
    pub answer: ApiVersionsResponse,
}

impl Versions {
    fn new(answer: ApiVersionsResponse) -> Versions {
        let ranges = answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        Versions { ranges: ranges.collect(), answer }
    }

    /// Lowest and highest version of `api` that the other side speaks.
    pub fn of(&self, api: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&(api as i16)).copied()
    }

    /// The highest version between `low` and `high` that the other side speaks too.
    ///
    /// # Errors
    /// [`CallError::Unsupported`] when there is none.
    pub fn common(&self, api: ApiKey, low: i16, high: i16) -> Result<i16, CallError> {
        let theirs = self.of(api);
        let best = theirs.map(|(min, max)| (min.max(low), max.min(high)));
        match best {
            Some((min, max)) if min <= max => Ok(max),
            _ => Err(CallError::Unsupported { api, wanted: (low, high), theirs }),
        }
    }
}

/// Asks; a side that does not know the version answers with error 35 in version 0, and is asked again.
pub(crate) async fn handshake(connection: &Connection) -> Result<Versions, CallError> {
    let request = ApiVersionsRequest {
        client_software_name: "ottla".to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut version = ApiKey::ApiVersions.info().highest(false);
    let body = connection.exchange(ApiKey::ApiVersions, version, &request, None).await?;
    let refused = body.get(..2) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
    if !refused {
        return Ok(Versions::new(ApiVersionsResponse::decode_sharing(&body, version)?));
    }
    // The refusal names the range that is known, or (from long ago) nothing.
    let known = Versions::new(ApiVersionsResponse::decode_sharing(&body, 0)?);
    version = known.common(ApiKey::ApiVersions, 0, version - 1).unwrap_or(0);
    let named = version >= SOFTWARE_NAME_FROM;
    let request = if named { request } else { ApiVersionsRequest::default() };
    let body = connection.exchange(ApiKey::ApiVersions, version, &request, None).await?;
    Ok(Versions::new(ApiVersionsResponse::decode_sharing(&body, version)?))
}
