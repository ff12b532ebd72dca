//! Open files under a budget: opened when they are needed, closed when others need the room.
//!
//! One [`Handles`] may serve a directory, or a whole process. A file that is in use stays open beyond the budget
//! until its user lets go; the budget bounds what is kept open for later.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::fs::DiskFile;

const SHARDS: usize = 16;

/// Open files by key, closed in an order close to least recently used.
#[derive(Debug)]
pub struct Handles {
    shards: [Mutex<Shard>; SHARDS],
    next_key: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    budget: usize,
    open: HashMap<u64, Slot, FixedState>,
    /// Keys in the order in which they are looked at for closing; may name keys that are gone.
    clock: VecDeque<u64>,
}

#[derive(Debug)]
struct Slot {
    file: Arc<dyn DiskFile>,
    used: bool,
}

impl Handles {
    /// Keeps at most `budget` files open (at least 16).
    pub fn new(budget: usize) -> Arc<Handles> {
        let shard = || {
            Mutex::new(Shard {
                budget: budget.div_ceil(SHARDS).max(1),
                open: HashMap::with_hasher(FixedState::default()),
                clock: VecDeque::new(),
            })
        };
        Arc::new(Handles { shards: std::array::from_fn(|_| shard()), next_key: AtomicU64::new(1) })
    }

    /// Files that are open now.
    pub fn open_files(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().open.len()).sum()
    }

    /// `count` keys in a row that nobody else has.
    pub(crate) fn new_keys(&self, count: u64) -> u64 {
        self.next_key.fetch_add(count, Ordering::Relaxed)
    }

    /// The open file of this key, opened if need be.
    pub(crate) fn get(
        &self,
        key: u64,
        open: impl FnOnce() -> io::Result<Arc<dyn DiskFile>>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        let shard = self.shard(key);
        if let Some(slot) = shard.lock().open.get_mut(&key) {
            slot.used = true;
            return Ok(slot.file.clone());
        }
        // Opened without the lock: a slow disk must not hold up users of other files.
        let file = open()?;
        let evicted = shard.lock().insert(key, file.clone());
        drop(evicted);
        Ok(file)
    }

    /// Forgets the file of this key; whoever uses it keeps it open.
    pub(crate) fn close(&self, key: u64) {
        let closed = self.shard(key).lock().open.remove(&key);
        drop(closed);
    }

    fn shard(&self, key: u64) -> &Mutex<Shard> {
        // A segment has four keys in a row; its log file is what is used most.
        &self.shards[(key / 4) as usize % SHARDS]
    }
}

impl Shard {
    fn insert(&mut self, key: u64, file: Arc<dyn DiskFile>) -> Vec<Slot> {
        let mut evicted = Vec::new();
        if self.open.insert(key, Slot { file, used: false }).is_none() {
            self.clock.push_back(key);
        }
        while self.open.len() > self.budget || self.clock.len() > 2 * self.budget + 16 {
            let Some(oldest) = self.clock.pop_front() else { break };
            match self.open.get_mut(&oldest) {
                None => {}
                Some(slot) if slot.used || oldest == key => {
                    slot.used = false;
                    self.clock.push_back(oldest);
                    // The file just opened may be the only one there is room for.
                    if self.open.len() == 1 {
                        break;
                    }
                }
                Some(_) => evicted.extend(self.open.remove(&oldest)),
            }
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fs::{Disk, OpenMode, SimDisk};

    #[test]
    fn the_least_used_file_is_closed_when_the_budget_is_full() {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("/file"), OpenMode::Create).unwrap();
        let handles = Handles::new(SHARDS * 2);
        let keys: Vec<u64> = (0..5).map(|n| n * 4 * SHARDS as u64).collect();
        let opened = |key: u64| {
            let mut opened = false;
            handles
                .get(key, || {
                    opened = true;
                    Ok(file.clone())
                })
                .unwrap();
            opened
        };
        assert!(opened(keys[0]));
        assert!(opened(keys[1]));
        assert!(!opened(keys[0]), "still open");
        assert!(opened(keys[2]));
        assert_eq!(handles.open_files(), 2);
        assert!(!opened(keys[0]), "used since it was opened");
        assert!(opened(keys[1]), "closed for the third");
        for round in 0..100 {
            opened(keys[round % 5]);
            assert!(handles.open_files() <= 2);
        }
        let before = Arc::strong_count(&file);
        keys.iter().for_each(|key| handles.close(*key));
        assert_eq!(handles.open_files(), 0);
        assert_eq!(Arc::strong_count(&file), before - 2);
    }
}
