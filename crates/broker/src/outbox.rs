//! Responses on their way to one socket: what is there leaves together, with as few calls as the kernel allows.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use tokio::net::TcpStream;

use crate::reply::{InsertData, Reply};

/// The most bytes of a file that are read at once for a socket.
const READ_BYTES: usize = 256 * 1024;
/// The most buffers of one vectored write.
const VECTORS: usize = 64;

enum Part {
    Bytes(bytes::Bytes),
    File { slice: ottla_log::Slice, sent_bytes: usize },
}

/// The parts that have not left yet, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    parts: VecDeque<Part>,
}

impl Outbox {
    pub(crate) fn push(&mut self, reply: Reply) {
        let mut bytes = bytes::Bytes::from(reply.bytes);
        let mut taken = 0;
        for insert in reply.inserts {
            let before = bytes.split_to(insert.at - taken);
            taken = insert.at;
            self.parts.push_back(Part::Bytes(before));
            self.parts.push_back(match insert.data {
                InsertData::Bytes(data) => Part::Bytes(data),
                InsertData::File(slice) => Part::File { slice, sent_bytes: 0 },
            });
        }
        if !bytes.is_empty() {
            self.parts.push_back(Part::Bytes(bytes));
        }
    }

    /// Bytes in memory that wait to leave; file slices take none.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.parts.iter().map(|part| if let Part::Bytes(bytes) = part { bytes.len() } else { 64 }).sum()
    }

    /// Sends everything. `scratch` is the network thread's, lent for the time between two waits.
    pub(crate) async fn flush(
        &mut self,
        stream: &TcpStream,
        scratch: &std::cell::RefCell<Box<[u8]>>,
    ) -> io::Result<()> {
        while !self.parts.is_empty() {
            let sent = match self.try_send(stream, &mut scratch.borrow_mut()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                result => Some(result?),
            };
            match sent {
                Some(0) => return Err(io::ErrorKind::WriteZero.into()),
                Some(sent) => self.advance(sent),
                None => stream.writable().await?,
            }
        }
        Ok(())
    }

    /// One vectored write of the leading parts; of file parts as much as fits into `scratch`.
    fn try_send(&self, stream: &TcpStream, scratch: &mut [u8]) -> io::Result<usize> {
        let limit = scratch.len().min(READ_BYTES);
        let mut free = &mut scratch[..limit];
        let mut vectors: smallvec::SmallVec<[IoSlice<'_>; 16]> = smallvec::SmallVec::new();
        for part in &self.parts {
            if vectors.len() == VECTORS {
                break;
            }
            match part {
                Part::Bytes(bytes) => vectors.push(IoSlice::new(bytes)),
                Part::File { slice, sent_bytes } => {
                    let left = slice.len() - sent_bytes;
                    let want = left.min(free.len());
                    if want == 0 {
                        break;
                    }
                    let (into, rest) = free.split_at_mut(want);
                    slice.read_at(*sent_bytes, into)?;
                    vectors.push(IoSlice::new(into));
                    free = rest;
                    if want < left {
                        break;
                    }
                }
            }
        }
        stream.try_write_vectored(&vectors)
    }

    fn advance(&mut self, mut sent: usize) {
        while sent > 0 {
            let Some(part) = self.parts.front_mut() else { return };
            let left = match part {
                Part::Bytes(bytes) => bytes.len(),
                Part::File { slice, sent_bytes } => slice.len() - *sent_bytes,
            };
            if sent >= left {
                sent -= left;
                self.parts.pop_front();
                continue;
            }
            match part {
                Part::Bytes(bytes) => drop(bytes.split_to(sent)),
                Part::File { sent_bytes, .. } => *sent_bytes += sent,
            }
            return;
        }
        // Parts of no bytes at all must not keep the flush waiting.
        while matches!(self.parts.front(), Some(Part::Bytes(bytes)) if bytes.is_empty()) {
            self.parts.pop_front();
        }
    }
}
