//! Fetch (key 1) for consumers: sessions, min and max bytes, isolation, and the wait for bytes that are not there yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::Slice;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use ottla_protocol::messages::{FetchRequestView, FetchResponse};
use ottla_protocol::wire::Records;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::dispatch::Call;
use crate::fetch_session::{NO_SESSION, Plan, Session, SessionError, Told, TopicRef, Wanted};
use crate::node::Node;
use crate::partition::{FetchRead, Partition};
use crate::reply::{Outcome, Refusal, Reply, ReplyTo};
use crate::wait::Parked;

/// The first version that names topics by id (KIP-516).
const IDS_FROM: i16 = 13;

/// A fetch whose request has been read: all that is needed to answer it, now or later.
struct Fetch {
    node: Arc<Node>,
    to: ReplyTo,
    listener_name: Arc<str>,
    wanted: Vec<Wanted>,
    session: Option<Arc<Mutex<Session>>>,
    /// Whether every partition is told, not only what changed.
    whole: bool,
    min_bytes: usize,
    max_bytes: usize,
    read_committed: bool,
}

/// One look at all partitions of a fetch.
struct Look {
    reads: Vec<Result<FetchRead, ErrorCode>>,
    bytes: usize,
    /// Whether something besides bytes is worth an answer at once.
    urgent: bool,
}

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: FetchRequestView<'_> = call.view()?;
    let version = call.version();
    let node = call.node();
    let replica_id = if version >= 15 { request.replica_state.replica_id } else { request.replica_id };
    if replica_id >= 0 {
        // Only a broker may read past the high watermark, and this node has no followers yet.
        return call.reply(&FetchResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            ..Default::default()
        });
    }
    let wanted = wanted(&request, version, node);
    let forgotten: Vec<(TopicRef, i32)> = request
        .forgotten_topics_data
        .iter()
        .flat_map(|t| {
            let topic = topic_ref(version, t.topic, t.topic_id, node);
            t.partitions.iter().map(move |p| (topic.clone(), p))
        })
        .collect();
    let plan = node.sessions().plan(
        request.session_id,
        request.session_epoch,
        version >= IDS_FROM,
        wanted,
        &forgotten,
        call.now_ms(),
        || Uuid::new_v4().as_u128() as i32,
    );
    let (wanted, session, whole) = match plan {
        Ok(Plan::Whole(wanted)) => (wanted, None, true),
        Ok(Plan::First(session)) => (session.lock().wanted(), Some(session.clone()), true),
        Ok(Plan::Next(session)) => (session.lock().wanted(), Some(session.clone()), false),
        Err(error) => {
            let error = match error {
                SessionError::NotFound => ErrorCode::FetchSessionIdNotFound,
                SessionError::InvalidEpoch => ErrorCode::InvalidFetchSessionEpoch,
                SessionError::TopicIdMismatch => ErrorCode::FetchSessionTopicIdError,
            };
            return call.reply(&FetchResponse { error_code: error.code(), ..Default::default() });
        }
    };
    let max_bytes = request.max_bytes.clamp(0, node.config().requests.fetch_max_bytes) as usize;
    let fetch = Fetch {
        node: node.clone(),
        to: call.reply_to(),
        listener_name: call.peer.listener_name.clone(),
        wanted,
        session,
        whole,
        min_bytes: (request.min_bytes.max(0) as usize).min(max_bytes),
        max_bytes,
        read_committed: request.isolation_level == 1,
    };
    let look = fetch.look();
    let wait_ms = request.max_wait_ms.max(0) as u64;
    if wait_ms == 0 || look.urgent || look.bytes >= fetch.min_bytes || fetch.wanted.is_empty() {
        return fetch.answer(look).map(Outcome::Reply);
    }
    drop(look);
    Ok(Outcome::Later(Box::pin(fetch.wait(wait_ms))))
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
        let table = self.node.partitions();
        match &want.topic {
            TopicRef::Name(name) => {
                table.by_name(name, want.partition).ok_or(ErrorCode::UnknownTopicOrPartition)
            }
            TopicRef::Id(id) => table.by_id(*id, want.partition).ok_or_else(|| {
                match self.node.image().topics.by_id(*id).is_some() {
                    true => ErrorCode::UnknownTopicOrPartition,
                    false => ErrorCode::UnknownTopicId,
                }
            }),
        }
    }

    /// Reads every partition once, within the limits.
    fn look(&self) -> Look {
        let mut look = Look { reads: Vec::with_capacity(self.wanted.len()), bytes: 0, urgent: false };
        for want in &self.wanted {
            let left = self.max_bytes - look.bytes.min(self.max_bytes);
            // The first batch is given even when it is larger than every limit, so that a consumer can go on.
            let at_least_one = look.bytes == 0;
            let read = self.find(want).and_then(|partition| {
                partition.fetch(want, left, at_least_one, self.read_committed)
            });
            match &read {
                Ok(read) => {
                    look.bytes += read.slice.as_ref().map_or(0, Slice::len);
                    look.urgent |= read.diverging.is_some();
                }
                Err(_) => look.urgent = true,
            }
            look.reads.push(read);
        }
        look
    }

    /// Sleeps until there are enough bytes or the time is up.
    async fn wait(self, wait_ms: u64) -> Result<Reply, Refusal> {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(wait_ms);
        loop {
            let parked = Parked::new();
            for want in &self.wanted {
                if let Ok(partition) = self.find(want) {
                    partition.waiters().park(&parked);
                }
            }
            let look = self.look();
            if look.urgent || look.bytes >= self.min_bytes {
                return self.answer(look);
            }
            drop(look);
            if tokio::time::timeout_at(deadline, parked.woken()).await.is_err() {
                let look = self.look();
                return self.answer(look);
            }
        }
    }

    fn answer(&self, look: Look) -> Result<Reply, Refusal> {
        let mut slices = Vec::new();
        let mut topics: Vec<FetchableTopicResponse> = Vec::new();
        let mut places: HashMap<&TopicRef, usize> = HashMap::new();
        let mut served = Vec::new();
        let mut endpoints: Vec<NodeEndpoint> = Vec::new();
        let mut session = self.session.as_ref().map(|s| s.lock());
        for (want, read) in self.wanted.iter().zip(look.reads) {
            let (told, always) = match &read {
                Ok(read) => (
                    Some(Told { high_watermark: read.high_watermark, log_start_offset: read.log_start_offset }),
                    read.slice.as_ref().is_some_and(|s| s.len() > 0) || read.diverging.is_some(),
                ),
                Err(_) => (None, true),
            };
            if read.as_ref().is_ok_and(|r| r.slice.as_ref().is_some_and(|s| s.len() > 0)) {
                served.push((want.topic.clone(), want.partition));
            }
            let tell = match &mut session {
                Some(session) => session.tell(&want.topic, want.partition, told, always),
                None => true,
            };
            if !tell && !self.whole {
                continue;
            }
            let data = self.partition_data(want, read, &mut slices, &mut endpoints);
            let place = *places.entry(&want.topic).or_insert_with(|| {
                let (topic, topic_id) = match &want.topic {
                    TopicRef::Name(name) => (name.to_string(), Uuid::nil()),
                    TopicRef::Id(id) => (String::new(), *id),
                };
                topics.push(FetchableTopicResponse { topic, topic_id, partitions: Vec::new() });
                topics.len() - 1
            });
            topics[place].partitions.push(data);
        }
        if let Some(session) = &mut session {
            session.rotate(&served);
        }
        let body = FetchResponse {
            session_id: session.as_ref().map_or(NO_SESSION, |s| s.id),
            responses: topics,
            node_endpoints: endpoints,
            ..Default::default()
        };
        drop(session);
        self.to.with_slices(&body, slices)
    }

    fn partition_data(
        &self,
        want: &Wanted,
        read: Result<FetchRead, ErrorCode>,
        slices: &mut Vec<Slice>,
        endpoints: &mut Vec<NodeEndpoint>,
    ) -> PartitionData {
        let mut data = PartitionData {
            partition_index: want.partition,
            high_watermark: -1,
            // Clients before version 12 take null for an error.
            records: Some(Records::default()),
            aborted_transactions: None,
            ..Default::default()
        };
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                data.error_code = error.code();
                if matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
                    self.current_leader(want, &mut data, endpoints);
                }
                return data;
            }
        };
        data.high_watermark = read.high_watermark;
        data.last_stable_offset = read.last_stable_offset;
        data.log_start_offset = read.log_start_offset;
        data.diverging_epoch = read
            .diverging
            .map_or_else(EpochEndOffset::default, |(epoch, end_offset)| EpochEndOffset { epoch, end_offset });
        if self.read_committed {
            let aborted = |&(producer_id, first_offset): &(i64, i64)| AbortedTransaction { producer_id, first_offset };
            data.aborted_transactions = Some(read.aborted.iter().map(aborted).collect());
        }
        if let Some(slice) = read.slice.filter(|s| s.len() > 0) {
            data.records = Some(Records::Elsewhere { len: slice.len(), token: slices.len() });
            slices.push(slice);
        }
        data
    }

    fn current_leader(&self, want: &Wanted, data: &mut PartitionData, endpoints: &mut Vec<NodeEndpoint>) {
        let image = self.node.image();
        let topic = match &want.topic {
            TopicRef::Id(id) => image.topics.by_id(*id),
            TopicRef::Name(name) => image.topics.by_name(name),
        };
        let Some(partition) = topic.and_then(|t| t.partition(want.partition)) else { return };
        data.current_leader =
            LeaderIdAndEpoch { leader_id: partition.leader, leader_epoch: partition.leader_epoch };
        let Some(broker) = image.broker(partition.leader) else { return };
        let Some(endpoint) = broker.endpoint(&self.listener_name) else { return };
        if !endpoints.iter().any(|e| e.node_id == broker.id) {
            endpoints.push(NodeEndpoint {
                node_id: broker.id,
                host: endpoint.host.to_string(),
                port: endpoint.port.into(),
                rack: broker.rack.as_ref().map(ToString::to_string),
            });
        }
    }
}
