//! Appending to a partition that this node leads.

use std::sync::Arc;

use ottla_config::topic::{Compression as TopicCompression, TimestampType as TopicTimestampType};
use ottla_log::{AppendError, Flushed, LeaderAppend, Origin, Transaction, VerificationGuard};
use ottla_protocol::ErrorCode;
use ottla_records::validate::{self, Accepted, Rejected, Rules};
use ottla_records::{
    Batch, BatchHeader, Compression, Compressor, DecompressError, Decompressor, TimestampType, builder,
};
use ottla_replication::leader::Admission;
use tokio::sync::oneshot;

use super::role::Role;
use super::{Partition, State};
use crate::network::wall_ms;

/// What one produced batch may become when it has to be looked into.
const MAX_DECOMPRESSED_BYTES: usize = 128 << 20;
/// What one may become that is only looked at because it might be unsound.
const LOOK_BYTES: usize = 16 << 20;
/// What a network thread keeps of the memory that it took.
const KEPT_BYTES: usize = 1 << 20;

/// What a network thread lends to an append.
#[derive(Default)]
pub(crate) struct Tools {
    pub(crate) decompressor: Decompressor,
    pub(crate) compressor: Compressor,
}

/// What an append has done.
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    pub(crate) next_offset: i64,
    pub(crate) log_append_time_ms: i64,
    pub(crate) log_start_offset: i64,
    /// The epoch it was appended in.
    pub(crate) leader_epoch: i32,
    /// Whether all in-sync replicas have it already.
    pub(crate) committed: bool,
    /// What the answer has to wait for, when the topic asks for a flush before it.
    pub(crate) durable: Option<Durable>,
}

/// A flush that an answer waits for.
pub(crate) struct Durable(oneshot::Receiver<bool>);

impl Durable {
    /// Whether the flush succeeded.
    pub(crate) async fn flushed(self) -> bool {
        self.0.await.unwrap_or(false)
    }
}

/// What the log has to know to check a batch of a transaction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TransactionCheck {
    /// What [`Partition::begin_verification`] gave, once the coordinator has confirmed the transaction.
    pub(crate) guard: Option<VerificationGuard>,
    /// The transaction version of a marker.
    pub(crate) version: i16,
}

/// Why a batch was not appended.
pub(crate) enum AppendRefusal {
    Code(ErrorCode),
    Rejected(Rejected),
    Sequence(ErrorCode, String),
    Storage(String),
}

impl Partition {
    /// Appends what a client's produce request carries for this partition. `check` sees the batch's header first.
    pub(crate) fn append_produced(
        self: &Arc<Self>,
        records: &[u8],
        acks: i16,
        now_ms: i64,
        tools: &mut Tools,
        guard: Option<VerificationGuard>,
        check: impl FnOnce(&BatchHeader) -> Result<(), AppendRefusal>,
    ) -> Result<Appended, AppendRefusal> {
        let (rules, codec) = {
            let state = self.state.lock();
            state.check_leader(-1).map_err(AppendRefusal::Code)?;
            if let Role::Leads(leader) = &state.role
                && acks == -1
                && leader.admits() != Admission::Admitted
            {
                return Err(AppendRefusal::Code(ErrorCode::NotEnoughReplicas));
            }
            (rules(&state), state.config.compression)
        };
        // What cannot be parsed is refused below, with its reason.
        if let Ok(header) = BatchHeader::parse(records) {
            check(&header)?;
        }
        // Checked outside of the lock: other producers append meanwhile.
        let accepted = match validate::produced(records, &rules, now_ms, &mut tools.decompressor) {
            // Too much to look into for nothing but suspicion: the CRC vouches for it, as it does in the log.
            Err(Rejected::Decompress(DecompressError::TooLarge { cap: LOOK_BYTES })) => {
                let unseen = Rules { inspect_compressed: false, ..rules };
                validate::produced(records, &unseen, now_ms, &mut tools.decompressor)
            }
            accepted => accepted,
        };
        let appended = accepted.map_err(AppendRefusal::Rejected).and_then(|accepted| {
            match target(codec, accepted.batch.compression()) {
                None => self.append(accepted, now_ms, guard),
                Some(codec) => self.append_recompressed(accepted, codec, &rules, (now_ms, guard), tools),
            }
        });
        tools.decompressor.shrink(KEPT_BYTES);
        appended
    }

    /// Appends a batch with the codec that the topic asks for.
    fn append_recompressed(
        self: &Arc<Self>,
        accepted: Accepted<'_>,
        (codec, level): (Compression, Option<i32>),
        rules: &Rules,
        (now_ms, guard): (i64, Option<VerificationGuard>),
        tools: &mut Tools,
    ) -> Result<Appended, AppendRefusal> {
        let Tools { decompressor, compressor } = tools;
        let bytes = builder::recompress(
            &accepted.batch,
            codec,
            level,
            decompressor,
            compressor,
            MAX_DECOMPRESSED_BYTES,
        )
        .map_err(|error| AppendRefusal::Sequence(ErrorCode::CorruptMessage, error.to_string()))?;
        // The limit holds for what is stored, too.
        if bytes.len() > rules.max_batch_bytes {
            let (size, max) = (bytes.len(), rules.max_batch_bytes);
            return Err(AppendRefusal::Rejected(Rejected::TooLarge { size, max }));
        }
        let batch = Batch::parse(&bytes).expect("PARTITION-1 a batch that was built can be parsed");
        self.append(Accepted { batch, timestamp: accepted.timestamp }, now_ms, guard)
    }

    fn append(
        self: &Arc<Self>,
        accepted: Accepted<'_>,
        now_ms: i64,
        guard: Option<VerificationGuard>,
    ) -> Result<Appended, AppendRefusal> {
        let mut state = self.state.lock();
        // The lead may have changed while the batch was checked.
        state.check_leader(-1).map_err(AppendRefusal::Code)?;
        let mut append = LeaderAppend::from_client(now_ms, state.leader_epoch);
        if accepted.batch.is_transactional() {
            append.transaction = self.transaction(TransactionCheck { guard, version: 0 });
        }
        let appended = self.write(&mut state, &append, accepted)?;
        drop(state);
        self.waiters.wake_all();
        Ok(appended)
    }

    fn transaction(&self, check: TransactionCheck) -> Transaction {
        let verify = self.neighbours.verifies_transactions();
        Transaction { guard: check.guard, version: check.version, verify }
    }

    /// Begins to verify a producer's transaction (KIP-890): the guard goes with the append once the transaction coordinator
    /// has confirmed the transaction. `None` if the transaction is open here already.
    pub(crate) fn begin_verification(
        &self,
        producer: (i64, i16),
        sequence: i32,
        supports_epoch_bump: bool,
    ) -> Result<Option<VerificationGuard>, ErrorCode> {
        let mut state = self.state.lock();
        state.check_leader(-1)?;
        let (id, epoch) = producer;
        Ok(state.log_mut().begin_verification(wall_ms(), id, sequence, epoch, supports_epoch_bump))
    }

    /// Appends a batch of this node's own making (coordinator records, markers): in this epoch only, or whenever this node
    /// leads.
    pub(crate) fn append_own(
        self: &Arc<Self>,
        batch: &[u8],
        leader_epoch: Option<i32>,
        now_ms: i64,
        check: TransactionCheck,
    ) -> Result<Appended, ErrorCode> {
        let batch = Batch::parse(batch).expect("PARTITION-2 a batch that was built can be parsed");
        let mut state = self.state.lock();
        let leader_epoch = leader_epoch.unwrap_or(state.leader_epoch);
        if state.check_leader(-1).is_err() || state.leader_epoch != leader_epoch {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        // What a coordinator writes is as durable as what acks=all asks for.
        if let Role::Leads(leader) = &state.role
            && leader.admits() != Admission::Admitted
        {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let append = LeaderAppend {
            now_ms,
            leader_epoch,
            origin: Origin::Coordinator,
            transaction: self.transaction(check),
        };
        let accepted = Accepted { batch, timestamp: (TimestampType::CreateTime, batch.max_timestamp) };
        let appended = self.write(&mut state, &append, accepted).map_err(|refusal| match refusal {
            AppendRefusal::Code(code) => code,
            AppendRefusal::Rejected(_) => ErrorCode::UnknownServerError,
            // A transaction that is over, or the marker of a coordinator that is none any more.
            AppendRefusal::Sequence(code, message) => {
                tracing::info!("{}-{}: {message}", self.topic, self.index);
                code
            }
            AppendRefusal::Storage(message) => {
                tracing::error!("{}-{}: {message}", self.topic, self.index);
                ErrorCode::KafkaStorageError
            }
        })?;
        drop(state);
        self.waiters.wake_all();
        Ok(appended)
    }

    fn write(
        self: &Arc<Self>,
        state: &mut State,
        append: &LeaderAppend,
        accepted: Accepted<'_>,
    ) -> Result<Appended, AppendRefusal> {
        let replicated = matches!(&state.role, Role::Leads(leader) if !leader.remotes().is_empty());
        let appended = state.log_mut().append_as_leader(append, &[accepted]).map_err(|error| {
            if replicated {
                self.give_up_full_disk(&error);
            }
            refusal(error)
        })?;
        let end = state.log().log_end();
        if let Role::Leads(leader) = &mut state.role
            && !appended.duplicate
        {
            // Alone, a leader needs no clock.
            let now_ms = if leader.remotes().is_empty() { 0 } else { self.neighbours.now_ms() };
            let progress = leader.appended(end, &*self.neighbours, now_ms);
            self.advance(state, progress);
        }
        // A batch that was in the log already may be on its way to the disk still.
        let flush_due = appended.flush_due
            || (appended.duplicate
                && state.log().unflushed() >= state.config.flush_messages
                && state.log().recovery_point() <= appended.last_offset);
        let durable = flush_due.then(|| self.flush_soon(state));
        if appended.rolled && durable.is_none() {
            self.flush_completed(state);
        }
        Ok(Appended {
            base_offset: appended.first_offset,
            next_offset: appended.last_offset + 1,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: state.log().log_start(),
            leader_epoch: state.leader_epoch,
            committed: state.log().high_watermark() > appended.last_offset,
            durable,
        })
    }
}

impl Partition {
    /// A full disk holds up every partition that others could lead, and every acknowledgement that waits for this
    /// replica: the directory goes offline, as in Kafka, so that the controller does without it. A partition that lies
    /// nowhere else gains nothing by that: it refuses records until there is room.
    pub(super) fn give_up_full_disk(&self, error: &AppendError) {
        if let AppendError::Storage(full @ ottla_log::Error::DiskFull { .. }) = error {
            self.log_dir.log().poison(|| full.to_string());
        }
    }

    /// Flushes completed segments in the background, so that recovery need not read them.
    fn flush_completed(self: &Arc<Self>, state: &mut State) {
        let Ok(Some(work)) = state.log_mut().flush_work_of_completed() else { return };
        let partition = self.clone();
        self.log_dir.log().flusher().submit(work, move |flushed| match flushed {
            Ok(flushed) => partition.note_flushed(&flushed),
            Err(error) => tracing::error!("cannot flush {}-{}: {error}", partition.topic, partition.index),
        });
    }

    fn note_flushed(&self, flushed: &Flushed) {
        if let Some(log) = &mut self.state.lock().log {
            log.flushed(flushed, wall_ms());
        }
    }

    /// Hands the log's unflushed files to the directory's flusher; one round of fsyncs serves many partitions.
    pub(super) fn flush_soon(self: &Arc<Self>, state: &mut State) -> Durable {
        let (done, durable) = oneshot::channel();
        let work = match state.log_mut().flush_work() {
            Ok(Some(work)) => work,
            Ok(None) => {
                let _ = done.send(true);
                return Durable(durable);
            }
            Err(error) => {
                tracing::error!("cannot flush {}-{}: {error}", self.topic, self.index);
                let _ = done.send(false);
                return Durable(durable);
            }
        };
        let partition = self.clone();
        self.log_dir.log().flusher().submit(work, move |flushed| {
            let succeeded = flushed.is_ok();
            match flushed {
                Ok(flushed) => partition.note_flushed(&flushed),
                Err(error) => {
                    tracing::error!("cannot flush {}-{}: {error}", partition.topic, partition.index)
                }
            }
            let _ = done.send(succeeded);
        });
        Durable(durable)
    }
}

fn rules(state: &State) -> Rules {
    let config = &state.config;
    let needed = config.cleanup.compact || !matches!(config.compression, TopicCompression::Producer);
    Rules {
        max_batch_bytes: config.max_message_bytes.max(0) as usize,
        require_keys: config.cleanup.compact,
        timestamp_type: match config.timestamp_type {
            TopicTimestampType::CreateTime => TimestampType::CreateTime,
            TopicTimestampType::LogAppendTime => TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: config.timestamp_before_max_ms,
        timestamp_after_max_ms: config.timestamp_after_max_ms,
        // A batch that no consumer can read must not be acknowledged, whatever its CRC says: Apache Kafka looks, too.
        inspect_compressed: true,
        max_decompressed_bytes: if needed { MAX_DECOMPRESSED_BYTES } else { LOOK_BYTES },
    }
}

/// The codec that the topic asks for, if the producer used another.
fn target(wanted: TopicCompression, used: Option<Compression>) -> Option<(Compression, Option<i32>)> {
    let (codec, level) = match wanted {
        TopicCompression::Producer => return None,
        TopicCompression::Uncompressed => (Compression::None, None),
        TopicCompression::Gzip(level) => (Compression::Gzip, Some(level)),
        TopicCompression::Snappy => (Compression::Snappy, None),
        TopicCompression::Lz4(level) => (Compression::Lz4, Some(level)),
        TopicCompression::Zstd(level) => (Compression::Zstd, Some(level)),
    };
    (used != Some(codec)).then_some((codec, level))
}

fn refusal(error: AppendError) -> AppendRefusal {
    let code = match &error {
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
        AppendError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::Storage(error) => return AppendRefusal::Storage(error.to_string()),
        other => return AppendRefusal::Storage(other.to_string()),
    };
    AppendRefusal::Sequence(code, error.to_string())
}
