//! Requests from broker to broker, but for replication: questions to transaction coordinators, and markers to leaders.
//!
//! Its connections live on the node's main thread, whoever asks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::{Backoff, CallError, Peer, Peers};
use ottla_config::NodeConfig;
use ottla_protocol::ErrorCode;
use ottla_protocol::wire::Request;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use crate::node::Node;
use crate::reach;

/// The pause after a broker could not be reached; it doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries requests to other brokers.
pub(crate) struct Courier {
    peers: Peers,
    jobs: mpsc::UnboundedSender<Job>,
    to_do: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
}

impl Courier {
    pub(crate) fn new(config: &NodeConfig) -> Courier {
        let backoff = Backoff { first: PAUSES.0, most: PAUSES.1 };
        let peers = Peers::new(reach::broker(config), backoff, || 0, |_, _| ());
        let (jobs, to_do) = mpsc::unbounded_channel();
        Courier { peers, jobs, to_do: Mutex::new(Some(to_do)) }
    }

    /// Does what it is asked for, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let to_do = self.to_do.lock().take();
        let Some(mut to_do) = to_do else { return };
        while let Some(job) = to_do.recv().await {
            tokio::spawn(job);
        }
    }

    /// Asks a broker once.
    ///
    /// # Errors
    /// NETWORK_EXCEPTION when there is no answer, UNSUPPORTED_VERSION when the broker does not know the request,
    /// COORDINATOR_NOT_AVAILABLE when the metadata does not know the broker.
    pub(crate) async fn call<R>(&self, node: &Node, broker: i32, request: R) -> Result<R::Response, ErrorCode>
    where
        R: Request<Response: Send> + Send + Sync + 'static,
    {
        let image = node.image();
        let config = node.config();
        let endpoint = image.broker(broker).and_then(|b| b.endpoint(&config.listeners.inter_broker_name));
        let endpoint = endpoint.ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let peer = Peer { id: broker, host: endpoint.host.to_string(), port: endpoint.port };
        let (answer, answered) = oneshot::channel();
        let peers = self.peers.clone();
        let job = async move {
            // Whoever asked may be gone.
            let _ = answer.send(ask(&peers, &peer, &request).await);
        };
        let _ = self.jobs.send(Box::pin(job));
        // The node stops when nobody answers.
        answered.await.unwrap_or(Err(ErrorCode::NetworkException))
    }
}

async fn ask<R: Request>(peers: &Peers, peer: &Peer, request: &R) -> Result<R::Response, ErrorCode> {
    let connection = peers.connection(peer).await.map_err(|error| {
        info!("broker {} cannot be reached: {error}", peer.id);
        ErrorCode::NetworkException
    })?;
    connection.call(request).await.map_err(|error| match error {
        CallError::Timeout(_) => {
            // What it says later is not wanted.
            peers.forget(peer);
            ErrorCode::NetworkException
        }
        CallError::Unsupported { .. } => ErrorCode::UnsupportedVersion,
        error => {
            info!("broker {} did not answer: {error}", peer.id);
            ErrorCode::NetworkException
        }
    })
}
