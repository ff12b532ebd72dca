//! 19 and 23: the high watermark of a replica stays within its log and does not fall, and nothing below it is cut off,
//! unless an election took records away.

use std::collections::BTreeMap;

use super::hold;
use super::records::Chapter;
use crate::cluster::ask::Key;
use crate::cluster::partition::Partition;

/// What a process knows of a partition's high watermark.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// As its life began: what the checkpoint said. After a power cut the file may be newer than the log beside it.
    began: i64,
    now: i64,
}

/// High watermarks of all processes.
#[derive(Debug, Default)]
pub struct Watermarks(BTreeMap<(usize, Key), Known>);

impl Watermarks {
    /// A process knows no watermark yet.
    pub fn started(&mut self, node: usize) {
        self.0.retain(|(index, _), _| *index != node);
    }

    /// A partition of a process.
    pub fn look(&mut self, node: usize, partition: &Partition, chapter: &Chapter) {
        let (now, end) = (partition.log.high_watermark(), partition.log.log_end());
        hold!(19, now <= end, "node {} has {now} committed of {end}", node + 1);
        let known = self.0.entry((node, partition.key)).or_insert(Known { began: now, now });
        let before = std::mem::replace(&mut known.now, now);
        // A replica that moved away and came back begins with an empty log.
        let fell = now < before && end > 0 && before > known.began && !chapter.had_unclean_election();
        hold!(19, !fell, "the high watermark of node {} fell from {before} to {now}", node + 1);
    }

    /// A follower had to cut off what it took for committed. What it only had from its checkpoint does not count: the
    /// leader has not told it in this life. Whether anything committed went is another rule's to say.
    pub fn lost(&self, chapter: &Chapter, node: usize, key: Key, records: i64) {
        let told = self.0.get(&(node, key)).is_some_and(|known| known.now > known.began);
        let allowed = records == 0 || !told || chapter.had_unclean_election();
        hold!(23, allowed, "node {} cuts off {records} records below its high watermark", node + 1);
    }
}
