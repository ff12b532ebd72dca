//! Responses on their way to one socket: what is there leaves together, with as few calls as the kernel allows.
//!
//! Record data goes from the page cache to the socket by one copy, the kernel's: the log maps the file, `writev` reads
//! the map. Where files cannot be mapped they are read into the thread's buffer.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use bytes::{Buf, Bytes};
use ottla_log::map::{Mapped, Part as Gather, write_gathered};
use smallvec::SmallVec;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::reply::{InsertData, Reply};

/// The most parts of one vectored write.
const PARTS: usize = 128;
/// What a part takes that is not in memory, for the count of [`Outbox::memory_bytes`].
const FILE_PART_BYTES: usize = 64;

enum Part {
    Bytes(Bytes),
    Mapped { mapped: Mapped, sent: usize },
}

/// The parts that have not left yet, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    parts: VecDeque<Part>,
    memory_bytes: usize,
}

impl Outbox {
    /// Puts a response behind the others.
    pub(crate) fn push(&mut self, reply: Reply) -> io::Result<()> {
        let mut bytes = Bytes::from(reply.bytes);
        let mut taken = 0;
        for insert in reply.inserts {
            let before = bytes.split_to(insert.at - taken);
            taken = insert.at;
            self.push_bytes(before);
            match insert.data {
                InsertData::Bytes(data) => self.push_bytes(data),
                InsertData::File(slice) => match slice.map()? {
                    Some(mapped) => {
                        self.memory_bytes += FILE_PART_BYTES;
                        self.parts.push_back(Part::Mapped { mapped, sent: 0 });
                    }
                    None => self.push_bytes(slice.to_vec()?.into()),
                },
            }
        }
        self.push_bytes(bytes);
        Ok(())
    }

    fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.memory_bytes += bytes.len();
            self.parts.push_back(Part::Bytes(bytes));
        }
    }

    /// Bytes in memory that wait to leave; parts of files count little.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Sends everything.
    pub(crate) async fn flush(&mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.parts.is_empty() {
            match stream.try_io(Interest::WRITABLE, || self.write_some(stream)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
                Err(error) => return Err(error),
            }
        }
        self.memory_bytes = 0;
        Ok(())
    }

    fn write_some(&self, stream: &TcpStream) -> io::Result<usize> {
        let gather: SmallVec<[Gather<'_>; 16]> = self
            .parts
            .iter()
            .take(PARTS)
            .map(|part| match part {
                Part::Bytes(bytes) => Gather::Bytes(bytes),
                Part::Mapped { mapped, sent } => Gather::Mapped { mapped, skip: *sent },
            })
            .collect();
        write_gathered(stream.as_fd(), &gather)
    }

    fn advance(&mut self, mut sent: usize) {
        while let Some(part) = self.parts.front_mut() {
            let left = match part {
                Part::Bytes(bytes) => bytes.len(),
                Part::Mapped { mapped, sent } => mapped.len() - *sent,
            };
            if sent < left {
                match part {
                    Part::Bytes(bytes) => bytes.advance(sent),
                    Part::Mapped { sent: before, .. } => *before += sent,
                }
                return;
            }
            sent -= left;
            self.parts.pop_front();
        }
    }
}
