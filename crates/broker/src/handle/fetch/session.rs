//! Fetches in a session ([`Standing`]): of consumers, and of replicas.

use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchResponse;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::Fetch;
use crate::connection::Peer;
use crate::fetch_session::{Ask, FINAL_EPOCH, INITIAL_EPOCH, NO_SESSION, Plan, SessionError, Turn};
use crate::reply::{Pending, Refusal, Reply};
use crate::standing::{Look, Standing};

/// Sessions of so many partitions need no reason.
const ALWAYS_PARTITIONS: usize = 1_000;

/// What becomes of a fetch in a session.
pub(super) enum Served {
    Now(Reply),
    Later(Pending),
}

/// What a replica's fetch is to serve, in the session of its connection. `most` says how many partitions there are
/// reasons to name.
pub(super) fn plan_replica(
    peer: &Peer,
    ask: Ask<'_>,
    most: impl Fn() -> usize,
    random: impl FnOnce() -> i32,
) -> Result<Plan, SessionError> {
    let Ask { id, epoch, uses_ids, wanted, forgotten } = ask;
    let is_too_large = |count: usize| count > ALWAYS_PARTITIONS && count > most();
    let first = epoch == INITIAL_EPOCH;
    if first || epoch == FINAL_EPOCH {
        peer.standing.take();
        if !first || wanted.is_empty() || is_too_large(wanted.len()) {
            return Ok(Plan::Alone(wanted));
        }
        let id = (random() & i32::MAX).max(1);
        *peer.standing.borrow_mut() = Some(Arc::new(Mutex::new(Standing::new(id, uses_ids))));
    }
    let session = peer.standing.borrow().clone().ok_or(SessionError::NotFound)?;
    let (next_epoch, count) = {
        let mut session = session.lock();
        if !first {
            if session.id() != id {
                return Err(SessionError::NotFound);
            }
            if session.next_epoch() != epoch {
                return Err(SessionError::InvalidEpoch);
            }
            if session.uses_ids() != uses_ids {
                return Err(SessionError::TopicIdMismatch);
            }
            session.advance();
        }
        session.update(wanted, forgotten);
        (session.next_epoch(), session.len())
    };
    if count == 0 || is_too_large(count) {
        peer.standing.take();
        return if count == 0 { Ok(Plan::Alone(Vec::new())) } else { Err(SessionError::NotFound) };
    }
    Ok(Plan::Session(Turn { session, next_epoch, first }))
}

/// Answers now if there is reason to, else when there is.
pub(super) fn serve(fetch: Fetch, turn: Turn, wait_ms: u64) -> Result<Served, Refusal> {
    match fetch.replica {
        Some((replica, _)) => fetch.node.neighbours().heard(replica),
        None => {
            let mut session = turn.session.lock();
            session.read_in(fetch.manner());
            if !fetch.rack.is_empty() {
                // Who is nearer depends on more than the partition.
                session.list_all();
            }
        }
    }
    let fetch = InSession { fetch, turn };
    let Some(look) = fetch.look(true) else { return fetch.too_late().map(Served::Now) };
    if wait_ms == 0 || fetch.is_enough(&look, None) {
        return fetch.answer(look).map(Served::Now);
    }
    Ok(Served::Later(Box::pin(fetch.wait(look, wait_ms))))
}

/// A fetch in its session.
struct InSession {
    fetch: Fetch,
    turn: Turn,
}

impl InSession {
    /// Looks at what may have news; nothing once the session is another request's.
    fn look(&self, first: bool) -> Option<Look> {
        let mut session = self.turn.session.lock();
        if session.next_epoch() != self.turn.next_epoch {
            return None;
        }
        Some(session.look(
            self.fetch.max_bytes,
            |want| self.fetch.find(want),
            |want, partition, left, at_least_one| self.fetch.read(want, partition, left, at_least_one, first),
        ))
    }

    /// Whether there is reason to answer now. `missing` partitions did not exist at the first look.
    fn is_enough(&self, look: &Look, missing: Option<usize>) -> bool {
        if self.fetch.replica.is_some() {
            // A replica that asks for what this leader does not know yet asks again by itself.
            let has_bytes = look.bytes > 0 && look.bytes >= self.fetch.min_bytes;
            return look.urgent || look.missing > 0 || has_bytes || self.fetch.min_bytes == 0;
        }
        let nothing_else = || look.missing == self.turn.session.lock().len();
        let gone = missing.map_or_else(nothing_else, |missing| look.missing > missing);
        gone || look.urgent || look.bytes >= self.fetch.min_bytes || look.is_cut_short
    }

    /// Sleeps until there is something to say or the time is up.
    async fn wait(self, mut look: Look, wait_ms: u64) -> Result<Reply, Refusal> {
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        let hot = self.turn.session.lock().hot();
        let missing = Some(look.missing);
        hot.owe(0);
        loop {
            if look.owes_watermark && hot.owed() == 0 {
                self.fetch.owed.note(&hot, self.turn.next_epoch);
            }
            self.turn.session.lock().wait_on(&look, self.turn.first);
            let is_over = timeout_at(deadline, hot.woken()).await.is_err() || hot.is_ended();
            look = match self.look(false) {
                Some(look) => look,
                None => {
                    // What woke this request was meant for the one whose session it is.
                    hot.pass_on();
                    return self.too_late();
                }
            };
            if is_over || self.is_enough(&look, missing) {
                return self.answer(look);
            }
        }
    }

    /// The client has not waited for this answer: what it knows by now is not known here.
    fn too_late(&self) -> Result<Reply, Refusal> {
        let error_code = ErrorCode::InvalidFetchSessionEpoch.code();
        let session_id = self.turn.session.lock().id();
        self.fetch.to.with(&FetchResponse { error_code, session_id, ..Default::default() })
    }

    fn answer(&self, look: Look) -> Result<Reply, Refusal> {
        let (parts, id) = {
            let mut session = self.turn.session.lock();
            if session.next_epoch() != self.turn.next_epoch {
                drop(session);
                return self.too_late();
            }
            session.hot().owe(0);
            let id = if session.len() == 0 { NO_SESSION } else { session.id() };
            (session.tell(look, self.turn.first), id)
        };
        self.fetch.answer(parts.into_iter().map(|part| (part.wanted, part.read)), id)
    }
}
