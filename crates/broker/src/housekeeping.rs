//! What happens by the clock: retention, checkpoints, flushes, expiry, removal of deleted files; and the last of each at the stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_log::{CheckpointEntry, CheckpointKind, ClosedLog};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::disk::in_parallel;
use crate::network::wall_ms;
use crate::node::Node;
use crate::partition::{Checkpoints, Partition};

/// How often files and directories that wait for their removal are looked at.
const REMOVAL_MS: u64 = 1_000;
/// How often partitions that nobody uses give back memory and open files.
const RELEASE_MS: u64 = 60_000;

/// A job that comes round.
struct Round {
    every_ms: u64,
    next: Instant,
    job: fn(&Arc<Node>),
    /// Whether the job waits for a thread, or runs.
    under_way: Arc<AtomicBool>,
}

/// Says that the job is through, whatever became of it.
struct UnderWay(Arc<AtomicBool>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Runs the jobs, each on a disk thread, until the node's runtime ends.
pub(crate) async fn run(node: Arc<Node>) {
    let config = node.config();
    let log = &config.log;
    let millis = |ms: i64| u64::try_from(ms).unwrap_or(1).max(1);
    let flush_every = millis(log.flush_scheduler_interval_ms.min(i64::from(i32::MAX)));
    let start = Instant::now();
    let mut rounds: Vec<Round> = [
        (millis(log.retention_check_interval_ms), retention as fn(&Arc<Node>)),
        (millis(log.high_watermark_checkpoint_interval_ms), high_watermarks),
        (millis(log.recovery_point_checkpoint_interval_ms.into()), recovery_points),
        (millis(log.start_offset_checkpoint_interval_ms.into()), log_starts),
        (millis(log.producer_id_check_interval_ms.into()), expire_producers),
        (flush_every.clamp(1, 3_600_000), flush),
        (REMOVAL_MS, remove_files),
        (RELEASE_MS, release),
    ]
    .into_iter()
    .map(|(every_ms, job)| {
        let next = start + Duration::from_millis(every_ms);
        Round { every_ms, next, job, under_way: Arc::default() }
    })
    .collect();
    loop {
        let Some(next) = rounds.iter().map(|r| r.next).min() else { return };
        tokio::time::sleep_until(next).await;
        let now = Instant::now();
        for round in rounds.iter_mut().filter(|r| r.next <= now) {
            round.next = now + Duration::from_millis(round.every_ms);
            // A job that takes longer than its period is not heaped up behind itself.
            if round.under_way.swap(true, Ordering::AcqRel) {
                continue;
            }
            let (runner, job, under_way) = (node.clone(), round.job, UnderWay(round.under_way.clone()));
            node.disk().run(move || {
                let _under_way = under_way;
                job(&runner);
            });
        }
    }
}

fn retention(node: &Arc<Node>) {
    let now_ms = wall_ms();
    for partition in node.partitions().all() {
        match partition.apply_retention(now_ms) {
            Ok(0) => {}
            Ok(segments) => {
                info!("retention deleted {segments} segments of {}-{}", partition.topic(), partition.index())
            }
            Err(error) => error!("retention of {}-{}: {error}", partition.topic(), partition.index()),
        }
    }
}

fn expire_producers(node: &Arc<Node>) {
    let now_ms = wall_ms();
    for partition in node.partitions().all() {
        partition.expire_producers(now_ms);
    }
}

fn flush(node: &Arc<Node>) {
    let now_ms = wall_ms();
    for partition in node.partitions().all() {
        partition.flush_if_due(now_ms);
    }
}

fn release(node: &Arc<Node>) {
    for partition in node.partitions().all() {
        if let Err(error) = partition.release() {
            debug!("{}-{}: {error}", partition.topic(), partition.index());
        }
    }
}

fn remove_files(node: &Arc<Node>) {
    for dir in node.dirs() {
        dir.remove_doomed(wall_ms());
    }
    if node.dirs().iter().all(|dir| !dir.is_online()) {
        node.fail("all log directories have failed");
    }
}

fn high_watermarks(node: &Arc<Node>) {
    write(node, CheckpointKind::HighWatermark, |c| Some(c.high_watermark));
}

fn recovery_points(node: &Arc<Node>) {
    write(node, CheckpointKind::RecoveryPoint, |c| Some(c.recovery_point));
}

fn log_starts(node: &Arc<Node>) {
    write(node, CheckpointKind::LogStart, |c| c.log_start);
}

/// Writes one kind of checkpoint file in every directory.
fn write(node: &Arc<Node>, kind: CheckpointKind, value: fn(&Checkpoints) -> Option<i64>) {
    let mut entries: Vec<Vec<CheckpointEntry>> = node.dirs().iter().map(|_| Vec::new()).collect();
    for partition in node.partitions().all() {
        if let Some(offset) = partition.checkpoints().as_ref().and_then(value) {
            entries[partition.dir()].push(entry(&partition, offset));
        }
    }
    for (dir, entries) in node.dirs().iter().zip(entries) {
        dir.write_checkpoint(kind, entries);
    }
}

fn entry(partition: &Partition, offset: i64) -> CheckpointEntry {
    CheckpointEntry { topic: partition.shared_topic(), partition: partition.index(), offset }
}

/// Closes every log, writes the last checkpoints, and marks the directories as closed.
pub(crate) fn close_all(node: &Node, broker_epoch: i64) {
    let threads = node.config().log.recovery_threads_per_dir.max(1) as usize;
    let mut partitions: Vec<Vec<Arc<Partition>>> = vec![Vec::new(); node.dirs().len()];
    for partition in node.partitions().all() {
        partitions[partition.dir()].push(partition);
    }
    let closed = in_parallel(partitions, threads, |partition| {
        let closed = partition.close();
        (partition, closed)
    });
    let mut clean: Vec<bool> = node.dirs().iter().map(|dir| dir.may_be_marked_clean()).collect();
    let mut files: [Vec<Vec<CheckpointEntry>>; 3] =
        std::array::from_fn(|_| node.dirs().iter().map(|_| Vec::new()).collect());
    let mut logs: Vec<Vec<ClosedLog>> = node.dirs().iter().map(|_| Vec::new()).collect();
    for (partition, closed) in closed {
        match closed {
            Ok(Some((c, log))) => {
                let at = partition.dir();
                logs[at].extend(log);
                files[0][at].push(entry(&partition, c.recovery_point));
                files[1][at].push(entry(&partition, c.high_watermark));
                files[2][at].extend(c.log_start.map(|offset| entry(&partition, offset)));
            }
            Ok(None) => {}
            Err(error) => {
                error!("cannot close {}-{}: {error}", partition.topic(), partition.index());
                clean[partition.dir()] = false;
            }
        }
    }
    // One sync for all logs of a directory; only then may the checkpoints say that everything is there.
    for (dir, clean) in node.dirs().iter().zip(&mut clean) {
        if let Err(error) = dir.log().disk().sync_all(dir.path()) {
            error!("cannot sync {}: {error}", dir.path().display());
            *clean = false;
        }
    }
    let kinds = [CheckpointKind::RecoveryPoint, CheckpointKind::HighWatermark, CheckpointKind::LogStart];
    for (kind, entries) in kinds.into_iter().zip(files) {
        for (at, (dir, entries)) in node.dirs().iter().zip(entries).enumerate() {
            // Without its checkpoints a directory is not what a clean start takes it for.
            clean[at] &= dir.write_checkpoint(kind, entries);
        }
    }
    for ((dir, clean), logs) in node.dirs().iter().zip(clean).zip(logs) {
        if !clean {
            continue;
        }
        if let Err(error) = dir.log().mark_clean_shutdown(broker_epoch) {
            error!("{}: cannot mark the clean shutdown: {error}", dir.path().display());
        } else if let Err(error) = dir.log().write_closed_logs(logs) {
            warn!("the next start takes longer: {error}");
        }
    }
}
