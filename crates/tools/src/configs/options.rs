//! The options of `kafka-configs`, which entities they mean, and which go together.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs;

use super::names;
use crate::args::jopt::{Found, Kind, Parser};
use crate::runtime::Stop;
use crate::topics::CONFIGS;

pub(super) const TOPICS: &str = "topics";
pub(super) const BROKERS: &str = "brokers";
pub(super) const LOGGERS: &str = "broker-loggers";
pub(super) const CLIENTS: &str = "clients";
pub(super) const USERS: &str = "users";
pub(super) const IPS: &str = "ips";
pub(super) const CLIENT_METRICS: &str = "client-metrics";
pub(super) const GROUPS: &str = "groups";
/// As Kafka's message lists them.
const TYPES: [&str; 8] = [TOPICS, CLIENTS, USERS, BROKERS, IPS, CLIENT_METRICS, GROUPS, LOGGERS];
/// The short flags with a name.
const NAMED: [(&str, &str); 8] = [
    ("topic", TOPICS),
    ("client", CLIENTS),
    ("user", USERS),
    ("broker", BROKERS),
    ("broker-logger", LOGGERS),
    ("ip", IPS),
    ("client-metrics", CLIENT_METRICS),
    ("group", GROUPS),
];
/// The short flags for what holds where nothing else is set.
const DEFAULTS: [(&str, &str); 4] = [
    ("client-defaults", CLIENTS),
    ("user-defaults", USERS),
    ("broker-defaults", BROKERS),
    ("ip-defaults", IPS),
];

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    let text = |p: &mut Parser, name, about: &str, value: &str| {
        p.takes(name, about, value, Kind::Text);
    };
    text(&mut p, "bootstrap-server", "The Kafka servers to connect to.", "server to connect to");
    text(&mut p, "bootstrap-controller", "The Kafka controllers to connect to.", "controller to connect to");
    text(
        &mut p,
        "command-config",
        "Property file containing configs to be passed to Admin Client. This is used only with --bootstrap-server option for describing and altering broker configs.",
        "command config property file",
    );
    p.flag("alter", "Alter the configuration for the entity.");
    p.flag("describe", "List configs for the given entity.");
    p.flag("all", "List all configs for the given entity, including static configs if available.");
    text(
        &mut p,
        "entity-type",
        "Type of entity (topics/clients/users/brokers/broker-loggers/ips/client-metrics/groups)",
        "",
    );
    text(
        &mut p,
        "entity-name",
        "Name of entity (topic name/client id/user principal name/broker id/ip/client metrics/group id)",
        "",
    );
    p.flag(
        "entity-default",
        "Default entity name for clients/users/brokers/ips (applies to corresponding entity type)",
    );
    text(&mut p, "add-config", &add_config_help(), "");
    text(
        &mut p,
        "add-config-file",
        "Path to a properties file with configs to add. See add-config for a list of valid configurations.",
        "",
    );
    p.takes("delete-config", "config keys to remove 'k1,k2'", "", Kind::Text).separated_by(',');
    text(&mut p, "topic", "The topic's name.", "");
    text(&mut p, "client", "The client's ID.", "");
    p.flag("client-defaults", "The config defaults for all clients.");
    text(&mut p, "user", "The user's principal name.", "");
    p.flag("user-defaults", "The config defaults for all users.");
    text(&mut p, "broker", "The broker's ID.", "");
    p.flag("broker-defaults", "The config defaults for all brokers.");
    text(&mut p, "broker-logger", "The broker's ID for its logger config.", "");
    p.flag("ip-defaults", "The config defaults for all IPs.");
    text(&mut p, "ip", "The IP address.", "");
    text(&mut p, "group", "The group's ID.", "");
    text(&mut p, "client-metrics", "The client metrics config resource name.", "");
    // Kafka before 2.3 asked before it changed; scripts still say that they are sure.
    p.flag("force", "").hidden();
    p
}

fn add_config_help() -> String {
    let mut help = String::from(
        "Key Value pairs of configs to add. Square brackets can be used to group values which contain commas: 'k1=v1,k2=[v1,v2,v2],k3=v3'. The following is a list of valid configurations: ",
    );
    let sections: [(&str, &[&str]); 7] = [
        (TOPICS, &CONFIGS),
        (BROKERS, &names::BROKERS),
        (USERS, &names::USERS),
        (CLIENTS, &names::CLIENTS),
        (IPS, &names::IPS),
        (CLIENT_METRICS, &names::CLIENT_METRICS),
        (GROUPS, &names::GROUPS),
    ];
    for (entity, names) in sections {
        let names: Vec<String> = names.iter().map(|name| format!("\t{name}")).collect();
        help += &format!("For entity-type '{entity}': \n{}\n", names.join("\n"));
    }
    help + "Entity types 'users' and 'clients' may be specified together to update config for clients of a specific user."
}

/// The entities a command line means: kinds and names. An empty name is the default of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entities {
    pub(super) types: Vec<String>,
    pub(super) names: Vec<String>,
}

impl Entities {
    pub(super) fn of(found: &Found) -> Entities {
        let own = |list: &str| -> Vec<String> { found.values(list).into_iter().map(str::to_owned).collect() };
        let given = |flags: &[(&'static str, &'static str)]| -> Vec<(&'static str, &'static str)> {
            flags.iter().copied().filter(|(flag, _)| found.has(flag)).collect()
        };
        let (named, defaults) = (given(&NAMED), given(&DEFAULTS));
        let mut types = own("entity-type");
        types.extend(named.iter().chain(&defaults).map(|(_, kind)| (*kind).to_owned()));
        // Names and defaults belong to the kinds in the order in which they were given.
        let mut listed = own("entity-name").into_iter();
        let mut names: Vec<String> = Vec::new();
        for option in found.order() {
            match *option {
                "entity-name" => names.extend(listed.next()),
                "entity-default" => names.push(String::new()),
                _ => {}
            }
        }
        names.extend(named.iter().filter_map(|(flag, _)| found.value(flag)).map(str::to_owned));
        names.extend(defaults.iter().map(|_| String::new()));
        Entities { types, names }
    }

    pub(super) fn has_type(&self, kind: &str) -> bool {
        self.types.iter().any(|own| own == kind)
    }
}

/// Everything that Kafka's tool checks before it connects.
pub(super) fn check(p: &Parser, found: &Found, entities: &Entities) -> Result<(), Stop> {
    if found.has("alter") == found.has("describe") {
        return Err(p.usage("Command must include exactly one action: --describe, --alter"));
    }
    p.check_invalid(found, "alter", &["describe"])?;
    p.check_invalid(found, "describe", &["alter", "add-config", "delete-config"])?;
    let types = &entities.types;
    let mut seen = BTreeSet::new();
    let twice: Vec<&str> = types.iter().map(String::as_str).filter(|kind| !seen.insert(*kind)).collect();
    if !twice.is_empty() {
        return refuse(format!("Duplicate entity type(s) specified: {}", twice.join(",")));
    }
    if !found.has("bootstrap-server") && !found.has("bootstrap-controller") {
        return refuse("Either --bootstrap-server or --bootstrap-controller must be specified.");
    }
    if let Some(wrong) = types.iter().find(|kind| !TYPES.contains(&kind.as_str())) {
        return refuse(format!(
            "Invalid entity type {wrong}, the entity type must be one of {} with a --bootstrap-server or --bootstrap-controller argument",
            TYPES.join(", ")
        ));
    }
    if types.is_empty() {
        return refuse("At least one entity type must be specified");
    }
    let both = types.len() == 2 && entities.has_type(USERS) && entities.has_type(CLIENTS);
    if types.len() > 1 && !both {
        return refuse(format!("Only '{USERS}' and '{CLIENTS}' entity types may be specified together"));
    }
    let long = ["entity-name", "entity-type", "entity-default"].iter().any(|flag| found.has(flag));
    if long && NAMED.iter().chain(&DEFAULTS).any(|(flag, _)| found.has(flag)) {
        return refuse(
            "--entity-{type,name,default} should not be used in conjunction with specific entity flags",
        );
    }
    if found.has("bootstrap-server") && found.has("bootstrap-controller") {
        return refuse("Only one of --bootstrap-server or --bootstrap-controller can be specified");
    }
    check_names(entities)?;
    if found.has("describe") { check_describe(found, entities) } else { check_alter(found, entities) }
}

fn refuse<T>(message: impl std::fmt::Display) -> Result<T, Stop> {
    Err(Stop::error(message))
}

fn check_names(entities: &Entities) -> Result<(), Stop> {
    let kind = entities.types.first().map(String::as_str).unwrap_or_default();
    for name in entities.names.iter().filter(|name| !name.is_empty()) {
        let of_broker = entities.has_type(BROKERS) || entities.has_type(LOGGERS);
        if of_broker && name.parse::<i32>().is_err() {
            return refuse(format!(
                "The entity name for {kind} must be a valid integer broker id, but it is: {name}"
            ));
        }
        if entities.has_type(IPS) && (name.as_str(), 0).to_socket_addrs().is_err() {
            return refuse(format!(
                "The entity name for {kind} must be a valid IP or resolvable host, but it is: {name}"
            ));
        }
    }
    Ok(())
}

/// Whether there may be a default for all of the kind.
fn has_default(entities: &Entities) -> bool {
    [USERS, CLIENTS, BROKERS, IPS].iter().any(|kind| entities.has_type(kind))
}

fn check_describe(found: &Found, entities: &Entities) -> Result<(), Stop> {
    let types = entities.types.join(",");
    if !has_default(entities) && found.has("entity-default") {
        return refuse(format!("--entity-default must not be specified with --describe of {types}"));
    }
    if entities.has_type(LOGGERS) && !entities.names.iter().any(|name| !name.is_empty()) {
        return refuse(format!("An entity name must be specified with --describe of {types}"));
    }
    Ok(())
}

fn check_alter(found: &Found, entities: &Entities) -> Result<(), Stop> {
    let named = entities.names.iter().any(|name| !name.is_empty());
    if has_default(entities) {
        if entities.names.is_empty() {
            return refuse(
                "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips",
            );
        }
    } else if !named {
        let types = entities.types.join(",");
        return refuse(format!("An entity name must be specified with --alter of {types}"));
    }
    if found.has("add-config") && found.has("add-config-file") {
        return refuse("Only one of --add-config or --add-config-file must be specified");
    }
    if !["add-config", "add-config-file", "delete-config"].iter().any(|flag| found.has(flag)) {
        return refuse(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
        );
    }
    if entities.types.len() != entities.names.len() {
        return refuse("An entity name must be specified for every entity type");
    }
    Ok(())
}
