//! The addresses of this machine, for messages about listeners that name others.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use ottla_config::NodeConfig;
use ottla_tools::machine;

/// What there is to say when a listener's address is none of this machine's.
pub(crate) fn not_ours(config: &str, listener: &str, address: SocketAddr) -> String {
    let have: Vec<String> = machine::addresses().iter().map(ToString::to_string).collect();
    let have = if have.is_empty() { "none but loopback".to_owned() } else { have.join(", ") };
    format!(
        "\n    cannot bind {config}: {} is not an address of this machine (have: {have})\n    next: use {listener}://:{} to \
         listen on all",
        address.ip(),
        address.port()
    )
}

/// Listeners by a name that means this machine alone, as Debian writes the own name into /etc/hosts.
pub(crate) fn loopback_names(config: &NodeConfig) -> Vec<String> {
    let mut lines = Vec::new();
    for listener in &config.listeners.bound {
        let Some(host) = listener.host.as_deref() else { continue };
        if host == "localhost" || host.parse::<IpAddr>().is_ok() {
            continue;
        }
        let at = (host, listener.port).to_socket_addrs().ok().and_then(|mut all| all.next());
        if let Some(at) = at.filter(|at| at.ip().is_loopback()) {
            lines.push(format!(
                "{listener}: {host} resolves to {} on this machine: other nodes and clients on other machines cannot \
                 connect; give {host} its own address in /etc/hosts",
                at.ip()
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_address_is_told_with_what_to_write() {
        let said = not_ours("PLAINTEXT://kafka3:9092", "PLAINTEXT", "10.20.0.3:9092".parse().unwrap());
        assert!(said.contains("cannot bind PLAINTEXT://kafka3:9092: 10.20.0.3 is not an address"), "{said}");
        assert!(said.contains("use PLAINTEXT://:9092 to listen on all"), "{said}");
    }
}
