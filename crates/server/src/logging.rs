//! Log lines in Kafka's pattern, `[2026-11-21 10:11:12,345] INFO text (target)`, to standard output, a file, or both.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use time::{OffsetDateTime, UtcOffset};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Where log lines go.
#[derive(Clone)]
struct Out {
    file: Option<Arc<Mutex<File>>>,
    stdout: bool,
}

/// Sets logging up for the process; `OTTLA_LOG` filters as `RUST_LOG` would, `info` without it.
///
/// Call it before threads are started: the local time zone can be found out only then.
pub(crate) fn start(file: Option<&Path>, stdout: bool) -> io::Result<()> {
    let file = file.map(open).transpose()?.map(|f| Arc::new(Mutex::new(f)));
    let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let filter = EnvFilter::try_from_env("OTTLA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .event_format(Pattern { offset })
        .with_writer(Out { file, stdout })
        .init();
    std::panic::set_hook(Box::new(|panic| {
        // A broken invariant: it must stand in the log before the process ends.
        tracing::error!("panic: {panic}");
        eprintln!("ottla: panic: {panic}");
        std::process::abort();
    }));
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// The file for a node's log: `server.log` of the first directory that can be written to; with the node's id in its
/// name when another process has that file already.
pub(crate) fn file_in(dirs: &[PathBuf], node_id: i32) -> Option<PathBuf> {
    for dir in dirs {
        let path = dir.join("server.log");
        let Ok(file) = open(&path) else { continue };
        let taken = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err();
        if !taken {
            // Held until the process ends, so that a second node of the same installation takes a name of its own.
            std::mem::forget(file);
            return Some(path);
        }
        return Some(dir.join(format!("server-{node_id}.log")));
    }
    None
}

impl<'w> MakeWriter<'w> for Out {
    type Writer = Out;
    fn make_writer(&'w self) -> Out {
        self.clone()
    }
}

impl Write for Out {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(file) = &self.file {
            file.lock().map_err(|_| io::ErrorKind::Other)?.write_all(line)?;
        }
        if self.stdout {
            io::stdout().lock().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.stdout { io::stdout().lock().flush() } else { Ok(()) }
    }
}

struct Pattern {
    offset: UtcOffset,
}

impl<S, N> FormatEvent<S, N> for Pattern
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = OffsetDateTime::now_utc().to_offset(self.offset);
        let (date, clock) = (now.date(), now.time());
        write!(
            out,
            "[{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}] {} ",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second(),
            clock.millisecond(),
            event.metadata().level()
        )?;
        let mut text = Text { out: &mut out, result: Ok(()) };
        event.record(&mut text);
        text.result?;
        writeln!(out, " ({})", event.metadata().target())
    }
}

/// The message, then the other fields as ` name=value`.
struct Text<'o, 'w> {
    out: &'o mut Writer<'w>,
    result: fmt::Result,
}

impl Visit for Text<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.out, "{value:?}"),
            name => write!(self.out, " {name}={value:?}"),
        };
        self.result = self.result.and(written);
    }
}
