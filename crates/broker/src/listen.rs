//! Listeners: bind, accept, and hand connections to the network threads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::Listener;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::admission::Admission;
use crate::line_budget::LineBudget;
use crate::network::{Accepted, wall_ms};

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
    admission: Arc<Admission>,
    lines: Arc<LineBudget>,
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
                    if let Some(leave) = lines.spend(wall_ms()) {
                        warn!("listener {listener_name}: cannot accept: {error}{leave}");
                    }
                    // Out of descriptors, mostly: wait for some to be closed instead of spinning.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            admission.place(&listener_name).await;
            let Some(permit) = admission.admit(&listener_name, address.ip()) else {
                if let Some(leave) = lines.spend(wall_ms()) {
                    info!(
                        "Rejected connection from {address}, address already has the configured maximum of max.connections.per.ip connections (listener {listener_name}){leave}"
                    );
                }
                continue;
            };
            let Ok(stream) = stream.into_std() else { continue };
            let to = &threads[turn % threads.len()];
            turn = turn.wrapping_add(1);
            let accepted =
                Accepted { stream, address, listener_name: listener_name.clone(), listener, permit };
            if to.send(accepted).is_err() {
                return;
            }
        }
    }))
}
