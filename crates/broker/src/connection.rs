//! One client's connection: frames in, responses out, in request order.
//!
//! What arrives together leaves together: all requests read in one wake-up are handled, then their responses leave in
//! one vectored write. A request whose answer comes later holds back the connection's next requests, as in Kafka; but
//! Produce requests behind a Produce that waits for its replicas are appended meanwhile, so that the replicas fetch
//! them together. Their answers keep the order of the requests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{self, Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut as _;
use ottla_protocol::{ApiKey, Listener};
use parking_lot::Mutex;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, ReadBuf};
use tokio::net::TcpStream;
use tracing::{debug, error, info};

use crate::dispatch;
use crate::network::{NetThread, Open};
use crate::outbox::{Outbox, Unsent};
use crate::reply::{Outcome, Pending, Refusal};
use crate::standing::Standing;

/// A connection's own buffer above this size is given back when it is empty.
const KEEP_BYTES: usize = 16 * 1024;
/// The least room that is made for the rest of a frame.
const GROW_BYTES: usize = 64 * 1024;
/// So much of a frame that has begun is copied before what comes next, so that one call reads its rest and all behind
/// it. The rest of what is longer comes alone.
const CARRY_BYTES: usize = 32 * 1024;

/// Responses of more bytes than this leave before further requests are looked at.
const OUTBOX_BYTES: usize = 1024 * 1024;
/// After this many bytes of requests the thread's other connections have their turn.
const TURN_BYTES: usize = 1024 * 1024;
/// So many Produce requests of a connection wait for their replicas at a time.
const OVERLAP: usize = 64;

/// What is known of a client.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// `listener.name` as configured, upper case.
    pub(crate) listener_name: Arc<str>,
    pub(crate) listener: Listener,
    /// A broker passed the client's request on in an envelope.
    pub(crate) forwarded: bool,
    /// The session of the replica that fetches here.
    pub(crate) standing: RefCell<Option<Arc<Mutex<Standing>>>>,
}

impl Peer {
    /// A client whose request came to a controller's listener in an envelope. Its port is not told.
    pub(crate) fn passed_on(address: std::net::IpAddr, listener_name: &str) -> Peer {
        Peer {
            address: SocketAddr::new(address, 0),
            listener_name: listener_name.into(),
            listener: Listener::Controller,
            forwarded: true,
            standing: RefCell::default(),
        }
    }

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
    /// Answers that come later, in the order of their requests.
    due: VecDeque<Pending>,
    /// Whether all of these are answers to Produce requests.
    overlaps: bool,
    /// Whether the client sends nothing more. What it asked before is still answered.
    has_left: bool,
    /// Bytes read since the thread's other connections had their turn.
    turn_bytes: usize,
}

enum Drained {
    /// All whole frames were handled.
    Dry,
    /// The next frame has to wait for the answers that are due.
    Held,
    /// So many responses are ready that they leave before more are made.
    Full,
    /// The last response asks for the end.
    Ended,
}

impl Connection {
    pub(crate) fn new(thread: Rc<NetThread>, stream: TcpStream, peer: Peer) -> Connection {
        Connection {
            thread,
            stream,
            peer: Rc::new(peer),
            held: Vec::new(),
            outbox: Outbox::default(),
            due: VecDeque::new(),
            overlaps: false,
            has_left: false,
            turn_bytes: 0,
        }
    }

    /// Serves the client until it leaves, breaks the protocol or the node stops.
    pub(crate) async fn serve(mut self, open: Rc<Open>) {
        match self.run(&open).await {
            Ok(()) => debug!(client = %self.peer.address, "client left"),
            Err(End::Refused(refusal)) => {
                self.tell(&refusal);
                // What was already answered still leaves.
                let _ = self.outbox.flush(&self.stream, || ()).await;
            }
            Err(End::Io(error)) => debug!(client = %self.peer.address, %error, "connection broke"),
        }
    }

    /// One line about a client that is refused, within the node's budget for such lines.
    fn tell(&self, refusal: &Refusal) {
        // The node says itself what it waits for; its clients need not be counted.
        if matches!(refusal, Refusal::NotYet) {
            return;
        }
        let Some(leave) = self.thread.node.lines().spend(self.thread.now_ms()) else { return };
        let (name, address) = (&self.peer.listener_name, self.peer.address);
        match refusal {
            Refusal::File(_) => {
                error!(
                    "[SocketServer listenerName={name}] closing connection from {address}: {refusal}{leave}"
                );
            }
            _ => info!(
                "[SocketServer listenerName={name}] closing connection from {address}: {refusal}{leave}"
            ),
        }
    }

    async fn run(&mut self, open: &Open) -> Result<(), End> {
        let mut drained = Drained::Dry;
        loop {
            self.outbox.flush(&self.stream, || open.touch(&self.thread)).await?;
            if self.turn_bytes >= TURN_BYTES {
                self.turn_bytes = 0;
                tokio::task::yield_now().await;
            }
            drained = match drained {
                Drained::Ended => return Ok(()),
                Drained::Full => {
                    tokio::task::yield_now().await;
                    self.drain_held()?
                }
                Drained::Dry | Drained::Held => {
                    if self.has_left && self.due.is_empty() {
                        return Ok(());
                    }
                    // Many that turn out to be ready at once must not keep the thread to themselves.
                    tokio::task::coop::consume_budget().await;
                    let may_read = matches!(drained, Drained::Dry) && !self.has_left;
                    let next = poll_fn(|cx| self.poll_next(cx, may_read)).await?;
                    open.touch(&self.thread);
                    next
                }
            };
        }
    }

    /// Takes the answers that are there by now; if there are none, reads where it `may_read`.
    fn poll_next(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<Result<Drained, End>> {
        let mut is_answered = false;
        while let Some(first) = self.due.front_mut() {
            let Poll::Ready(reply) = first.as_mut().poll(cx) else { break };
            self.due.pop_front();
            let reply = reply?;
            let last = reply.last;
            self.outbox.push(reply);
            if last {
                return Poll::Ready(Ok(Drained::Ended));
            }
            is_answered = true;
            if self.outbox.memory_bytes() > OUTBOX_BYTES {
                return Poll::Ready(Ok(Drained::Full));
            }
        }
        if is_answered {
            return Poll::Ready(self.drain_held().map_err(End::Refused));
        }
        if may_read { self.poll_read(cx) } else { Poll::Pending }
    }

    /// Waits for bytes and handles the whole frames among them. A read that leaves room has emptied the socket: by
    /// way of `poll_read` the runtime knows that, and saves a call that would find nothing.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Drained, End>> {
        let begun = self.held.len();
        if begun <= CARRY_BYTES {
            let thread = self.thread.clone();
            let mut scratch = thread.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(&mut scratch[begun..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let read = buffer.filled().len();
            if read > 0 {
                self.turn_bytes += read;
                scratch[..begun].copy_from_slice(&self.held);
                let all = &scratch[..begun + read];
                let (used, drained) = self.drain(all)?;
                self.hold(&all[used..]);
                return Poll::Ready(Ok(drained));
            }
        } else {
            let room = self.make_room()?;
            let read = ready!(pin!(self.stream.read_buf(&mut (&mut self.held).limit(room))).poll(cx))?;
            if read > 0 {
                self.turn_bytes += read;
                return Poll::Ready(self.drain_held().map_err(End::Refused));
            }
        }
        self.has_left = true;
        Poll::Ready(Ok(Drained::Dry))
    }

    /// Keeps what has come of the next frames.
    fn hold(&mut self, rest: &[u8]) {
        self.held.clear();
        if rest.is_empty() && self.held.capacity() > KEEP_BYTES {
            self.thread.give_back(std::mem::take(&mut self.held));
        }
        self.held.extend_from_slice(rest);
    }

    /// Room for the rest of the frame that has begun: never more than what has come already, and a little. Returns how
    /// much: one more than what is missing, so that its end shows that the socket is empty.
    fn make_room(&mut self) -> Result<usize, End> {
        let missing = match frame_size(&self.held, self.thread.limits.request_max_bytes)? {
            Some(size) => (4 + size).saturating_sub(self.held.len()),
            None => GROW_BYTES,
        };
        let room = missing.min(self.held.len().max(GROW_BYTES)) + 1;
        if self.held.capacity() - self.held.len() < room {
            self.thread.lend(&mut self.held, room);
        }
        Ok(room)
    }

    fn drain_held(&mut self) -> Result<Drained, Refusal> {
        if self.held.is_empty() {
            return Ok(Drained::Dry);
        }
        let mut held = std::mem::take(&mut self.held);
        let (used, drained) = self.drain(&held)?;
        if used == held.len() {
            held.clear();
            if held.capacity() > KEEP_BYTES {
                self.thread.give_back(std::mem::take(&mut held));
            }
        } else {
            held.drain(..used);
        }
        self.held = held;
        Ok(drained)
    }

    /// Handles whole frames from the front of `data` until none is left or one has to wait; the first value says how
    /// many bytes were used.
    fn drain(&mut self, data: &[u8]) -> Result<(usize, Drained), Refusal> {
        let mut used = 0;
        while let Some(size) = frame_size(&data[used..], self.thread.limits.request_max_bytes)? {
            let Some(frame) = data[used + 4..].get(..size) else { break };
            let is_produce = frame.first_chunk() == Some(&(ApiKey::Produce as i16).to_be_bytes());
            let may_overlap = is_produce && self.overlaps && self.due.len() < OVERLAP;
            if !self.due.is_empty() && !may_overlap {
                return Ok((used, Drained::Held));
            }
            used += 4 + size;
            match dispatch::dispatch(&self.thread, &self.peer, frame)? {
                Outcome::Reply(reply) if !self.due.is_empty() => {
                    self.due.push_back(Box::pin(future::ready(Ok(reply))));
                }
                Outcome::Reply(reply) => {
                    let last = reply.last;
                    self.outbox.push(reply);
                    if last {
                        return Ok((used, Drained::Ended));
                    }
                    if self.outbox.memory_bytes() > OUTBOX_BYTES {
                        return Ok((used, Drained::Full));
                    }
                }
                Outcome::Silence => {}
                Outcome::Later(pending) => {
                    self.due.push_back(pending);
                    self.overlaps = is_produce;
                }
                Outcome::Alone(pending) => {
                    self.due.push_back(pending);
                    self.overlaps = false;
                }
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

impl From<Unsent> for End {
    fn from(unsent: Unsent) -> End {
        match unsent {
            Unsent::Socket(error) => End::Io(error),
            Unsent::File(error) => End::Refused(Refusal::File(error)),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Io(error)
    }
}
