//! The metadata as a tree of directories and files (Kafka's `image.node`): names, children, text.

use std::sync::Arc;

use ottla_metadata::image::{ConfigResource, Image, QuotaEntity, Topic};
use ottla_records::uuid_text;
use uuid::Uuid;

use super::text;
use crate::record_json::java_double;
use crate::runtime::KAFKA_VERSION;

/// A directory or a file.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Root,
    Local,
    Image,
    Features,
    Cluster,
    Brokers,
    Controllers,
    Topics,
    TopicsByName,
    TopicsById,
    Topic(Arc<Topic>),
    Configs,
    ConfigsOf(ConfigResource),
    Quotas,
    QuotasOf(QuotaEntity),
    ProducerIds,
    Acls,
    AclsById,
    Scram,
    ScramOf(i8),
    Tokens,
    /// A file and what is in it.
    File(String),
}

/// SCRAM mechanisms by their codes.
const MECHANISMS: [(i8, &str); 2] = [(1, "SCRAM-SHA-256"), (2, "SCRAM-SHA-512")];
/// What begins the name of a feature's file.
const FINALIZED: &str = "finalized_";

impl Node {
    pub(super) fn is_directory(&self) -> bool {
        !matches!(self, Node::File(_))
    }

    /// The children's names, in Java's order of strings.
    pub(super) fn children(&self, image: &Image) -> Vec<String> {
        let fixed = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut names = match self {
            Node::Root => fixed(&["local", "image"]),
            Node::Local => fixed(&["version", "commitId"]),
            Node::Image => fixed(&[
                "provenance",
                "features",
                "cluster",
                "topics",
                "configs",
                "clientQuotas",
                "producerIds",
                "acls",
                "scram",
                "delegationToken",
            ]),
            Node::Features => {
                let mut names = fixed(&["metadataVersion"]);
                names.extend(image.features.levels.keys().map(|name| format!("{FINALIZED}{name}")));
                names
            }
            Node::Cluster => fixed(&["brokers", "controllers"]),
            Node::Brokers => image.brokers.keys().map(i32::to_string).collect(),
            Node::Controllers => image.controllers.keys().map(i32::to_string).collect(),
            Node::Topics => fixed(&["byName", "byId"]),
            Node::TopicsByName => image.topics.iter().map(|topic| topic.name.to_string()).collect(),
            Node::TopicsById => image.topics.iter().map(|topic| uuid_text::encode(&topic.id)).collect(),
            Node::Topic(topic) => {
                let mut names = fixed(&["name", "id"]);
                names.extend(topic.partitions.keys().map(i32::to_string));
                names
            }
            Node::Configs => image.configs.iter().map(|(resource, _)| resource_name(resource)).collect(),
            Node::ConfigsOf(resource) => {
                image.configs.of(resource).map(|map| map.keys().cloned().collect()).unwrap_or_default()
            }
            Node::Quotas => image.quotas.keys().map(entity_name).collect(),
            Node::QuotasOf(entity) => {
                image.quotas.get(entity).map(|map| map.keys().cloned().collect()).unwrap_or_default()
            }
            Node::ProducerIds => fixed(&["nextProducerId"]),
            Node::Acls => fixed(&["byId"]),
            Node::AclsById => image.acls.keys().map(uuid_text::encode).collect(),
            Node::Scram => MECHANISMS.iter().map(|(_, name)| (*name).to_owned()).collect(),
            Node::ScramOf(kind) => {
                image.scram.keys().filter(|(k, _)| k == kind).map(|(_, user)| user.clone()).collect()
            }
            Node::Tokens => image.tokens.keys().cloned().collect(),
            Node::File(_) => Vec::new(),
        };
        names.sort_unstable();
        names
    }

    /// The child of this name.
    pub(super) fn child(&self, image: &Image, name: &str) -> Option<Node> {
        Some(match (self, name) {
            (Node::Root, "local") => Node::Local,
            (Node::Root, "image") => Node::Image,
            (Node::Local, "version") => Node::File(KAFKA_VERSION.to_owned()),
            (Node::Local, "commitId") => Node::File("unknown".to_owned()),
            (Node::Image, "provenance") => Node::File(text::provenance(&image.provenance)),
            (Node::Image, "features") => Node::Features,
            (Node::Image, "cluster") => Node::Cluster,
            (Node::Image, "topics") => Node::Topics,
            (Node::Image, "configs") => Node::Configs,
            (Node::Image, "clientQuotas") => Node::Quotas,
            (Node::Image, "producerIds") => Node::ProducerIds,
            (Node::Image, "acls") => Node::Acls,
            (Node::Image, "scram") => Node::Scram,
            (Node::Image, "delegationToken") => Node::Tokens,
            (Node::Features, "metadataVersion") => Node::File(match image.features.metadata_version {
                Some(version) => format!("Optional[{}]", version.name()),
                None => "Optional.empty".to_owned(),
            }),
            (Node::Features, name) => {
                let feature = name.strip_prefix(FINALIZED)?;
                Node::File(image.features.levels.get(feature).copied().unwrap_or(0).to_string())
            }
            (Node::Cluster, "brokers") => Node::Brokers,
            (Node::Cluster, "controllers") => Node::Controllers,
            (Node::Brokers, id) => Node::File(text::broker(image.brokers.get(&id.parse().ok()?)?)),
            (Node::Controllers, id) => {
                Node::File(text::controller(image.controllers.get(&id.parse().ok()?)?))
            }
            (Node::Topics, "byName") => Node::TopicsByName,
            (Node::Topics, "byId") => Node::TopicsById,
            (Node::TopicsByName, name) => Node::Topic(image.topics.by_name(name)?.clone()),
            (Node::TopicsById, id) => Node::Topic(image.topics.by_id(uuid(id)?)?.clone()),
            (Node::Topic(topic), "name") => Node::File(topic.name.to_string()),
            (Node::Topic(topic), "id") => Node::File(uuid_text::encode(&topic.id)),
            (Node::Topic(topic), id) => Node::File(text::partition(topic.partition(id.parse().ok()?)?)),
            (Node::Configs, name) => {
                let resource = resource(name)?;
                image.configs.of(&resource)?;
                Node::ConfigsOf(resource)
            }
            (Node::ConfigsOf(resource), key) => Node::File(image.configs.get(resource, key)?.to_owned()),
            (Node::Quotas, name) => {
                let found =
                    image.quotas.keys().find(|entity| !name.is_empty() && entity_name(entity) == name);
                Node::QuotasOf(found?.clone())
            }
            (Node::QuotasOf(entity), key) => Node::File(java_double(*image.quotas.get(entity)?.get(key)?)),
            (Node::ProducerIds, "nextProducerId") => Node::File(image.next_producer_id.0.to_string()),
            (Node::Acls, "byId") => Node::AclsById,
            (Node::AclsById, id) => Node::File(text::acl(image.acls.get(&uuid(id)?)?)),
            (Node::Scram, name) => Node::ScramOf(MECHANISMS.iter().find(|(_, n)| *n == name)?.0),
            (Node::ScramOf(kind), user) => {
                Node::File(text::scram(image.scram.get(&(*kind, user.to_owned()))?))
            }
            (Node::Tokens, id) => Node::File(text::token(image.tokens.get(id)?)),
            _ => return None,
        })
    }

    /// Prints the node as `cat` (a file) and `tree` (a directory) do, a line at a time.
    pub(super) fn print<E>(
        &self,
        image: &Image,
        level: usize,
        line: &mut impl FnMut(String) -> Result<(), E>,
    ) -> Result<(), E> {
        let indent = "  ".repeat(level);
        if let Node::File(text) = self {
            return line(format!("{indent}{text}"));
        }
        for name in self.children(image) {
            line(format!("{indent}{name}:"))?;
            if let Some(child) = self.child(image, &name) {
                child.print(image, level + 1, line)?;
            }
        }
        Ok(())
    }
}

fn uuid(text: &str) -> Option<Uuid> {
    uuid_text::decode(text).ok()
}

const RESOURCES: [(i8, &str); 5] =
    [(2, "TOPIC"), (4, "BROKER"), (8, "BROKER_LOGGER"), (16, "CLIENT_METRICS"), (32, "GROUP")];

fn resource_name(resource: &ConfigResource) -> String {
    let kind = RESOURCES.iter().find(|(code, _)| *code == resource.kind).map_or("UNKNOWN", |(_, name)| name);
    if resource.name.is_empty() { kind.to_owned() } else { format!("{kind}:{}", resource.name) }
}

fn resource(name: &str) -> Option<ConfigResource> {
    let (kind, name) = name.split_once(':').unwrap_or((name, ""));
    let (code, _) = RESOURCES.iter().find(|(_, n)| *n == kind)?;
    Some(ConfigResource::new(*code, name))
}

/// `clientId(c)_ip(i)_user(u)`; the names that are not there, the defaults, leave nothing, as in Kafka.
fn entity_name(entity: &QuotaEntity) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
    let parts = [("client-id", "clientId"), ("ip", "ip"), ("user", "user")];
    let known: Vec<String> = parts
        .iter()
        .filter_map(|(kind, shown)| {
            let name = entity.0.get(*kind)?.as_deref()?;
            Some(format!("{shown}({})", escaped(name)))
        })
        .collect();
    known.join("_")
}
