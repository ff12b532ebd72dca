//! `ottla config explain KEY`: a key of any kind of resource, in a few lines.

use std::process::ExitCode;

use ottla_config::key::{Support, Update};
use ottla_config::{Key, keys};
use serde_json::{Value, json};

use super::super::Form;
use super::Explain;

type Find = fn(&str) -> Option<&'static Key>;

/// Where a key is set.
const PLACES: [(&str, Find); 4] = [
    ("node", keys::node_key),
    ("topic", keys::topic_key),
    ("group", keys::group_key),
    ("client metrics", keys::client_metrics_key),
];

pub(super) fn run(wanted: &Explain) -> Result<ExitCode, String> {
    let name = wanted.key.trim();
    let found: Vec<(&str, &Key)> =
        PLACES.into_iter().filter_map(|(place, find)| find(name).map(|key| (place, key))).collect();
    if found.is_empty() {
        let near = keys::suggest_node_key(name).or_else(|| keys::suggest_topic_key(name));
        return Err(match near {
            Some(near) => format!("there is no key '{name}'\n    did you mean: ottla config explain {near}"),
            None => format!("there is no key '{name}'\n    next: docs/CONFIGURATION.md lists every key"),
        });
    }
    match wanted.output {
        Form::Text => {
            let texts: Vec<String> = found.iter().map(|(place, key)| text(place, key)).collect();
            print!("{}", texts.join("\n"));
        }
        Form::Json => {
            println!("{}", Value::Array(found.iter().map(|(place, key)| json_of(place, key)).collect()))
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn default(key: &Key) -> String {
    match key.default_text() {
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
        None if key.fallback == ottla_config::key::Fallback::Required => "none: it must be set".to_owned(),
        None => "none".to_owned(),
    }
}

/// When a change of it takes effect. Nothing asks for formatting anew but what formatting writes.
fn effect(place: &str, key: &Key) -> &'static str {
    if place != "node" {
        return "at once (kafka-configs --alter)";
    }
    match key.update {
        _ if key.name == "node.id" => "never: formatting writes it into the data directories",
        Update::ReadOnly => "with the next start of the node",
        Update::PerBroker => {
            "at once, broker by broker (kafka-configs --entity-type brokers --entity-name ID)"
        }
        Update::ClusterWide => {
            "at once, for a broker or all (kafka-configs --entity-type brokers [--entity-default])"
        }
    }
}

fn served(key: &Key) -> String {
    match key.support {
        Support::Served => "yes".to_owned(),
        Support::NoEffect(why) => format!("taken without effect: {why}"),
        Support::Later(what) => format!("taken, works with {what}"),
        Support::Refused(what) => format!("a value other than the default is refused until there is {what}"),
    }
}

fn synonyms(place: &str, key: &Key) -> Vec<String> {
    match place {
        "node" => keys::node_synonyms(key.name, false).into_iter().skip(1).map(str::to_owned).collect(),
        "topic" => keys::topic_synonyms(key.name).iter().map(|synonym| synonym.name.to_owned()).collect(),
        "group" => keys::group_synonym(key.name).map(|key| key.name.to_owned()).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn text(place: &str, key: &Key) -> String {
    let mut lines = vec![
        format!("{} ({place})", key.name),
        format!("  {}", key.doc),
        format!("  allowed    {}", key.allowed()),
        format!("  default    {}", default(key)),
        format!("  a change   {}", effect(place, key)),
        format!("  served     {}", served(key)),
    ];
    let others = synonyms(place, key);
    if !others.is_empty() {
        let what = if place == "node" { "also called" } else { "the node's default is" };
        lines.push(format!("  {what} {}", others.join(", ")));
    }
    lines.join("\n") + "\n"
}

fn json_of(place: &str, key: &Key) -> Value {
    json!({
        "key": key.name,
        "place": place,
        "doc": key.doc,
        "type": key.kind.words(),
        "allowed": key.allowed(),
        "default": key.default_text(),
        "effect": effect(place, key),
        "served": served(key),
        "synonyms": synonyms(place, key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_two_places_is_explained_for_both() {
        let found: Vec<&str> = PLACES
            .into_iter()
            .filter(|(_, find)| find("min.insync.replicas").is_some())
            .map(|(p, _)| p)
            .collect();
        assert_eq!(found, ["node", "topic"]);
        let topic = text("topic", keys::topic_key("retention.ms").unwrap());
        assert!(topic.contains("log.retention.ms") && topic.contains("604800000"), "{topic}");
    }

    #[test]
    fn every_key_has_words() {
        for key in keys::node_keys() {
            let text = text("node", key);
            assert!(text.lines().all(|line| line.len() > 4), "{text}");
        }
    }
}
