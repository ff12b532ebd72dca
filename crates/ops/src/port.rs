//! The socket and its connections: few, bounded, and on a thread of their own.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::guard::Names;
use crate::observed::Observed;
use crate::route::{self, Shared};

/// So many connections at a time; others wait in the system's backlog.
const CONNECTIONS: usize = 64;
/// The head of a request has this long to come, and a connection may idle as long.
const HEAD: Duration = Duration::from_secs(15);
/// Bytes and fields that a head may have.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// A connection ends after this, when the answer under way is out, at the latest after that much more.
const LIFE: Duration = Duration::from_secs(120);
const GRACE: Duration = Duration::from_secs(30);
/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens, and that nobody serves yet.
#[derive(Debug)]
pub struct Bound(TcpListener);

impl Bound {
    /// Binds the first address that is free.
    ///
    /// # Errors
    /// That of the last address, where none is.
    pub fn first_of(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<Bound> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpListener::bind(address) {
                Ok(socket) => return Ok(Bound(socket)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A port that is served, until this is dropped.
#[derive(Debug)]
pub struct Ops {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ops {
    /// Serves the port. `names` are those by which the node may be asked, besides addresses and `localhost`.
    ///
    /// # Errors
    /// No thread, or no event loop for it.
    pub fn serve(
        bound: Bound,
        names: impl IntoIterator<Item = String>,
        node: Arc<dyn Observed>,
    ) -> io::Result<Ops> {
        let address = bound.address()?;
        bound.0.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(1)
            .build()?;
        let shared = Shared::new(Names::new(names), node);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("ops".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(bound.0, shared) => {}
                    _ = stopped => {}
                }
            });
            // A name that is being looked up is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Ops { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Ops {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the thread of the operations port had panicked");
        }
    }
}

async fn accept(socket: TcpListener, shared: Arc<Shared>) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return warn!("the operations port cannot be served: {error}"),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed, so that there is always a place some time.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match socket.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, shared.clone(), place))),
            Err(error) => {
                debug!("the operations port cannot accept: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, place: OwnedSemaphorePermit) {
    let answers = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (shared, (head, _)) = (shared.clone(), request.into_parts());
        async move { Ok::<_, Infallible>(route::answer(&shared, &head).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEAD_FIELDS)
            .serve_connection(TokioIo::new(stream), answers)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = sleep(LIFE) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection.as_mut()).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!("a connection to the operations port broke: {error}");
    }
    drop(place);
}
