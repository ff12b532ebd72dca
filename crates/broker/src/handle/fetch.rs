//! Fetch (key 1) for consumers and replicas: min and max bytes, isolation, and the wait for bytes that are not there yet.
//! Here without a session, in [`session`] within one.

mod answer;
mod session;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::Slice;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::{FetchRequestView, FetchResponse};
use uuid::Uuid;

use crate::dispatch::Call;
use crate::fetch_session::{Ask, NO_SESSION, Plan, SessionError, TopicRef, Wanted};
use crate::handle::find;
use crate::node::Node;
use crate::owed::Owed;
use crate::partition::{FetchRead, Partition, Reader};
use crate::reply::{Outcome, Refusal, Reply, ReplyTo};
use crate::standing::Manner;
use crate::wait::Parked;
use session::Served;

/// The first version that names topics by id (KIP-516).
const IDS_FROM: i16 = 13;
/// The first version whose clients may read from followers (KIP-392).
const FOLLOWERS_FROM: i16 = 11;
/// The selector of replicas by rack.
const BY_RACK: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
/// What one partition takes while a fetch is served: as it is wanted, here, in its session and in the answer's parts, as
/// it is read, as it is answered.
const PARTITION_BYTES: usize =
    3 * size_of::<Wanted>() + size_of::<Result<FetchRead, ErrorCode>>() + size_of::<PartitionData>();

/// A fetch whose request has been read: all that is needed to answer it, now or later.
struct Fetch {
    node: Arc<Node>,
    owed: Rc<Owed>,
    to: ReplyTo,
    listener_name: Arc<str>,
    /// What it names; within a session, nothing: that knows it.
    wanted: Vec<Wanted>,
    min_bytes: usize,
    max_bytes: usize,
    /// The broker that fetches as a replica, and its epoch.
    replica: Option<(i32, i64)>,
    read_committed: bool,
    /// Whether the client knows of replicas that are nearer than the leader (KIP-392).
    from_followers: bool,
    /// The client's rack, where it says one and the broker has a rule for it.
    rack: String,
}

/// One look at all partitions of a fetch.
struct Look {
    reads: Vec<Result<FetchRead, ErrorCode>>,
    bytes: usize,
    /// Whether something besides bytes is worth an answer at once.
    urgent: bool,
    /// Partitions that do not exist. They are no reason to answer at once, or a consumer of a topic that was deleted
    /// would ask without pause.
    missing: usize,
    is_cut_short: bool,
}

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: FetchRequestView<'_> = call.view()?;
    let version = call.version();
    let node = call.node();
    let replica_id = if version >= 15 { request.replica_state.replica_id } else { request.replica_id };
    let count = request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum();
    call.afford(count, PARTITION_BYTES)?;
    let forgotten = request.forgotten_topics_data.iter().map(|topic| 1 + topic.partitions.len()).sum();
    call.afford(forgotten, 2 * size_of::<(TopicRef, i32)>())?;
    let wanted = wanted(&request, version, node);
    let forgotten: Vec<(TopicRef, i32)> = request
        .forgotten_topics_data
        .iter()
        .flat_map(|t| {
            let topic = topic_ref(version, t.topic, t.topic_id, node);
            t.partitions.iter().map(move |p| (topic.clone(), p))
        })
        .collect();
    let max_bytes = request.max_bytes.clamp(0, node.config().requests.fetch_max_bytes) as usize;
    let mut fetch = Fetch {
        node: node.clone(),
        owed: call.thread.owed.clone(),
        to: call.reply_to(),
        listener_name: call.peer.listener_name.clone(),
        wanted,
        min_bytes: (request.min_bytes.max(0) as usize).min(max_bytes),
        max_bytes,
        replica: (replica_id >= 0).then_some((replica_id, request.replica_state.replica_epoch)),
        read_committed: request.isolation_level == 1,
        from_followers: version >= FOLLOWERS_FROM,
        rack: rack(&request, version, node),
    };
    let (id, epoch, uses_ids) = (request.session_id, request.session_epoch, version >= IDS_FROM);
    // Some of the partitions that a client names may be gone; more than there are would be nonsense.
    let most = || 2 * node.partitions().count();
    let wait_ms = request.max_wait_ms.max(0) as u64;
    let wanted = std::mem::take(&mut fetch.wanted);
    let ask = Ask { id, epoch, uses_ids, wanted, forgotten: &forgotten };
    let random = || Uuid::new_v4().as_u128() as i32;
    let planned = match fetch.replica {
        Some(_) => session::plan_replica(call.peer, ask, most, random),
        None => node.sessions().plan(ask, call.now_ms(), most, random),
    };
    match planned {
        Ok(Plan::Alone(wanted)) => fetch.wanted = wanted,
        Ok(Plan::Session(turn)) => match session::serve(fetch, turn, wait_ms)? {
            Served::Now(reply) => return Ok(Outcome::Reply(reply)),
            Served::Later(pending) => return Ok(Outcome::Later(pending)),
        },
        Err(error) => return refuse(call, error),
    }
    let look = fetch.look(true);
    if wait_ms == 0 || look.missing == fetch.wanted.len() || fetch.is_enough(&look) {
        return fetch.answer_alone(look).map(Outcome::Reply);
    }
    let missing = look.missing;
    drop(look);
    Ok(Outcome::Later(Box::pin(fetch.wait(wait_ms, missing))))
}

fn refuse(call: &Call<'_>, error: SessionError) -> Result<Outcome, Refusal> {
    let error = match error {
        SessionError::NotFound => ErrorCode::FetchSessionIdNotFound,
        SessionError::InvalidEpoch => ErrorCode::InvalidFetchSessionEpoch,
        SessionError::TopicIdMismatch => ErrorCode::FetchSessionTopicIdError,
    };
    call.reply(&FetchResponse { error_code: error.code(), ..Default::default() })
}

/// The rack by which a nearer replica is looked for; empty for none.
fn rack(request: &FetchRequestView<'_>, version: i16, node: &Node) -> String {
    let by_rack = || node.config().settings().text("replica.selector.class").as_deref() == Some(BY_RACK);
    if version < FOLLOWERS_FROM || request.rack_id.is_empty() || !by_rack() {
        return String::new();
    }
    request.rack_id.to_owned()
}

fn topic_ref(version: i16, name: &str, id: Uuid, node: &Node) -> TopicRef {
    if version >= IDS_FROM {
        return TopicRef::Id(id);
    }
    TopicRef::Name(node.partitions().name(name).unwrap_or_else(|| name.into()))
}

fn wanted(request: &FetchRequestView<'_>, version: i16, node: &Node) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for topic in request.topics {
        let topic_ref = topic_ref(version, topic.topic, topic.topic_id, node);
        wanted.reserve(topic.partitions.len());
        for p in topic.partitions {
            wanted.push(Wanted {
                topic: topic_ref.clone(),
                partition: p.partition,
                current_leader_epoch: p.current_leader_epoch,
                fetch_offset: p.fetch_offset,
                last_fetched_epoch: p.last_fetched_epoch,
                log_start_offset: p.log_start_offset,
                max_bytes: p.partition_max_bytes,
            });
        }
    }
    wanted
}

impl Fetch {
    fn find(&self, want: &Wanted) -> Result<Arc<Partition>, ErrorCode> {
        match &want.topic {
            TopicRef::Name(name) => find::by_name(&self.node, name, want.partition),
            TopicRef::Id(id) => find::by_id(&self.node, *id, want.partition),
        }
    }

    fn manner(&self) -> Manner {
        Manner { committed: self.read_committed, from_followers: self.from_followers }
    }

    /// Reads one partition. The first look of a replica's fetch says how far it is; a client's counts as one request,
    /// however often it is looked at.
    fn read(
        &self,
        want: &Wanted,
        partition: &Arc<Partition>,
        left: usize,
        at_least_one: bool,
        first: bool,
    ) -> Result<FetchRead, ErrorCode> {
        let reader = match self.replica {
            Some((id, broker_epoch)) => Reader::Replica { id, broker_epoch, counts: first },
            None => {
                let Manner { committed, from_followers } = self.manner();
                Reader::Client { committed, from_followers }
            }
        };
        let read = partition.fetch(want, left, at_least_one, reader);
        if self.replica.is_none() {
            let traffic = partition.traffic();
            if first {
                traffic.fetch_requests.add(1);
            }
            // What a client may do wrong is no failure of this broker (Kafka's `failedFetchRequestRate`).
            if matches!(read, Err(ErrorCode::KafkaStorageError | ErrorCode::UnknownServerError)) {
                traffic.failed_fetch_requests.add(1);
            }
        }
        let mut read = FetchRead { from: Some(partition.clone()), ..read? };
        if !self.rack.is_empty() {
            read.nearer = partition.preferred_read_replica(want.fetch_offset, &self.rack);
            if read.nearer.is_some() {
                // The consumer reads there from now on; here it gets nothing.
                read.slice = None;
            }
        }
        Ok(read)
    }

    /// Reads every partition once, within the limits.
    fn look(&self, first: bool) -> Look {
        let mut look = Look {
            reads: Vec::with_capacity(self.wanted.len()),
            bytes: 0,
            urgent: false,
            missing: 0,
            is_cut_short: false,
        };
        for want in &self.wanted {
            let left = self.max_bytes - look.bytes.min(self.max_bytes);
            // The first batch is given even when it is larger than every limit, so that a consumer can go on.
            let at_least_one = look.bytes == 0;
            let found = self.find(want);
            let is_missing =
                matches!(found, Err(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId));
            look.missing += usize::from(is_missing);
            let read = found.and_then(|partition| self.read(want, &partition, left, at_least_one, first));
            match &read {
                Ok(read) => {
                    look.bytes += read.slice.as_ref().map_or(0, Slice::len);
                    look.urgent |= read.diverging.is_some() || read.owes_watermark || read.nearer.is_some();
                    look.is_cut_short |= read.is_cut_short;
                }
                // A replica that asks for what this leader does not know yet asks again by itself.
                Err(_) => look.urgent |= !is_missing || self.replica.is_some(),
            }
            look.reads.push(read);
        }
        look
    }

    /// Whether there is reason to answer now.
    fn is_enough(&self, look: &Look) -> bool {
        look.urgent || look.bytes >= self.min_bytes || look.is_cut_short
    }

    fn answer_alone(&self, look: Look) -> Result<Reply, Refusal> {
        let parts = self.wanted.iter().zip(look.reads).map(|(want, read)| (want.clone(), read));
        self.answer(parts, NO_SESSION)
    }

    /// Sleeps until there are enough bytes or the time is up. `missing` partitions did not exist at the beginning.
    async fn wait(self, wait_ms: u64, missing: usize) -> Result<Reply, Refusal> {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(wait_ms);
        loop {
            let parked = Parked::new();
            for want in &self.wanted {
                if let Ok(partition) = self.find(want) {
                    partition.waiters().park(&parked);
                }
            }
            let look = self.look(false);
            if look.missing > missing || self.is_enough(&look) {
                return self.answer_alone(look);
            }
            drop(look);
            if tokio::time::timeout_at(deadline, parked.woken()).await.is_err() {
                return self.answer_alone(self.look(false));
            }
        }
    }
}
