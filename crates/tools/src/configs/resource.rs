//! Configurations of topics, brokers, loggers, groups and client metrics.

use std::collections::BTreeSet;
use std::io::Write;

use ottla_client::Cluster;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest, ListGroupsRequest,
};

use super::options::{BROKERS, CLIENT_METRICS, GROUPS, LOGGERS, TOPICS};
use super::{Failure, refuse, singular};
use crate::runtime::{Out, Thrown};
use crate::topics::filter;

const SET: i8 = 0;
const DELETE: i8 = 1;

/// What a kind is on the wire, and the source that is its own dynamic configuration.
fn wire(kind: &str, name: &str) -> (i8, Option<i8>) {
    match kind {
        TOPICS => (2, Some(1)),
        BROKERS if name.is_empty() => (4, Some(3)),
        BROKERS => (4, Some(2)),
        LOGGERS => (8, None),
        CLIENT_METRICS => (16, Some(7)),
        _ => (32, Some(8)),
    }
}

/// The names of the sources, as Kafka prints them.
fn source(source: i8) -> &'static str {
    match source {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

/// The broker that alone can answer for a resource.
fn only_at(kind: &str, name: &str) -> Result<Option<i32>, Failure> {
    if !(kind == LOGGERS || kind == BROKERS && !name.is_empty()) {
        return Ok(None);
    }
    match name.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => {
            refuse(format!("The entity name for {kind} must be a valid integer broker id, found: {name}"))
        }
    }
}

pub(super) async fn alter(
    cluster: &Cluster,
    kind: &str,
    name: &str,
    add: &[(String, String)],
    delete: &[String],
) -> Result<(), Failure> {
    if kind == LOGGERS {
        let known: BTreeSet<String> =
            configs(cluster, kind, name, false, false).await?.into_iter().map(|config| config.name).collect();
        let all = delete.iter().chain(add.iter().map(|(key, _)| key));
        let unknown: Vec<&str> = all.filter(|key| !known.contains(*key)).map(String::as_str).collect();
        if !unknown.is_empty() {
            return refuse(format!("Invalid broker logger(s): {}", unknown.join(",")));
        }
    }
    let removed = delete.iter().map(|key| AlterableConfig {
        name: key.clone(),
        config_operation: DELETE,
        value: Some(String::new()),
    });
    let set = add.iter().map(|(key, value)| AlterableConfig {
        name: key.clone(),
        config_operation: SET,
        value: Some(value.clone()),
    });
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: wire(kind, name).0,
            resource_name: name.to_owned(),
            configs: removed.chain(set).collect(),
        }],
        validate_only: false,
    };
    let answer = match only_at(kind, name)? {
        Some(broker) => cluster.node(broker, &request).await?,
        None => cluster.controller(&request).await?,
    };
    for resource in &answer.responses {
        Thrown::of_item(resource.error_code, resource.error_message.as_deref())?;
    }
    Ok(())
}

pub(super) async fn describe(
    cluster: &Cluster,
    kind: &str,
    name: Option<&str>,
    all: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    if let Some(name) = name
        && !all
    {
        if kind == TOPICS {
            filter::validate(name)?;
        }
        let default_of_brokers = matches!(kind, BROKERS | LOGGERS) && name.is_empty();
        if !default_of_brokers && !entities(cluster, kind).await?.contains(name) {
            writeln!(out, "The {} '{name}' doesn't exist and doesn't have dynamic config.", singular(kind))?;
            return Ok(());
        }
    }
    let named: Vec<String> = match name {
        Some(name) => vec![name.to_owned()],
        None => {
            let mut named: Vec<String> = entities(cluster, kind).await?.into_iter().collect();
            if kind == BROKERS {
                named.sort_by_key(|id| id.parse::<i32>().unwrap_or_default());
                named.push(String::new());
            }
            named
        }
    };
    for name in named {
        if name.is_empty() {
            writeln!(out, "Default configs for {kind} in the cluster are:")?;
        } else {
            let which = if all { "All" } else { "Dynamic" };
            writeln!(out, "{which} configs for {} {name} are:", singular(kind))?;
        }
        for config in configs(cluster, kind, &name, true, all).await? {
            let synonyms: Vec<String> = config
                .synonyms
                .iter()
                .map(|synonym| {
                    let value = synonym.value.as_deref().unwrap_or("null");
                    format!("{}:{}={value}", source(synonym.source), synonym.name)
                })
                .collect();
            writeln!(
                out,
                "  {}={} sensitive={} synonyms={{{}}}",
                config.name,
                config.value.as_deref().unwrap_or("null"),
                config.is_sensitive,
                synonyms.join(", ")
            )?;
        }
    }
    Ok(())
}

/// Every entity of a kind that is there.
async fn entities(cluster: &Cluster, kind: &str) -> Result<BTreeSet<String>, Failure> {
    Ok(match kind {
        TOPICS => cluster.metadata(None).await?.topics.into_iter().filter_map(|topic| topic.name).collect(),
        BROKERS | LOGGERS => cluster.nodes().iter().map(|node| node.id.to_string()).collect(),
        GROUPS => {
            let mut groups = BTreeSet::new();
            for (_, answer) in cluster.each(&ListGroupsRequest::default()).await {
                let answer = answer?;
                Thrown::of_item(answer.error_code, None)?;
                groups.extend(answer.groups.into_iter().map(|group| group.group_id));
            }
            // An older broker does not list groups that have nothing but a configuration.
            match with_configs(cluster, wire(kind, "").0).await {
                Ok(named) => groups.extend(named),
                Err(Failure::Thrown(thrown)) if thrown.class == super::UNSUPPORTED => {}
                Err(other) => return Err(other),
            }
            groups
        }
        _ => with_configs(cluster, wire(kind, "").0).await?,
    })
}

async fn with_configs(cluster: &Cluster, resource_type: i8) -> Result<BTreeSet<String>, Failure> {
    let answer = cluster.any(&ListConfigResourcesRequest { resource_types: vec![resource_type] }).await?;
    Thrown::of_item(answer.error_code, None)?;
    Ok(answer.config_resources.into_iter().map(|resource| resource.resource_name).collect())
}

/// The configurations of one entity, by name: all, or those that were set for it.
async fn configs(
    cluster: &Cluster,
    kind: &str,
    name: &str,
    synonyms: bool,
    all: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Failure> {
    if kind == TOPICS && !name.is_empty() {
        filter::validate(name)?;
    }
    let (resource_type, own_source) = wire(kind, name);
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name: name.to_owned(),
            configuration_keys: None,
        }],
        include_synonyms: synonyms,
        include_documentation: false,
    };
    let answer = match only_at(kind, name)? {
        Some(broker) => cluster.node(broker, &request).await?,
        None => cluster.any(&request).await?,
    };
    let mut configs = Vec::new();
    for result in answer.results {
        Thrown::of_item(result.error_code, result.error_message.as_deref())?;
        let own = |config: &DescribeConfigsResourceResult| {
            all || own_source.is_none_or(|own| config.config_source == own)
        };
        configs.extend(result.configs.into_iter().filter(own));
    }
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(configs)
}
