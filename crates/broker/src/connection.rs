//! One client's connection: frames in, responses out, in request order.
//!
//! What arrives together leaves together: all requests read in one wake-up are handled, then their responses leave in
//! one vectored write. A request whose answer comes later holds back the connection's next requests, as in Kafka.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ottla_protocol::Listener;
use tokio::net::TcpStream;
use tracing::{debug, info};

use crate::dispatch;
use crate::network::NetThread;
use crate::outbox::Outbox;
use crate::reply::{Outcome, Pending, Refusal};

/// A connection's own buffer above this size is given back when it is empty.
const KEEP_BYTES: usize = 16 * 1024;
/// The least room that is made for the rest of a frame.
const GROW_BYTES: usize = 64 * 1024;

/// Responses of more bytes than this leave before further requests are looked at.
const OUTBOX_BYTES: usize = 1024 * 1024;

/// What is known of a client.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// `listener.name` as configured, upper case.
    pub(crate) listener_name: Arc<str>,
    pub(crate) listener: Listener,
    /// Name and version that the client gave in ApiVersions (KIP-511).
    pub(crate) software: Cell<Option<(u64, u64)>>,
}

impl Peer {
    /// The host as Kafka writes it in group descriptions.
    pub(crate) fn host(&self) -> String {
        format!("/{}", self.address.ip().to_canonical())
    }
}

/// A connection under way.
pub(crate) struct Connection {
    thread: Rc<NetThread>,
    stream: TcpStream,
    peer: Rc<Peer>,
    /// The beginning of a frame whose rest has not come yet, or frames behind one that is still being answered.
    held: Vec<u8>,
    outbox: Outbox,
}

enum Drained {
    /// All whole frames were handled.
    Dry,
    /// A request is answered later.
    Waits(Pending),
    /// So many responses are ready that they leave before more are made.
    Full,
    /// The last response asks for the end.
    Ended,
}

impl Connection {
    pub(crate) fn new(thread: Rc<NetThread>, stream: TcpStream, peer: Peer) -> Connection {
        Connection { thread, stream, peer: Rc::new(peer), held: Vec::new(), outbox: Outbox::default() }
    }

    /// Serves the client until it leaves, breaks the protocol or the node stops.
    pub(crate) async fn serve(mut self, last_active_ms: Rc<Cell<i64>>) {
        match self.run(&last_active_ms).await {
            Ok(()) => debug!(client = %self.peer.address, "client left"),
            Err(End::Refused(refusal)) => {
                // What was already answered still leaves.
                let _ = self.outbox.flush(&self.stream).await;
                info!("[SocketServer listenerName={}] closing connection from {}: {refusal}", self.peer.listener_name, self.peer.address);
            }
            Err(End::Io(error)) => debug!(client = %self.peer.address, %error, "connection broke"),
        }
    }

    async fn run(&mut self, last_active_ms: &Cell<i64>) -> Result<(), End> {
        loop {
            let drained = self.read_and_drain().await?;
            let Some(mut drained) = drained else { return Ok(()) };
            last_active_ms.set(self.thread.now_ms());
            loop {
                self.outbox.flush(&self.stream).await?;
                match drained {
                    Drained::Dry => break,
                    Drained::Ended => return Ok(()),
                    Drained::Full => drained = self.drain_held()?,
                    Drained::Waits(pending) => {
                        let reply = pending.await?;
                        let last = reply.last;
                        self.outbox.push(reply)?;
                        last_active_ms.set(self.thread.now_ms());
                        drained = if last { Drained::Ended } else { self.drain_held()? };
                    }
                }
            }
        }
    }

    /// Waits for bytes and handles the whole frames among them; `None` when the client has left.
    async fn read_and_drain(&mut self) -> Result<Option<Drained>, End> {
        loop {
            self.stream.readable().await?;
            if self.held.is_empty() {
                let thread = self.thread.clone();
                let mut scratch = thread.scratch.borrow_mut();
                let read = match self.stream.try_read(&mut scratch) {
                    Ok(0) => return Ok(None),
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error.into()),
                };
                let (used, drained) = self.drain(&scratch[..read])?;
                self.held.extend_from_slice(&scratch[used..read]);
                return Ok(Some(drained));
            }
            self.make_room()?;
            match self.stream.try_read_buf(&mut self.held) {
                Ok(0) => return Ok(None),
                Ok(_) => return self.drain_held().map(Some).map_err(End::Refused),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Room for the rest of the frame that has begun: never more than what has come already, and a little.
    fn make_room(&mut self) -> Result<(), End> {
        let missing = match frame_size(&self.held, self.thread.limits.request_max_bytes)? {
            Some(size) => (4 + size).saturating_sub(self.held.len()),
            None => GROW_BYTES,
        };
        self.held.reserve_exact(missing.min(self.held.len().max(GROW_BYTES)).max(1));
        Ok(())
    }

    fn drain_held(&mut self) -> Result<Drained, Refusal> {
        let mut held = std::mem::take(&mut self.held);
        let (used, drained) = self.drain(&held)?;
        if used == held.len() {
            held.clear();
            if held.capacity() > KEEP_BYTES {
                held = Vec::new();
            }
        } else {
            held.drain(..used);
        }
        self.held = held;
        Ok(drained)
    }

    /// Handles whole frames from the front of `data` until none is left or one is answered later; the first value
    /// says how many bytes were used.
    fn drain(&mut self, data: &[u8]) -> Result<(usize, Drained), Refusal> {
        let mut used = 0;
        while let Some(size) = frame_size(&data[used..], self.thread.limits.request_max_bytes)? {
            let Some(frame) = data[used + 4..].get(..size) else { break };
            used += 4 + size;
            match dispatch::dispatch(&self.thread, &self.peer, frame)? {
                Outcome::Reply(reply) => {
                    let last = reply.last;
                    self.outbox.push(reply)?;
                    if last {
                        return Ok((used, Drained::Ended));
                    }
                    if self.outbox.memory_bytes() > OUTBOX_BYTES {
                        return Ok((used, Drained::Full));
                    }
                }
                Outcome::Silence => {}
                Outcome::Later(pending) => return Ok((used, Drained::Waits(pending))),
            }
        }
        Ok((used, Drained::Dry))
    }
}

/// The size of the frame at the front of `data`, once its four bytes are there.
fn frame_size(data: &[u8], max_bytes: i32) -> Result<Option<usize>, Refusal> {
    let Some(size) = data.first_chunk::<4>() else { return Ok(None) };
    match i32::from_be_bytes(*size) {
        size if size < 0 || size > max_bytes => Err(Refusal::FrameSize(size)),
        size => Ok(Some(size as usize)),
    }
}

enum End {
    Refused(Refusal),
    Io(io::Error),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> End {
        End::Refused(refusal)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Io(error)
    }
}
