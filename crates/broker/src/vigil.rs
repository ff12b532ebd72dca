//! Watches over threads and tasks that a node cannot do without: one that panics stops the node, loudly, instead of
//! leaving it without heartbeats, fetches or ISR changes.

use std::sync::{Arc, Weak};

use crate::node::Node;

/// Who is stopped by a panic.
pub(crate) trait Watched: Send + Sync + 'static {
    /// It cannot go on, for this reason.
    fn fail(&self, why: &str);
}

impl Watched for Node {
    fn fail(&self, why: &str) {
        Node::fail(self, why);
    }
}

/// Stops the node when it is dropped by a panic.
pub(crate) struct Vigil<N: Watched = Node> {
    node: Weak<N>,
    what: &'static str,
}

impl<N: Watched> Vigil<N> {
    /// Held for as long as `what` runs.
    pub(crate) fn over(node: &Arc<N>, what: &'static str) -> Vigil<N> {
        Vigil { node: Arc::downgrade(node), what }
    }
}

impl<N: Watched> Drop for Vigil<N> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(node) = self.node.upgrade()
        {
            node.fail(&format!("the {} panicked", self.what));
        }
    }
}

/// Spawns a task that the node cannot do without.
pub(crate) fn spawn<N: Watched>(
    node: &Arc<N>,
    what: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) {
    let vigil = Vigil::over(node, what);
    tokio::spawn(async move {
        let _vigil = vigil;
        work.await;
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;
    use tokio::sync::Notify;

    use super::*;

    /// Writes down why it was stopped.
    #[derive(Default)]
    struct Witness {
        reasons: Mutex<Vec<String>>,
        told: Notify,
    }

    impl Watched for Witness {
        fn fail(&self, why: &str) {
            self.reasons.lock().push(why.to_owned());
            self.told.notify_one();
        }
    }

    fn reasons(witness: &Witness) -> Vec<String> {
        witness.reasons.lock().clone()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_task_that_panics_stops_the_node() {
        let witness = Arc::new(Witness::default());
        spawn(&witness, "heartbeat task", async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        });
        tokio::time::timeout(Duration::from_secs(5), witness.told.notified()).await.expect("it is told");
        assert_eq!(reasons(&witness), ["the heartbeat task panicked"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_task_that_ends_stops_nothing() {
        let (witness, ended) = (Arc::new(Witness::default()), Arc::new(Notify::new()));
        let signal = ended.clone();
        spawn(&witness, "ISR task", async move { signal.notify_one() });
        tokio::time::timeout(Duration::from_secs(5), ended.notified()).await.expect("it ends");
        tokio::task::yield_now().await;
        assert_eq!(reasons(&witness), [""; 0]);
        assert_eq!(Arc::weak_count(&witness), 0, "and its vigil is over");
    }

    #[test]
    fn a_thread_that_panics_stops_the_node_and_one_that_ends_does_not() {
        let witness = Arc::new(Witness::default());
        let run = |work: fn()| {
            let vigil = Vigil::over(&witness, "replica fetcher");
            std::thread::spawn(move || {
                let _vigil = vigil;
                work();
            })
            .join()
        };
        run(|| {}).expect("it ends");
        assert_eq!(reasons(&witness), [""; 0]);
        assert!(run(|| panic!("on purpose")).is_err());
        assert_eq!(reasons(&witness), ["the replica fetcher panicked"]);
    }

    #[test]
    fn a_panic_after_the_node_is_gone_is_nobodys() {
        let witness = Arc::new(Witness::default());
        let vigil = Vigil::over(&witness, "replica fetcher");
        drop(witness);
        let ended = std::thread::spawn(move || {
            let _vigil = vigil;
            panic!("on purpose");
        })
        .join();
        assert!(
            ended.is_err(),
            "the panic of the thread is not lost, and dropping its vigil is no second one"
        );
    }
}
