//! Network threads: each one current-thread runtime that owns its connections for life.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_protocol::Listener;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tracing::debug;

use crate::admission::{Admission, Permit};
use crate::anchor;
use crate::connection::{Connection, Peer};
use crate::node::Node;
use crate::owed::{self, Owed};
use crate::partition::Tools;

/// Bytes of the buffer that a thread's connections read into and send from by turns.
const SCRATCH_BYTES: usize = 256 * 1024;
/// A buffer of a long frame that is kept for the next one is at most this large: memory that was given back costs a
/// fault a page when it is used anew.
const SPARE_BYTES: usize = 2 * 1024 * 1024;

/// Limits of the sockets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// `socket.request.max.bytes`.
    pub(crate) request_max_bytes: i32,
    /// `connections.max.idle.ms`; negative for never.
    pub(crate) idle_ms: i64,
    /// `socket.send.buffer.bytes`, -1 for the system's.
    pub(crate) send_buffer_bytes: i32,
    /// `socket.receive.buffer.bytes`, -1 for the system's.
    pub(crate) receive_buffer_bytes: i32,
}

/// What a network thread's connections share.
pub(crate) struct NetThread {
    pub(crate) node: Arc<Node>,
    pub(crate) limits: Limits,
    pub(crate) scratch: RefCell<Box<[u8]>>,
    pub(crate) tools: RefCell<Tools>,
    /// An empty buffer for a long frame.
    spare: RefCell<Vec<u8>>,
    pub(crate) owed: Rc<Owed>,
    connections: RefCell<HashMap<u64, Rc<Open>>>,
    last_connection: Cell<u64>,
    started: Instant,
}

/// An open connection as those see it who may close it.
pub(crate) struct Open {
    permit: Permit,
    /// By the thread's own clock, which is never set.
    active_ms: Cell<i64>,
    close: tokio::sync::Notify,
}

impl Open {
    /// Something has come or gone.
    pub(crate) fn touch(&self, thread: &NetThread) {
        self.active_ms.set(thread.running_ms());
    }
}

/// A connection's place among those of its thread; given back when dropped.
struct Place {
    thread: Rc<NetThread>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.thread.connections.borrow_mut().remove(&self.number);
    }
}

/// A connection that was accepted, on its way to a network thread.
pub(crate) struct Accepted {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) listener_name: Arc<str>,
    pub(crate) listener: Listener,
    pub(crate) permit: Permit,
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

impl NetThread {
    pub(crate) fn now_ms(&self) -> i64 {
        wall_ms()
    }

    /// Gives `held` room for `more` bytes: in the spare buffer if that is large enough.
    pub(crate) fn lend(&self, held: &mut Vec<u8>, more: usize) {
        let mut spare = self.spare.borrow_mut();
        if spare.capacity() >= held.len() + more {
            spare.extend_from_slice(held);
            *held = std::mem::take(&mut *spare);
        } else {
            held.reserve_exact(more);
        }
    }

    /// Takes back the buffer of a long frame.
    pub(crate) fn give_back(&self, mut held: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if (spare.capacity()..=SPARE_BYTES).contains(&held.capacity()) {
            held.clear();
            *spare = held;
        }
    }

    /// Milliseconds since the thread was started.
    fn running_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }
}

/// A running network thread: where to send connections.
pub(crate) struct Handle {
    pub(crate) accepted: mpsc::UnboundedSender<Accepted>,
    pub(crate) join: std::thread::JoinHandle<()>,
}

/// Starts network thread `index`. It ends when every sender of [`Handle::accepted`] is gone, closing its connections.
pub(crate) fn start(
    index: usize,
    node: Arc<Node>,
    limits: Limits,
    admission: Arc<Admission>,
) -> io::Result<Handle> {
    let (accepted, mut incoming) = mpsc::unbounded_channel::<Accepted>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let join = std::thread::Builder::new().name(format!("network-{index}")).spawn(move || {
        let scratch = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
        let tools = RefCell::default();
        let thread = Rc::new(NetThread {
            node,
            limits,
            scratch,
            tools,
            spare: RefCell::default(),
            owed: Rc::default(),
            connections: RefCell::default(),
            last_connection: Cell::new(0),
            started: Instant::now(),
        });
        let local = LocalSet::new();
        local.spawn_local(anchor::hold());
        local.spawn_local(owed::run(thread.owed.clone()));
        local.spawn_local(sweep_idle(Rc::downgrade(&thread)));
        local.spawn_local(close_surplus(Rc::downgrade(&thread), admission));
        local.block_on(&runtime, async move {
            while let Some(accepted) = incoming.recv().await {
                if let Err(error) = adopt(&thread, accepted) {
                    debug!(%error, "a connection broke before it was served");
                }
            }
        });
    })?;
    Ok(Handle { accepted, join })
}

fn adopt(thread: &Rc<NetThread>, accepted: Accepted) -> io::Result<()> {
    let Accepted { stream, address, listener_name, listener, permit } = accepted;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_keepalive(true)?;
    if thread.limits.send_buffer_bytes > 0 {
        socket.set_send_buffer_size(thread.limits.send_buffer_bytes as usize)?;
    }
    if thread.limits.receive_buffer_bytes > 0 {
        socket.set_recv_buffer_size(thread.limits.receive_buffer_bytes as usize)?;
    }
    let stream = TcpStream::from_std(stream)?;
    let peer = Peer { address, listener_name, listener, forwarded: false, standing: RefCell::default() };
    let active_ms = Cell::new(thread.running_ms());
    let open = Rc::new(Open { permit, active_ms, close: tokio::sync::Notify::new() });
    let number = thread.last_connection.get() + 1;
    thread.last_connection.set(number);
    thread.connections.borrow_mut().insert(number, open.clone());
    let place = Place { thread: thread.clone(), number };
    let connection = Connection::new(thread.clone(), stream, peer);
    tokio::task::spawn_local(async move {
        let _place = place;
        tokio::select! {
            biased;
            () = connection.serve(open.clone()) => {}
            () = open.close.notified() => debug!(%address, "connection was idle for too long, or one too many"),
        }
    });
    Ok(())
}

/// Closes connections on which nothing has come or gone for `connections.max.idle.ms`.
async fn sweep_idle(thread: Weak<NetThread>) {
    loop {
        let idle_ms = match thread.upgrade() {
            Some(thread) => thread.limits.idle_ms,
            None => return,
        };
        let period_ms = if idle_ms < 0 { 60_000 } else { (idle_ms / 8).clamp(50, 60_000) };
        tokio::time::sleep(Duration::from_millis(period_ms as u64)).await;
        let Some(thread) = thread.upgrade() else { return };
        let now_ms = thread.running_ms();
        for open in thread.connections.borrow().values() {
            if idle_ms >= 0 && now_ms - open.active_ms.get() > idle_ms {
                open.close.notify_one();
            }
        }
    }
}

/// Closes connections where there are more than `max.connections`, the one that was silent for longest first.
async fn close_surplus(thread: Weak<NetThread>, admission: Arc<Admission>) {
    loop {
        let surplus = admission.surplus();
        if let Some(thread) = thread.upgrade() {
            let mut open: Vec<Rc<Open>> = thread.connections.borrow().values().cloned().collect();
            open.sort_by_key(|open| open.active_ms.get());
            for open in open {
                if open.permit.must_leave() {
                    open.close.notify_one();
                    // Other threads have connections too; each closes one of its own in turn.
                    tokio::task::yield_now().await;
                }
            }
        }
        surplus.await;
    }
}
