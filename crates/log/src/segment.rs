//! A segment: a piece of a log with its indexes. Knows offsets and positions, nothing of producers or epochs.

use ottla_records::ids::{NO_TIMESTAMP, Offset, TimestampMs};

use crate::config::LogConfig;
use crate::dir::LogDir;
use crate::error::Error;
use crate::index::{AbortedIndex, Entry, FileKind, Index, OffsetEntry, Place, TimeEntry};
use crate::walk::{Head, Heads};

/// The largest position in a segment file: what an index entry can hold.
pub(crate) const MAX_SIZE: u32 = i32::MAX as u32;

/// Bytes of the smallest thing that can lie in a log file: a message of magic 0 without key and value.
const SMALLEST_BATCH: u32 = 26;

/// One segment of a log. Its files are named by [`Place`], which its log makes from it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base: Offset,
    pub(crate) key: u64,
    /// Bytes of the log file.
    pub(crate) size: u32,
    bytes_since_index: u32,
    pub(crate) offsets: Index<OffsetEntry>,
    pub(crate) times: Index<TimeEntry>,
    pub(crate) aborted: AbortedIndex,
    latest: Option<Latest>,
    /// Largest timestamp of the first batch, if it has been looked at.
    first_timestamp: Option<TimestampMs>,
    created_ms: i64,
    /// Whether all its files are durable; true of no segment that is still written to.
    pub(crate) synced: bool,
}

/// The largest timestamp of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Latest {
    timestamp: TimestampMs,
    /// Last offset of the batch that has it.
    offset: Offset,
    /// Timestamp of the last entry of the time index.
    indexed: TimestampMs,
}

/// Where a batch begins that holds an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) position: u32,
    /// Bytes of the batch.
    pub(crate) size: u32,
}

impl Segment {
    pub(crate) fn place<'a>(&self, dir: &'a LogDir, path: &'a std::path::Path) -> Place<'a> {
        Place { dir, path, base: self.base, key: self.key }
    }

    /// Makes the files of a new segment; files of these names are emptied.
    pub(crate) fn create(place: Place<'_>, now_ms: i64) -> Result<Segment, Error> {
        for kind in [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::Log] {
            place.create(kind)?;
        }
        place.dir.remove_file(&place.path_of(FileKind::TxnIndex))?;
        let mut segment = Segment::unchecked(place, 0, now_ms);
        segment.latest = Some(segment.no_timestamp());
        Ok(segment)
    }

    /// A segment whose log file has `size` bytes, with empty indexes.
    pub(crate) fn unchecked(place: Place<'_>, size: u32, now_ms: i64) -> Segment {
        Segment {
            base: place.base,
            key: place.key,
            size,
            bytes_since_index: 0,
            offsets: Index::default(),
            times: Index::default(),
            aborted: AbortedIndex::default(),
            latest: None,
            first_timestamp: None,
            created_ms: now_ms,
            synced: false,
        }
    }

    /// Takes the indexes from their files; of transactions, if it is said that there is one. Returns what is wrong
    /// with them, if something is: by their length, or with `look` also by what is at their ends.
    pub(crate) fn load_indexes(
        &mut self,
        place: Place<'_>,
        transactions: bool,
        look: bool,
    ) -> Result<Option<&'static str>, Error> {
        // No batch is smaller than this, and no batch has two entries.
        let most = self.size / SMALLEST_BATCH;
        let Some(offsets) = Index::<OffsetEntry>::load(place)?.filter(|index| index.len() <= most) else {
            return Ok(Some("the offset index is missing or has a wrong length"));
        };
        // The last entry of a time index may come without one in the offset index.
        let Some(times) = Index::<TimeEntry>::load(place)?.filter(|index| index.len() <= most + 1) else {
            return Ok(Some("the time index is missing or has a wrong length"));
        };
        let aborted = if transactions { AbortedIndex::load(place)? } else { Some(AbortedIndex::default()) };
        let Some(aborted) = aborted else {
            return Ok(Some("the transaction index is damaged"));
        };
        if look {
            if let Some(last) = offsets.last(place)? {
                let first = offsets.get(place, 0)?;
                let ascending = last.offset > first.offset && last.position > first.position;
                if last.position >= self.size || (offsets.len() > 1 && !ascending) {
                    return Ok(Some("the offset index does not belong to the log file"));
                }
            }
            if let Some(last) = times.last(place)? {
                let first = times.get(place, 0)?;
                if last.timestamp < first.timestamp || last.offset < first.offset {
                    return Ok(Some("the time index is not in order"));
                }
            }
        }
        (self.offsets, self.times, self.aborted) = (offsets, times, aborted);
        Ok(None)
    }

    fn no_timestamp(&self) -> Latest {
        Latest { timestamp: NO_TIMESTAMP, offset: self.base, indexed: NO_TIMESTAMP }
    }

    /// The offset relative to the base, if an index can hold it.
    fn relative(&self, offset: Offset) -> Option<u32> {
        u32::try_from(offset.checked_sub(self.base)?).ok().filter(|relative| *relative <= i32::MAX as u32)
    }

    fn entry(&self, offset: Offset) -> u32 {
        match self.relative(offset) {
            Some(relative) => relative,
            None => panic!("LOG-12: offset {offset} cannot be in the segment at {}", self.base),
        }
    }

    /// Whether batches of these bytes, largest timestamp and last offset belong into a new segment.
    pub(crate) fn should_roll(
        &mut self,
        place: Place<'_>,
        config: &LogConfig,
        now_ms: i64,
        bytes: usize,
        max_timestamp: TimestampMs,
        last_offset: Offset,
    ) -> Result<bool, Error> {
        // Read now if need be: once a batch is written, nothing may fail that it has to be taken into.
        self.latest(place)?;
        let max_size = config.segment_bytes.min(MAX_SIZE) as usize;
        if self.size as usize + bytes > max_size
            || self.relative(last_offset).is_none()
            || self.offsets.len() >= config.segment_index_bytes / 8
            // The last entry is for the roll itself.
            || self.times.len() >= (config.segment_index_bytes / 12).saturating_sub(1)
        {
            return Ok(true);
        }
        if self.size == 0 {
            return Ok(false);
        }
        let waited = match self.first_timestamp(place)? {
            first if first >= 0 => max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(self.created_ms),
        };
        let directory = place.path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        Ok(waited > config.segment_ms - config.jitter(directory, self.base))
    }

    fn first_timestamp(&mut self, place: Place<'_>) -> Result<TimestampMs, Error> {
        if let Some(first) = self.first_timestamp {
            return Ok(first);
        }
        let file = place.file(FileKind::Log)?;
        let head = Heads::new(place, &*file, 0, self.size).next()?;
        let first = head.map_or(NO_TIMESTAMP, |head| head.max_timestamp);
        self.first_timestamp = Some(first);
        Ok(first)
    }

    /// Takes in a batch that has been written at the end of the log file.
    pub(crate) fn appended(
        &mut self,
        place: Place<'_>,
        interval: u32,
        size: u32,
        last_offset: Offset,
        max_timestamp: TimestampMs,
    ) -> Result<(), Error> {
        if self.size == 0 {
            self.first_timestamp = Some(max_timestamp);
        }
        let mut latest = self.latest(place)?;
        if max_timestamp > latest.timestamp {
            latest = Latest { timestamp: max_timestamp, offset: last_offset, ..latest };
        }
        let position = self.size;
        self.size += size;
        self.synced = false;
        let due = self.bytes_since_index > interval;
        if due {
            self.bytes_since_index = 0;
        }
        self.bytes_since_index = self.bytes_since_index.saturating_add(size);
        self.latest = Some(latest);
        if due {
            let offset = self.entry(last_offset);
            self.offsets.push(place, OffsetEntry { offset, position })?;
            self.index_time(place)?;
        }
        Ok(())
    }

    /// Adds the largest timestamp to the time index, if it is larger than the last one there.
    fn index_time(&mut self, place: Place<'_>) -> Result<(), Error> {
        let latest = self.latest(place)?;
        if latest.timestamp > latest.indexed {
            let offset = self.entry(latest.offset);
            self.times.push(place, TimeEntry { timestamp: latest.timestamp, offset })?;
            self.latest = Some(Latest { indexed: latest.timestamp, ..latest });
        }
        Ok(())
    }

    /// Completes the indexes of a segment that is not written to any more.
    pub(crate) fn finish(&mut self, place: Place<'_>) -> Result<(), Error> {
        self.index_time(place)?;
        self.write_indexes(place)
    }

    pub(crate) fn write_indexes(&mut self, place: Place<'_>) -> Result<(), Error> {
        self.offsets.write(place)?;
        self.times.write(place)
    }

    fn latest(&mut self, place: Place<'_>) -> Result<Latest, Error> {
        if let Some(latest) = self.latest {
            return Ok(latest);
        }
        let latest = match self.times.last(place)? {
            None => self.no_timestamp(),
            Some(entry) => Latest {
                timestamp: entry.timestamp,
                offset: self.base + i64::from(entry.offset),
                indexed: entry.timestamp,
            },
        };
        self.latest = Some(latest);
        Ok(latest)
    }

    /// The largest timestamp (−1 if no record has one), and the last offset of the batch that has it.
    pub(crate) fn max_timestamp(&mut self, place: Place<'_>) -> Result<(TimestampMs, Offset), Error> {
        self.latest(place).map(|latest| (latest.timestamp, latest.offset))
    }

    /// The largest timestamp, or for want of any when the file was last written.
    pub(crate) fn age_timestamp(&mut self, place: Place<'_>) -> Result<TimestampMs, Error> {
        match self.max_timestamp(place)? {
            (timestamp, _) if timestamp >= 0 => Ok(timestamp),
            _ => {
                let path = place.path_of(FileKind::Log);
                let stat = place.dir.disk().stat(&path).map_err(|source| Error::io("stat", &path, source))?;
                Ok(stat.map_or(self.created_ms, |stat| stat.modified_ms))
            }
        }
    }

    /// A position at or before the first batch that reaches to `offset`: where the search begins.
    pub(crate) fn floor(&self, place: Place<'_>, offset: Offset) -> Result<u32, Error> {
        let Some(target) = offset.checked_sub(self.base).filter(|target| *target > 0) else { return Ok(0) };
        let entry = self.offsets.last_before(place, |entry| i64::from(entry.offset) <= target)?;
        Ok(entry.map_or(0, |entry| entry.position))
    }

    /// The first batch whose last offset is `offset` or larger.
    pub(crate) fn locate(&self, place: Place<'_>, offset: Offset) -> Result<Option<Located>, Error> {
        let position = self.floor(place, offset)?;
        if position >= self.size {
            return Ok(None);
        }
        let file = place.file(FileKind::Log)?;
        let mut heads = Heads::new(place, &*file, position, self.size);
        while let Some(head) = heads.next()? {
            if head.last_offset >= offset {
                return Ok(Some(Located { position: head.position, size: head.size }));
            }
        }
        Ok(None)
    }

    /// The offset behind the last record; the base if there is none. Fails with [`Error::Corrupt`] if the file does
    /// not end with a batch, or the index does not lead to one.
    pub(crate) fn next_offset(&self, place: Place<'_>) -> Result<Offset, Error> {
        if self.size == 0 {
            return Ok(self.base);
        }
        let indexed = self.offsets.last(place)?;
        let position = indexed.map_or(0, |entry| entry.position);
        let file = place.file(FileKind::Log)?;
        let mut heads = Heads::new(place, &*file, position, self.size);
        let first = heads.next()?;
        let expected = indexed.map(|entry| self.base + i64::from(entry.offset));
        if expected.is_some() && first.map(|head| head.last_offset) != expected {
            return Err(place.corrupt(FileKind::OffsetIndex, 0, "its last entry leads to another batch"));
        }
        let mut next = first.map_or(self.base, |head| head.last_offset.saturating_add(1));
        while let Some(Head { last_offset, .. }) = heads.next()? {
            next = last_offset.saturating_add(1);
        }
        Ok(next)
    }

    /// Where to look for the first record that is as late as `timestamp` and not before `from`.
    pub(crate) fn floor_of_time(
        &self,
        place: Place<'_>,
        timestamp: TimestampMs,
        from: Offset,
    ) -> Result<u32, Error> {
        let entry = self.times.last_before(place, |entry| entry.timestamp <= timestamp)?;
        let offset = entry.map_or(self.base, |entry| self.base + i64::from(entry.offset));
        self.floor(place, offset.max(from))
    }

    /// The last offset of the first indexed batch that begins at `position` or behind it.
    pub(crate) fn offset_from_position(
        &self,
        place: Place<'_>,
        position: u32,
    ) -> Result<Option<Offset>, Error> {
        let at = self.offsets.partition_point(place, |entry| entry.position < position)?;
        if at >= self.offsets.len() {
            return Ok(None);
        }
        self.offsets.get(place, at).map(|entry| Some(self.base + i64::from(entry.offset)))
    }

    /// Cuts everything off from the batch on that holds `offset`. Returns the bytes cut off.
    pub(crate) fn truncate_to(
        &mut self,
        place: Place<'_>,
        offset: Offset,
        now_ms: i64,
    ) -> Result<u32, Error> {
        let located = self.locate(place, offset)?;
        let target = offset - self.base;
        let offsets = self.offsets.partition_point(place, |entry| i64::from(entry.offset) < target)?;
        let times = self.times.partition_point(place, |entry| i64::from(entry.offset) < target)?;
        self.aborted.truncate_to(place, offset)?;
        self.offsets.truncate(place, offsets)?;
        self.times.truncate(place, times)?;
        self.synced = false;
        self.bytes_since_index = 0;
        self.latest = None;
        let cut = match located {
            None => 0,
            Some(Located { position, .. }) => {
                place.truncate(FileKind::Log, position.into())?;
                std::mem::replace(&mut self.size, position) - position
            }
        };
        if self.size == 0 {
            self.created_ms = now_ms;
            self.first_timestamp = None;
        }
        self.find_latest(place)?;
        Ok(cut)
    }

    /// Finds the largest timestamp anew: the last indexed one, or a larger one behind it.
    fn find_latest(&mut self, place: Place<'_>) -> Result<(), Error> {
        let mut latest = self.latest(place)?;
        let position = self.floor(place, latest.offset)?;
        let file = place.file(FileKind::Log)?;
        let mut heads = Heads::new(place, &*file, position, self.size);
        while let Some(head) = heads.next()? {
            if head.max_timestamp > latest.timestamp {
                latest = Latest { timestamp: head.max_timestamp, offset: head.last_offset, ..latest };
            }
        }
        self.latest = Some(latest);
        Ok(())
    }

    /// Empties the indexes and forgets the size: what [`Segment::appended`] is told from here on is found by
    /// reading the file.
    pub(crate) fn start_recovery(&mut self, place: Place<'_>) -> Result<(), Error> {
        self.offsets.reset(place)?;
        self.times.reset(place)?;
        self.aborted.reset(place)?;
        self.size = 0;
        self.bytes_since_index = 0;
        self.latest = Some(self.no_timestamp());
        self.first_timestamp = None;
        Ok(())
    }

    /// Whether its files are as long as it takes them to be.
    pub(crate) fn has_known_lengths(&self, place: Place<'_>) -> Result<bool, Error> {
        let known = [
            (FileKind::Log, u64::from(self.size)),
            (FileKind::OffsetIndex, u64::from(self.offsets.len()) * OffsetEntry::SIZE as u64),
            (FileKind::TimeIndex, u64::from(self.times.len()) * TimeEntry::SIZE as u64),
        ];
        for (kind, length) in known {
            if place.len(kind)? != Some(length) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether no record was ever written here, nor anything into the indexes: then there is nothing to recover, and
    /// of thousands of partitions that nobody used no file need be opened.
    pub(crate) fn recover_blank(&mut self, place: Place<'_>) -> Result<bool, Error> {
        let has_no_index = |kind| Ok::<bool, Error>(place.len(kind)? == Some(0));
        if self.size > 0
            || !has_no_index(FileKind::OffsetIndex)?
            || !has_no_index(FileKind::TimeIndex)?
            || place.len(FileKind::TxnIndex)?.is_some()
        {
            return Ok(false);
        }
        self.latest = Some(self.no_timestamp());
        Ok(true)
    }

    /// Gives back memory and files that an idle segment does not need.
    pub(crate) fn release(&mut self, place: Place<'_>) -> Result<(), Error> {
        self.write_indexes(place)?;
        FileKind::ALL.into_iter().for_each(|kind| place.close(kind));
        Ok(())
    }
}
