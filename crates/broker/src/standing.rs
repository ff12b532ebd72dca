//! The session of a replica that fetches (KIP-227), as its leader keeps it: it stands between two requests, and only
//! partitions that something happened to are looked at.
//!
//! A follower of a leader of many thousand partitions asks for all of them, twice a second at least, and of most there
//! is nothing to say. So each partition of the session is watched ([`Watch`]): a request costs what has changed since
//! the one before, not what there is. Looked at are the partitions that the request names, those that moved, and those
//! of which more is to come: records that had no room, errors, a follower that is to come into the ISR.
//!
//! The session belongs to its connection: a follower that connects anew begins anew, as Kafka's do.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use ottla_log::Slice;
use ottla_protocol::ErrorCode;

use crate::fetch_session::{Told, TopicRef, Wanted};
use crate::partition::{FetchRead, Partition};
use crate::wait::{Hot, Watch};

/// One partition of a session.
#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    /// What the follower was told last.
    told: Option<Told>,
    watch: Arc<Watch>,
    /// What is watched: a partition that is made anew is another one.
    watched: Weak<Partition>,
    /// Whether it stands in the list.
    is_listed: bool,
}

/// A replica's session.
#[derive(Debug)]
pub(crate) struct Standing {
    id: i32,
    /// The epoch that the next request must carry.
    next_epoch: i32,
    uses_ids: bool,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    places: HashMap<(TopicRef, i32), u32>,
    /// To be looked at for the answer that is due.
    list: Vec<u32>,
    /// To be looked at for the answer after that.
    again: Vec<u32>,
    hot: Arc<Hot>,
}

/// What one look at a partition brought.
pub(crate) type Read = Result<FetchRead, ErrorCode>;

/// One look at all partitions of the list.
#[derive(Debug, Default)]
pub(crate) struct Look {
    reads: Vec<(u32, Read)>,
    /// Bytes of records.
    pub(crate) bytes: usize,
    /// Whether something besides bytes is worth an answer at once.
    pub(crate) urgent: bool,
    /// Whether the follower does not know how far the high watermark is.
    pub(crate) owes_watermark: bool,
}

/// A partition's part of an answer.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) wanted: Wanted,
    pub(crate) read: Read,
}

impl Standing {
    pub(crate) fn new(id: i32, uses_ids: bool) -> Standing {
        Standing {
            id,
            next_epoch: 1,
            uses_ids,
            entries: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            list: Vec::new(),
            again: Vec::new(),
            hot: Arc::default(),
        }
    }

    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    pub(crate) fn uses_ids(&self) -> bool {
        self.uses_ids
    }

    /// The epoch that the next request must carry.
    pub(crate) fn next_epoch(&self) -> i32 {
        self.next_epoch
    }

    /// Whose places wait for a look.
    pub(crate) fn hot(&self) -> Arc<Hot> {
        self.hot.clone()
    }

    /// How many partitions it has.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The next request has come.
    pub(crate) fn advance(&mut self) {
        self.next_epoch = self.next_epoch.checked_add(1).unwrap_or(1);
    }

    /// Takes what a request says: these are wanted, or wanted otherwise; those are not any more.
    pub(crate) fn update(&mut self, wanted: Vec<Wanted>, forgotten: &[(TopicRef, i32)]) {
        // What could not be served goes first, then what moves, then what has just been served.
        let again = std::mem::take(&mut self.again);
        again.into_iter().for_each(|place| self.list(place));
        self.gather();
        for want in wanted {
            let key = (want.topic.clone(), want.partition);
            let place = match self.places.get(&key) {
                Some(&place) => place,
                None => self.place(key),
            };
            match &mut self.entries[place as usize] {
                Some(entry) => entry.wanted = want,
                vacant => {
                    *vacant = Some(Entry {
                        wanted: want,
                        told: None,
                        watch: Watch::new(place, &self.hot),
                        watched: Weak::new(),
                        is_listed: false,
                    });
                }
            }
            self.list(place);
        }
        for key in forgotten {
            let Some(place) = self.places.remove(key) else { continue };
            if let Some(entry) = self.entries[place as usize].take() {
                entry.watch.close();
            }
            self.free.push(place);
        }
    }

    fn place(&mut self, key: (TopicRef, i32)) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            (self.entries.len() - 1) as u32
        });
        self.places.insert(key, place);
        place
    }

    fn list(&mut self, place: u32) {
        if let Some(Some(entry)) = self.entries.get_mut(place as usize)
            && !std::mem::replace(&mut entry.is_listed, true)
        {
            self.list.push(place);
        }
    }

    /// Puts the partitions that moved into the list.
    fn gather(&mut self) {
        for place in self.hot.take() {
            if let Some(Some(entry)) = self.entries.get(place as usize) {
                entry.watch.rearm();
                self.list(place);
            }
        }
    }

    /// Looks at everything in the list. `find` gives the partition, `read` what is to be said of it, given the bytes
    /// that are left and whether nothing has been read yet.
    pub(crate) fn look(
        &mut self,
        max_bytes: usize,
        find: impl Fn(&Wanted) -> Result<Arc<Partition>, ErrorCode>,
        read: impl Fn(&Wanted, &Arc<Partition>, usize, bool) -> Read,
    ) -> Look {
        self.gather();
        let mut look = Look { reads: Vec::with_capacity(self.list.len()), ..Look::default() };
        for &place in &self.list {
            let Some(entry) = &mut self.entries[place as usize] else { continue };
            let left = max_bytes - look.bytes.min(max_bytes);
            let found = find(&entry.wanted).and_then(|partition| {
                if entry.watched.as_ptr() != Arc::as_ptr(&partition) {
                    partition.waiters().watch(&entry.watch);
                    entry.watched = Arc::downgrade(&partition);
                }
                // The first batch is given even when it is larger than every limit.
                read(&entry.wanted, &partition, left, look.bytes == 0)
            });
            match &found {
                Ok(read) => {
                    look.bytes += read.slice.as_ref().map_or(0, Slice::len);
                    look.urgent |= read.diverging.is_some();
                    look.owes_watermark |= read.owes_watermark;
                }
                // Whatever is wrong, a follower asks again by itself, later.
                Err(_) => look.urgent = true,
            }
            look.reads.push((place, found));
        }
        look
    }

    /// The look was not worth an answer: what it has nothing to say of leaves the list.
    pub(crate) fn wait_on(&mut self, look: &Look, whole: bool) {
        self.list.clear();
        for (place, read) in &look.reads {
            let Some(entry) = &mut self.entries[*place as usize] else { continue };
            if whole || read.as_ref().is_ok_and(|read| read.behind || entry.told != Some(told(read))) {
                self.list.push(*place);
                continue;
            }
            entry.is_listed = false;
            if read.as_ref().is_ok_and(|read| read.joining) {
                self.again.push(*place);
            }
        }
    }

    /// The answer: what is to be told of. From here on the follower counts as told.
    pub(crate) fn tell(&mut self, look: Look, whole: bool) -> Vec<Part> {
        self.list.clear();
        let mut parts = Vec::new();
        for (place, read) in look.reads {
            let Some(entry) = &mut self.entries[place as usize] else { continue };
            entry.is_listed = false;
            let now = read.as_ref().ok().map(told);
            let (news, more) = match &read {
                Ok(read) => {
                    let has_data = read.slice.as_ref().is_some_and(|slice| !slice.is_empty());
                    (has_data || read.diverging.is_some(), read.behind || read.joining)
                }
                Err(_) => (true, true),
            };
            if news || more {
                self.again.push(place);
            }
            if whole || news || entry.told != now {
                entry.told = now;
                parts.push(Part { wanted: entry.wanted.clone(), read });
            }
        }
        parts
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.entries.iter().flatten().for_each(|entry| entry.watch.close());
    }
}

fn told(read: &FetchRead) -> Told {
    Told { high_watermark: read.high_watermark, log_start_offset: read.log_start_offset }
}

#[cfg(test)]
mod tests;
