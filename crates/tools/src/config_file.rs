//! Reading a node's configuration file for a tool or the server: what is wrong is printed, with what to do next.

use std::net::Ipv4Addr;
use std::path::Path;

use ottla_config::{Loaded, NodeConfig, OWN_ADDRESS, Problems};

use crate::machine;

/// Loads `path` with `overrides`; `Err` is the text for standard error.
pub fn load(path: &Path, overrides: &[(String, String)]) -> Result<Loaded, String> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        let next = if error.kind() == std::io::ErrorKind::NotFound {
            "\n    next: give the path of a .properties file, for example config/server.properties"
        } else {
            ""
        };
        format!("{shown}: cannot read the configuration file: {error}{next}")
    })?;
    NodeConfig::load(&shown, &bytes, overrides)
        .map_err(|problems| placed(problems, &machine::addresses()).to_string())
}

/// The problems with this machine's addresses where one may be written.
fn placed(mut problems: Problems, own: &[Ipv4Addr]) -> Problems {
    let Some(first) = own.first() else { return problems };
    let hole = format!("://{OWN_ADDRESS}:");
    let all: Vec<String> = own.iter().map(ToString::to_string).collect();
    for next in problems.errors.iter_mut().filter_map(|error| error.next.as_mut()) {
        if next.contains(&hole) {
            *next = format!(
                "{} (addresses of this machine: {})",
                next.replace(&hole, &format!("://{first}:")),
                all.join(", ")
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_advertise_is_suggested_with_an_address_of_this_machine() {
        let text = b"process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n\
            listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n\
            advertised.listeners=PLAINTEXT://0.0.0.0:9092\nlog.dirs=/tmp/x\n";
        let refused = || NodeConfig::load("f", text, &[]).expect_err("0.0.0.0 is no address for clients");
        let own = [Ipv4Addr::new(10, 20, 0, 1), Ipv4Addr::new(10, 99, 0, 1)];
        let said = placed(refused(), &own).to_string();
        assert!(said.contains("advertised.listeners=PLAINTEXT://10.20.0.1:9092, or"), "{said}");
        assert!(said.contains("(addresses of this machine: 10.20.0.1, 10.99.0.1)"), "{said}");
        assert!(placed(refused(), &[]).to_string().contains("PLAINTEXT://HOST:9092"));
    }
}
