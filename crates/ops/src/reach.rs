//! A client of the cluster, kept while somebody looks: made with the first question, closed when nobody asks any more.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use ottla_client::{Cluster, ClusterError, Properties};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep};

use crate::api::Problem;
use crate::observed::{Observed, State};

/// How long a call to the cluster may take, in milliseconds; less than an answer may.
const PATIENCE_MS: &str = "5000";
/// A client that nobody used for this long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// So many questions that read records are answered at a time.
const READERS: usize = 2;

/// The client.
pub(crate) struct Reach {
    node: Arc<dyn Observed>,
    held: Arc<Mutex<Option<Held>>>,
    /// Leave to read records.
    pub(crate) readers: Semaphore,
}

struct Held {
    cluster: Cluster,
    used: Instant,
}

impl Reach {
    pub(crate) fn new(node: Arc<dyn Observed>) -> Reach {
        Reach { node, held: Arc::default(), readers: Semaphore::new(READERS) }
    }

    /// The cluster as this node's own listener leads to it.
    pub(crate) async fn cluster(&self) -> Result<Cluster, Problem> {
        let standing = self.node.standing();
        let way_in = self.node.way_in().filter(|_| standing.state == State::Running);
        let Some(way_in) = way_in else {
            let why = standing.obstacles.first().map_or("this node does not serve", String::as_str);
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why));
        };
        let mut held = self.held.lock().await;
        if let Some(held) = &mut *held {
            held.used = Instant::now();
            return Ok(held.cluster.clone());
        }
        let properties = properties();
        let address = way_in.address.to_string();
        let cluster = match way_in.is_controller {
            true => Cluster::connect_controllers(&address, &properties).await,
            false => Cluster::connect(&address, &properties).await,
        };
        let cluster = cluster.map_err(Problem::from)?;
        *held = Some(Held { cluster: cluster.clone(), used: Instant::now() });
        tokio::spawn(close_unused(self.held.clone()));
        Ok(cluster)
    }

    /// The next question begins with a connection of its own.
    pub(crate) async fn forget(&self) {
        // Others may still wait for answers: the connections close with the last of them.
        *self.held.lock().await = None;
    }

    /// As [`Reach::cluster`], for what only brokers know.
    pub(crate) async fn brokers(&self) -> Result<Cluster, Problem> {
        let cluster = self.cluster().await?;
        if cluster.of_controllers() {
            let why =
                "this node is a controller alone: the console of a broker shows topics, records and groups";
            return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, why));
        }
        Ok(cluster)
    }
}

/// The configuration of everything that asks on behalf of the console.
pub(crate) fn properties() -> Properties {
    Properties::new()
        .with("client.id", "ottla-console")
        .with("default.api.timeout.ms", PATIENCE_MS)
        .with("request.timeout.ms", PATIENCE_MS)
        // What a look at records may take of this process's memory.
        .with("fetch.max.bytes", "1048576")
        .with("max.partition.fetch.bytes", "262144")
        .with("enable.auto.commit", "false")
        .with("auto.offset.reset", "earliest")
}

async fn close_unused(held: Arc<Mutex<Option<Held>>>) {
    loop {
        sleep(IDLE / 2).await;
        let mut held = held.lock().await;
        match &*held {
            Some(kept) if kept.used.elapsed() < IDLE => {}
            Some(kept) => {
                kept.cluster.close();
                *held = None;
                return;
            }
            None => return,
        }
    }
}

impl From<ClusterError> for Problem {
    fn from(error: ClusterError) -> Problem {
        Problem::new(StatusCode::BAD_GATEWAY, error.to_string())
    }
}
