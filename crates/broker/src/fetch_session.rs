//! Incremental fetch sessions (KIP-227): a client names its partitions once, then only what changed crosses the wire.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

/// The session id that stands for "no session".
pub(crate) const NO_SESSION: i32 = 0;
/// The epoch that ends a session, and of requests that want none.
pub(crate) const FINAL_EPOCH: i32 = -1;
/// The epoch of a request that wants a new session.
pub(crate) const INITIAL_EPOCH: i32 = 0;

/// Whether the requests of a session name topics by id (version 13 on) or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicRef {
    Id(Uuid),
    Name(Arc<str>),
}

/// What a fetch asks of one partition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicRef,
    pub(crate) partition: i32,
    pub(crate) current_leader_epoch: i32,
    pub(crate) fetch_offset: i64,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) log_start_offset: i64,
    pub(crate) max_bytes: i32,
}

/// What a session remembers of a partition: the wish, and what the client was told last.
#[derive(Debug, Clone)]
struct Entry {
    wanted: Wanted,
    told: Option<Told>,
}

/// The part of a partition's answer that makes it worth telling again when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
}

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: i32,
    /// The epoch that the next request must carry.
    next_epoch: i32,
    uses_ids: bool,
    entries: Vec<Entry>,
    places: HashMap<(TopicRef, i32), usize>,
    last_used_ms: i64,
    created_ms: i64,
}

impl Session {
    fn new(id: i32, uses_ids: bool, now_ms: i64) -> Session {
        let (entries, places) = (Vec::new(), HashMap::new());
        Session { id, next_epoch: 1, uses_ids, entries, places, last_used_ms: now_ms, created_ms: now_ms }
    }

    fn update(&mut self, wanted: Vec<Wanted>, forgotten: &[(TopicRef, i32)]) {
        for want in wanted {
            let key = (want.topic.clone(), want.partition);
            match self.places.get(&key) {
                Some(&at) => self.entries[at].wanted = want,
                None => {
                    self.places.insert(key, self.entries.len());
                    self.entries.push(Entry { wanted: want, told: None });
                }
            }
        }
        let before = self.places.len();
        for key in forgotten {
            self.places.remove(key);
        }
        if self.places.len() != before {
            let places = &mut self.places;
            self.entries.retain(|e| places.contains_key(&(e.wanted.topic.clone(), e.wanted.partition)));
            for (at, entry) in self.entries.iter().enumerate() {
                places.insert((entry.wanted.topic.clone(), entry.wanted.partition), at);
            }
        }
    }

    /// The partitions in the order in which they are served next.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        self.entries.iter().map(|e| e.wanted.clone()).collect()
    }

    /// Whether the client has to be told of `now`, and remembers that it is. Partitions with data or an error are
    /// always told; the ones with data move to the end, so that all get their turn.
    pub(crate) fn tell(&mut self, topic: &TopicRef, partition: i32, now: Option<Told>, always: bool) -> bool {
        let Some(&at) = self.places.get(&(topic.clone(), partition)) else { return always };
        let entry = &mut self.entries[at];
        if !always && entry.told == now {
            return false;
        }
        entry.told = now;
        true
    }

    /// Moves the partitions that had data behind the others.
    pub(crate) fn rotate(&mut self, served: &[(TopicRef, i32)]) {
        if served.is_empty() || served.len() == self.entries.len() {
            return;
        }
        let (mut rest, mut last) = (Vec::with_capacity(self.entries.len()), Vec::with_capacity(served.len()));
        for entry in self.entries.drain(..) {
            let key = (entry.wanted.topic.clone(), entry.wanted.partition);
            if served.contains(&key) { last.push(entry) } else { rest.push(entry) }
        }
        rest.append(&mut last);
        self.entries = rest;
        for (at, entry) in self.entries.iter().enumerate() {
            self.places.insert((entry.wanted.topic.clone(), entry.wanted.partition), at);
        }
    }
}

/// What a fetch is to serve.
#[derive(Debug)]
pub(crate) enum Plan {
    /// All of the request, outside of any session.
    Whole(Vec<Wanted>),
    /// All of the request, which begins this session; every partition is told.
    First(Arc<Mutex<Session>>),
    /// A session's partitions; only changes are told.
    Next(Arc<Mutex<Session>>),
}

/// Why a session cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionError {
    NotFound,
    InvalidEpoch,
    TopicIdMismatch,
}

/// The sessions of a node, at most `max.incremental.fetch.session.cache.slots`.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: usize,
    by_id: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

/// A session that nobody used for this long gives way to a new one (Kafka's `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICT_AFTER_MS: i64 = 120_000;

impl Sessions {
    pub(crate) fn new(slots: usize) -> Sessions {
        Sessions { slots, by_id: Mutex::default() }
    }

    /// Finds out what a request asks for. `random` gives ids for new sessions.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn plan(
        &self,
        id: i32,
        epoch: i32,
        uses_ids: bool,
        wanted: Vec<Wanted>,
        forgotten: &[(TopicRef, i32)],
        now_ms: i64,
        random: impl FnMut() -> i32,
    ) -> Result<Plan, SessionError> {
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if id != NO_SESSION {
                self.by_id.lock().remove(&id);
            }
            if epoch == FINAL_EPOCH || wanted.is_empty() {
                return Ok(Plan::Whole(wanted));
            }
            return Ok(match self.begin(uses_ids, now_ms, random) {
                Some(session) => {
                    session.lock().update(wanted, &[]);
                    Plan::First(session)
                }
                None => Plan::Whole(wanted),
            });
        }
        let session = self.by_id.lock().get(&id).cloned().ok_or(SessionError::NotFound)?;
        {
            let mut session = session.lock();
            if session.next_epoch != epoch {
                return Err(SessionError::InvalidEpoch);
            }
            if session.uses_ids != uses_ids {
                return Err(SessionError::TopicIdMismatch);
            }
            session.next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
            session.last_used_ms = now_ms;
            session.update(wanted, forgotten);
        }
        Ok(Plan::Next(session))
    }

    fn begin(&self, uses_ids: bool, now_ms: i64, mut random: impl FnMut() -> i32) -> Option<Arc<Mutex<Session>>> {
        let mut by_id = self.by_id.lock();
        if by_id.len() >= self.slots {
            let oldest = by_id
                .values()
                .map(|s| s.lock())
                .filter(|s| now_ms - s.last_used_ms > EVICT_AFTER_MS && now_ms - s.created_ms > EVICT_AFTER_MS)
                .min_by_key(|s| s.last_used_ms)
                .map(|s| s.id)?;
            by_id.remove(&oldest);
        }
        let id = loop {
            let id = random() & i32::MAX;
            if id != NO_SESSION && !by_id.contains_key(&id) {
                break id;
            }
        };
        let session = Arc::new(Mutex::new(Session::new(id, uses_ids, now_ms)));
        by_id.insert(id, session.clone());
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(partition: i32, offset: i64) -> Wanted {
        Wanted {
            topic: TopicRef::Name("t".into()),
            partition,
            current_leader_epoch: -1,
            fetch_offset: offset,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            max_bytes: 100,
        }
    }

    fn numbers(session: &Session) -> Vec<i32> {
        session.entries.iter().map(|e| e.wanted.partition).collect()
    }

    #[test]
    fn a_session_begins_goes_on_and_ends() {
        let sessions = Sessions::new(2);
        let Ok(Plan::First(session)) = sessions.plan(0, 0, false, vec![want(0, 5), want(1, 6)], &[], 0, || 7) else {
            panic!("no session")
        };
        assert_eq!(session.lock().id, 7);
        let topic = TopicRef::Name("t".into());
        let told = Some(Told { high_watermark: 5, log_start_offset: 0 });
        assert!(session.lock().tell(&topic, 0, told, false));
        assert!(!session.lock().tell(&topic, 0, told, false));
        let next = sessions.plan(7, 1, false, vec![want(2, 0), want(0, 9)], &[(topic.clone(), 1)], 1, || 8);
        let Ok(Plan::Next(session)) = next else { panic!("no session") };
        assert_eq!(numbers(&session.lock()), [0, 2]);
        assert_eq!(session.lock().wanted()[0].fetch_offset, 9);
        session.lock().rotate(&[(topic, 0)]);
        assert_eq!(numbers(&session.lock()), [2, 0]);
        assert_eq!(sessions.plan(7, 5, false, vec![], &[], 2, || 8).err(), Some(SessionError::InvalidEpoch));
        assert_eq!(sessions.plan(7, 2, true, vec![], &[], 2, || 8).err(), Some(SessionError::TopicIdMismatch));
        assert_eq!(sessions.plan(9, 2, false, vec![], &[], 2, || 8).err(), Some(SessionError::NotFound));
        assert!(matches!(sessions.plan(7, FINAL_EPOCH, false, vec![], &[], 3, || 8), Ok(Plan::Whole(_))));
        assert_eq!(sessions.plan(7, 2, false, vec![], &[], 3, || 8).err(), Some(SessionError::NotFound));
    }

    #[test]
    fn full_slots_give_way_only_when_unused() {
        let sessions = Sessions::new(1);
        let mut id = 0;
        let mut random = || {
            id += 1;
            id
        };
        assert!(matches!(sessions.plan(0, 0, false, vec![want(0, 0)], &[], 0, &mut random), Ok(Plan::First(_))));
        assert!(matches!(sessions.plan(0, 0, false, vec![want(0, 0)], &[], 10, &mut random), Ok(Plan::Whole(_))));
        let late = EVICT_AFTER_MS + 1;
        assert!(matches!(sessions.plan(0, 0, false, vec![want(0, 0)], &[], late, &mut random), Ok(Plan::First(_))));
    }
}
