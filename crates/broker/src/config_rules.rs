//! What the controller asks about configurations, answered by the table of keys.

use std::sync::Arc;

use ottla_config::alter::{self, Resource};
use ottla_config::{NodeConfig, describe};
use ottla_metadata::Refusal;
use ottla_metadata::decide::{ConfigRules, EffectiveConfig};
use ottla_metadata::image::ConfigResource;
use ottla_metadata::image::config::ConfigMap;
use ottla_protocol::ErrorCode;

/// The rules of one node. Defaults of topics and groups come from its configuration.
pub(crate) struct Rules {
    /// What the file says: the level below what is set while the node runs.
    file: Arc<NodeConfig>,
    /// What counts now.
    current: Box<dyn Fn() -> Arc<NodeConfig> + Send + Sync>,
}

impl Rules {
    pub(crate) fn new(
        file: Arc<NodeConfig>,
        current: impl Fn() -> Arc<NodeConfig> + Send + Sync + 'static,
    ) -> Rules {
        Rules { file, current: Box::new(current) }
    }
}

/// The controller's refusal for one of the table.
pub(crate) fn refusal(refusal: &ottla_config::Refusal) -> Refusal {
    let code = match refusal {
        ottla_config::Refusal::Config(_) => ErrorCode::InvalidConfig,
        ottla_config::Refusal::Request(_) => ErrorCode::InvalidRequest,
    };
    Refusal::new(code, refusal.to_string())
}

impl ConfigRules for Rules {
    fn validate(&self, resource: &ConfigResource, new: &ConfigMap, old: &ConfigMap) -> Result<(), Refusal> {
        let Some(kind) = Resource::of_wire(resource.kind) else {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("Unknown resource type {}", resource.kind),
            ));
        };
        alter::validate(&(self.current)(), kind, &resource.name, old, new).map_err(|error| refusal(&error))
    }

    fn is_list(&self, kind: i8, key: &str) -> bool {
        Resource::of_wire(kind).is_some_and(|resource| resource.is_list(key))
    }

    fn default_value(&self, kind: i8, key: &str) -> Option<String> {
        Resource::of_wire(kind)?.default_text(key).map(str::to_owned)
    }

    fn effective_topic_configs(
        &self,
        topic: &ConfigMap,
        node: &ConfigMap,
        cluster: &ConfigMap,
    ) -> Vec<EffectiveConfig> {
        describe::effective_topic(&self.file, topic, node, cluster)
            .into_iter()
            .map(|effective| EffectiveConfig {
                name: effective.name.to_owned(),
                value: effective.value,
                source: effective.source.wire(),
                is_sensitive: effective.is_sensitive,
                read_only: false,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_metadata::image::config::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};

    fn rules(file: &str) -> Rules {
        let base = "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
                    controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:9093\n";
        let loaded = NodeConfig::load("test", format!("{base}{file}").as_bytes(), &[]).expect("a valid file");
        let config = Arc::new(loaded.config);
        Rules::new(config.clone(), move || config.clone())
    }

    fn map(pairs: &[(&str, &str)]) -> ConfigMap {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn refused(kind: i8, name: &str, pairs: &[(&str, &str)]) -> Option<(ErrorCode, String)> {
        let resource = ConfigResource::new(kind, name);
        let result = rules("").validate(&resource, &map(pairs), &ConfigMap::new());
        result.err().map(|refusal| (refusal.code, refusal.message.unwrap_or_default()))
    }

    #[test]
    fn each_kind_of_resource_has_its_rules_and_codes() {
        assert_eq!(refused(TOPIC, "t", &[("retention.ms", "5")]), None);
        let (code, message) = refused(TOPIC, "t", &[("retention.ms", "x")]).expect("no number");
        assert_eq!(code, ErrorCode::InvalidConfig);
        assert!(message.contains("retention.ms"), "{message}");
        let (code, message) = refused(TOPIC, "t", &[("no.such.key", "1")]).expect("not a key");
        assert_eq!(code, ErrorCode::InvalidConfig);
        assert!(message.contains("Unknown topic config name: no.such.key"), "{message}");
        let group = refused(GROUP, "g", &[("no.such.key", "1")]).expect("not a key");
        assert_eq!(group.0, ErrorCode::InvalidConfig);
        let metrics = refused(CLIENT_METRICS, "m", &[("interval.ms", "1")]).expect("too short");
        assert_eq!(metrics.0, ErrorCode::InvalidRequest);
        assert_eq!(refused(BROKER, "1", &[("any.plugin.key", "1")]), None, "brokers judge their own keys");
        assert_eq!(refused(BROKER_LOGGER, "1", &[("x", "1")]).map(|r| r.0), Some(ErrorCode::InvalidRequest));
        assert_eq!(refused(99, "1", &[("x", "1")]).map(|r| r.0), Some(ErrorCode::InvalidRequest));
    }

    #[test]
    fn lists_and_defaults_come_from_the_table() {
        let rules = rules("");
        assert!(rules.is_list(TOPIC, "cleanup.policy") && !rules.is_list(TOPIC, "retention.ms"));
        assert!(!rules.is_list(99, "cleanup.policy"));
        assert_eq!(rules.default_value(TOPIC, "cleanup.policy").as_deref(), Some("delete"));
        assert_eq!(rules.default_value(TOPIC, "nothing"), None);
    }

    #[test]
    fn effective_configs_name_their_sources() {
        let rules = rules("log.retention.hours=2\nlog.segment.bytes=1048576\n");
        let all = rules.effective_topic_configs(
            &map(&[("cleanup.policy", "compact")]),
            &map(&[("log.segment.bytes", "2097152")]),
            &map(&[("compression.type", "zstd")]),
        );
        let find = |name: &str| {
            let found = all.iter().find(|config| config.name == name).expect("every key is there");
            (found.value.clone().unwrap_or_default(), found.source)
        };
        assert_eq!(find("cleanup.policy"), ("compact".to_owned(), 1));
        assert_eq!(find("segment.bytes"), ("2097152".to_owned(), 2));
        assert_eq!(find("compression.type"), ("zstd".to_owned(), 3));
        assert_eq!(find("retention.ms"), ("7200000".to_owned(), 4));
        assert_eq!(find("max.message.bytes").1, 5);
        assert!(all.is_sorted_by(|a, b| a.name < b.name));
    }
}
