//! The follower: the thread that turns what is committed into the image this node works by, and into snapshots.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_metadata::{Delta, Image, Loader, snapshot};
use ottla_quorum::{BeginSnapshotError, Handle};
use ottla_raft::SnapshotId;
use parking_lot::{Condvar, Mutex};
use tracing::{error, info};

use super::assignments;
use super::backlog::Backlog;
use super::channel::Channel;
use super::ear::Batch;
use crate::network::wall_ms;
use crate::node::Node;

/// What comes in.
pub(super) enum News {
    Committed(Arc<Batch>),
    Snapshot(Image),
}

/// How far this node's image is, for threads that wait for it.
#[derive(Debug, Clone)]
pub(super) struct Shown(Arc<(Mutex<i64>, Condvar)>);

impl Default for Shown {
    fn default() -> Shown {
        Shown(Arc::new((Mutex::new(-1), Condvar::new())))
    }
}

impl Shown {
    fn set(&self, offset: i64) {
        *self.0.0.lock() = offset;
        self.0.1.notify_all();
    }

    /// Waits until the image has reached `offset`; false if it has not in time.
    pub(super) fn wait(&self, offset: i64, timeout: Duration) -> bool {
        let mut shown = self.0.0.lock();
        let until = Instant::now() + timeout;
        while *shown < offset {
            if self.0.1.wait_until(&mut shown, until).timed_out() {
                return *shown >= offset;
            }
        }
        true
    }
}

/// When a snapshot is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct SnapshotRules {
    /// `metadata.log.max.record.bytes.between.snapshots`
    pub(super) after_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; nothing for never by time.
    pub(super) after: Option<Duration>,
}

/// What has happened since the last snapshot.
#[derive(Debug)]
struct SinceSnapshot {
    rules: SnapshotRules,
    bytes: u64,
    begun: Instant,
}

impl SinceSnapshot {
    fn restart(&mut self) {
        self.bytes = 0;
        self.begun = Instant::now();
    }

    /// Why it is time for one.
    fn due(&self) -> Option<String> {
        if self.bytes >= self.rules.after_bytes {
            return Some(format!("we have replayed at least {} bytes", self.rules.after_bytes));
        }
        let after = self.rules.after.filter(|after| self.begun.elapsed() >= *after)?;
        Some(format!("we have waited at least {} minute(s)", after.as_secs() / 60))
    }
}

/// The image, and who is told of it.
pub(super) struct Follower {
    node: Weak<Node>,
    quorum: Handle,
    channel: Channel,
    broker_epoch: Arc<AtomicI64>,
    loader: Loader,
    shown: Shown,
    since: SinceSnapshot,
    /// Whether a snapshot is being written.
    writing: Arc<AtomicBool>,
    /// Set once a record could not be replayed: the image stays where it is.
    broken: bool,
    backlog: Arc<Backlog>,
}

impl Follower {
    pub(super) fn new(
        node: Weak<Node>,
        quorum: Handle,
        channel: Channel,
        broker_epoch: Arc<AtomicI64>,
        shown: Shown,
        rules: SnapshotRules,
        backlog: Arc<Backlog>,
    ) -> Follower {
        Follower {
            node,
            quorum,
            channel,
            broker_epoch,
            loader: Loader::default(),
            shown,
            since: SinceSnapshot { rules, bytes: 0, begun: Instant::now() },
            writing: Arc::default(),
            broken: false,
            backlog,
        }
    }

    /// Works until the quorum is gone. What arrived together is applied together: at the start, all there is.
    pub(super) fn run(mut self, inbox: &mpsc::Receiver<News>) {
        while let Ok(first) = inbox.recv() {
            self.take(first);
            while let Ok(next) = inbox.try_recv() {
                self.take(next);
            }
            // Each time costs a walk over what has changed, and whatever is opened for it keeps the decoder waiting.
            if !self.backlog.is_held() {
                self.publish();
            }
        }
    }

    fn take(&mut self, news: News) {
        if self.broken {
            return;
        }
        match news {
            News::Snapshot(image) => {
                self.publish();
                let offset = image.provenance.offset;
                let delta = self.loader.load_snapshot(image);
                self.since.restart();
                if let Some(node) = self.node.upgrade() {
                    self.apply(&node, delta);
                }
                self.shown.set(offset);
            }
            News::Committed(batch) => {
                self.since.bytes += batch.size as u64;
                if batch.records.is_empty() {
                    return self.loader.skip(batch.last_offset, batch.epoch, batch.timestamp_ms);
                }
                let loaded =
                    self.loader.batch(batch.base_offset, batch.epoch, batch.timestamp_ms, &batch.records);
                if let Err(error) = loaded {
                    self.broken = true;
                    if let Some(node) = self.node.upgrade() {
                        node.fail(&error.to_string());
                    }
                }
            }
        }
    }

    fn publish(&mut self) {
        if self.broken {
            return;
        }
        let Some(node) = self.node.upgrade() else { return };
        for delta in self.loader.publish() {
            let offset = delta.after().provenance.offset;
            self.apply(&node, delta);
            self.shown.set(offset);
        }
        if let Some(why) = self.since.due() {
            self.snapshot(&why);
        }
    }

    fn apply(&self, node: &Arc<Node>, delta: Delta) {
        if node.dirs().len() + node.failed_dirs().len() < 2 {
            // The controller knows where replicas lie.
            return node.publish(delta);
        }
        let local = delta.local_changes(node.node_id());
        let image = delta.after().clone();
        node.publish(delta);
        let touched = local.leaders.iter().chain(&local.followers).map(|local| (local.topic_id, local.index));
        let broker_epoch = self.broker_epoch.load(Ordering::Acquire);
        if let Some(request) = assignments::missing(node, &image, broker_epoch, touched) {
            assignments::hand_over(&self.channel, request);
        }
    }

    /// Writes the image to a file, on a thread of its own: the next change does not wait for it.
    fn snapshot(&mut self, why: &str) {
        let image = self.loader.image().clone();
        let at = image.provenance;
        if at.offset < 0 || !at.batch_aligned || self.writing.swap(true, Ordering::AcqRel) {
            return;
        }
        let id = SnapshotId { end_offset: at.offset + 1, epoch: at.epoch };
        info!(
            "[SnapshotGenerator] creating new KRaft snapshot file {} because {why}",
            ottla_quorum::snapshots::file_name(id)
        );
        self.since.restart();
        let (quorum, writing) = (self.quorum.clone(), self.writing.clone());
        let started = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            if let Err(error) = write(&quorum, id, &image) {
                error!(
                    "[SnapshotGenerator] snapshot {} was not written: {error}",
                    ottla_quorum::snapshots::file_name(id)
                );
            }
            writing.store(false, Ordering::Release);
        });
        if let Err(error) = started {
            error!("[SnapshotGenerator] no thread for a snapshot: {error}");
            self.writing.store(false, Ordering::Release);
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Begin(#[from] BeginSnapshotError),
    #[error(transparent)]
    File(#[from] ottla_quorum::snapshots::SnapshotError),
    #[error("a record cannot be written: {0}")]
    Encode(#[from] ottla_protocol::wire::EncodeError),
}

fn write(quorum: &Handle, id: SnapshotId, image: &Image) -> Result<(), WriteError> {
    let mut writer = match quorum.begin_snapshot(id, image.provenance.timestamp_ms, wall_ms()) {
        Ok(writer) => writer,
        // Nothing has been committed since the last one.
        Err(BeginSnapshotError::Exists(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for (record, version) in snapshot::records(image) {
        writer.append(Bytes::from(record.encode_framed(version)?))?;
    }
    let size = quorum.finish_snapshot(writer)?;
    info!(
        "[SnapshotGenerator] snapshot {} is complete: {size} bytes",
        ottla_quorum::snapshots::file_name(id)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_due_by_bytes_and_by_time() {
        let rules = SnapshotRules { after_bytes: 100, after: Some(Duration::from_secs(3600)) };
        let mut since = SinceSnapshot { rules, bytes: 99, begun: Instant::now() };
        assert_eq!(since.due(), None);
        since.bytes += 1;
        assert_eq!(since.due().as_deref(), Some("we have replayed at least 100 bytes"));
        since.restart();
        assert_eq!(since.due(), None);
        since.rules.after = Some(Duration::ZERO);
        assert_eq!(since.due().as_deref(), Some("we have waited at least 0 minute(s)"));
        since.rules.after = None;
        assert_eq!(since.due(), None);
    }

    #[test]
    fn waiting_for_an_offset_ends_when_it_is_shown_or_the_time_is_over() {
        let shown = Shown::default();
        assert!(!shown.wait(0, Duration::from_millis(5)));
        let other = shown.clone();
        let waiter = std::thread::spawn(move || other.wait(7, Duration::from_secs(20)));
        shown.set(6);
        shown.set(8);
        assert!(waiter.join().unwrap());
        assert!(shown.wait(8, Duration::ZERO));
    }
}
