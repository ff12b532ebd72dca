//! The addresses of this machine, for messages about listeners that name others.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use ottla_config::NodeConfig;

/// The machine's own IPv4 addresses, loopback ones aside, as the kernel's table of routes has them.
pub(crate) fn own() -> Vec<Ipv4Addr> {
    local(&std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default())
}

/// A line with an address, then a line that says what it is.
fn local(table: &str) -> Vec<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut last = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.filter(|address| !address.is_loopback()));
        }
    }
    found.into_iter().collect()
}

/// What there is to say when a listener's address is none of this machine's.
pub(crate) fn not_ours(config: &str, listener: &str, address: SocketAddr) -> String {
    let have: Vec<String> = own().iter().map(ToString::to_string).collect();
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
    fn own_addresses_are_those_that_the_kernel_calls_local() {
        let table = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.20.0.0\n        /24 link UNICAST\n     |-- 10.20.0.1\n        \
                     /32 host LOCAL\n     |-- 10.20.0.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(local(table), [Ipv4Addr::new(10, 20, 0, 1)]);
    }

    #[test]
    fn a_foreign_address_is_told_with_what_to_write() {
        let said = not_ours("PLAINTEXT://kafka3:9092", "PLAINTEXT", "10.20.0.3:9092".parse().unwrap());
        assert!(said.contains("cannot bind PLAINTEXT://kafka3:9092: 10.20.0.3 is not an address"), "{said}");
        assert!(said.contains("use PLAINTEXT://:9092 to listen on all"), "{said}");
    }
}
