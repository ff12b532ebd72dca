//! Opening a partition's log, or making it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use ottla_config::TopicConfig;
use ottla_log::{LoadReport, Log, LogConfig, OpenOptions, PartitionDir};
use parking_lot::Mutex;
use tracing::{info, warn};
use uuid::Uuid;

use super::role::Role;
use super::{Partition, State};
use crate::dirs::Dir;
use crate::neighbours::Neighbours;
use crate::wait::Waiters;

/// Why a partition cannot be opened.
#[derive(Debug)]
pub(crate) struct OpenError {
    pub(crate) path: PathBuf,
    pub(crate) why: String,
}

/// The storage part of a topic's configuration.
pub(super) fn log_config(config: &TopicConfig, producer_id_expiration_ms: i64) -> LogConfig {
    let size = |bytes: i32| u32::try_from(bytes).unwrap_or(0);
    LogConfig {
        segment_bytes: size(config.segment_bytes),
        segment_ms: config.max_segment_ms(),
        segment_jitter_ms: config.segment_jitter_ms,
        segment_index_bytes: size(config.segment_index_bytes),
        index_interval_bytes: size(config.index_interval_bytes),
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
        delete: config.cleanup.delete,
        compact: config.cleanup.compact,
        file_delete_delay_ms: config.file_delete_delay_ms,
        flush_messages: config.flush_messages,
        flush_ms: config.flush_ms,
        producer_id_expiration_ms,
    }
}

impl Partition {
    /// Opens the partition's log in `dir`, which is the node's directory number `number`; makes it when it is new.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn open(
        dir: &Arc<Dir>,
        number: usize,
        topic: &Arc<str>,
        topic_id: Uuid,
        index: i32,
        config: Arc<TopicConfig>,
        producer_expiry_ms: i64,
        now_ms: i64,
        neighbours: &Arc<Neighbours>,
    ) -> Result<Partition, OpenError> {
        let name = PartitionDir::current(&**topic, index);
        let path = dir.log().partition_path(&name);
        let failed = |why: String| OpenError { path: path.clone(), why };
        let held = dir.holds(topic, index);
        let checkpointed = dir.take_checkpointed(topic, index);
        let options = OpenOptions {
            config: Arc::new(log_config(&config, producer_expiry_ms)),
            now_ms,
            clean: dir.clean,
            recovery_point: checkpointed.recovery_point.unwrap_or(0),
            log_start: checkpointed.log_start.unwrap_or(0),
            high_watermark: checkpointed.high_watermark.unwrap_or(0),
        };
        let known = match dir.closed().filter(|_| held) {
            Some(closed) => {
                let log = Log::open_closed(dir.log(), &name, &options, &closed);
                log.map_err(|error| failed(error.to_string()))?
            }
            None => None,
        };
        let opened = match (known, held) {
            (Some(log), _) => Ok((log, LoadReport::default())),
            (None, true) => Log::open(dir.log(), &name, &options),
            (None, false) => Log::create(dir.log(), &name, Some(topic_id), &options)
                .map(|log| (log, LoadReport::default())),
        };
        let (mut log, mut report) = opened.map_err(|error| failed(error.to_string()))?;
        if let Some(found) = log.topic_id().filter(|found| *found != topic_id) {
            // The topic was deleted and made anew while this node was away.
            drop(log);
            let aside = dir.put_aside(&name).map_err(|error| failed(error.to_string()))?;
            warn!(
                "partition {topic}-{index} in {} belongs to another topic of this name: topic id {} in partition.metadata, {} in the metadata; it was renamed to {aside}",
                dir.path().display(),
                ottla_records::uuid_text::encode(&found),
                ottla_records::uuid_text::encode(&topic_id)
            );
            // What the checkpoints say is said of the other topic.
            let fresh = OpenOptions { recovery_point: 0, log_start: 0, high_watermark: 0, ..options };
            log = Log::create(dir.log(), &name, Some(topic_id), &fresh)
                .map_err(|error| failed(error.to_string()))?;
            report = LoadReport::default();
        }
        if log.topic_id().is_none() {
            log.set_topic_id(topic_id).map_err(|error| failed(error.to_string()))?;
        }
        for repair in &report.repairs {
            warn!("[UnifiedLog partition={topic}-{index}] repaired: {repair}");
        }
        if !dir.clean && report.bytes_checked > 0 {
            info!(
                "[UnifiedLog partition={topic}-{index}] checked {} bytes after an unclean stop, log end offset {}",
                report.bytes_checked,
                log.log_end()
            );
        }
        let high_watermark = log.high_watermark();
        let leader_epoch = log.latest_epoch().unwrap_or(-1);
        Ok(Partition {
            topic: topic.clone(),
            topic_id,
            index,
            dir: number,
            log_dir: dir.clone(),
            state: Mutex::new(State { log: Some(log), role: Role::Idle, leader_epoch, config, gone: false }),
            waiters: Waiters::default(),
            neighbours: neighbours.clone(),
            high_watermark: AtomicI64::new(high_watermark),
            traffic: Arc::default(),
        })
    }
}
