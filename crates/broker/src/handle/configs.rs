//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources.
//!
//! What counts is worked out by `ottla-config` from the node's file and the values in the metadata; changes are
//! checked here as far as they are this broker's own, then by the controller, which writes them.

mod alter;
mod describe;
mod loggers;

pub(crate) use alter::{alter, alter_incremental};
pub(crate) use describe::{describe, list_resources};

use ottla_metadata::image::ConfigResource;
use ottla_metadata::image::config::ConfigMap;
use ottla_metadata::{Image, Refusal};
use ottla_protocol::ErrorCode;

/// What is set for a resource.
fn values(image: &Image, resource: &ConfigResource) -> ConfigMap {
    image.configs.of(resource).map(|values| (**values).clone()).unwrap_or_default()
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}
