//! DescribeConfigs (key 32) and ListConfigResources (key 74).

use ottla_config::describe::{Described, describe_client_metrics};
use ottla_config::{BrokerConfigs, Resource};
use ottla_metadata::image::ConfigResource;
use ottla_metadata::image::config::{CLIENT_METRICS, GROUP};
use ottla_metadata::{Image, Refusal as Refused};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_protocol::messages::list_config_resources_response::ConfigResource as Listed;
use ottla_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::{invalid, values};
use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;

/// What Kafka says of INVALID_REQUEST where there is no better message.
const INVALID_REQUEST: &str = "This most likely occurs because of a request being malformed by the client library or \
                               the message was sent to an incompatible broker. See the broker logs for more details.";

pub(crate) fn describe(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DescribeConfigsRequest = call.owned()?;
    let node = call.node();
    let image = node.image();
    let configs = node.broker_configs();
    let shown = Shown {
        image: &image,
        configs: &configs,
        node_id: node.node_id(),
        synonyms: request.include_synonyms,
        documentation: call.version() >= 3 && request.include_documentation,
    };
    call.reply(&DescribeConfigsResponse { results: shown.answer(request.resources), ..Default::default() })
}

/// What the answers to one request come from.
struct Shown<'a> {
    image: &'a Image,
    configs: &'a BrokerConfigs,
    node_id: i32,
    synonyms: bool,
    documentation: bool,
}

impl Shown<'_> {
    fn answer(&self, resources: Vec<DescribeConfigsResource>) -> Vec<DescribeConfigsResult> {
        if resources.iter().any(|resource| Resource::of_wire(resource.resource_type).is_none()) {
            let refusal = invalid(INVALID_REQUEST);
            return resources.into_iter().map(|resource| result(resource, Err(refusal.clone()))).collect();
        }
        let one = |resource: DescribeConfigsResource| {
            let configs = self.describe(&resource).map(|configs| self.select(&resource, configs));
            result(resource, configs)
        };
        resources.into_iter().map(one).collect()
    }

    fn describe(&self, resource: &DescribeConfigsResource) -> Result<Vec<Described>, Refused> {
        let name = resource.resource_name.as_str();
        let own = || values(self.image, &ConfigResource::new(resource.resource_type, name));
        match Resource::of_wire(resource.resource_type) {
            Some(Resource::Topic) => {
                topic_names::check(name)
                    .map_err(|why| Refused::new(ErrorCode::InvalidTopicException, why))?;
                if self.image.topics.by_name(name).is_none() {
                    return Err(Refused::code(ErrorCode::UnknownTopicOrPartition));
                }
                Ok(self.configs.describe_topic(&own()))
            }
            Some(Resource::Broker) if name.is_empty() => Ok(self.configs.describe_cluster()),
            Some(Resource::Broker) => {
                self.check_own_id(name, " or empty string,")?;
                Ok(self.configs.describe_broker())
            }
            Some(Resource::BrokerLogger) if name.is_empty() => Err(invalid("Broker id must not be empty")),
            Some(Resource::BrokerLogger) => {
                self.check_own_id(name, "")?;
                // This broker has no loggers whose level a client could change.
                Ok(Vec::new())
            }
            Some(Resource::ClientMetrics) if name.is_empty() => {
                Err(invalid("Client metrics subscription name must not be empty"))
            }
            Some(Resource::ClientMetrics) => Ok(describe_client_metrics(&own())),
            Some(Resource::Group) if name.is_empty() => Err(invalid("Group name must not be empty")),
            Some(Resource::Group) => Ok(self.configs.describe_group(&own())),
            None => Err(invalid(INVALID_REQUEST)),
        }
    }

    fn check_own_id(&self, name: &str, or: &str) -> Result<(), Refused> {
        let Ok(id) = name.parse::<i32>() else {
            return Err(invalid(format!("Broker id must be an integer, but it is: {name}")));
        };
        if id == self.node_id {
            return Ok(());
        }
        Err(invalid(format!("Unexpected broker id, expected {}{or} but received {name}", self.node_id)))
    }

    fn select(
        &self,
        resource: &DescribeConfigsResource,
        configs: Vec<Described>,
    ) -> Vec<DescribeConfigsResourceResult> {
        let keys = resource.configuration_keys.as_deref().unwrap_or_default();
        let wanted = |config: &Described| keys.is_empty() || keys.contains(&config.name);
        configs.into_iter().filter(wanted).map(|config| self.entry(config)).collect()
    }

    fn entry(&self, config: Described) -> DescribeConfigsResourceResult {
        let synonyms = if self.synonyms { config.synonyms } else { Vec::new() };
        DescribeConfigsResourceResult {
            name: config.name,
            value: config.value,
            read_only: config.read_only,
            config_source: config.source.wire(),
            is_sensitive: config.is_sensitive,
            synonyms: synonyms
                .into_iter()
                .map(|synonym| DescribeConfigsSynonym {
                    name: synonym.name,
                    value: synonym.value,
                    source: synonym.source.wire(),
                })
                .collect(),
            config_type: config.kind,
            documentation: config.documentation.filter(|_| self.documentation).map(str::to_owned),
        }
    }
}

fn result(
    resource: DescribeConfigsResource,
    configs: Result<Vec<DescribeConfigsResourceResult>, Refused>,
) -> DescribeConfigsResult {
    let (error_code, error_message, configs) = match configs {
        Ok(configs) => (0, None, configs),
        Err(refusal) => (refusal.code.code(), refusal.message, Vec::new()),
    };
    DescribeConfigsResult {
        error_code,
        error_message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        configs,
    }
}

pub(crate) fn list_resources(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: ListConfigResourcesRequest = call.owned()?;
    let image = call.node().image();
    call.reply(&list(&image, &call.peer.listener_name, call.version(), &request.resource_types))
}

fn list(image: &Image, listener: &str, version: i16, asked: &[i8]) -> ListConfigResourcesResponse {
    // Version 0 was ListClientMetricsResources.
    let known: &[Resource] = if version == 0 {
        &[Resource::ClientMetrics]
    } else {
        &[Resource::Group, Resource::ClientMetrics, Resource::BrokerLogger, Resource::Broker, Resource::Topic]
    };
    if asked.iter().any(|kind| !known.iter().any(|known| known.wire() == *kind)) {
        return ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..Default::default()
        };
    }
    let configured = |kind: i8| {
        let of_kind = image.configs.iter().filter(move |(resource, _)| resource.kind == kind);
        of_kind.map(|(resource, _)| resource.name.to_string()).collect::<Vec<_>>()
    };
    let brokers = || {
        let here = image.brokers.values().filter(|broker| broker.endpoint(listener).is_some());
        here.map(|broker| broker.id.to_string()).collect::<Vec<_>>()
    };
    let mut config_resources = Vec::new();
    for kind in known.iter().filter(|kind| asked.is_empty() || asked.contains(&kind.wire())) {
        let names = match kind {
            Resource::Group => configured(GROUP),
            Resource::ClientMetrics => configured(CLIENT_METRICS),
            Resource::BrokerLogger | Resource::Broker => brokers(),
            Resource::Topic => image.topics.iter_by_name().map(|topic| topic.name.to_string()).collect(),
        };
        let listed = |resource_name| Listed { resource_name, resource_type: kind.wire() };
        config_resources.extend(names.into_iter().map(listed));
    }
    ListConfigResourcesResponse { config_resources, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::NodeConfig;
    use ottla_metadata::Delta;
    use ottla_protocol::metadata_records::register_broker_record::BrokerEndpoint;
    use ottla_protocol::metadata_records::{ConfigRecord, MetadataRecord, RegisterBrokerRecord, TopicRecord};
    use uuid::Uuid;

    fn image() -> Image {
        let config = |resource_type: i8, name: &str, key: &str, value: &str| {
            MetadataRecord::from(ConfigRecord {
                resource_type,
                resource_name: name.to_owned(),
                name: key.to_owned(),
                value: Some(value.to_owned()),
            })
        };
        let broker = RegisterBrokerRecord {
            broker_id: 1,
            end_points: vec![BrokerEndpoint {
                name: "PLAINTEXT".into(),
                host: "h".into(),
                port: 9092,
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut delta = Delta::default();
        for record in [
            TopicRecord { name: "t".into(), topic_id: Uuid::from_u128(9) }.into(),
            broker.into(),
            config(2, "t", "retention.ms", "5"),
            config(4, "", "log.segment.bytes", "2097152"),
            config(32, "g", "consumer.session.timeout.ms", "46000"),
            config(16, "m", "interval.ms", "200"),
        ] {
            delta.replay(&record).unwrap();
        }
        delta.after().clone()
    }

    fn configs(image: &Image) -> BrokerConfigs {
        let file =
            b"process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
                     controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:9093\n";
        let mut configs = BrokerConfigs::new(NodeConfig::load("test", file, &[]).unwrap().config);
        configs.set_dynamic(&values(image, &ConfigResource::cluster()), &Default::default());
        configs
    }

    fn ask(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
        let image = image();
        let resource = DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()),
        };
        let configs = configs(&image);
        let shown =
            Shown { image: &image, configs: &configs, node_id: 1, synonyms: true, documentation: true };
        shown.answer(vec![resource]).remove(0)
    }

    #[test]
    fn a_topic_shows_its_own_values_over_the_clusters_over_defaults() {
        let result = ask(2, "t", Some(&["retention.ms", "segment.bytes", "cleanup.policy"]));
        let found: Vec<_> = result
            .configs
            .iter()
            .map(|c| (c.name.as_str(), c.value.as_deref().unwrap_or(""), c.config_source))
            .collect();
        assert_eq!(
            found,
            [("cleanup.policy", "delete", 5), ("retention.ms", "5", 1), ("segment.bytes", "2097152", 3)]
        );
        let segment = &result.configs[2];
        assert_eq!(segment.synonyms[0].name, "log.segment.bytes");
        assert!(segment.documentation.is_some() && segment.config_type == 3);
        assert!(ask(2, "t", None).configs.len() > 20);
        assert!(ask(2, "t", Some(&[])).configs.len() > 20, "an empty list of keys means all");
    }

    #[test]
    fn every_kind_of_resource_is_answered() {
        assert!(ask(4, "1", None).configs.len() > 100);
        let cluster = ask(4, "", None);
        assert_eq!(cluster.configs.len(), 1);
        assert_eq!((ask(8, "1", None).error_code, ask(8, "1", None).configs.len()), (0, 0));
        let group = ask(32, "g", Some(&["consumer.session.timeout.ms"]));
        assert_eq!((group.configs[0].value.as_deref(), group.configs[0].config_source), (Some("46000"), 8));
        let metrics = ask(16, "m", Some(&["interval.ms"]));
        assert_eq!((metrics.configs[0].value.as_deref(), metrics.configs[0].config_source), (Some("200"), 7));
    }

    #[test]
    fn refusals_are_kafkas() {
        let refused = |kind, name: &str| {
            let result = ask(kind, name, None);
            (result.error_code, result.error_message.unwrap_or_default())
        };
        assert_eq!(refused(2, "nothing"), (3, String::new()));
        assert_eq!(refused(2, "a/b").0, 17);
        assert_eq!(
            refused(4, "2"),
            (42, "Unexpected broker id, expected 1 or empty string, but received 2".to_owned())
        );
        assert_eq!(refused(4, "x"), (42, "Broker id must be an integer, but it is: x".to_owned()));
        assert_eq!(refused(8, "2"), (42, "Unexpected broker id, expected 1 but received 2".to_owned()));
        assert_eq!(refused(32, ""), (42, "Group name must not be empty".to_owned()));
        assert_eq!(refused(99, "x"), (42, INVALID_REQUEST.to_owned()));
    }

    #[test]
    fn resources_are_listed_by_kind() {
        let listed = |version, asked: &[i8]| {
            let response = list(&image(), "PLAINTEXT", version, asked);
            assert_eq!(response.error_code, 0);
            let pair = |r: Listed| (r.resource_type, r.resource_name);
            response.config_resources.into_iter().map(pair).collect::<Vec<_>>()
        };
        let owned = |all: &[(i8, &str)]| all.iter().map(|(k, n)| (*k, (*n).to_owned())).collect::<Vec<_>>();
        assert_eq!(listed(0, &[]), owned(&[(16, "m")]));
        assert_eq!(listed(1, &[]), owned(&[(32, "g"), (16, "m"), (8, "1"), (4, "1"), (2, "t")]));
        assert_eq!(listed(1, &[2, 32]), owned(&[(32, "g"), (2, "t")]));
        assert_eq!(list(&image(), "OTHER", 1, &[4]).config_resources, []);
        assert_eq!(list(&image(), "PLAINTEXT", 1, &[7]).error_code, 35);
        assert_eq!(list(&image(), "PLAINTEXT", 0, &[2]).error_code, 35);
    }
}
