//! Incremental fetch sessions (KIP-227): a client names its partitions once, then only what changed crosses the wire.

use std::collections::{HashMap, HashSet};
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

    /// The epoch that the session's next request must carry.
    pub(crate) fn next_epoch(&self) -> i32 {
        self.next_epoch
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
        let served: HashSet<&(TopicRef, i32)> = served.iter().collect();
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
pub(crate) struct Plan {
    pub(crate) wanted: Vec<Wanted>,
    /// `None` outside of any session.
    pub(crate) session: Option<Turn>,
}

/// A request's turn in its session.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) session: Arc<Mutex<Session>>,
    /// The epoch that the session stands at until the next request comes. Once it stands elsewhere, somebody else has
    /// had an answer.
    pub(crate) next_epoch: i32,
    /// Whether the request begins the session: every partition is told, not only what changed.
    pub(crate) first: bool,
}

/// What a request says about its session.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    pub(crate) uses_ids: bool,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: &'a [(TopicRef, i32)],
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

/// A session that nobody used for this long gives way to a new one; one that is this old, to a larger one (Kafka's
/// `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICT_AFTER_MS: i64 = 120_000;
/// Any session may name so many partitions; a larger one, no more than there is reason for.
const ALWAYS_PARTITIONS: usize = 1_000;

impl Sessions {
    pub(crate) fn new(slots: usize) -> Sessions {
        Sessions { slots, by_id: Mutex::default() }
    }

    /// Finds out what a request asks for. `most` says how many partitions a session may name, `random` gives ids for
    /// new sessions.
    pub(crate) fn plan(
        &self,
        ask: Ask<'_>,
        now_ms: i64,
        most: impl FnOnce() -> usize,
        random: impl FnMut() -> i32,
    ) -> Result<Plan, SessionError> {
        let Ask { id, epoch, uses_ids, wanted, forgotten } = ask;
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if id != NO_SESSION {
                self.by_id.lock().remove(&id);
            }
            let without = epoch == FINAL_EPOCH || wanted.is_empty() || is_too_large(wanted.len(), most);
            let session = if without { None } else { self.begin(&wanted, uses_ids, now_ms, random) };
            return Ok(match session {
                // Without what the request names twice.
                Some(session) => {
                    let wanted = session.lock().wanted();
                    Plan { wanted, session: Some(Turn { session, next_epoch: 1, first: true }) }
                }
                None => Plan { wanted, session: None },
            });
        }
        let session = self.by_id.lock().get(&id).cloned().ok_or(SessionError::NotFound)?;
        let (next_epoch, now_wanted) = {
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
            (session.next_epoch, session.wanted())
        };
        if is_too_large(now_wanted.len(), most) {
            self.by_id.lock().remove(&id);
            return Err(SessionError::NotFound);
        }
        if now_wanted.is_empty() {
            // Nothing is left to be told of: the session ends.
            self.by_id.lock().remove(&id);
            return Ok(Plan { wanted: now_wanted, session: None });
        }
        Ok(Plan { wanted: now_wanted, session: Some(Turn { session, next_epoch, first: false }) })
    }

    fn begin(
        &self,
        wanted: &[Wanted],
        uses_ids: bool,
        now_ms: i64,
        mut random: impl FnMut() -> i32,
    ) -> Option<Arc<Mutex<Session>>> {
        let mut by_id = self.by_id.lock();
        if by_id.len() >= self.slots {
            let evicted = evicted(&by_id, wanted.len(), now_ms)?;
            by_id.remove(&evicted);
        }
        let id = loop {
            let id = random() & i32::MAX;
            if id != NO_SESSION && !by_id.contains_key(&id) {
                break id;
            }
        };
        let mut session = Session::new(id, uses_ids, now_ms);
        session.update(wanted.to_vec(), &[]);
        let session = Arc::new(Mutex::new(session));
        by_id.insert(id, session.clone());
        Some(session)
    }
}

fn is_too_large(partitions: usize, most: impl FnOnce() -> usize) -> bool {
    partitions > ALWAYS_PARTITIONS && partitions > most()
}

/// The session that gives way to a new one of `size` partitions: one that is not used any more, else the smallest of
/// the old ones, if it is smaller.
fn evicted(by_id: &HashMap<i32, Arc<Mutex<Session>>>, size: usize, now_ms: i64) -> Option<i32> {
    let all = || by_id.values().map(|session| session.lock());
    let (last_used_ms, stalest) = all().map(|s| (s.last_used_ms, s.id)).min()?;
    if now_ms - last_used_ms > EVICT_AFTER_MS {
        return Some(stalest);
    }
    let old = all().filter(|s| now_ms - s.created_ms > EVICT_AFTER_MS);
    let (smallest, id) = old.map(|s| (s.entries.len(), s.id)).min()?;
    (size > smallest).then_some(id)
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

    fn numbers(wanted: &[Wanted]) -> Vec<i32> {
        wanted.iter().map(|w| w.partition).collect()
    }

    fn plan(
        sessions: &Sessions,
        (id, epoch): (i32, i32),
        wanted: &[(i32, i64)],
        forgotten: &[i32],
        now_ms: i64,
    ) -> Result<Plan, SessionError> {
        let topic = TopicRef::Name("t".into());
        let forgotten: Vec<_> = forgotten.iter().map(|p| (topic.clone(), *p)).collect();
        let wanted = wanted.iter().map(|(p, o)| want(*p, *o)).collect();
        let ask = Ask { id, epoch, uses_ids: false, wanted, forgotten: &forgotten };
        let mut last = 6;
        sessions.plan(
            ask,
            now_ms,
            || ALWAYS_PARTITIONS,
            || {
                last += 1;
                last
            },
        )
    }

    fn begun(plan: Result<Plan, SessionError>) -> Option<i32> {
        plan.unwrap().session.map(|turn| turn.session.lock().id)
    }

    #[test]
    fn a_session_begins_goes_on_and_ends() {
        let sessions = Sessions::new(2);
        let first = plan(&sessions, (0, 0), &[(0, 5), (1, 6), (1, 6)], &[], 0).unwrap();
        assert_eq!(numbers(&first.wanted), [0, 1], "what is named twice is served once");
        let turn = first.session.unwrap();
        assert!(turn.first && turn.next_epoch == 1);
        assert_eq!(turn.session.lock().id, 7);
        let topic = TopicRef::Name("t".into());
        let told = Some(Told { high_watermark: 5, log_start_offset: 0 });
        assert!(turn.session.lock().tell(&topic, 0, told, false));
        assert!(!turn.session.lock().tell(&topic, 0, told, false));
        let next = plan(&sessions, (7, 1), &[(2, 0), (0, 9)], &[1], 1).unwrap();
        assert_eq!(numbers(&next.wanted), [0, 2]);
        assert_eq!(next.wanted[0].fetch_offset, 9);
        let turn = next.session.unwrap();
        assert!(!turn.first && turn.session.lock().next_epoch() == turn.next_epoch);
        turn.session.lock().rotate(&[(topic, 0)]);
        assert_eq!(numbers(&turn.session.lock().wanted()), [2, 0]);
        assert_eq!(plan(&sessions, (7, 5), &[], &[], 2).err(), Some(SessionError::InvalidEpoch));
        let by_id = Ask { id: 7, epoch: 2, uses_ids: true, wanted: vec![], forgotten: &[] };
        let by_id = sessions.plan(by_id, 2, || 0, || 8);
        assert_eq!(by_id.err(), Some(SessionError::TopicIdMismatch));
        assert_eq!(plan(&sessions, (9, 2), &[], &[], 2).err(), Some(SessionError::NotFound));
        assert_eq!(begun(plan(&sessions, (7, FINAL_EPOCH), &[], &[], 3)), None);
        assert_eq!(plan(&sessions, (7, 2), &[], &[], 3).err(), Some(SessionError::NotFound));
    }

    #[test]
    fn a_session_without_partitions_ends() {
        let sessions = Sessions::new(2);
        assert_eq!(begun(plan(&sessions, (0, 0), &[(0, 0), (1, 0)], &[], 0)), Some(7));
        assert_eq!(begun(plan(&sessions, (7, 1), &[], &[0, 1], 1)), None);
        assert_eq!(plan(&sessions, (7, 2), &[], &[], 2).err(), Some(SessionError::NotFound));
    }

    #[test]
    fn full_slots_give_way_to_what_is_unused_or_smaller() {
        let sessions = Sessions::new(1);
        assert_eq!(begun(plan(&sessions, (0, 0), &[(0, 0)], &[], 0)), Some(7));
        assert_eq!(begun(plan(&sessions, (0, 0), &[(0, 0), (1, 0)], &[], 10)), None, "too young");
        let late = EVICT_AFTER_MS + 1;
        assert!(plan(&sessions, (7, 1), &[], &[], late - 5).is_ok());
        assert_eq!(begun(plan(&sessions, (0, 0), &[(3, 0)], &[], late)), None, "not larger");
        assert_eq!(begun(plan(&sessions, (0, 0), &[(3, 0), (4, 0)], &[], late)), Some(7));
        assert_eq!(begun(plan(&sessions, (0, 0), &[(5, 0)], &[], 2 * late + 1)), Some(7), "unused");
    }

    #[test]
    fn a_session_does_not_grow_beyond_all_reason() {
        let sessions = Sessions::new(9);
        let many: Vec<(i32, i64)> = (0..=ALWAYS_PARTITIONS as i32).map(|p| (p, 0)).collect();
        let whole = plan(&sessions, (0, 0), &many, &[], 0).unwrap();
        assert!(whole.session.is_none() && whole.wanted.len() == many.len(), "served, but not remembered");
        assert_eq!(begun(plan(&sessions, (0, 0), &many[1..], &[], 0)), Some(7));
        assert_eq!(plan(&sessions, (7, 1), &many[..1], &[], 0).err(), Some(SessionError::NotFound));
    }
}
