//! Fetches of replicas: in a session that stands ([`Standing`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use ottla_log::Slice;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchResponse;
use ottla_protocol::messages::fetch_response::FetchableTopicResponse;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::Fetch;
use crate::connection::Peer;
use crate::fetch_session::{FINAL_EPOCH, INITIAL_EPOCH, NO_SESSION, SessionError, TopicRef};
use crate::partition::Reader;
use crate::reply::{Outcome, Refusal, Reply};
use crate::standing::{Look, Standing};

/// Sessions of so many partitions need no reason.
const ALWAYS_PARTITIONS: usize = 1_000;

/// A new high watermark waits so long for records to travel with: under load it would cost each replica a second
/// round of fetching for every batch.
const WATERMARK_WAIT: Duration = Duration::from_millis(2);

/// What a request says about its session.
pub(super) struct Ask<'a> {
    pub(super) id: i32,
    pub(super) epoch: i32,
    pub(super) uses_ids: bool,
    pub(super) forgotten: &'a [(TopicRef, i32)],
    /// How many partitions there are reasons to name.
    pub(super) most: usize,
}

/// What becomes of a replica's fetch.
pub(super) enum Served {
    Outcome(Outcome),
    Refused(SessionError),
    /// It wants no session, or gets none.
    Alone(Fetch),
}

/// Serves a fetch in the session of its connection.
pub(super) fn serve(
    peer: &Peer,
    mut fetch: Fetch,
    ask: &Ask<'_>,
    (replica, broker_epoch): (i32, i64),
    wait_ms: u64,
) -> Result<Served, Refusal> {
    let is_first = ask.epoch == INITIAL_EPOCH;
    if is_first || ask.epoch == FINAL_EPOCH {
        peer.standing.take();
        let is_large = fetch.wanted.len() > ALWAYS_PARTITIONS && fetch.wanted.len() > ask.most;
        if !is_first || fetch.wanted.is_empty() || is_large {
            return Ok(Served::Alone(fetch));
        }
        let id = (Uuid::new_v4().as_u128() as i32 & i32::MAX).max(1);
        *peer.standing.borrow_mut() = Some(Rc::new(RefCell::new(Standing::new(id, ask.uses_ids))));
    }
    let Some(session) = peer.standing.borrow().clone() else {
        return Ok(Served::Refused(SessionError::NotFound));
    };
    let epoch = {
        let mut session = session.borrow_mut();
        if !is_first {
            if session.id() != ask.id {
                return Ok(Served::Refused(SessionError::NotFound));
            }
            if session.next_epoch() != ask.epoch {
                return Ok(Served::Refused(SessionError::InvalidEpoch));
            }
            if session.uses_ids() != ask.uses_ids {
                return Ok(Served::Refused(SessionError::TopicIdMismatch));
            }
            session.advance();
        }
        session.update(std::mem::take(&mut fetch.wanted), ask.forgotten);
        let (count, epoch) = (session.len(), session.next_epoch());
        let is_large = count > ALWAYS_PARTITIONS && count > ask.most;
        if count == 0 || is_large {
            drop(session);
            peer.standing.take();
            if is_large {
                return Ok(Served::Refused(SessionError::NotFound));
            }
            return Ok(Served::Alone(fetch));
        }
        epoch
    };
    fetch.node.neighbours().heard(replica);
    let turn = ReplicaFetch { fetch, session, epoch, whole: is_first, replica, broker_epoch };
    let look = turn.look(true);
    if wait_ms == 0 || turn.is_enough(&look) {
        return turn.answer(look).map(|reply| Served::Outcome(Outcome::Reply(reply)));
    }
    Ok(Served::Outcome(Outcome::Later(Box::pin(turn.wait(look, wait_ms)))))
}

/// A fetch in its session.
struct ReplicaFetch {
    fetch: Fetch,
    session: Rc<RefCell<Standing>>,
    /// The epoch that the session stands at until the next request comes.
    epoch: i32,
    /// Whether the request begins the session: every partition is told, not only what changed.
    whole: bool,
    replica: i32,
    broker_epoch: i64,
}

impl ReplicaFetch {
    /// The first look of a fetch says how far the replica is.
    fn look(&self, counts: bool) -> Look {
        let reader = Reader::Replica { id: self.replica, broker_epoch: self.broker_epoch, counts };
        self.session.borrow_mut().look(
            self.fetch.max_bytes,
            |want| self.fetch.find(want),
            |want, partition, left, at_least_one| partition.fetch(want, left, at_least_one, reader),
        )
    }

    fn is_enough(&self, look: &Look) -> bool {
        look.urgent || look.bytes > 0 && look.bytes >= self.fetch.min_bytes || self.fetch.min_bytes == 0
    }

    /// Sleeps until there is something to say or the time is up.
    async fn wait(self, mut look: Look, wait_ms: u64) -> Result<Reply, Refusal> {
        let mut deadline = Instant::now() + Duration::from_millis(wait_ms);
        let hot = self.session.borrow().hot();
        let mut owes_watermark = false;
        loop {
            if look.owes_watermark && !owes_watermark {
                owes_watermark = true;
                deadline = deadline.min(Instant::now() + WATERMARK_WAIT);
            }
            self.session.borrow_mut().wait_on(&look, self.whole);
            let is_over = timeout_at(deadline, hot.woken()).await.is_err();
            look = self.look(false);
            if is_over || self.is_enough(&look) {
                return self.answer(look);
            }
        }
    }

    fn answer(&self, look: Look) -> Result<Reply, Refusal> {
        let mut session = self.session.borrow_mut();
        if session.next_epoch() != self.epoch {
            // The follower has not waited for this answer: what it knows by now is not known here.
            let error_code = ErrorCode::InvalidFetchSessionEpoch.code();
            let body = FetchResponse { error_code, session_id: session.id(), ..Default::default() };
            return self.fetch.to.with(&body);
        }
        let (mut slices, mut endpoints) = (Vec::new(), Vec::new());
        let mut topics: Vec<FetchableTopicResponse> = Vec::new();
        let mut places: HashMap<TopicRef, usize> = HashMap::new();
        for part in session.tell(look, self.whole) {
            if let Ok(read) = &part.read
                && let Ok(partition) = self.fetch.find(&part.wanted)
            {
                partition.watermark_sent(self.replica, read.high_watermark);
                let sent = read.slice.as_ref().map_or(0, Slice::len);
                partition.traffic().replication_bytes_out.add(sent as u64);
            }
            let data = self.fetch.partition_data(&part.wanted, part.read, &mut slices, &mut endpoints);
            let place = *places.entry(part.wanted.topic.clone()).or_insert_with(|| {
                let (topic, topic_id) = match &part.wanted.topic {
                    TopicRef::Name(name) => (name.to_string(), Uuid::nil()),
                    TopicRef::Id(id) => (String::new(), *id),
                };
                topics.push(FetchableTopicResponse { topic, topic_id, partitions: Vec::new() });
                topics.len() - 1
            });
            topics[place].partitions.push(data);
        }
        let session_id = if session.len() == 0 { NO_SESSION } else { session.id() };
        let body =
            FetchResponse { session_id, responses: topics, node_endpoints: endpoints, ..Default::default() };
        self.fetch.to.with_slices(&body, slices)
    }
}
