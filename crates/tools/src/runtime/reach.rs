//! Reaching the cluster: the properties file, the bootstrap list, and what is said when either is not right.

use ottla_client::{Cluster, ClusterError, ConnectError, Properties, Role};

use super::{Stop, failure, log, warn};

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

/// The cluster behind `--bootstrap-server`.
pub async fn connect(bootstrap: &str, properties: &Properties) -> Result<Cluster, Stop> {
    warn_unknown(properties)?;
    Ok(told(Cluster::connect(bootstrap, properties).await?))
}

/// The controllers behind `--bootstrap-controller`.
pub async fn connect_controllers(bootstrap: &str, properties: &Properties) -> Result<Cluster, Stop> {
    warn_unknown(properties)?;
    Ok(told(Cluster::connect_controllers(bootstrap, properties).await?))
}

/// Whichever of the two was given.
pub async fn connect_either(
    server: Option<&str>,
    controller: Option<&str>,
    properties: &Properties,
) -> Result<Cluster, Stop> {
    match (server, controller) {
        (Some(_), Some(_)) => {
            Err(Stop::error("You cannot specify both --bootstrap-controller and --bootstrap-server."))
        }
        (Some(server), None) => connect(server, properties).await,
        (None, Some(controller)) => connect_controllers(controller, properties).await,
        (None, None) => {
            Err(Stop::error("You must specify either --bootstrap-controller or --bootstrap-server."))
        }
    }
}

fn warn_unknown(properties: &Properties) -> Result<(), Stop> {
    // A value that will not do is said by the connection itself, with everything else it finds.
    for unknown in properties.check(Role::Admin).unwrap_or_default() {
        warn(unknown);
    }
    Ok(())
}

/// Addresses that did not answer although another one did: one line each, in the words of Kafka's client.
fn told(cluster: Cluster) -> Cluster {
    for (i, (address, why)) in cluster.bootstrap_failures().iter().enumerate() {
        let node = -1 - i as i64;
        let at = match why {
            ConnectError::Refused { at } => {
                format!("{}/{at}", address.rsplit_once(':').map_or("", |(host, _)| host))
            }
            _ => address.clone(),
        };
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
