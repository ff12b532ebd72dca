//! Bytes in and out of one socket: requests are gathered into vectored writes, answers are cut into frames.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use foldhash::HashMap;
use ottla_protocol::frame::LENGTH_BYTES;
use ottla_protocol::wire::Gathered;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{CallError, CloseReason};

/// The correlation id at the front of a response.
const CORRELATION_BYTES: usize = 4;
/// A frame is read into memory as it comes, at most this much ahead of its bytes.
const GROW_BYTES: usize = 1 << 20;
/// Room for what comes next: as much as the frame before took, within these bounds, so that one call reads a whole
/// answer and knows that no more is there.
const ROOM_BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=256 << 10;
/// Requests that are put into one write.
const GATHER: usize = 64;

/// A framed request on its way out.
pub(crate) type Outgoing = VecDeque<Bytes>;
/// The frame of an answer without its length and correlation id.
pub(crate) type Answer = Result<Bytes, CallError>;

/// Calls that wait for an answer, by correlation id; `None` once the connection has ended.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<Waiting>);

#[derive(Debug)]
enum Waiting {
    Open(HashMap<i32, oneshot::Sender<Answer>>),
    Closed(CloseReason),
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting::Open(HashMap::default())
    }
}

impl Pending {
    /// Waits for the answer to `correlation`; fails when the connection has ended.
    pub(crate) fn add(&self, correlation: i32, answer: oneshot::Sender<Answer>) -> Result<(), CallError> {
        match &mut *self.0.lock() {
            Waiting::Open(waiting) => {
                waiting.insert(correlation, answer);
                Ok(())
            }
            Waiting::Closed(reason) => Err(CallError::Closed(reason.clone())),
        }
    }

    pub(crate) fn remove(&self, correlation: i32) -> Option<oneshot::Sender<Answer>> {
        match &mut *self.0.lock() {
            Waiting::Open(waiting) => waiting.remove(&correlation),
            Waiting::Closed(_) => None,
        }
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        match &*self.0.lock() {
            Waiting::Open(_) => None,
            Waiting::Closed(reason) => Some(reason.clone()),
        }
    }

    /// Ends every call that waits; the first reason stands.
    fn close(&self, reason: &CloseReason) {
        let mut state = self.0.lock();
        if let Waiting::Open(waiting) = &mut *state {
            let waiting = std::mem::take(waiting);
            *state = Waiting::Closed(reason.clone());
            drop(state);
            for (_, answer) in waiting {
                // A call that was given up does not listen any more.
                let _ = answer.send(Err(CallError::Closed(reason.clone())));
            }
        }
    }
}

/// Cuts what a writer wrote into the pieces of a vectored write.
pub(crate) fn pieces(bytes: Vec<u8>, gathered: Vec<Gathered>) -> Outgoing {
    let bytes = Bytes::from(bytes);
    let mut pieces = VecDeque::with_capacity(1 + 2 * gathered.len());
    let mut from = 0;
    for part in gathered {
        pieces.push_back(bytes.slice(from..part.at));
        from = part.at;
        let records = part.records.as_bytes().expect("CLIENT-1 record data of a request lies in memory");
        pieces.push_back(records.clone());
    }
    pieces.push_back(bytes.slice(from..));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Runs a connection until it ends: the last sender of `outgoing` is gone, `close` is told, or the socket fails.
pub(crate) async fn run(
    stream: TcpStream,
    outgoing: mpsc::Receiver<Outgoing>,
    pending: Arc<Pending>,
    ended: watch::Sender<Option<CloseReason>>,
    close: Arc<tokio::sync::Notify>,
    max_frame_bytes: usize,
) {
    let (input, output) = stream.into_split();
    let reason = tokio::select! {
        reason = read(input, &pending, max_frame_bytes) => reason,
        reason = write(output, outgoing) => reason,
        () = close.notified() => CloseReason::Local,
    };
    pending.close(&reason);
    ended.send_replace(Some(reason));
}

async fn write(mut output: OwnedWriteHalf, mut outgoing: mpsc::Receiver<Outgoing>) -> CloseReason {
    let mut batch = Vec::with_capacity(GATHER);
    loop {
        if outgoing.recv_many(&mut batch, GATHER).await == 0 {
            return CloseReason::Local;
        }
        let mut pieces = Pieces(batch.drain(..).flatten().collect());
        if let Err(error) = output.write_all_buf(&mut pieces).await {
            return CloseReason::of(&error);
        }
    }
}

async fn read(input: OwnedReadHalf, pending: &Pending, max_frame_bytes: usize) -> CloseReason {
    let mut input = Input { input, held: BytesMut::new(), room: *ROOM_BYTES.start() };
    loop {
        match input.frame(max_frame_bytes).await {
            Ok(Ok((correlation, body))) => {
                if let Some(answer) = pending.remove(correlation) {
                    let _ = answer.send(Ok(body));
                }
            }
            Ok(Err(reason)) => return reason,
            Err(error) => return CloseReason::of(&error),
        }
    }
}

/// A socket's bytes, cut into frames.
struct Input {
    input: OwnedReadHalf,
    /// What has come of the next frames.
    held: BytesMut,
    /// Bytes that the next read has room for.
    room: usize,
}

impl Input {
    /// Reads one frame. What is allocated follows the bytes that came, not the length that was claimed.
    async fn frame(&mut self, max_frame_bytes: usize) -> io::Result<Result<(i32, Bytes), CloseReason>> {
        while self.held.len() < LENGTH_BYTES {
            self.held.reserve(self.room);
            self.more().await?;
        }
        let length = self.held.get_i32();
        let size = match usize::try_from(length) {
            Ok(size) if (CORRELATION_BYTES..=max_frame_bytes).contains(&size) => size,
            _ => return Ok(Err(CloseReason::FrameLength(length.into()))),
        };
        // One more than the frame, so that its end shows that the socket is empty.
        self.room = (LENGTH_BYTES + size + 1).clamp(*ROOM_BYTES.start(), *ROOM_BYTES.end());
        while self.held.len() < size {
            let left = size - self.held.len();
            self.held.reserve((left + 1).min(self.held.len().max(GROW_BYTES)));
            self.more().await?;
        }
        let mut frame = self.held.split_to(size);
        let correlation = frame.get_i32();
        Ok(Ok((correlation, frame.freeze())))
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.input.read_buf(&mut self.held).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Pieces of requests as one buffer.
struct Pieces(VecDeque<Bytes>);

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [IoSlice<'a>]) -> usize {
        let count = to.len().min(self.0.len());
        for (slot, piece) in to.iter_mut().zip(&self.0) {
            *slot = IoSlice::new(piece);
        }
        count
    }

    fn advance(&mut self, mut n: usize) {
        while let Some(front) = self.0.front_mut() {
            if n < front.len() {
                return front.advance(n);
            }
            n -= front.len();
            self.0.pop_front();
        }
        assert!(n == 0, "CLIENT-2 no more bytes are written than there are");
    }
}
