//! Reading by offset.

use ottla_records::ids::Offset;

use super::Log;
use crate::error::Error;
use crate::index::{AbortedTxn, FileKind};
use crate::segment::Located;
use crate::slice::Slice;

/// How far a read may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadUpTo {
    /// To the log end: followers, and a log's own owner.
    LogEnd,
    /// To the high watermark: consumers.
    HighWatermark,
    /// To the last stable offset: consumers of committed records.
    LastStableOffset,
}

/// What a read returns.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Batches, of which the first may begin before the offset and the last may be cut off.
    pub slice: Slice,
    /// Transactions aborted in the range that was read; only for [`ReadUpTo::LastStableOffset`].
    pub aborted: Vec<AbortedTxn>,
    /// Whether the first batch alone is larger than what was asked for, and has been cut off.
    pub first_incomplete: bool,
}

impl Fetched {
    fn nothing() -> Fetched {
        Fetched { slice: Slice::empty(), aborted: Vec::new(), first_incomplete: false }
    }
}

impl Log {
    /// Reads from the batch on that holds `offset`, at most `max_bytes`; with `min_one`, at least one whole batch if
    /// there is one. What is returned lies in one segment.
    ///
    /// Fails with [`Error::OffsetOutOfRange`] below the log start and beyond the log end. Between the bound of
    /// `up_to` and the log end there is nothing to read, which is no error.
    pub fn read(
        &self,
        offset: Offset,
        max_bytes: usize,
        min_one: bool,
        up_to: ReadUpTo,
    ) -> Result<Fetched, Error> {
        if offset < self.start || offset > self.end {
            return Err(Error::OffsetOutOfRange { offset, start: self.start, end: self.end });
        }
        let bound = match up_to {
            ReadUpTo::LogEnd => self.end,
            ReadUpTo::HighWatermark => self.high_watermark,
            ReadUpTo::LastStableOffset => self.last_stable_offset(),
        };
        if offset >= bound {
            return Ok(Fetched::nothing());
        }
        let mut at = self.segment_at(offset);
        let located = loop {
            match self.locate(at, offset)? {
                Some(located) => break located,
                // All batches of this segment from the offset on are gone; the next one goes on.
                None if at + 1 < self.segments.len() => at += 1,
                None => return Ok(Fetched::nothing()),
            }
        };
        let segment = &self.segments[at];
        let end = self.position_of_bound(at, bound)?;
        let max_bytes = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        let wanted = if min_one { max_bytes.max(located.size) } else { max_bytes };
        let len = wanted.min(end.saturating_sub(located.position));
        if len == 0 {
            return Ok(Fetched::nothing());
        }
        let file = segment.place(&self.dir, &self.path).file(FileKind::Log)?;
        let slice = Slice::new(segment.key, file, self.dir.windows().clone(), located.position, len);
        let mut aborted = Vec::new();
        if up_to == ReadUpTo::LastStableOffset && self.segments[at..].iter().any(|s| !s.aborted.is_empty()) {
            let place = segment.place(&self.dir, &self.path);
            let next_base = self.segments.get(at + 1).map_or(self.end, |next| next.base);
            let upper = segment.offset_from_position(place, located.position + len)?.unwrap_or(next_base);
            self.collect_aborted(at, offset, upper, &mut aborted)?;
        }
        Ok(Fetched { slice, aborted, first_incomplete: wanted < located.size })
    }

    /// The transactions that were aborted and have records or their marker in `from..to`.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTxn>, Error> {
        let mut aborted = Vec::new();
        self.collect_aborted(self.segment_at(from), from, to, &mut aborted)?;
        Ok(aborted)
    }

    fn collect_aborted(
        &self,
        first_segment: usize,
        from: Offset,
        to: Offset,
        into: &mut Vec<AbortedTxn>,
    ) -> Result<(), Error> {
        for segment in &self.segments[first_segment..] {
            if !segment.aborted.is_empty()
                && segment.aborted.collect(segment.place(&self.dir, &self.path), from, to, into)?
            {
                break;
            }
        }
        Ok(())
    }

    /// The first batch of a segment that reaches to `offset`.
    fn locate(&self, segment: usize, offset: Offset) -> Result<Option<Located>, Error> {
        let found = &self.segments[segment];
        if segment + 1 == self.segments.len()
            && let Some((position, size)) = self.recent.find(offset, found.size)
        {
            return Ok(Some(Located { position, size }));
        }
        found.locate(found.place(&self.dir, &self.path), offset)
    }

    /// Where in a segment the first batch begins that reads below `bound` must not return.
    fn position_of_bound(&self, segment: usize, bound: Offset) -> Result<u32, Error> {
        let size = self.segments[segment].size;
        let next_base = self.segments.get(segment + 1).map_or(self.end, |next| next.base);
        if bound >= next_base {
            return Ok(size);
        }
        Ok(self.locate(segment, bound)?.map_or(size, |located| located.position))
    }
}
