//! Standard output: locked once, written in large pieces, quiet when nobody reads it any more.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::process::ExitCode;

use super::Stop;

/// Standard output of a tool.
pub struct Out {
    to: To,
}

enum To {
    Stdout(BufWriter<StdoutLock<'static>>),
    Memory(Vec<u8>),
}

impl Out {
    pub(super) fn new() -> Out {
        Out { to: To::Stdout(BufWriter::with_capacity(64 * 1024, io::stdout().lock())) }
    }

    /// One that keeps what is written, for tests.
    pub fn new_for_test() -> Out {
        Out { to: To::Memory(Vec::new()) }
    }

    /// What was written.
    pub fn into_test(self) -> Vec<u8> {
        match self.to {
            To::Memory(bytes) => bytes,
            To::Stdout(_) => Vec::new(),
        }
    }

    /// The last words and the exit code.
    pub(super) fn end(mut self, ended: Result<(), Stop>) -> ExitCode {
        let stop = ended.err().unwrap_or_else(|| Stop::quiet(0));
        let mut said = Ok(());
        if !stop.out.is_empty() {
            said = writeln!(self, "{}", stop.out);
        }
        // Standard output first, so that the two are in order on a terminal.
        let flushed = said.and_then(|()| self.flush());
        if !stop.err.is_empty() {
            let _ = writeln!(io::stderr(), "{}", stop.err);
        }
        match flushed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let _ = writeln!(io::stderr(), "cannot write to standard output: {error}");
                ExitCode::from(stop.code.max(1))
            }
            _ => ExitCode::from(stop.code),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Stdout(to) => to.write(bytes),
            To::Memory(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Stdout(to) => to.flush(),
            To::Memory(to) => to.flush(),
        }
    }
}
