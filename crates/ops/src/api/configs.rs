//! Configurations of topics and nodes.

use ottla_client::{Cluster, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DescribeConfigsRequest;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use serde_json::{Value, json};

use super::Problem;
use super::topics::found;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from: the numbers of Kafka's `ConfigSource`.
fn source(number: i8) -> &'static str {
    match number {
        1 => "topic",
        2 => "broker",
        3 => "brokers",
        4 => "file",
        5 => "default",
        8 => "group",
        _ => "unknown",
    }
}

pub(super) async fn of_topic(cluster: &Cluster, name: &str) -> Result<Value, Problem> {
    found(cluster, name).await?;
    let request = request(TOPIC, name);
    told(cluster.any(&request).await?.results.pop())
}

pub(super) async fn of_node(cluster: &Cluster, id: &str) -> Result<Value, Problem> {
    let number: i32 = id.parse().map_err(|_| Problem::not_found(format!("{id} is no node id")))?;
    if !cluster.describe(true, false).await?.brokers.iter().any(|broker| broker.broker_id == number) {
        return Err(Problem::not_found(format!("there is no broker {number}")));
    }
    // Only the node itself knows what its file says.
    let request = request(BROKER, &number.to_string());
    told(cluster.node(number, &request).await?.results.pop())
}

fn request(resource_type: i8, name: &str) -> DescribeConfigsRequest {
    let resource =
        DescribeConfigsResource { resource_type, resource_name: name.to_owned(), configuration_keys: None };
    DescribeConfigsRequest { resources: vec![resource], include_synonyms: false, include_documentation: true }
}

fn told(
    result: Option<ottla_protocol::messages::describe_configs_response::DescribeConfigsResult>,
) -> Result<Value, Problem> {
    let result = result.ok_or_else(|| Problem::not_found("the cluster told nothing of it"))?;
    match ErrorCode::from_i16(result.error_code) {
        Some(ErrorCode::None) => {}
        code => {
            let code = code.unwrap_or(ErrorCode::UnknownServerError);
            return Err(Problem::asked_wrongly(exception::text(code, result.error_message.as_deref())));
        }
    }
    Ok(result.configs.iter().map(row).collect())
}

fn row(config: &DescribeConfigsResourceResult) -> Value {
    json!({
        "name": config.name,
        "value": if config.is_sensitive { &None } else { &config.value },
        "source": source(config.config_source),
        "is_default": config.config_source == 5,
        "is_sensitive": config.is_sensitive,
        "is_read_only": config.read_only,
        "meaning": config.documentation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_told() {
        let config = DescribeConfigsResourceResult {
            name: "ssl.key.password".into(),
            value: Some("hunter2".into()),
            config_source: 4,
            is_sensitive: true,
            ..Default::default()
        };
        assert_eq!(row(&config)["value"], Value::Null);
        let open = DescribeConfigsResourceResult { is_sensitive: false, ..config };
        assert_eq!(row(&open)["value"], json!("hunter2"));
        assert_eq!(
            (row(&open)["source"].clone(), row(&open)["is_default"].clone()),
            (json!("file"), json!(false))
        );
    }
}
