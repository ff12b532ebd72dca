//! The name that other machines may reach this one by, where the configuration names no host.

use std::net::ToSocketAddrs;
use std::sync::OnceLock;

use tracing::warn;

/// The system's host name if it can be resolved, else `localhost`. Looked up once: a name server that does not answer
/// is waited for, and nobody whose listeners all have hosts comes here.
pub(super) fn machine_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let found = (name.as_str(), 0u16).to_socket_addrs();
        if found.is_ok_and(|mut addresses| addresses.next().is_some()) {
            return name;
        }
        warn!(
            "the name of this machine, {name}, has no address: clients are told localhost; set advertised.listeners"
        );
        "localhost".to_owned()
    })
}
