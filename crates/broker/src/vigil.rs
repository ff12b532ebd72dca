//! Watches over threads and tasks that a node cannot do without: one that panics stops the node, loudly, instead of
//! leaving it without heartbeats, fetches or ISR changes.

use std::sync::{Arc, Weak};

use crate::node::Node;

/// Stops the node when it is dropped by a panic.
pub(crate) struct Vigil {
    node: Weak<Node>,
    what: &'static str,
}

impl Vigil {
    /// Held for as long as `what` runs.
    pub(crate) fn over(node: &Arc<Node>, what: &'static str) -> Vigil {
        Vigil { node: Arc::downgrade(node), what }
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(node) = self.node.upgrade()
        {
            node.fail(&format!("the {} panicked", self.what));
        }
    }
}

/// Spawns a task that the node cannot do without.
pub(crate) fn spawn(node: &Arc<Node>, what: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    let vigil = Vigil::over(node, what);
    tokio::spawn(async move {
        let _vigil = vigil;
        work.await;
    });
}
