//! Listeners: bind, accept, and the limits on how many connections there may be.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ottla_protocol::Listener;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::network::Accepted;

/// How many connections are open, and how many may be.
#[derive(Debug)]
pub(crate) struct Connections {
    /// `max.connections`.
    max: usize,
    /// `max.connections.per.ip`.
    max_per_ip: usize,
    /// `max.connections.per.ip.overrides`.
    per_ip: HashMap<IpAddr, usize>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// The right of one connection to be open; given back when dropped.
pub(crate) struct Permit {
    of: Arc<Connections>,
    ip: IpAddr,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.of.open.lock();
        open.all -= 1;
        if let Some(count) = open.by_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.by_ip.remove(&self.ip);
            }
        }
    }
}

impl Connections {
    pub(crate) fn new(max: usize, max_per_ip: usize, per_ip: HashMap<IpAddr, usize>) -> Connections {
        Connections { max, max_per_ip, per_ip, open: Mutex::default() }
    }

    /// A permit for one more connection from `ip`; `Err` says which limit stands against it.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Permit, &'static str> {
        let ip = ip.to_canonical();
        let mut open = self.open.lock();
        if open.all >= self.max {
            return Err("max.connections");
        }
        let limit = self.per_ip.get(&ip).copied().unwrap_or(self.max_per_ip);
        let count = open.by_ip.entry(ip).or_default();
        if *count >= limit {
            if *count == 0 {
                open.by_ip.remove(&ip);
            }
            return Err("max.connections.per.ip");
        }
        *count += 1;
        open.all += 1;
        Ok(Permit { of: self.clone(), ip })
    }
}

/// Binds one address. An unspecified IPv6 address takes IPv4 clients too, as a JVM does.
pub(crate) fn bind(address: SocketAddr, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// A listener that accepts.
pub(crate) struct Accepting {
    pub(crate) listener_name: Arc<str>,
    pub(crate) listener: Listener,
    pub(crate) socket: std::net::TcpListener,
}

/// Accepts until the task is aborted; connections go to the network threads by turns.
pub(crate) fn accept(
    from: Accepting,
    limits: Arc<Connections>,
    threads: Vec<UnboundedSender<Accepted>>,
) -> io::Result<JoinHandle<()>> {
    let Accepting { listener_name, listener, socket } = from;
    let socket = TcpListener::from_std(socket)?;
    Ok(tokio::spawn(async move {
        let mut turn = 0usize;
        loop {
            let (stream, address) = match socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, mostly: wait for some to be closed instead of spinning.
                    warn!("listener {listener_name}: cannot accept: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            let permit = match limits.admit(address.ip()) {
                Ok(permit) => permit,
                Err(limit) => {
                    info!("listener {listener_name}: refused connection from {address}: {limit} is reached");
                    continue;
                }
            };
            let Ok(stream) = stream.into_std() else { continue };
            let to = &threads[turn % threads.len()];
            turn = turn.wrapping_add(1);
            let accepted = Accepted { stream, address, listener_name: listener_name.clone(), listener, permit };
            if to.send(accepted).is_err() {
                return;
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_come_back() {
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let two: IpAddr = "10.0.0.2".parse().unwrap();
        let limits = Arc::new(Connections::new(3, 2, HashMap::from([(two, 1)])));
        let (a, _b) = (limits.admit(one).ok().unwrap(), limits.admit(one).ok().unwrap());
        assert_eq!(limits.admit(one).err(), Some("max.connections.per.ip"));
        let _c = limits.admit(two).ok().unwrap();
        assert_eq!(limits.admit(two).err(), Some("max.connections"));
        drop(a);
        assert_eq!(limits.admit(two).err(), Some("max.connections.per.ip"));
        assert!(limits.admit("::ffff:10.0.0.1".parse().unwrap()).is_ok());
    }
}
