//! Free ports.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, ensure};

/// The next port to look at; clusters of one process never look at the same one twice.
static NEXT: AtomicU16 = AtomicU16::new(0);

const FIRST: u16 = 20_000;
/// Linux takes the ports of outgoing connections from 32768 on.
const END: u16 = 32_000;

/// `count` ports that are free at this moment, below those that outgoing connections take.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    // Different programs at the same time begin at different places.
    let start = FIRST + (std::process::id() % 1_000) as u16 * 10;
    let _ = NEXT.compare_exchange(0, start, Ordering::Relaxed, Ordering::Relaxed);
    let mut held = Vec::new();
    let mut tried = 0;
    while held.len() < count {
        tried += 1;
        ensure!(tried < END - FIRST, "no free port between {FIRST} and {END}");
        let step = |port: u16| Some(if port + 1 >= END { FIRST } else { port + 1 });
        let port = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or(start);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}
