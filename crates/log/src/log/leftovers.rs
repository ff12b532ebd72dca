//! What an interrupted compaction, deletion or roll has left in a partition's directory.
//!
//! Compaction writes `.cleaned` files, renames them to `.swap` once they are complete, renames what they replace
//! to `.deleted`, and gives them their own names. So `.cleaned` is unfinished and goes, `.swap` is finished and
//! takes its place, `.deleted` goes.

use std::path::Path;

use ottla_records::ids::Offset;

use super::open::{LoadReport, Repair};
use super::retain::with_suffix;
use crate::dir::LogDir;
use crate::error::Error;
use crate::index::{FileKind, Place};
use crate::segment::Segment;

/// The names in a partition's directory that matter here.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Base offsets of log files, ascending.
    pub(super) logs: Vec<Offset>,
    /// Offsets of producer snapshots, ascending.
    pub(super) snapshots: Vec<Offset>,
    /// Base offsets of transaction indexes, in no order.
    pub(super) transaction_indexes: Vec<Offset>,
}

/// The offset a file name begins with: 20 digits before the first dot.
fn offset_of(name: &str) -> Option<(Offset, &str)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

fn list(dir: &LogDir, path: &Path) -> Result<Vec<String>, Error> {
    let entries = dir.disk().list(path).map_err(|source| Error::io("list", path, source))?;
    let files = entries.into_iter().filter(|entry| !entry.is_dir);
    Ok(files.filter_map(|entry| entry.name.into_string().ok()).collect())
}

/// Finishes or undoes what was interrupted, and says what files there are then.
pub(super) fn resolve(dir: &LogDir, path: &Path, report: &mut LoadReport) -> Result<Names, Error> {
    let mut files = list(dir, path)?;
    if files.iter().any(|name| is_leftover(name)) {
        resolve_swaps(dir, path, &files, report)?;
        files = list(dir, path)?;
    }
    let mut names = Names::default();
    let mut indexes = Vec::new();
    for name in &files {
        match offset_of(name) {
            Some((offset, "log")) => names.logs.push(offset),
            Some((offset, "snapshot")) => names.snapshots.push(offset),
            Some((offset, "index")) => indexes.push((offset, FileKind::OffsetIndex)),
            Some((offset, "timeindex")) => indexes.push((offset, FileKind::TimeIndex)),
            Some((offset, "txnindex")) => {
                indexes.push((offset, FileKind::TxnIndex));
                names.transaction_indexes.push(offset);
            }
            _ => {}
        }
    }
    names.logs.sort_unstable();
    names.snapshots.sort_unstable();
    for (offset, kind) in indexes {
        if names.logs.binary_search(&offset).is_err() {
            let orphan = Place { dir, path, base: offset, key: 0 }.path_of(kind);
            dir.remove_file(&orphan)?;
            report.repairs.push(Repair::OrphanIndex { file: orphan });
        }
    }
    Ok(names)
}

/// Kafka's snapshots of the metadata log (`.checkpoint.deleted`) are not the log's business.
fn is_leftover(name: &str) -> bool {
    let deleted = name.ends_with(".deleted") && !name.ends_with(".checkpoint.deleted");
    deleted || name.ends_with(".cleaned") || name.ends_with(".swap")
}

fn resolve_swaps(dir: &LogDir, path: &Path, files: &[String], report: &mut LoadReport) -> Result<(), Error> {
    let cleaned: Vec<&String> = files.iter().filter(|name| name.ends_with(".cleaned")).collect();
    let first_cleaned = cleaned.iter().filter_map(|name| offset_of(name)).map(|(offset, _)| offset).min();
    let mut remove: Vec<&String> =
        files.iter().filter(|name| name.ends_with(".deleted") && is_leftover(name)).collect();
    remove.extend(cleaned);
    // Segments that grew too large are split into several; if not all parts are there, none counts.
    let is_unfinished = |name: &&String| {
        offset_of(name).is_none_or(|(offset, _)| first_cleaned.is_some_and(|first| offset >= first))
    };
    let (unfinished, swaps): (Vec<&String>, Vec<&String>) =
        files.iter().filter(|name| name.ends_with(".swap")).partition(is_unfinished);
    remove.extend(unfinished);
    for name in remove {
        dir.remove_file(&path.join(name))?;
        report.repairs.push(Repair::RemovedLeftover { file: path.join(name) });
    }
    // What the finished ones replace: all segments in their range of offsets.
    let (mut from, mut to) = (Offset::MAX, Offset::MIN);
    for (base, rest) in swaps.iter().filter_map(|name| offset_of(name)) {
        if rest == "log.swap" {
            from = from.min(base);
            to = to.max(end_of_swap(dir, path, base)?);
        }
    }
    for name in files.iter().filter(|name| !is_leftover(name)) {
        if offset_of(name).is_some_and(|(offset, _)| (from..to).contains(&offset)) {
            dir.remove_file(&path.join(name))?;
            report.repairs.push(Repair::RemovedLeftover { file: path.join(name) });
        }
    }
    for name in swaps {
        let swap = path.join(name);
        let plain = path.join(name.trim_end_matches(".swap"));
        dir.rename_file(&swap, &plain)?;
        report.repairs.push(Repair::FinishedSwap { file: plain });
    }
    Ok(())
}

/// The offset behind the last record of a segment that still has its `.swap` name.
fn end_of_swap(dir: &LogDir, path: &Path, base: Offset) -> Result<Offset, Error> {
    let file_path = with_suffix(&Place { dir, path, base, key: 0 }.path_of(FileKind::Log), ".swap");
    let key = dir.handles().new_keys(4);
    let open = || dir.disk().open(&file_path, crate::fs::OpenMode::Read);
    let file = dir.handles().get(key, open).map_err(|source| Error::io("open", &file_path, source))?;
    let len = file.len().map_err(|source| Error::io("stat", &file_path, source))?;
    // Found under its key, the file is read although its name is another one.
    let place = Place { dir, path, base, key };
    let size = u32::try_from(len).map_err(|_| Error::corrupt(&file_path, 0, "larger than 4 GiB"))?;
    let end = Segment::unchecked(place, size, 0).next_offset(place);
    place.close(FileKind::Log);
    end
}
