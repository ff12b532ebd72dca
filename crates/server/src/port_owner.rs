//! Who listens on a port: the system's tables of sockets, and the processes that hold them open.

use std::fs;
use std::net::SocketAddr;

/// State LISTEN in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The process that listens on the port of `address`, as "process 123 (name)"; `None` where the system does not tell.
pub(crate) fn find(address: SocketAddr) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address.port()))
        .collect();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        for file in fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let target = target.to_string_lossy();
            if inodes.iter().any(|inode| *target == format!("socket:[{inode}]")) {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                return Some(format!("process {pid} ({})", name.trim()));
            }
        }
    }
    None
}

/// The inodes of sockets that listen on `port`.
fn listening(table: &str, port: u16) -> Vec<String> {
    let local = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let found = words.get(1)?.ends_with(&local) && *words.get(3)? == LISTEN;
            found.then(|| words.get(9).map(|inode| (*inode).to_owned())).flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(find(address).unwrap().starts_with(&format!("process {} (", std::process::id())));
        drop(socket);
        assert_eq!(find(address), None);
    }
}
