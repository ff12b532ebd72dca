//! The addresses of this machine, for messages that say what to write.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The machine's own IPv4 addresses, loopback ones aside, as the kernel's table of routes has them.
pub fn addresses() -> Vec<Ipv4Addr> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_those_that_the_kernel_calls_local() {
        let table = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.20.0.0\n        /24 link UNICAST\n     |-- 10.20.0.1\n        \
                     /32 host LOCAL\n     |-- 10.20.0.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(local(table), [Ipv4Addr::new(10, 20, 0, 1)]);
    }
}
