//! A value that changes at log offsets: remembered so that truncation can take a change back.

use ottla_records::ids::Offset;

/// Values by the offset of the record that set them, oldest first. A value that came from a snapshot stands
/// at the last offset the snapshot contains (-1 for the bootstrap checkpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<T>(Vec<(Offset, T)>);

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> History<T> {
    /// Remembers that the record at `offset` set `value`. Entries at or after it are replaced.
    pub fn add(&mut self, offset: Offset, value: T) {
        self.truncate_from(offset);
        self.0.push((offset, value));
    }

    /// The newest value.
    pub fn last(&self) -> Option<&T> {
        self.0.last().map(|(_, value)| value)
    }

    /// Where the newest value was set.
    pub fn last_offset(&self) -> Option<Offset> {
        self.0.last().map(|(offset, _)| *offset)
    }

    /// The value before the newest, if it is remembered.
    pub fn previous(&self) -> Option<&T> {
        self.0.iter().rev().nth(1).map(|(_, value)| value)
    }

    /// The value as of `offset` (inclusive).
    pub fn at(&self, offset: Offset) -> Option<&T> {
        self.0.iter().rev().find(|(set, _)| *set <= offset).map(|(_, value)| value)
    }

    /// Forgets what was set at `end` or later: the log was truncated there.
    pub fn truncate_from(&mut self, end: Offset) {
        while self.0.last().is_some_and(|(offset, _)| *offset >= end) {
            self.0.pop();
        }
    }

    /// Forgets what was overwritten before `start`, keeping the value that held there.
    pub fn truncate_before(&mut self, start: Offset) {
        let keep = self.0.iter().rposition(|(offset, _)| *offset <= start).unwrap_or(0);
        self.0.drain(..keep);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_takes_changes_back() {
        let mut history = History::default();
        history.add(-1, 'a');
        history.add(4, 'b');
        history.add(9, 'c');
        assert_eq!(history.at(3), Some(&'a'));
        assert_eq!(history.at(4), Some(&'b'));
        history.truncate_from(9);
        assert_eq!((history.last(), history.last_offset()), (Some(&'b'), Some(4)));
        history.truncate_before(6);
        assert_eq!((history.at(3), history.at(6)), (None, Some(&'b')));
    }
}
