//! Incremental fetch sessions (KIP-227): a client names its partitions once, then only what changed crosses the wire.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::standing::Standing;

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

/// The part of a partition's answer that makes it worth telling again when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
}

/// What a fetch is to serve.
#[derive(Debug)]
pub(crate) enum Plan {
    /// These, outside of any session.
    Alone(Vec<Wanted>),
    Session(Turn),
}

/// A request's turn in its session.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) session: Arc<Mutex<Standing>>,
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

/// The sessions of consumers on a node, at most `max.incremental.fetch.session.cache.slots`.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: usize,
    by_id: Mutex<HashMap<i32, Kept>>,
}

#[derive(Debug)]
struct Kept {
    session: Arc<Mutex<Standing>>,
    last_used_ms: i64,
    created_ms: i64,
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
            if epoch == FINAL_EPOCH || wanted.is_empty() || is_too_large(wanted.len(), most) {
                return Ok(Plan::Alone(wanted));
            }
            return Ok(match self.begin(wanted.len(), uses_ids, now_ms, random) {
                Some(session) => {
                    // What the request names twice is served once.
                    session.lock().update(wanted, &[]);
                    Plan::Session(Turn { session, next_epoch: 1, first: true })
                }
                None => Plan::Alone(wanted),
            });
        }
        let session = {
            let mut by_id = self.by_id.lock();
            let kept = by_id.get_mut(&id).ok_or(SessionError::NotFound)?;
            let standing = kept.session.lock();
            if standing.next_epoch() != epoch {
                return Err(SessionError::InvalidEpoch);
            }
            if standing.uses_ids() != uses_ids {
                return Err(SessionError::TopicIdMismatch);
            }
            drop(standing);
            kept.last_used_ms = now_ms;
            kept.session.clone()
        };
        let (next_epoch, count) = {
            let mut standing = session.lock();
            // Another request may have come between the two locks.
            if standing.next_epoch() != epoch {
                return Err(SessionError::InvalidEpoch);
            }
            standing.advance();
            standing.update(wanted, forgotten);
            (standing.next_epoch(), standing.len())
        };
        if is_too_large(count, most) {
            self.by_id.lock().remove(&id);
            return Err(SessionError::NotFound);
        }
        if count == 0 {
            // Nothing is left to be told of: the session ends.
            self.by_id.lock().remove(&id);
            return Ok(Plan::Alone(Vec::new()));
        }
        Ok(Plan::Session(Turn { session, next_epoch, first: false }))
    }

    /// Makes a session for `count` partitions, if there is room for one.
    fn begin(
        &self,
        count: usize,
        uses_ids: bool,
        now_ms: i64,
        mut random: impl FnMut() -> i32,
    ) -> Option<Arc<Mutex<Standing>>> {
        let mut by_id = self.by_id.lock();
        if by_id.len() >= self.slots {
            let evicted = evicted(&by_id, count, now_ms)?;
            by_id.remove(&evicted);
        }
        let id = loop {
            let id = random() & i32::MAX;
            if id != NO_SESSION && !by_id.contains_key(&id) {
                break id;
            }
        };
        let session = Arc::new(Mutex::new(Standing::new(id, uses_ids)));
        by_id.insert(id, Kept { session: session.clone(), last_used_ms: now_ms, created_ms: now_ms });
        Some(session)
    }
}

fn is_too_large(partitions: usize, most: impl FnOnce() -> usize) -> bool {
    partitions > ALWAYS_PARTITIONS && partitions > most()
}

/// The session that gives way to a new one of `size` partitions: one that is not used any more, else the smallest of
/// the old ones, if it is smaller.
fn evicted(by_id: &HashMap<i32, Kept>, size: usize, now_ms: i64) -> Option<i32> {
    let (last_used_ms, stalest) = by_id.iter().map(|(id, kept)| (kept.last_used_ms, *id)).min()?;
    if now_ms - last_used_ms > EVICT_AFTER_MS {
        return Some(stalest);
    }
    let old = by_id.iter().filter(|(_, kept)| now_ms - kept.created_ms > EVICT_AFTER_MS);
    let (smallest, id) = old.map(|(id, kept)| (kept.session.lock().len(), *id)).min()?;
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

    /// What the answer would look at, with the offsets it begins at.
    fn looked(plan: &Plan) -> Vec<(i32, i64)> {
        let Plan::Session(turn) = plan else { panic!("{plan:?}") };
        let seen = std::cell::RefCell::new(Vec::new());
        let mut session = turn.session.lock();
        let look = session.look(
            1000,
            |want| {
                seen.borrow_mut().push((want.partition, want.fetch_offset));
                Err(ottla_protocol::ErrorCode::NotLeaderOrFollower)
            },
            |_, _, _, _| unreachable!("none is found"),
        );
        session.tell(look, turn.first);
        seen.into_inner()
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
        match plan.unwrap() {
            Plan::Session(turn) => Some(turn.session.lock().id()),
            Plan::Alone(_) => None,
        }
    }

    #[test]
    fn a_session_begins_goes_on_and_ends() {
        let sessions = Sessions::new(2);
        let first = plan(&sessions, (0, 0), &[(0, 5), (1, 6), (1, 6)], &[], 0).unwrap();
        assert_eq!(looked(&first), [(0, 5), (1, 6)], "what is named twice is served once");
        let Plan::Session(turn) = first else { panic!("a session begins") };
        assert!(turn.first && turn.next_epoch == 1);
        assert_eq!(turn.session.lock().id(), 7);
        let next = plan(&sessions, (7, 1), &[(2, 0), (0, 9)], &[1], 1).unwrap();
        assert_eq!(looked(&next), [(0, 9), (2, 0)]);
        let Plan::Session(turn) = next else { panic!("the session goes on") };
        assert!(!turn.first && turn.session.lock().next_epoch() == turn.next_epoch);
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
        assert!(matches!(whole, Plan::Alone(wanted) if wanted.len() == many.len()), "served, not remembered");
        assert_eq!(begun(plan(&sessions, (0, 0), &many[1..], &[], 0)), Some(7));
        assert_eq!(plan(&sessions, (7, 1), &many[..1], &[], 0).err(), Some(SessionError::NotFound));
        assert_eq!(plan(&sessions, (7, 2), &[], &[], 0).err(), Some(SessionError::NotFound), "it is over");
    }

    #[test]
    fn ids_are_positive_and_nobody_elses() {
        let sessions = Sessions::new(9);
        let id_from = |drawn: &[i32]| {
            let ask = Ask { id: 0, epoch: 0, uses_ids: false, wanted: vec![want(0, 0)], forgotten: &[] };
            let mut drawn = drawn.iter();
            begun(sessions.plan(ask, 0, || 0, || *drawn.next().expect("enough numbers")))
        };
        assert_eq!(id_from(&[0, i32::MIN, -2, 5]), Some(i32::MAX - 1), "none, and no sign");
        assert_eq!(id_from(&[i32::MAX - 1, 5]), Some(5), "somebody has that one");
    }

    #[test]
    fn a_client_that_begins_anew_leaves_its_session() {
        let sessions = Sessions::new(1);
        assert_eq!(begun(plan(&sessions, (0, 0), &[(0, 0)], &[], 0)), Some(7));
        assert_eq!(begun(plan(&sessions, (7, INITIAL_EPOCH), &[(1, 0)], &[], 0)), Some(7), "in its place");
        let next = plan(&sessions, (7, 1), &[], &[], 0).unwrap();
        assert_eq!(looked(&next), [(1, 0)]);
    }

    #[test]
    fn of_old_sessions_the_smallest_gives_way() {
        let sessions = Sessions::new(2);
        let three = [(0, 0), (1, 0), (2, 0)];
        assert_eq!(begun(plan(&sessions, (0, 0), &three, &[], 0)), Some(7));
        let ask = Ask { id: 0, epoch: 0, uses_ids: false, wanted: vec![want(0, 0)], forgotten: &[] };
        assert_eq!(begun(sessions.plan(ask, 0, || 0, || 8)), Some(8));
        let late = EVICT_AFTER_MS + 1;
        for id in [7, 8] {
            assert!(plan(&sessions, (id, 1), &[], &[], late).is_ok(), "both are used");
        }
        let ask =
            Ask { id: 0, epoch: 0, uses_ids: false, wanted: vec![want(0, 0), want(1, 0)], forgotten: &[] };
        assert_eq!(begun(sessions.plan(ask, late, || 0, || 9)), Some(9));
        assert!(plan(&sessions, (7, 2), &[], &[], late).is_ok(), "the larger one stays");
        assert_eq!(plan(&sessions, (8, 2), &[], &[], late).err(), Some(SessionError::NotFound));
    }
}
