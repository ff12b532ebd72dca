//! Looks out for brokers that died. Every controller keeps one connection to each unfenced broker, on the listener that
//! brokers use among themselves. When that breaks and the listener refuses another, nobody is there any more: the
//! active controller fences the broker at once instead of after `broker.session.timeout.ms`.
//!
//! A broker that is killed and started again at once may answer before it is missed. So its session is doubted as soon as
//! the connection breaks, and its next life, which holds the same directories, is let in at once.
//!
//! Fencing is a decision about liveness only: a broker that lives all the same comes back with its next heartbeat. A
//! broker that this controller never reached is left to its session: its address may be for others than controllers. So
//! are silent hosts. Standby controllers look out as well, so that the next active one knows whom it has seen alive.
//! `ottla.early.fencing.enable=false` turns it off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::{ConnectError, Connection, Options};
use ottla_metadata::{Decision, Image};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::node::Node;

/// Between a connection that broke and the next one, and between two that are refused.
const PAUSE: Duration = Duration::from_millis(20);
/// How many connections in a row have to be refused.
const REFUSALS: u32 = 2;
/// Before a broker is tried again that this controller cannot reach for other reasons.
const LATER: Duration = Duration::from_secs(5);
/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// Time for the decision.
const TIMEOUT_MS: i32 = 1_000;

/// A broker that is looked out for.
struct Watched {
    epoch: i64,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Looks out until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    let config = node.config();
    if !config.roles.controller || !config.quorum.early_fencing {
        return;
    }
    let mut changes = node.image_changes();
    let mut watched: HashMap<i32, Watched> = HashMap::new();
    loop {
        changes.mark_unchanged();
        let image = node.image();
        watched.retain(|id, watched| is_up(&image, *id, watched.epoch));
        for (id, broker) in image.brokers.iter() {
            if !broker.fenced && *id != node.node_id() && !watched.contains_key(id) {
                let task = tokio::spawn(watch(node.clone(), *id, broker.epoch));
                watched.insert(*id, Watched { epoch: broker.epoch, task });
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn is_up(image: &Image, id: i32, epoch: i64) -> bool {
    image.broker(id).is_some_and(|broker| broker.epoch == epoch && !broker.fenced)
}

/// Watches one life of a broker.
async fn watch(node: Arc<Node>, id: i32, epoch: i64) {
    let mut was_reached = false;
    let mut refusals = 0;
    loop {
        match connect(&node, id).await {
            Ok(connection) => {
                (was_reached, refusals) = (true, 0);
                let reason = connection.closed().await;
                debug!("the connection to broker {id} ended: {reason}");
                // Perhaps it is there again before anybody finds that it was away.
                node.controller().doubt_broker(id, epoch);
                sleep(PAUSE).await;
            }
            Err(Some(ConnectError::Refused { at })) if was_reached => {
                refusals += 1;
                if refusals >= REFUSALS && node.controller().fence_lost_broker(id, epoch).await {
                    info!(
                        "[QuorumController id={}] broker {id} is fenced early: its connection broke, and {at} refuses another",
                        node.node_id()
                    );
                }
                sleep(PAUSE).await;
            }
            Err(_) => sleep(LATER).await,
        }
    }
}

async fn connect(node: &Node, id: i32) -> Result<Connection, Option<ConnectError>> {
    let config = node.config();
    let image = node.image();
    let endpoint = image
        .broker(id)
        .and_then(|broker| broker.endpoint(&config.listeners.inter_broker_name))
        .ok_or(None)?;
    let options = Options {
        client_id: format!("controller-{}-lookout", node.node_id()),
        connect_timeout: CONNECT,
        ..Options::default()
    };
    Connection::connect(&endpoint.host, endpoint.port, &options).await.map_err(Some)
}

impl super::ControllerHost {
    /// Tells this node's controller that a life of a broker may have ended.
    fn doubt_broker(&self, id: i32, epoch: i64) {
        let doubt = move |turn: &mut super::Turn<'_>| {
            turn.controller.doubt(id, epoch);
            Decision::read(())
        };
        self.submit(doubt, |_| {});
    }

    /// Has this node's controller fence a broker that is gone, in the life that has this epoch. False where this node
    /// is not the active controller, or the broker has been fenced meanwhile.
    async fn fence_lost_broker(&self, id: i32, epoch: i64) -> bool {
        let fenced = self.committed(TIMEOUT_MS, move |turn| turn.controller.fence_lost_broker(id, epoch));
        fenced.await.is_ok_and(|(fenced, _)| fenced)
    }
}
