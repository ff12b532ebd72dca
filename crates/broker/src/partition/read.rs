//! Reading from a partition: what a fetch gets, what a coordinator loads.

use ottla_log::{ReadUpTo, Slice};
use ottla_protocol::ErrorCode;
use tracing::error;

use super::Partition;
use crate::fetch_session::Wanted;

/// What a fetch gets of one partition.
#[derive(Debug)]
pub(crate) struct FetchRead {
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) slice: Option<Slice>,
    /// Producer id and first offset of the aborted transactions in the slice.
    pub(crate) aborted: Vec<(i64, i64)>,
    /// The epoch and end offset at which the reader's log diverged from this one.
    pub(crate) diverging: Option<(i32, i64)>,
}

impl Partition {
    /// Reads what `want` asks for, at most `left` bytes; `at_least_one` gives a first batch that is larger.
    pub(crate) fn fetch(
        &self,
        want: &Wanted,
        left: usize,
        at_least_one: bool,
        read_committed: bool,
    ) -> Result<FetchRead, ErrorCode> {
        let state = self.state.lock();
        state.check_leader(want.current_leader_epoch)?;
        let log = state.log();
        let mut read = FetchRead {
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            log_start_offset: log.log_start(),
            slice: None,
            aborted: Vec::new(),
            diverging: None,
        };
        if want.last_fetched_epoch >= 0 {
            let end = log.end_of_epoch(want.last_fetched_epoch).ok_or(ErrorCode::OffsetOutOfRange)?;
            if want.fetch_offset < log.log_start() {
                return Err(ErrorCode::OffsetOutOfRange);
            }
            if end.0 < want.last_fetched_epoch || end.1 < want.fetch_offset {
                read.diverging = Some(end);
                return Ok(read);
            }
        }
        if want.fetch_offset < log.log_start() || want.fetch_offset > log.log_end() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let up_to = if read_committed { read.last_stable_offset } else { read.high_watermark };
        let max_bytes = left.min(usize::try_from(want.max_bytes).unwrap_or(0));
        if want.fetch_offset >= up_to || (max_bytes == 0 && !at_least_one) {
            return Ok(read);
        }
        let until = if read_committed { ReadUpTo::LastStableOffset } else { ReadUpTo::HighWatermark };
        let fetched =
            log.read(want.fetch_offset, max_bytes, at_least_one, until).map_err(|e| self.unreadable(&e))?;
        // A part of a batch is of no use to anyone; with nothing at all a consumer knows that it has to ask again.
        if !fetched.first_incomplete {
            read.aborted = fetched.aborted.iter().map(|a| (a.producer_id, a.first_offset)).collect();
            read.slice = Some(fetched.slice);
        }
        Ok(read)
    }

    /// Whether a read from `offset` stops at the end of a segment although there is more behind it. A fetch that
    /// waited for more bytes would wait in vain: one read never goes from one segment into the next.
    pub(crate) fn more_behind_segment(&self, offset: i64) -> bool {
        let state = self.state.lock();
        state.log.as_ref().and_then(|log| log.segments().last()).is_some_and(|(base, _)| offset < base)
    }

    fn unreadable(&self, error: &ottla_log::Error) -> ErrorCode {
        error!("cannot read {}-{}: {error}", self.topic, self.index);
        ErrorCode::KafkaStorageError
    }

    /// The high watermark, as long as this node leads in `leader_epoch`. `None` afterwards: what was appended in that
    /// epoch may have been replaced since.
    pub(crate) fn high_watermark_of(&self, leader_epoch: i32) -> Option<i64> {
        let state = self.state.lock();
        state.check_leader(leader_epoch).ok().map(|()| self.high_watermark())
    }

    /// The offsets that a coordinator has to read when it takes the partition over.
    pub(crate) fn load_range(&self) -> (i64, i64) {
        let state = self.state.lock();
        (state.log().log_start(), state.log().log_end())
    }

    /// Whole batches from `offset` on, at least one, up to the log's end.
    pub(crate) fn read_for_load(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, String> {
        let fetched = self
            .state
            .lock()
            .log()
            .read(offset, max_bytes, true, ReadUpTo::LogEnd)
            .map_err(|error| error.to_string())?;
        fetched.slice.to_vec().map_err(|error| error.to_string())
    }
}
