//! 24 and 25: a producer's records are there once and in order, and it is never told that they do not follow.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;

use super::hold;
use super::records::{Chapter, Record};

/// The last sequences of all producers, and where each write lies.
#[derive(Debug, Default)]
pub struct Sequences {
    last: BTreeMap<i64, i32>,
    writes: BTreeMap<u64, i64>,
}

impl Sequences {
    /// Records were lost: what is left counts.
    pub fn forget(&mut self) {
        *self = Sequences::default();
    }

    /// A record that is left.
    pub fn restore(&mut self, record: &Record) {
        if record.producer.0 >= 0 {
            self.last.insert(record.producer.0, record.producer.2);
            self.writes.insert(record.number, record.base);
        }
    }

    /// A record is committed.
    pub fn committed(&mut self, record: &Record) {
        let (id, first, _) = record.producer;
        if id < 0 {
            return;
        }
        let before = self.writes.get(&record.number).copied();
        hold!(24, before.is_none(), "write {} is at {before:?} and at {}", record.number, record.base);
        let last = self.last.get(&id).copied();
        let follows = last.is_none_or(|last| first == last + 1);
        hold!(24, follows, "sequence {first} of producer {id} follows {last:?} at {}", record.base);
        self.restore(record);
    }
}

/// A producer was told that its sequence does not follow: that needs a lost record.
pub fn refused(chapter: Option<&Chapter>, error: ErrorCode) {
    let lost = chapter.is_some_and(Chapter::had_unclean_election);
    hold!(25, lost, "an idempotent producer is told {error:?} and no election was unclean");
}
