//! The log engine on its own: no server, no network, no runtime.
//!
//! Appends a million records, reads them by offset and by time, is killed with SIGKILL while it writes, and looks
//! at what is left. Ends with an error as soon as one promise of the engine is broken.
//!
//! `embedded-log [DIR]`; without a directory a temporary one is used.

mod journal;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use journal::Journal;

const RECORDS: i64 = 1_000_000;
/// Flushes the child has to report before it is killed.
const FLUSHES_BEFORE_KILL: usize = 40;
const KILLS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--write-until-killed", dir] => write_until_killed(Path::new(dir)),
        [dir] if !dir.starts_with('-') => run(Path::new(dir)),
        [] => tempfile::tempdir().map_err(Into::into).and_then(|dir| run(dir.path())),
        _ => Err(anyhow::anyhow!("usage: embedded-log [DIR]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("embedded-log: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let mut journal = Journal::open(dir)?;
    let first = journal.end();
    let started = Instant::now();
    while journal.end() < first + RECORDS {
        journal.append(1000)?;
    }
    journal.flush()?;
    let seconds = started.elapsed().as_secs_f64();
    println!("appended {RECORDS} records in {seconds:.2} s ({:.0} per second)", RECORDS as f64 / seconds);

    let started = Instant::now();
    let read = journal.check_from(0)?;
    println!("read {read} records in {:.2} s, each where it belongs", started.elapsed().as_secs_f64());
    for n in [0, 1, 12_345, 999_999, journal.end() - 1] {
        ensure!(journal.record_at(n)? == n, "offset {n} holds another record");
        ensure!(journal.offset_at_time_of(n)? == Some(n), "time finds another record than {n}");
    }
    ensure!(
        journal.offset_at_time_of(journal.end())?.is_none(),
        "time finds a record that was never written"
    );
    println!("found records by offset and by time");
    journal.close()?;

    let mut journal = Journal::open(dir)?;
    ensure!(journal.report.segments_checked == 0, "a log that was closed is read again");
    ensure!(journal.end() == first + RECORDS, "records are missing after a restart");
    journal.append(10)?;
    journal.flush()?;
    let mut promised = journal.end();
    journal.close()?;

    for _ in 0..KILLS {
        promised = kill_a_writer(dir, promised)?;
        let mut journal = Journal::open(dir)?;
        ensure!(journal.end() >= promised, "{promised} records were flushed, {} are left", journal.end());
        let read = journal.check_from(0)?;
        let surplus = journal.end() - promised;
        println!("killed: {promised} records were flushed, {read} are there ({surplus} more), all whole");
        for repair in &journal.report.repairs {
            println!("  {repair}");
        }
        journal.append(10)?;
        journal.flush()?;
        promised = journal.end();
        journal.close()?;
    }
    println!("nothing that was promised is lost");
    Ok(())
}

/// Starts this program as a writer, kills it while it writes, and returns what it has reported as flushed.
fn kill_a_writer(dir: &Path, before: i64) -> Result<i64> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut child = Command::new(program)
        .arg("--write-until-killed")
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the writer")?;
    let lines = BufReader::new(child.stdout.take().context("the writer's output")?).lines();
    let mut promised = before;
    let mut flushes = 0;
    for line in lines {
        promised = line?.parse().context("what the writer says")?;
        flushes += 1;
        if flushes == FLUSHES_BEFORE_KILL {
            // SIGKILL; what it still says afterwards counts too.
            child.kill().context("killing the writer")?;
        }
    }
    let status = child.wait()?;
    if flushes < FLUSHES_BEFORE_KILL {
        bail!("the writer ended by itself: {status}");
    }
    Ok(promised)
}

/// Appends and flushes, and says after each flush how many records are durable.
fn write_until_killed(dir: &Path) -> Result<()> {
    let mut journal = Journal::open(dir)?;
    let mut out = std::io::stdout();
    loop {
        for _ in 0..7 {
            journal.append(100)?;
        }
        let durable = journal.flush()?;
        writeln!(out, "{durable}")?;
        out.flush()?;
    }
}
