//! Reading through memory maps: how bytes get from the page cache to a socket with one copy, made by the kernel.
//!
//! Files are mapped in windows of 2 MiB that are kept under a budget, because mapped pages count as the
//! process's memory. Mapped bytes are never looked at in user space, where a file that has been cut in the
//! meantime would kill the process (SIGBUS): they are only handed to the kernel, which answers EFAULT instead.
//! This is the one module of the crate with unsafe code.

#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};
use parking_lot::Mutex;
use smallvec::SmallVec;

/// Bytes of a window.
const WINDOW: u64 = 2 << 20;
/// The most buffers the kernel takes in one call.
const MAX_BUFFERS: usize = 1024;

/// Mapped windows of files, under a budget.
#[derive(Debug)]
pub struct Windows {
    max: usize,
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    key: (u64, u64),
    map: Arc<Mmap>,
}

/// A part of a file, mapped.
#[derive(Debug, Clone)]
pub struct Mapped {
    pieces: SmallVec<[Piece; 2]>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Piece {
    map: Arc<Mmap>,
    start: usize,
    len: usize,
}

/// A part of what [`write_gathered`] sends.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// Bytes of a file but for the first `skip`, which have been sent already.
    Mapped {
        /// The part of the file.
        mapped: &'a Mapped,
        /// Bytes to leave out, at most [`Mapped::len`].
        skip: usize,
    },
}

impl Windows {
    /// Keeps at most `budget` bytes mapped beyond what is in use (at least one window).
    pub fn new(budget: usize) -> Arc<Windows> {
        Arc::new(Windows { max: (budget / WINDOW as usize).max(1), kept: Mutex::default() })
    }

    /// Bytes kept mapped now.
    pub fn mapped_bytes(&self) -> usize {
        self.kept.lock().len() * WINDOW as usize
    }

    /// Maps `len` bytes at `position` of the file that `key` stands for.
    pub(crate) fn map(&self, key: u64, file: &File, position: u64, len: usize) -> io::Result<Mapped> {
        let mut pieces = SmallVec::new();
        let (mut at, end) = (position, position + len as u64);
        while at < end {
            let number = at / WINDOW;
            let start = at % WINDOW;
            let piece_end = end.min((number + 1) * WINDOW);
            let map = self.window(key, file, number)?;
            pieces.push(Piece { map, start: start as usize, len: (piece_end - at) as usize });
            at = piece_end;
        }
        Ok(Mapped { pieces, len })
    }

    /// Unmaps what is kept of a file.
    pub(crate) fn forget(&self, key: u64) {
        let mut kept = self.kept.lock();
        let (gone, rest) = kept.drain(..).partition::<VecDeque<_>, _>(|kept| kept.key.0 == key);
        *kept = rest;
        drop(kept);
        drop(gone);
    }

    fn window(&self, key: u64, file: &File, number: u64) -> io::Result<Arc<Mmap>> {
        let key = (key, number);
        {
            let mut kept = self.kept.lock();
            if let Some(at) = kept.iter().rposition(|kept| kept.key == key) {
                let hit = kept.remove(at).expect("LOG-11: the position was just found");
                let map = hit.map.clone();
                kept.push_back(hit);
                return Ok(map);
            }
        }
        // A window may reach beyond the end of the file: as the file grows, its pages come to life.
        // SAFETY: the bytes are never read through a reference, only passed to the kernel by address.
        let map = unsafe { MmapOptions::new().offset(number * WINDOW).len(WINDOW as usize).map(file)? };
        let map = Arc::new(map);
        let mut kept = self.kept.lock();
        kept.push_back(Kept { key, map: map.clone() });
        let evicted = if kept.len() > self.max { kept.pop_front() } else { None };
        drop(kept);
        drop(evicted);
        Ok(map)
    }
}

impl Mapped {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Writes parts one behind the other with one `writev`; returns how many bytes the kernel took.
///
/// A mapped part of a file that has been cut in the meantime is an error (EFAULT), unless parts before it were
/// taken.
pub fn write_gathered(fd: BorrowedFd<'_>, parts: &[Part<'_>]) -> io::Result<usize> {
    let mut buffers: SmallVec<[libc::iovec; 32]> = SmallVec::new();
    let mut push = |address: *const u8, len: usize| {
        if len > 0 && buffers.len() < MAX_BUFFERS {
            buffers.push(libc::iovec { iov_base: address.cast_mut().cast(), iov_len: len });
        }
    };
    for part in parts {
        match part {
            Part::Bytes(bytes) => push(bytes.as_ptr(), bytes.len()),
            Part::Mapped { mapped, skip } => {
                let mut skip = *skip;
                for piece in &mapped.pieces {
                    let skipped = skip.min(piece.len);
                    skip -= skipped;
                    // SAFETY: `start + len` of a piece lie within its map.
                    let address = unsafe { piece.map.as_ptr().add(piece.start + skipped) };
                    push(address, piece.len - skipped);
                }
            }
        }
    }
    if buffers.is_empty() {
        return Ok(0);
    }
    loop {
        // SAFETY: the addresses are of borrowed slices and of maps that `parts` keeps alive during the call; the
        // kernel checks each page it reads.
        let written = unsafe { libc::writev(fd.as_raw_fd(), buffers.as_ptr(), buffers.len() as i32) };
        if let Ok(written) = usize::try_from(written) {
            return Ok(written);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn parts_arrive_in_order_across_windows() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..WINDOW as usize + 4000).map(|n| (n / 7) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = File::open(&path).unwrap();
        let windows = Windows::new(0);
        let position = WINDOW as usize - 500;
        let mapped = windows.map(1, &file, position as u64, 2000).unwrap();
        assert_eq!(mapped.len(), 2000);
        assert_eq!(windows.mapped_bytes(), WINDOW as usize, "the budget is one window");
        let (out, mut back) = UnixStream::pair().unwrap();
        let parts = [Part::Bytes(b"head"), Part::Mapped { mapped: &mapped, skip: 600 }, Part::Bytes(b"tail")];
        assert_eq!(write_gathered(out.as_fd(), &parts).unwrap(), 1408);
        let mut got = vec![0; 1408];
        back.read_exact(&mut got).unwrap();
        let expected = [b"head", &content[position + 600..position + 2000], b"tail"].concat();
        assert_eq!(got, expected);
        windows.forget(1);
        assert_eq!(windows.mapped_bytes(), 0);
        assert_eq!(write_gathered(out.as_fd(), &parts[..1]).unwrap(), 4);
    }

    #[test]
    fn a_file_that_was_cut_is_an_error_and_not_a_crash() {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&path, vec![1; 100_000]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mapped = Windows::new(0).map(1, &file, 50_000, 50_000).unwrap();
        file.set_len(10_000).unwrap();
        let (out, _back) = UnixStream::pair().unwrap();
        let error = write_gathered(out.as_fd(), &[Part::Mapped { mapped: &mapped, skip: 0 }]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
    }
}
