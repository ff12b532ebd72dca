//! Responses on their way to one socket: what is there leaves together, with as few calls as the kernel allows.
//!
//! Record data goes from the page cache to the socket by one copy, the kernel's: the log maps the file, `writev` reads
//! the map. Files are mapped when their turn comes, so that a long response costs no more maps than one call can take.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use bytes::{Buf, Bytes};
use ottla_log::Slice;
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
    File(Slice),
    Mapped { mapped: Mapped, sent: usize },
}

/// Why responses do not leave.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// The client is gone.
    Socket(io::Error),
    /// The record data of a response cannot be read.
    File(io::Error),
}

/// The parts that have not left yet, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    parts: VecDeque<Part>,
    memory_bytes: usize,
}

impl Outbox {
    /// Puts a response behind the others.
    pub(crate) fn push(&mut self, reply: Reply) {
        let mut bytes = Bytes::from(reply.bytes);
        let mut taken = 0;
        for insert in reply.inserts {
            let before = bytes.split_to(insert.at - taken);
            taken = insert.at;
            self.push_bytes(before);
            match insert.data {
                InsertData::Bytes(data) => self.push_bytes(data),
                InsertData::File(slice) if slice.is_empty() => {}
                InsertData::File(slice) => {
                    self.memory_bytes += FILE_PART_BYTES;
                    self.parts.push_back(Part::File(slice));
                }
            }
        }
        self.push_bytes(bytes);
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

    /// Sends everything; `moved` is called whenever the client has taken some of it.
    pub(crate) async fn flush(&mut self, stream: &TcpStream, moved: impl Fn()) -> Result<(), Unsent> {
        while !self.parts.is_empty() {
            self.open_next().map_err(Unsent::File)?;
            match stream.try_io(Interest::WRITABLE, || self.write_some(stream)) {
                Ok(0) => return Err(Unsent::Socket(io::ErrorKind::WriteZero.into())),
                Ok(sent) => {
                    self.advance(sent);
                    moved();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.writable().await.map_err(Unsent::Socket)?;
                }
                // The kernel could not read the map: the file has been cut meanwhile.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::FAULT.raw_os_error()) => {
                    return Err(Unsent::File(error));
                }
                Err(error) => return Err(Unsent::Socket(error)),
            }
        }
        self.memory_bytes = 0;
        Ok(())
    }

    /// Maps the files among the parts that leave next. A file that cannot be mapped is read.
    fn open_next(&mut self) -> io::Result<()> {
        for part in self.parts.iter_mut().take(PARTS) {
            if let Part::File(slice) = part {
                *part = match slice.map() {
                    Ok(Some(mapped)) => Part::Mapped { mapped, sent: 0 },
                    Ok(None) | Err(_) => Part::Bytes(slice.to_vec()?.into()),
                };
            }
        }
        Ok(())
    }

    fn write_some(&self, stream: &TcpStream) -> io::Result<usize> {
        let gather: SmallVec<[Gather<'_>; 16]> = self
            .parts
            .iter()
            .take(PARTS)
            .map_while(|part| match part {
                Part::Bytes(bytes) => Some(Gather::Bytes(bytes)),
                Part::Mapped { mapped, sent } => Some(Gather::Mapped { mapped, skip: *sent }),
                Part::File(_) => None,
            })
            .collect();
        write_gathered(stream.as_fd(), &gather)
    }

    fn advance(&mut self, mut sent: usize) {
        while let Some(part) = self.parts.front_mut() {
            let left = match part {
                Part::Bytes(bytes) => bytes.len(),
                Part::Mapped { mapped, sent } => mapped.len() - *sent,
                Part::File(slice) => slice.len(),
            };
            if sent < left {
                match part {
                    Part::Bytes(bytes) => bytes.advance(sent),
                    Part::Mapped { sent: before, .. } => *before += sent,
                    Part::File(_) => assert_eq!(sent, 0, "OUTBOX-1 a file is mapped before it is sent"),
                }
                return;
            }
            sent -= left;
            self.parts.pop_front();
        }
    }
}
