//! Fetching from one leader: one connection, one session, all partitions of the thread's share that it leads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_client::Connection;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{FetchRequest, FetchResponse, ListOffsetsRequest};
use ottla_protocol::wire::Records;
use ottla_replication::EpochEnd;
use ottla_replication::follower::{LeaderOffset, OffsetQuery};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::session::Session;
use super::tracks::{Follows, Key, Tracks};
use crate::node::Node;
use crate::partition::{Partition, Question};
use crate::reach;

/// The first version of Fetch that says which registration of the broker fetches (KIP-903).
const STATE_FROM: i16 = 15;
/// The first pause after a failure; it doubles up to `replica.fetch.backoff.ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How long to wait for the metadata when there is nothing to ask.
const IDLE: Duration = Duration::from_secs(3600);
/// Up to so many partitions, what is new does not wait for the fetch under way: another connection begins with all of
/// them. With more that would cost more than it saves; they wait for `replica.fetch.wait.max.ms` at most.
const FEW: usize = 2_000;

/// What happens to a source's partitions.
#[derive(Debug)]
pub(super) enum Change {
    /// This partition is fetched here, or there is news of it.
    Join(Key, Arc<Partition>),
    /// This one is not any more.
    Leave(Key),
}

/// One leader, and what is new of its partitions.
#[derive(Debug)]
pub(super) struct Source {
    leader: i32,
    changes: Mutex<Vec<Change>>,
    changed: Notify,
    /// Whether one of the changes is not to wait for the fetch under way.
    is_urgent: AtomicBool,
}

impl Source {
    pub(super) fn new(leader: i32) -> Source {
        Source {
            leader,
            changes: Mutex::default(),
            changed: Notify::new(),
            is_urgent: AtomicBool::new(false),
        }
    }

    /// Puts a change to the others; [`Source::tell`] follows.
    pub(super) fn put(&self, change: Change, is_urgent: bool) {
        self.changes.lock().push(change);
        if is_urgent {
            self.is_urgent.store(true, Ordering::Release);
        }
    }

    /// There are changes.
    pub(super) fn tell(&self) {
        self.changed.notify_one();
    }

    fn settle(&self, tracks: &mut Tracks<Arc<Partition>>) {
        self.is_urgent.store(false, Ordering::Release);
        for change in std::mem::take(&mut *self.changes.lock()) {
            match change {
                Change::Join(key, partition) => tracks.join(key, partition),
                Change::Leave(key) => tracks.leave(key),
            }
        }
    }
}

impl Follows for Arc<Partition> {
    fn asks(&self, leader: i32) -> Question {
        match self.following() {
            Some((followed, _)) if followed == leader => self.question(),
            _ => Question::Nothing,
        }
    }

    fn topic(&self) -> &str {
        Partition::topic(self)
    }
}

/// Fetches until it is aborted.
pub(super) async fn run(node: Arc<Node>, source: Arc<Source>) {
    let mut tracks = Tracks::new(source.leader);
    let mut pause = FIRST_PAUSE;
    let mut is_down = false;
    let mut failures = 0;
    loop {
        let most = Duration::from_millis(node.neighbours().fetch_backoff_ms().max(1) as u64);
        let connection = match connect(&node, source.leader, failures).await {
            Ok(connection) => connection,
            Err(why) => {
                if !is_down {
                    warn!("[ReplicaFetcher leaderId={}] cannot fetch: {why}", source.leader);
                }
                is_down = true;
                failures += 1;
                sleep(pause).await;
                pause = (pause * 2).min(most);
                continue;
            }
        };
        if is_down {
            info!("[ReplicaFetcher leaderId={}] fetching again", source.leader);
        }
        (is_down, failures) = (false, 0);
        let began = Instant::now();
        match fetch_from(&node, &source, &connection, &mut tracks).await {
            Ended::Changed => {}
            Ended::Failed(why) => {
                if pause == FIRST_PAUSE {
                    warn!("[ReplicaFetcher leaderId={}] fetching broke off: {why}", source.leader);
                }
                sleep(pause).await;
            }
        }
        connection.close();
        pause = if began.elapsed() > most { FIRST_PAUSE } else { (pause * 2).min(most) };
    }
}

async fn connect(node: &Node, leader: i32, failures: u32) -> Result<Connection, String> {
    let config = node.config();
    let image = node.image();
    let broker = image.broker(leader).ok_or("its broker is not registered")?;
    let name = &config.listeners.inter_broker_name;
    let endpoint = broker.endpoint(name).ok_or_else(|| format!("it has no listener {name}"))?;
    let options = reach::leader(&config, failures);
    Connection::connect(&endpoint.host, endpoint.port, &options).await.map_err(|error| error.to_string())
}

/// Why fetching on a connection ended.
enum Ended {
    /// There are partitions that the fetch under way does not ask for.
    Changed,
    Failed(String),
}

async fn fetch_from(
    node: &Node,
    source: &Source,
    connection: &Connection,
    tracks: &mut Tracks<Arc<Partition>>,
) -> Ended {
    let mut session = Session::default();
    tracks.session_lost();
    let config = node.config();
    let socket_timeout = Duration::from_millis(config.replication.socket_timeout_ms.max(1) as u64);
    let most = Duration::from_millis(node.neighbours().fetch_backoff_ms().max(1) as u64);
    let version = match connection.version_of::<FetchRequest>() {
        Ok(version) => version,
        Err(error) => return Ended::Failed(error.to_string()),
    };
    loop {
        source.settle(tracks);
        let offsets = tracks.look(Instant::now(), node.neighbours().now_ms());
        if !offsets.is_empty() {
            for (key, partition, query) in offsets {
                // Looked at again whatever comes of it: a broken connection must not lose the question.
                tracks.due(key);
                if let Err(why) = ask_offset(node, connection, &partition, query).await {
                    return Ended::Failed(why);
                }
            }
            continue;
        }
        if tracks.fetching() == 0 {
            let until = tracks.next_timer().unwrap_or_else(|| Instant::now() + IDLE);
            let _ = timeout_at(until, source.changed.notified()).await;
            continue;
        }
        let request = request(node, &session, tracks, version);
        let answer = connection.call_within(version, &request, socket_timeout);
        let mut answer = std::pin::pin!(answer);
        let response = loop {
            tokio::select! {
                response = &mut answer => break response,
                () = source.changed.notified() => {
                    // The leader answers one request after the other: what is new would wait for this one.
                    if source.is_urgent.load(Ordering::Acquire) && tracks.fetching() <= FEW {
                        return Ended::Changed;
                    }
                }
            }
        };
        match response {
            Ok(response) => {
                if let Err(why) = take(&mut session, tracks, response, most) {
                    debug!("[ReplicaFetcher leaderId={}] {why}", source.leader);
                }
            }
            Err(error) => return Ended::Failed(error.to_string()),
        }
    }
}

fn request(
    node: &Node,
    session: &Session,
    tracks: &mut Tracks<Arc<Partition>>,
    version: i16,
) -> FetchRequest {
    let config = node.config();
    let replication = &config.replication;
    let (session_id, session_epoch) = session.next();
    let (named, forgotten) = tracks.ask(session.opens());
    let mut topics: HashMap<Uuid, FetchTopic> = HashMap::new();
    for ((topic_id, index), partition, fetch) in named {
        let topic = topics.entry(topic_id).or_insert_with(|| FetchTopic {
            topic: partition.topic().to_owned(),
            topic_id,
            partitions: Vec::new(),
        });
        topic.partitions.push(FetchPartition {
            partition: index,
            current_leader_epoch: fetch.leader_epoch,
            fetch_offset: fetch.offset,
            last_fetched_epoch: fetch.last_epoch.unwrap_or(-1),
            log_start_offset: fetch.log_start,
            partition_max_bytes: replication.fetch_max_bytes,
            replica_directory_id: node.dirs()[partition.dir()].id(),
            high_watermark: fetch.high_watermark,
        });
    }
    let mut forgotten_topics: HashMap<Uuid, ForgottenTopic> = HashMap::new();
    for ((topic_id, index), topic) in forgotten {
        let empty = || ForgottenTopic { topic, topic_id, partitions: Vec::new() };
        forgotten_topics.entry(topic_id).or_insert_with(empty).partitions.push(index);
    }
    let state = ReplicaState { replica_id: node.node_id(), replica_epoch: node.controller().broker_epoch() };
    let (replica_id, replica_state) = match version >= STATE_FROM {
        true => (-1, state),
        false => (state.replica_id, ReplicaState::default()),
    };
    FetchRequest {
        replica_id,
        replica_state,
        max_wait_ms: replication.fetch_wait_max_ms,
        min_bytes: replication.fetch_min_bytes,
        max_bytes: replication.fetch_response_max_bytes,
        session_id,
        session_epoch,
        topics: topics.into_values().collect(),
        forgotten_topics_data: forgotten_topics.into_values().collect(),
        ..Default::default()
    }
}

fn take(
    session: &mut Session,
    tracks: &mut Tracks<Arc<Partition>>,
    response: FetchResponse,
    most: Duration,
) -> Result<(), String> {
    if response.error_code != 0 {
        session.reset();
        tracks.session_lost();
        return Err(format!("the fetch session is lost: error {}", response.error_code));
    }
    session.answered(response.session_id);
    // Answers to fetches of versions before 13 name the topic, not its id.
    let by_name = response.responses.iter().any(|topic| topic.topic_id.is_nil());
    let ids: HashMap<String, Uuid> = match by_name {
        true => tracks.topic_ids().into_iter().map(|(name, id)| (name.to_owned(), id)).collect(),
        false => HashMap::new(),
    };
    for topic in &response.responses {
        let id = match topic.topic_id.is_nil() {
            true => ids.get(&topic.topic).copied().unwrap_or_default(),
            false => topic.topic_id,
        };
        for data in &topic.partitions {
            take_one(tracks, (id, data.partition_index), data, most);
        }
    }
    if session.opens() {
        // The leader keeps no session: the next request names everything again.
        tracks.session_lost();
    }
    Ok(())
}

fn take_one(tracks: &mut Tracks<Arc<Partition>>, key: Key, data: &PartitionData, most: Duration) {
    let Some((partition, asked)) = tracks.answered(key) else { return };
    let error = match data.error_code {
        0 => None,
        code => Some(ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError)),
    };
    // A leader that has not seen the newest metadata says this: soon it has.
    let is_early = matches!(
        error,
        Some(
            ErrorCode::UnknownTopicId
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::NotLeaderOrFollower
                | ErrorCode::UnknownLeaderEpoch
        )
    );
    if is_early && tracks.hold(key, Instant::now(), most) {
        return;
    }
    if !is_early {
        tracks.release(key);
    }
    let diverging = (data.diverging_epoch.end_offset >= 0).then_some(EpochEnd {
        epoch: data.diverging_epoch.epoch,
        end_offset: data.diverging_epoch.end_offset,
    });
    let records = match &data.records {
        Some(Records::Bytes(bytes)) => &bytes[..],
        _ => &[],
    };
    partition.fetched(&asked, error, diverging, records, data.high_watermark, data.log_start_offset);
}

/// Asks where the leader's log begins or ends.
async fn ask_offset(
    node: &Node,
    connection: &Connection,
    partition: &Partition,
    query: OffsetQuery,
) -> Result<(), String> {
    let asked = ListOffsetsPartition {
        partition_index: partition.index(),
        current_leader_epoch: query.leader_epoch,
        timestamp: match query.which {
            LeaderOffset::Latest => -1,
            LeaderOffset::Earliest => -2,
        },
    };
    let topic = ListOffsetsTopic { name: partition.topic().to_owned(), partitions: vec![asked] };
    let request =
        ListOffsetsRequest { replica_id: node.node_id(), topics: vec![topic], ..Default::default() };
    let response = connection.call(&request).await.map_err(|error| error.to_string())?;
    let found = response.topics.first().and_then(|topic| topic.partitions.first());
    let answer = match found {
        Some(found) if found.error_code == 0 => Ok(found.offset),
        Some(found) => Err(ErrorCode::from_i16(found.error_code).unwrap_or(ErrorCode::UnknownServerError)),
        None => Err(ErrorCode::UnknownServerError),
    };
    partition.offset_answered(&query, answer);
    Ok(())
}
