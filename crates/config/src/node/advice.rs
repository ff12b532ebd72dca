//! Warnings: what starts, but perhaps not as its author meant.

use super::{NodeConfig, legacy};
use crate::key::{Fallback, Support};
use crate::keys::{is_dynamic_only, listener_base, node_key, suggest_node_key};
use crate::problem::Problem;
use crate::settings::{Place, Settings};
use crate::value::{java_trim, split_list};

/// Keys that Kafka's plug-ins read by themselves; they stand in no definition of Kafka's.
const PLUGIN_KEYS: [(&str, &str); 2] =
    [("super.users", "access control"), ("allow.everyone.if.no.acl.found", "access control")];

/// Prefixes under which plug-ins and providers have keys of their own.
const OPEN_PREFIXES: [&str; 2] = ["rlmm.config.", "rsm.config."];

/// Keys of topics that are only created once their feature is used: every stock file sets them.
const QUIET_PREFIXES: [&str; 2] = ["transaction.state.log.", "share.coordinator.state.topic."];

/// What is odd about single keys, whatever else the file says.
pub(super) fn keys(settings: &Settings) -> Vec<Problem> {
    let mut out = Vec::new();
    for (name, setting) in settings.iter() {
        if setting.place == Place::Synonym {
            continue;
        }
        let warn = |message: String| settings.problem(name, message);
        if legacy::is_zookeeper(name) {
            out.push(warn(format!("{name} is ignored (no ZooKeeper in this product)")));
        } else if let Some(reason) = legacy::dropped(name) {
            out.push(warn(format!("{name} is ignored: Kafka dropped it, {reason}")));
        } else if name == "broker.id" && settings.place("node.id") == Some(&Place::Synonym) {
            let id = java_trim(&setting.value);
            out.push(
                warn(format!("broker.id is the old name; used as node.id={id}"))
                    .next(format!("write node.id={id}")),
            );
        } else if is_dynamic_only(name) {
            let next = format!(
                "kafka-configs.sh --alter --entity-type brokers --entity-name ID --add-config {name}=..."
            );
            out.push(
                warn(format!("{name} is ignored here: it can only be set while the broker runs")).next(next),
            );
        } else if let Some(key) = node_key(listener_base(name).unwrap_or(name)) {
            let changed = key.default_text() != Some(java_trim(&setting.value));
            match key.support {
                Support::NoEffect(reason) if changed => {
                    out.push(warn(format!("{name} is accepted and has no effect: {reason}")));
                }
                Support::Later(feature) if changed && !QUIET_PREFIXES.iter().any(|p| name.starts_with(p)) => {
                    out.push(warn(format!(
                        "{name} is accepted and waits for {feature}, which is not served yet"
                    )));
                }
                _ => {}
            }
            duplicates(name, key.kind, settings, &mut out);
        } else if let Some((_, feature)) = PLUGIN_KEYS.iter().find(|(known, _)| *known == name) {
            out.push(warn(format!("{name} has no effect yet: {feature} is not served")));
        } else if !OPEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            && !is_provider_key(settings, name)
        {
            out.push(unknown(settings, name));
        }
    }
    out
}

/// `config.providers.<name>.*` of a provider that is declared.
fn is_provider_key(settings: &Settings, name: &str) -> bool {
    let Some(rest) = name.strip_prefix("config.providers.") else { return false };
    let declared = settings.raw("config.providers").map(split_list).unwrap_or_default();
    declared
        .iter()
        .any(|provider| rest.strip_prefix(provider.as_str()).is_some_and(|rest| rest.starts_with('.')))
}

fn duplicates(name: &str, kind: crate::key::Kind, settings: &Settings, out: &mut Vec<Problem>) {
    if kind != crate::key::Kind::List || name == "process.roles" {
        return;
    }
    let entries = settings.raw(name).map(split_list).unwrap_or_default();
    let twice = entries.iter().enumerate().find(|(at, entry)| entries[..*at].contains(entry));
    if let Some((_, entry)) = twice {
        let kafka =
            format!("Configuration key \"{name}\" contains duplicate values. Duplicates will be removed.");
        out.push(settings.problem(name, format!("{name} names {entry} twice; once counts")).kafka(kafka));
    }
}

/// A key nobody knows. What follows from it being ignored is said too.
fn unknown(settings: &Settings, name: &str) -> Problem {
    let line = match settings.place(name) {
        Some(Place::File(_, line)) => format!(" (line {line})"),
        _ => String::new(),
    };
    let value = settings.raw(name).map(|raw| java_trim(raw).to_owned()).unwrap_or_default();
    // The value of a key nobody knows may be a secret: it is only repeated in what to type next.
    let Some(meant) = suggest_node_key(name) else {
        return settings.problem(name, format!("unknown key {name}{line} is ignored"));
    };
    let meanwhile = if settings.is_set(meant) {
        format!("{meant} is set as well and counts")
    } else {
        match (meant, node_key(meant).map(|key| key.fallback)) {
            ("advertised.listeners", _) => {
                "it is ignored, so clients are told the addresses in listeners".to_owned()
            }
            (_, Some(Fallback::Text(text))) if !text.is_empty() => {
                format!("it is ignored, {meant} is {text}")
            }
            _ => format!("it is ignored, {meant} is not set"),
        }
    };
    let problem =
        settings.problem(name, format!("unknown key {name}{line}: did you mean {meant}? {meanwhile}"));
    let secret = node_key(meant).is_some_and(|key| key.is_sensitive());
    problem.next(if secret { format!("write {meant}=...") } else { format!("write {meant}={value}") })
}

/// What is odd about the whole.
pub(super) fn whole(config: &NodeConfig) -> Vec<Problem> {
    let mut out = Vec::new();
    voters(config, &mut out);
    let settings = &config.settings;
    let broker = &config.broker;
    if i64::from(broker.heartbeat_interval_ms) * 2 > i64::from(broker.session_timeout_ms) {
        let (interval, timeout) = (broker.heartbeat_interval_ms, broker.session_timeout_ms);
        out.push(settings.problem(
            "broker.heartbeat.interval.ms",
            format!(
                "broker.heartbeat.interval.ms ({interval} ms) must be less than or equal to half of the \
                 broker.session.timeout.ms ({timeout} ms): one lost heartbeat already fences the broker"
            ),
        ));
    }
    if config.roles.broker && !config.roles.controller {
        roles_of_keys(config, &mut out);
    }
    let transactions = &config.transactions;
    let written = ["transaction.state.log.min.isr", "transaction.state.log.replication.factor"];
    if transactions.state_min_isr == i32::from(transactions.state_replication_factor)
        && transactions.state_min_isr > 1
        && written.iter().any(|key| settings.is_set(key))
    {
        out.push(settings.problem(
            "transaction.state.log.min.isr",
            "transaction.state.log.min.isr equals transaction.state.log.replication.factor: any broker that is \
             down stops transactions",
        ));
    }
    let topic = &config.topic_defaults;
    if topic.flush_messages < 1000 {
        out.push(settings.problem(
            "log.flush.interval.messages",
            format!(
                "log.flush.interval.messages={}: every partition waits for the disk that often; replication is the \
                 cheaper way to keep records",
                topic.flush_messages
            ),
        ));
    }
    if settings.is_set("group.coordinator.rebalance.protocols") {
        out.push(settings.problem(
            "group.coordinator.rebalance.protocols",
            "group.coordinator.rebalance.protocols is deprecated: from Kafka 5.0 on, features decide alone",
        ));
    }
    for listener in &config.listeners.advertised {
        if matches!(listener.host.as_deref(), Some("::" | "0:0:0:0:0:0:0:0")) {
            out.push(
                settings
                    .problem("advertised.listeners", format!("{listener} is no address others can reach")),
            );
        }
    }
    if config.listeners.controller_names.len() > 1 && !config.roles.controller {
        out.push(settings.problem(
            "controller.listener.names",
            "controller.listener.names has multiple entries; only the first will be used since process.roles=broker",
        ));
    }
    if settings.iter().any(|(_, setting)| setting.value.contains("${") && setting.value.contains(':')) {
        out.push(Problem::new(
            "values of the form ${provider:...} are taken literally: config providers are not served yet",
        ));
    }
    out
}

/// What is to be said of a number of controllers that buys nothing: one, or an even number; `None` for the others. The
/// one home of the sentence, for the log, the health of a node and its console, and the tools.
#[must_use]
pub fn fault_tolerance(controllers: usize) -> Option<String> {
    if controllers == 1 {
        return Some("1 controller: no fault tolerance for metadata; use 3".to_owned());
    }
    if controllers == 0 || !controllers.is_multiple_of(2) {
        return None;
    }
    let failures = match (controllers - 1) / 2 {
        0 => "no failure".to_owned(),
        1 => "1 failure".to_owned(),
        more => format!("{more} failures"),
    };
    Some(format!(
        "{controllers} controllers tolerate {failures}; use {} or {}",
        controllers - 1,
        controllers + 1
    ))
}

fn voters(config: &NodeConfig, out: &mut Vec<Problem>) {
    let settings = &config.settings;
    let key = "controller.quorum.voters";
    let written = settings.list(key);
    let ids: Vec<&str> = written.iter().filter_map(|entry| entry.split('@').next()).collect();
    for (at, id) in ids.iter().enumerate() {
        if ids[..at].contains(id) {
            out.push(
                settings.problem(key, format!("{key} has two entries for node {id}; the last one counts")),
            );
        }
    }
    let count = config.quorum.voters.len();
    if !config.roles.controller || count == 0 {
        return;
    }
    if let Some(message) = fault_tolerance(count) {
        out.push(settings.problem(key, message));
    }
    let own = config.quorum.voters.iter().find(|voter| voter.id == config.node_id);
    let Some(voter) = own else { return };
    let ports: Vec<String> =
        config.listeners.controllers().map(|listener| listener.port.to_string()).collect();
    let said = voter.address.port.to_string();
    if !ports.contains(&said) && !ports.iter().any(|port| port == "0") {
        out.push(settings.problem(
            key,
            format!(
                "{key} says node {} is at {}, but its controller listener is on port {}: right only if something \
                 forwards {said} to it",
                voter.id,
                voter.address,
                ports.join(", ")
            ),
        ));
    }
}

/// Keys that belong to the controllers, on a node that is none.
fn roles_of_keys(config: &NodeConfig, out: &mut Vec<Problem>) {
    let settings = &config.settings;
    for key in ["create.topic.policy.class.name", "alter.config.policy.class.name"] {
        if settings.is_set(key) {
            out.push(settings.problem(
                key,
                format!("{key} is defined in broker. It should be defined in the controller role."),
            ));
        }
    }
}

/// Values that promise something which is not served yet: a server must not start on them.
pub(super) fn unserved(config: &NodeConfig) -> Vec<Problem> {
    let settings = &config.settings;
    let mut out = Vec::new();
    for (name, setting) in settings.iter() {
        let Some(key) = node_key(listener_base(name).unwrap_or(name)) else { continue };
        let Support::Refused(feature) = key.support else { continue };
        let value = java_trim(&setting.value);
        if !value.is_empty() && key.default_text() != Some(value) {
            let message = format!("{name}={value} asks for {feature}, which this version does not serve");
            out.push(settings.problem(name, message).next(format!("remove {name}")));
        }
    }
    for listener in &config.listeners.bound {
        if listener.protocol.uses_tls() || listener.protocol.uses_sasl() {
            let message = format!(
                "the listener {} uses {}, which this version does not serve: only PLAINTEXT works",
                listener.name,
                listener.protocol.name()
            );
            out.push(settings.problem("listeners", message));
        }
    }
    out
}
