//! `ottla produce` and `ottla consume`: records from and to a terminal or a pipe, with kcat's letters.

mod consume;
mod format;
mod position;
mod produce;

use ottla_client::{Cluster, Properties, Role};

pub(super) use consume::run as consume;
pub(super) use produce::run as produce;

/// Joins a cluster with `-X key=value` on top.
async fn connect(bootstrap: &str, settings: &[String], role: Role) -> Result<(Cluster, Properties), String> {
    let mut properties = Properties::new();
    for pair in settings {
        properties.set_pair(pair).map_err(|error| error.to_string())?;
    }
    for unknown in properties.check(role).map_err(|error| error.to_string())? {
        eprintln!("{unknown}");
    }
    let cluster = Cluster::connect(bootstrap, &properties).await.map_err(|error| {
        format!("{error}\n    next: is the cluster up? give its addresses with -b (asked: {bootstrap})")
    })?;
    Ok((cluster, properties))
}
