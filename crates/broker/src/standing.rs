//! A fetch session (KIP-227) as it stands between two requests: only partitions that something happened to are looked at.
//!
//! A follower of a leader of many thousand partitions asks for all of them, twice a second at least, and of most there
//! is nothing to say; so does a consumer of many. So each partition of the session is watched ([`Watch`]): a request
//! costs what has changed since the one before, not what there is. Looked at are the partitions that the request names,
//! those that moved, and those of which more is to come: records that had no room, errors, a follower that is to come
//! into the ISR.
//!
//! A replica's session belongs to its connection: a follower that connects anew begins anew, as Kafka's do. A consumer's
//! is kept by its id ([`crate::fetch_session`]).

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
    /// Whether the last answer had records of it: the others go first then.
    was_served: bool,
}

/// A session: a replica's, or a consumer's.
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
    /// The same, behind all others: their records were in the last answer.
    served: Vec<u32>,
    hot: Arc<Hot>,
    manner: Option<Manner>,
}

/// How a client reads, apart from where. What was settled for one manner is not for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) committed: bool,
    pub(crate) from_followers: bool,
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
    /// Whether one of the reads has stopped at the end of a segment with more behind it.
    pub(crate) is_cut_short: bool,
    /// Partitions that do not exist.
    pub(crate) missing: usize,
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
            served: Vec::new(),
            hot: Arc::default(),
            manner: None,
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

    /// All partitions are looked at for the next answer if this request reads in another manner than the one before.
    pub(crate) fn read_in(&mut self, manner: Manner) {
        if self.manner.replace(manner).is_some_and(|before| before != manner) {
            self.list_all();
        }
    }

    /// All partitions are looked at for the next answer: what is to be said depends on more than on them.
    pub(crate) fn list_all(&mut self) {
        (0..self.entries.len() as u32).for_each(|place| self.list(place));
    }

    /// Takes what a request says: these are wanted, or wanted otherwise; those are not any more.
    pub(crate) fn update(&mut self, wanted: Vec<Wanted>, forgotten: &[(TopicRef, i32)]) {
        // What could not be served goes first, then what moves, then what has just been served.
        let again = std::mem::take(&mut self.again);
        again.into_iter().for_each(|place| self.list(place));
        self.gather();
        let served = std::mem::take(&mut self.served);
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
                        was_served: false,
                    });
                }
            }
            if self.entries[place as usize].as_ref().is_some_and(|entry| !entry.was_served) {
                self.list(place);
            }
        }
        for place in served {
            if let Some(Some(entry)) = self.entries.get_mut(place as usize) {
                entry.was_served = false;
                self.list(place);
            }
        }
        for key in forgotten {
            let Some(place) = self.places.remove(key) else { continue };
            if let Some(entry) = self.entries[place as usize].take() {
                entry.watch.close();
                if entry.is_listed {
                    self.list.retain(|listed| *listed != place);
                }
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
            let found = find(&entry.wanted);
            let is_missing =
                matches!(found, Err(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId));
            look.missing += usize::from(is_missing);
            let found = found.and_then(|partition| {
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
                    look.urgent |= read.diverging.is_some() || read.nearer.is_some();
                    look.owes_watermark |= read.owes_watermark;
                    look.is_cut_short |= read.is_cut_short;
                }
                Err(_) => look.urgent |= !is_missing,
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
            // Of what is missing the answer has to say so.
            if whole || read.as_ref().map_or(true, |read| read.behind || entry.told != Some(told(read))) {
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
            // After a cut the reader knows no watermark any more.
            let now = read.as_ref().ok().filter(|read| read.diverging.is_none()).map(told);
            let has_data =
                read.as_ref().is_ok_and(|read| read.slice.as_ref().is_some_and(|slice| !slice.is_empty()));
            let (news, more) = match &read {
                Ok(read) => (
                    has_data || read.diverging.is_some() || read.nearer.is_some(),
                    read.behind || read.joining,
                ),
                Err(_) => (true, true),
            };
            if has_data {
                entry.was_served = true;
                self.served.push(place);
            } else if news || more {
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
