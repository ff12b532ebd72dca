//! The name that other machines may reach this one by, where the configuration names no host.

use std::net::ToSocketAddrs;

use tracing::warn;

/// The system's host name if it can be resolved, else `localhost`.
pub(super) fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if (name.as_str(), 0u16).to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some()) {
        return name;
    }
    warn!(
        "the name of this machine, {name}, has no address: clients are told localhost; set advertised.listeners"
    );
    "localhost".to_owned()
}
