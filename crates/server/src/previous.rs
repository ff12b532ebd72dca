//! What the run before left behind, what this one leaves for others to find: an unclean end, a pid file, the memory there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::{OffsetDateTime, UtcOffset};

/// Files that a running node writes again and again.
const WRITTEN: [&str; 3] = [
    "replication-offset-checkpoint",
    "recovery-point-offset-checkpoint",
    "__cluster_metadata-0/quorum-state",
];

/// When the run before ended, if it ended without closing its directories; nothing if there was none, or it did.
pub(crate) fn unclean_end(dirs: &[impl AsRef<Path>], metadata: &str) -> Option<String> {
    let ran = Path::new(metadata).join("__cluster_metadata-0/quorum-state").exists();
    let clean = |dir: &Path| dir.join(".kafka_cleanshutdown").exists();
    if !ran || dirs.iter().all(|dir| clean(dir.as_ref())) {
        return None;
    }
    let times = dirs.iter().flat_map(|dir| {
        let log = fs::read_dir(dir.as_ref().join("__cluster_metadata-0")).into_iter().flatten().flatten();
        let logs: Vec<PathBuf> = log.map(|entry| entry.path()).collect();
        WRITTEN.iter().map(|name| dir.as_ref().join(name)).chain(logs).collect::<Vec<_>>()
    });
    let last = times.filter_map(|file| fs::metadata(file).and_then(|meta| meta.modified()).ok()).max();
    last.map(shown)
}

/// `2026-11-21 10:11:12`.
fn shown(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at).to_offset(UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC));
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// The machine's memory and this process's limits, in one line.
pub(crate) fn memory() -> String {
    let field = |file: &str, name: &str| -> Option<u64> {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line[name.len()..].split_whitespace().next()?.parse().ok()
    };
    let mib =
        |name: &str| field("/proc/meminfo", name).map_or("?".to_owned(), |kib| (kib / 1024).to_string());
    let group =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let group = group.map_or(String::new(), |bytes| format!(", limited to {} MiB", bytes >> 20));
    let files = field("/proc/self/limits", "Max open files").map_or("?".to_owned(), |n| n.to_string());
    format!(
        "memory: {} MiB in all, {} MiB available{group}; open files: {files} at most",
        mib("MemTotal:"),
        mib("MemAvailable:")
    )
}

/// `kafka-NODE.pid` beside the log; gone when the node has stopped.
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// A directory that cannot be written to has no such file: it is for people and scripts, nothing depends on it.
    pub(crate) fn write(dir: &Path, node_id: i32) -> PidFile {
        let path = dir.join(format!("kafka-{node_id}.pid"));
        if let Err(error) = fs::write(&path, format!("{}\n", std::process::id())) {
            tracing::warn!("cannot write {}: {error}", path.display());
        }
        PidFile(path)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_unclean_after_a_run_without_the_marker() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        let name = dir.display().to_string();
        assert_eq!(unclean_end(&[dir], &name), None, "it never ran");
        fs::create_dir(dir.join("__cluster_metadata-0")).unwrap();
        fs::write(dir.join("__cluster_metadata-0/quorum-state"), "{}").unwrap();
        assert!(unclean_end(&[dir], &name).is_some_and(|when| when.len() == 19));
        fs::write(dir.join(".kafka_cleanshutdown"), "").unwrap();
        assert_eq!(unclean_end(&[dir], &name), None);
    }

    #[test]
    fn a_pid_file_goes_with_its_node() {
        let temp = tempfile::tempdir().unwrap();
        let file = PidFile::write(temp.path(), 7);
        let text = fs::read_to_string(temp.path().join("kafka-7.pid")).unwrap();
        assert_eq!(text.trim(), std::process::id().to_string());
        drop(file);
        assert!(!temp.path().join("kafka-7.pid").exists());
    }
}
