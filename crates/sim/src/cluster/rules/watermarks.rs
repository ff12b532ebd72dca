//! 19 and 23: the high watermark of a replica stays within its log and does not fall, and nothing below it is cut off,
//! unless an election took records away.

use std::collections::BTreeMap;

use super::hold;
use super::records::Chapter;
use crate::cluster::ask::Key;
use crate::cluster::partition::Partition;

/// High watermarks of all processes.
#[derive(Debug, Default)]
pub struct Watermarks(BTreeMap<(usize, Key), i64>);

impl Watermarks {
    /// A process knows no watermark yet.
    pub fn started(&mut self, node: usize) {
        self.0.retain(|(index, _), _| *index != node);
    }

    /// A partition of a process.
    pub fn look(&mut self, node: usize, partition: &Partition, chapter: &Chapter) {
        let (now, end) = (partition.log.high_watermark(), partition.log.log_end());
        hold!(19, now <= end, "node {} has {now} committed of {end}", node + 1);
        let before = self.0.insert((node, partition.key), now).unwrap_or(0);
        // A replica that moved away and came back begins with an empty log.
        let fell = now < before && end > 0 && !chapter.had_unclean_election();
        hold!(19, !fell, "the high watermark of node {} fell from {before} to {now}", node + 1);
    }
}

/// A follower had to cut off what it took for committed.
pub fn lost(chapter: &Chapter, node: usize, records: i64) {
    let allowed = records == 0 || chapter.had_unclean_election();
    hold!(23, allowed, "node {} cuts off {records} records below its high watermark", node + 1);
}
