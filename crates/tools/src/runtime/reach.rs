//! Reaching the cluster: the properties file, the bootstrap list, and what is said when either is not right.

use std::net::IpAddr;

use ottla_client::{Cluster, ClusterError, ConnectError, Properties, Role};

use super::{Stop, Thrown, failure, log, warn};

const BOTH: &str = "You cannot specify both --bootstrap-controller and --bootstrap-server.";
const NEITHER: &str = "You must specify either --bootstrap-controller or --bootstrap-server.";

impl From<ClusterError> for Stop {
    fn from(error: ClusterError) -> Stop {
        Stop::error(failure(&error))
    }
}

/// The client's configuration of `--command-config`; without a file an empty one.
pub fn properties(file: Option<&str>) -> Result<Properties, Stop> {
    let Some(file) = file else { return Ok(Properties::new()) };
    let bytes = std::fs::read(file).map_err(|error| {
        Stop::error(format!("{file}: {error}\n    next: check the path given with --command-config"))
    })?;
    Properties::parse(file, &bytes).map_err(Stop::error)
}

/// The cluster behind `--bootstrap-server`, for a tool that says errors its own way.
pub async fn open(bootstrap: &str, properties: &Properties) -> Result<Cluster, Thrown> {
    warn_unknown(properties);
    Ok(told(Cluster::connect(bootstrap, properties).await?))
}

/// The same for whichever of the two lists was given.
pub async fn open_either(
    server: Option<&str>,
    controller: Option<&str>,
    properties: &Properties,
) -> Result<Cluster, Thrown> {
    match (server, controller) {
        (Some(_), Some(_)) => Err(Thrown::illegal_argument(BOTH)),
        (Some(server), None) => open(server, properties).await,
        (None, Some(controller)) => {
            warn_unknown(properties);
            Ok(told(Cluster::connect_controllers(controller, properties).await?))
        }
        (None, None) => Err(Thrown::illegal_argument(NEITHER)),
    }
}

/// The cluster behind `--bootstrap-server`.
pub async fn connect(bootstrap: &str, properties: &Properties) -> Result<Cluster, Stop> {
    Ok(open(bootstrap, properties).await?)
}

/// The controllers behind `--bootstrap-controller`.
pub async fn connect_controllers(bootstrap: &str, properties: &Properties) -> Result<Cluster, Stop> {
    Ok(open_either(None, Some(bootstrap), properties).await?)
}

/// Whichever of the two was given; that it is exactly one is Kafka's own check.
pub async fn connect_either(
    server: Option<&str>,
    controller: Option<&str>,
    properties: &Properties,
) -> Result<Cluster, Stop> {
    match (server, controller) {
        (Some(_), Some(_)) => Err(Stop::error(BOTH)),
        (None, None) => Err(Stop::error(NEITHER)),
        _ => Ok(open_either(server, controller, properties).await?),
    }
}

fn warn_unknown(properties: &Properties) {
    // A value that will not do is said by the connection itself, with everything else it finds.
    for unknown in properties.check(Role::Admin).unwrap_or_default() {
        warn(unknown);
    }
}

/// Addresses that did not answer although another one did: one line each, in the words of Kafka's client.
fn told(cluster: Cluster) -> Cluster {
    for (node, address, why) in cluster.bootstrap_failures() {
        let at = java_address(&address, &why);
        log(
            "WARN",
            &format!(
                "[AdminClient clientId=adminclient-1] Connection to node {node} ({at}) could not be established. Node may not be available."
            ),
            "org.apache.kafka.clients.NetworkClient",
        );
    }
    cluster
}

/// An address as Java shows it: `name/10.0.0.1:9092`, and nothing before the slash where an address was given.
fn java_address(given: &str, why: &ConnectError) -> String {
    let host = given.rsplit_once(':').map_or(given, |(host, _)| host);
    let numeric = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    match why {
        ConnectError::Refused { at } if !numeric => format!("{host}/{at}"),
        _ if numeric => format!("/{given}"),
        _ => given.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_servers_are_shown_as_java_shows_addresses() {
        let refused = ConnectError::Refused { at: "192.168.57.101:9092".parse().unwrap() };
        assert_eq!(java_address("192.168.57.101:9092", &refused), "/192.168.57.101:9092");
        assert_eq!(java_address("kafka2:9092", &refused), "kafka2/192.168.57.101:9092");
        let nameless = ConnectError::Unresolved { host: "kafka2".to_owned(), why: None };
        assert_eq!(java_address("kafka2:9092", &nameless), "kafka2:9092");
        assert_eq!(java_address("[::1]:9092", &nameless), "/[::1]:9092");
    }
}
