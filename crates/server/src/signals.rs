//! SIGTERM and SIGINT, from the first moment on: a node that waits for others can be told to stop too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

/// Listens on a thread of its own.
pub(crate) struct Signals {
    flag: Arc<AtomicBool>,
    told: watch::Receiver<bool>,
}

impl Signals {
    /// From here on the signals are told instead of ending the process.
    pub(crate) fn listen() -> Signals {
        let flag = Arc::new(AtomicBool::new(false));
        let (tell, told) = watch::channel(false);
        let (ready, listening) = std::sync::mpsc::channel::<()>();
        let set = flag.clone();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let wait = async {
                let (mut term, mut interrupt) =
                    (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
                drop(ready);
                tokio::select! {
                    _ = term.recv() => info!("SIGTERM: stopping"),
                    _ = interrupt.recv() => info!("SIGINT: stopping"),
                }
                set.store(true, Ordering::SeqCst);
                tell.send_replace(true);
                std::io::Result::Ok(())
            };
            if let Err(error) = runtime.and_then(|runtime| runtime.block_on(wait)) {
                warn!("cannot listen for signals: {error}");
            }
        };
        match std::thread::Builder::new().name("signals".into()).spawn(run) {
            // The thread has dropped its end: it listens, or has said why it cannot.
            Ok(_) => drop(listening.recv()),
            Err(error) => warn!("cannot listen for signals: {error}"),
        }
        Signals { flag, told }
    }

    /// Set once a signal came.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    /// Waits for a signal.
    pub(crate) async fn told(&mut self) {
        if self.told.wait_for(|told| *told).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
