//! The way out: controlled shutdown, and when there is nobody left who could grant it.
//!
//! A node that stops hands over what it leads, and a controller that stops hands over the quorum. Both need a majority of
//! the voters. When so many of them refuse connections that there is none, as when all nodes are told to stop together,
//! nothing can be handed over any more: the node stops after [`ALONE_LOOKS`] looks that found it so, which takes about
//! 100 ms. Voters that only do not answer are waited for.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use ottla_quorum::{Handle, Status};
use ottla_raft::HostPort;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use super::life::{AGAIN, refusal};
use super::{ControllerHost, STOP_MS};
use crate::node::Node;

/// How long a controlled shutdown may take; the rest is left to the next start.
const LEAVE: Duration = Duration::from_secs(5);
/// Between two looks for the other voters.
const LOOK: Duration = Duration::from_millis(40);
/// How long a voter may take to accept before it counts as there but silent.
const PROBE: Duration = Duration::from_millis(250);
/// How many looks in a row have to find no majority.
const ALONE_LOOKS: u32 = 3;

impl ControllerHost {
    /// Controlled shutdown: hands over what this broker leads, then is fenced. Gives up after a few seconds, when no
    /// majority of the controllers is left, and at once where `controlled.shutdown.enable` is off.
    pub(crate) fn leave_cluster(&self, node: &Node) {
        if !node.config().broker.controlled_shutdown || self.broker_epoch() < 0 {
            return;
        }
        let Some(node) = self.channel.node() else { return };
        let (done, outcome) = tokio::sync::oneshot::channel();
        let others = self.others();
        self.channel.spawn(async move {
            let id = node.node_id();
            let handed_over = timeout(LEAVE, hand_over(&node));
            tokio::select! {
                over = handed_over => match over {
                    Ok(()) => {}
                    Err(_) => warn!(
                        "controlled shutdown did not end within {} s; the node stops all the same",
                        LEAVE.as_secs()
                    ),
                },
                () = others.are_gone() => {
                    info!("[BrokerLifecycleManager id={id}] no majority of the controllers is left: stopping at once");
                }
            }
            drop(node);
            let _ = done.send(());
        });
        // A channel that is gone asks nobody any more.
        let _ = outcome.blocking_recv();
    }

    /// Stops the quorum. A leader hands over first, as long as there is anybody to hand over to.
    pub(super) fn stop_quorum(&self) {
        // Only a leader has something to hand over.
        let hand_over_ms = if self.quorum.status().role == "Leader" { STOP_MS } else { 0 };
        let (quorum, others) = (self.quorum.clone(), self.others());
        self.channel.spawn(async move {
            others.are_gone().await;
            // The quorum's thread answers when it ends: not on this one, which others wait for.
            let _ = tokio::task::spawn_blocking(move || quorum.shutdown(0)).await;
        });
        if self.quorum.shutdown(hand_over_ms).is_err() {
            warn!("the metadata quorum had stopped before");
        }
    }

    fn others(&self) -> Others {
        Others {
            quorum: self.quorum.clone(),
            listener: self.channel.listener().to_owned(),
            own: self.channel.own_id(),
        }
    }
}

/// Asks the active controller to be let go until it is.
async fn hand_over(node: &Arc<Node>) {
    let (id, host) = (node.node_id(), node.controller());
    let until = Instant::now() + LEAVE;
    loop {
        let request = host.heartbeat_request(node, true);
        let left = until.saturating_duration_since(Instant::now());
        match host.channel.ask(request, left).await {
            Ok(response) => match refusal(&response) {
                None if response.should_shut_down => {
                    return info!("[BrokerLifecycleManager id={id}] controlled shutdown is through");
                }
                None => {}
                code => return warn!("controlled shutdown was refused: {code:?}"),
            },
            Err(error) => return warn!("controlled shutdown was not possible: {error}"),
        }
        sleep(AGAIN).await;
    }
}

/// The other voters, as a stopping node sees them.
struct Others {
    quorum: Handle,
    listener: String,
    own: i32,
}

impl Others {
    /// Ends when so many of the voters are gone that the rest is no majority.
    async fn are_gone(self) {
        let mut alone = 0;
        while alone < ALONE_LOOKS {
            let status = self.quorum.status();
            let (addresses, majority) = self.addresses(&status);
            let refusing = refusing(addresses).await;
            let reachable = status.voters.len().saturating_sub(refusing);
            alone = if reachable < majority { alone + 1 } else { 0 };
            sleep(LOOK).await;
        }
    }

    /// Where the other voters are, and how many make a majority.
    fn addresses(&self, status: &Status) -> (Vec<HostPort>, usize) {
        let others = status.voters.iter().filter(|voter| voter.key.id != self.own);
        let addresses = others.filter_map(|voter| voter.endpoints.get(&self.listener).cloned());
        (addresses.collect(), status.voters.majority())
    }
}

/// How many of these addresses refuse a connection.
async fn refusing(addresses: Vec<HostPort>) -> usize {
    let until = Instant::now() + PROBE;
    let mut probes = JoinSet::new();
    for at in addresses {
        probes.spawn(async move {
            let tried = timeout_at(until, TcpStream::connect((at.host.as_str(), at.port))).await;
            matches!(tried, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
        });
    }
    probes.join_all().await.into_iter().filter(|refused| *refused).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_refuses_is_gone() {
        let there = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = |socket: &tokio::net::TcpListener| {
            HostPort::new("127.0.0.1".to_owned(), socket.local_addr().unwrap().port())
        };
        let addresses = vec![at(&there), at(&gone)];
        assert_eq!(refusing(addresses.clone()).await, 0, "both listen, though nobody accepts");
        drop(gone);
        assert_eq!(refusing(addresses).await, 1);
    }
}
