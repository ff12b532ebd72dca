//! Listeners: what is bound, what is advertised, which of them are the controllers', and which one brokers use
//! among themselves (Kafka's `AbstractKafkaConfig` and `KafkaConfig.effectiveAdvertised*`).

use std::net::IpAddr;

use super::Roles;
use crate::endpoint::{Listener, SecurityProtocol, Voter, parse_listener, parse_map};
use crate::problem::Problem;
use crate::settings::Settings;

/// The listeners of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// `listeners`: what this node binds, in the order of the file, the controllers' included.
    pub bound: Vec<Listener>,
    /// What clients and brokers are told, never the controllers'. A host of `None` stands for the name of
    /// this machine, a port of 0 for the port that the listener of this name got.
    pub advertised: Vec<Listener>,
    /// What other nodes are told about this controller's listeners, the default listener first. Empty on a
    /// node that is a broker only.
    pub advertised_controllers: Vec<Listener>,
    /// `controller.listener.names` in upper case; the first one is used to reach controllers.
    pub controller_names: Vec<String>,
    /// The protocol of the first controller listener name.
    pub controller_protocol: SecurityProtocol,
    /// `inter.broker.listener.name`, or the name that follows from `security.inter.broker.protocol`.
    pub inter_broker_name: String,
    /// The protocol of that listener.
    pub inter_broker_protocol: SecurityProtocol,
    /// `early.start.listeners`, by default the controllers'.
    pub early_start: Vec<String>,
    /// Protocols by listener name, as they count after the defaults.
    pub protocols: Vec<(String, SecurityProtocol)>,
}

impl Listeners {
    /// Whether a listener of this name belongs to the controllers.
    #[must_use]
    pub fn is_controller(&self, name: &str) -> bool {
        self.controller_names.iter().any(|other| other == name)
    }

    /// The listeners that serve controllers.
    pub fn controllers(&self) -> impl Iterator<Item = &Listener> {
        self.bound.iter().filter(|listener| self.is_controller(&listener.name))
    }

    /// The listeners that serve clients and brokers.
    pub fn brokers(&self) -> impl Iterator<Item = &Listener> {
        self.bound.iter().filter(|listener| !self.is_controller(&listener.name))
    }
}

const MAP: &str = "listener.security.protocol.map";

/// Reads the listeners; `None` if they cannot be read, with the reasons in `errors`.
pub(super) fn build(
    settings: &Settings,
    own_voter: Option<&Voter>,
    roles: Roles,
    errors: &mut Vec<Problem>,
) -> Option<Listeners> {
    let before = errors.len();
    let controller_names: Vec<String> =
        settings.list("controller.listener.names").iter().map(|name| name.to_uppercase()).collect();
    let protocols = protocols(settings, &controller_names, errors);
    let bound = endpoints(settings, "listeners", &protocols, errors);
    check_ports(settings, &bound, errors);
    let written = settings
        .list_or_none("advertised.listeners")
        .map(|_| endpoints(settings, "advertised.listeners", &protocols, errors));
    let clients: Vec<&str> = written
        .as_ref()
        .unwrap_or(&bound)
        .iter()
        .map(|listener| listener.name.as_str())
        .filter(|name| !controller_names.iter().any(|other| other == name))
        .collect();
    let (inter_broker_name, inter_broker_protocol) = inter_broker(settings, &protocols, &clients, errors)?;
    let controller_protocol = protocol_of(&protocols, &controller_names[0]);
    if controller_protocol.is_none() && roles.broker && !roles.controller {
        errors.push(unmapped_controller(settings, &controller_names[0]));
    }
    let early_start = early_start(settings, &bound, &controller_names, errors);
    if errors.len() > before {
        return None;
    }
    let is_controller = |listener: &Listener| controller_names.contains(&listener.name);
    let advertised: Vec<Listener> = written
        .as_ref()
        .unwrap_or(&bound)
        .iter()
        .filter(|listener| !is_controller(listener))
        .cloned()
        .collect();
    let advertised_controllers = controller_names
        .iter()
        .enumerate()
        .filter_map(|(at, name)| {
            let said = written.as_ref().and_then(|list| list.iter().find(|listener| listener.name == *name));
            said.cloned().or_else(|| {
                let bound = bound.iter().find(|listener| listener.name == *name)?;
                Some(advertised_controller(bound, own_voter.filter(|_| at == 0)))
            })
        })
        .collect();
    Some(Listeners {
        bound,
        advertised,
        advertised_controllers,
        controller_names,
        controller_protocol: controller_protocol.unwrap_or(SecurityProtocol::Plaintext),
        inter_broker_name,
        inter_broker_protocol,
        early_start,
        protocols,
    })
}

/// A controller listener that is not advertised in words: its own entry among the voters says where it is,
/// where the listener itself binds every interface.
fn advertised_controller(bound: &Listener, own_voter: Option<&Voter>) -> Listener {
    let everywhere = bound.host.as_deref().is_none_or(|host| host == "0.0.0.0");
    match own_voter {
        Some(voter) if everywhere => Listener {
            host: Some(voter.address.host.clone()).filter(|host| !host.is_empty()),
            port: voter.address.port,
            ..bound.clone()
        },
        _ if everywhere => Listener { host: None, ..bound.clone() },
        _ => bound.clone(),
    }
}

fn protocol_of(protocols: &[(String, SecurityProtocol)], name: &str) -> Option<SecurityProtocol> {
    protocols.iter().find(|(known, _)| known == name).map(|(_, protocol)| *protocol)
}

/// The map of protocols. Where the file has none, controller listeners are PLAINTEXT unless TLS or SASL is in
/// use somewhere.
fn protocols(
    settings: &Settings,
    controller_names: &[String],
    errors: &mut Vec<Problem>,
) -> Vec<(String, SecurityProtocol)> {
    let mut out: Vec<(String, SecurityProtocol)> = Vec::new();
    let text = settings.text(MAP).unwrap_or_default();
    let pairs = parse_map(&text).unwrap_or_else(|entry| {
        errors.push(
            settings
                .problem(MAP, format!("{MAP}: '{entry}' is no NAME:PROTOCOL pair"))
                .kafka(format!("Error parsing configuration property '{MAP}'"))
                .allowed("NAME:PROTOCOL pairs, PROTOCOL being PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
        );
        Vec::new()
    });
    for (name, protocol) in pairs {
        match SecurityProtocol::of_name(&protocol) {
            Some(protocol) => {
                let name = name.to_uppercase();
                out.retain(|(known, _)| *known != name);
                out.push((name, protocol));
            }
            None => errors.push(
                settings
                    .problem(MAP, format!("Invalid security protocol `{protocol}` defined in {MAP}"))
                    .allowed("PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
            ),
        }
    }
    if !settings.is_set(MAP) {
        let secure =
            |name: &str| SecurityProtocol::of_name(name).is_some_and(|p| p != SecurityProtocol::Plaintext);
        let listener_names = settings.list("listeners");
        let names = listener_names.iter().filter_map(|entry| entry.split_once(':')).map(|(name, _)| name);
        if !names.chain(controller_names.iter().map(String::as_str)).any(secure) {
            for name in controller_names {
                out.retain(|(known, _)| known != name);
                out.push((name.clone(), SecurityProtocol::Plaintext));
            }
        }
    }
    out
}

/// How Kafka begins whatever it says about a list of listeners.
fn not_created(entries: &[String], why: &str) -> String {
    format!("Error creating broker listeners from '[{}]': {why}", entries.join(", "))
}

fn endpoints(
    settings: &Settings,
    key: &str,
    protocols: &[(String, SecurityProtocol)],
    errors: &mut Vec<Problem>,
) -> Vec<Listener> {
    let entries = settings.list(key);
    let mut out: Vec<Listener> = Vec::new();
    let created = |why: &str| not_created(&entries, why);
    for entry in &entries {
        match parse_listener(entry) {
            Err(why) => errors.push(
                settings
                    .problem(key, format!("{key}: '{entry}' is no NAME://host:port"))
                    .kafka(created(&why))
                    .next(format!("write for example {key}=PLAINTEXT://localhost:9092")),
            ),
            Ok(raw) => match protocol_of(protocols, &raw.name) {
                None => errors.push(
                    settings
                        .problem(
                            key,
                            format!("{key}: no security protocol is known for the listener {}", raw.name),
                        )
                        .kafka(created(&format!("No security protocol defined for listener {}", raw.name)))
                        .next(format!(
                            "add {}:PLAINTEXT (or SSL, SASL_PLAINTEXT, SASL_SSL) to {MAP}",
                            raw.name
                        )),
                ),
                Some(protocol) => {
                    out.push(Listener { name: raw.name, host: raw.host, port: raw.port, protocol });
                }
            },
        }
    }
    for (at, listener) in out.iter().enumerate() {
        if out[..at].iter().any(|other| other.name == listener.name) {
            errors.push(
                settings
                    .problem(key, format!("{key} names the listener {} twice", listener.name))
                    .kafka(created(&format!(
                        "Each listener must have a different name, listeners: [{}]",
                        entries.join(", ")
                    )))
                    .next(format!("give each listener a name of its own and add both names to {MAP}")),
            );
        }
    }
    out
}

/// Two listeners may share a port only if one is bound to an IPv4 address and the other to an IPv6 address.
fn check_ports(settings: &Settings, bound: &[Listener], errors: &mut Vec<Problem>) {
    let mut seen: Vec<u16> = Vec::new();
    for listener in bound.iter().filter(|listener| listener.port != 0) {
        let port = listener.port;
        if seen.contains(&port) {
            continue;
        }
        seen.push(port);
        let group: Vec<&Listener> = bound.iter().filter(|other| other.port == port).collect();
        if group.len() < 2 {
            continue;
        }
        let address =
            |listener: &&Listener| listener.host.as_deref().and_then(|host| host.parse::<IpAddr>().ok());
        let addresses: Vec<IpAddr> = group.iter().filter_map(address).collect();
        let both_stacks =
            group.len() == 2 && addresses.len() == 2 && addresses[0].is_ipv4() != addresses[1].is_ipv4();
        if both_stacks {
            continue;
        }
        let entries = settings.list("listeners");
        let list = entries.join(", ");
        let kafka = match addresses.len() {
            0 | 1 => format!("Each listener must have a different port, listeners: [{list}]"),
            2 => format!(
                "If you have two listeners on the same port then one needs to be IPv4 and the other IPv6, \
                 listeners: [{list}], port: {port}"
            ),
            _ => format!(
                "Each listener must have a different port unless exactly one listener has an IPv4 address and \
                 the other IPv6 address, listeners: [{list}], port: {port}"
            ),
        };
        let names: Vec<&str> = group.iter().map(|listener| listener.name.as_str()).collect();
        errors.push(
            settings
                .problem(
                    "listeners",
                    format!("port {port} is used by two listeners: {}", names.join(" and ")),
                )
                .kafka(not_created(&entries, &kafka))
                .next("give each listener a port of its own"),
        );
    }
}

/// The listener by which brokers reach each other; `clients` are the names that are advertised to clients and brokers.
fn inter_broker(
    settings: &Settings,
    protocols: &[(String, SecurityProtocol)],
    clients: &[&str],
    errors: &mut Vec<Problem>,
) -> Option<(String, SecurityProtocol)> {
    const NAME: &str = "inter.broker.listener.name";
    let Some(name) = settings.text(NAME) else {
        let protocol = settings.text("security.inter.broker.protocol").unwrap_or_default();
        let protocol =
            SecurityProtocol::of_name(&protocol).expect("CONFIG-9: the value was checked before it is read");
        return Some((protocol.name().to_owned(), protocol));
    };
    if settings.is_set("security.inter.broker.protocol") {
        errors.push(
            settings
                .problem(NAME, "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set.")
                .next("remove security.inter.broker.protocol: the listener has its protocol from the map"),
        );
        return None;
    }
    let name = name.to_uppercase();
    let protocol = protocol_of(protocols, &name);
    if protocol.is_none() {
        let problem = settings
            .problem(NAME, format!("Listener with name {name} defined in {NAME} not found in {MAP}."));
        errors.push(match clients.first() {
            Some(first) => problem.allowed(format!("the advertised listeners: {}", clients.join(", "))).next(format!(
                "write {NAME}={first}; for a listener of its own add {name} to listeners, advertised.listeners and {MAP}"
            )),
            None => problem.next(format!("add {name} to listeners, advertised.listeners and {MAP}")),
        });
    }
    Some((name, protocol?))
}

fn unmapped_controller(settings: &Settings, name: &str) -> Problem {
    settings
        .problem(
            "controller.listener.names",
            format!("no security protocol is known for the controller listener {name}"),
        )
        .kafka(format!(
            "Controller listener with name {name} defined in controller.listener.names not found in {MAP}  (an \
             explicit security mapping for each controller listener is required if {MAP} is non-empty, or if \
             there are security protocols other than PLAINTEXT in use)"
        ))
        .next(format!("add {name}:PLAINTEXT (or the protocol the controllers use) to {MAP}"))
}

fn early_start(
    settings: &Settings,
    bound: &[Listener],
    controller_names: &[String],
    errors: &mut Vec<Problem>,
) -> Vec<String> {
    const KEY: &str = "early.start.listeners";
    let Some(names) = settings.list_or_none(KEY) else { return controller_names.to_vec() };
    let names: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
    for name in &names {
        if !controller_names.contains(name) && !bound.iter().any(|listener| listener.name == *name) {
            errors.push(settings.problem(
                KEY,
                format!(
                    "{KEY} contains listener {name}, but this is not contained in listeners or \
                     controller.listener.names"
                ),
            ));
        }
    }
    names
}
