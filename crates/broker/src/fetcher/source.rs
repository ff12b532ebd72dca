//! Fetching from one leader: one connection, one session, all partitions of the thread's share that it leads.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_client::{Connection, Options};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchPartition, ReplicaState};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{FetchRequest, FetchResponse, ListOffsetsRequest};
use ottla_protocol::wire::Records;
use ottla_replication::EpochEnd;
use ottla_replication::follower::{Fetch, LeaderOffset, OffsetQuery};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use super::session::{Key, Session};
use crate::node::Node;
use crate::partition::{Partition, Question};

/// The first version of Fetch that says which registration of the broker fetches (KIP-903).
const STATE_FROM: i16 = 15;
/// The first pause after a failure; it doubles up to `replica.fetch.backoff.ms`.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How long to wait for the metadata when there is nothing to ask.
const IDLE: Duration = Duration::from_secs(3600);

/// One leader, and what it leads.
pub(super) struct Source {
    leader: i32,
    partitions: Mutex<Vec<Arc<Partition>>>,
    changed: Notify,
}

impl Source {
    pub(super) fn new(leader: i32) -> Source {
        Source { leader, partitions: Mutex::default(), changed: Notify::new() }
    }

    /// These are to be fetched from now on.
    pub(super) fn set(&self, partitions: Vec<Arc<Partition>>) {
        *self.partitions.lock() = partitions;
        self.changed.notify_one();
    }
}

/// Partitions whose leader does not know yet what this node knows: they are left out for a moment.
#[derive(Default)]
struct Early(HashMap<Key, (u32, Instant)>);

impl Early {
    /// Whether to go on without telling the partition of the error.
    fn hold(&mut self, key: Key, most: Duration) -> bool {
        let (count, until) = self.0.entry(key).or_insert((0, Instant::now()));
        let pause = FIRST_PAUSE * (1 << (*count).min(10));
        (*count, *until) = (*count + 1, Instant::now() + pause);
        pause < most
    }
}

/// Fetches until it is aborted.
pub(super) async fn run(node: Arc<Node>, source: Arc<Source>) {
    let mut pause = FIRST_PAUSE;
    let mut is_down = false;
    loop {
        let most = Duration::from_millis(node.neighbours().fetch_backoff_ms().max(1) as u64);
        let connection = match connect(&node, source.leader).await {
            Ok(connection) => connection,
            Err(why) => {
                if !is_down {
                    warn!("[ReplicaFetcher leaderId={}] cannot fetch: {why}", source.leader);
                }
                is_down = true;
                sleep(pause).await;
                pause = (pause * 2).min(most);
                continue;
            }
        };
        if is_down {
            info!("[ReplicaFetcher leaderId={}] fetching again", source.leader);
        }
        is_down = false;
        let began = Instant::now();
        match fetch_from(&node, &source, &connection).await {
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

async fn connect(node: &Node, leader: i32) -> Result<Connection, String> {
    let config = node.config();
    let image = node.image();
    let broker = image.broker(leader).ok_or("its broker is not registered")?;
    let name = &config.listeners.inter_broker_name;
    let endpoint = broker.endpoint(name).ok_or_else(|| format!("it has no listener {name}"))?;
    let options = Options {
        client_id: format!("broker-{}-fetcher-0", node.node_id()),
        request_timeout: Duration::from_millis(config.replication.socket_timeout_ms.max(1) as u64),
        ..Options::default()
    };
    Connection::connect(&endpoint.host, endpoint.port, &options).await.map_err(|error| error.to_string())
}

/// Why fetching on a connection ended.
enum Ended {
    /// There are partitions that the fetch under way does not ask for.
    Changed,
    Failed(String),
}

async fn fetch_from(node: &Node, source: &Source, connection: &Connection) -> Ended {
    let mut session = Session::default();
    let mut early = Early::default();
    let config = node.config();
    let socket_timeout = Duration::from_millis(config.replication.socket_timeout_ms.max(1) as u64);
    let most = Duration::from_millis(node.neighbours().fetch_backoff_ms().max(1) as u64);
    let version = match connection.version_of::<FetchRequest>() {
        Ok(version) => version,
        Err(error) => return Ended::Failed(error.to_string()),
    };
    loop {
        let questions = questions(node, source, &mut early);
        if !questions.offsets.is_empty() {
            if let Err(why) = ask_offsets(node, connection, questions.offsets).await {
                return Ended::Failed(why);
            }
            continue;
        }
        if questions.fetches.is_empty() {
            let _ = timeout_at(questions.again, source.changed.notified()).await;
            continue;
        }
        let request = request(node, &mut session, &questions.fetches, version);
        let answer = connection.call_within(version, &request, socket_timeout);
        let mut answer = std::pin::pin!(answer);
        let response = loop {
            tokio::select! {
                response = &mut answer => break response,
                () = source.changed.notified() => {
                    // The leader answers one request after the other: what is new would wait for this one.
                    if has_more(source, &questions.fetches) {
                        return Ended::Changed;
                    }
                }
            }
        };
        match response {
            Ok(response) => {
                if let Err(why) = take(&mut session, &mut early, &questions.fetches, response, most) {
                    debug!("[ReplicaFetcher leaderId={}] {why}", source.leader);
                }
            }
            Err(error) => return Ended::Failed(error.to_string()),
        }
    }
}

type Fetches = HashMap<Key, (Arc<Partition>, Fetch)>;

struct Questions {
    fetches: Fetches,
    offsets: Vec<(Arc<Partition>, OffsetQuery)>,
    /// When there is more to ask.
    again: Instant,
}

fn questions(node: &Node, source: &Source, early: &mut Early) -> Questions {
    let partitions = source.partitions.lock().clone();
    let (now, now_ms) = (Instant::now(), node.neighbours().now_ms());
    let mut questions = Questions {
        fetches: HashMap::with_capacity(partitions.len()),
        offsets: Vec::new(),
        again: now + IDLE,
    };
    for partition in partitions {
        let key = (partition.topic_id(), partition.index());
        if let Some((_, until)) = early.0.get(&key).filter(|(_, until)| *until > now) {
            questions.again = questions.again.min(*until);
            continue;
        }
        if partition.following() != Some(source.leader) {
            continue;
        }
        match partition.question() {
            Question::Fetch(fetch) => _ = questions.fetches.insert(key, (partition, fetch)),
            Question::Offset(query) => questions.offsets.push((partition, query)),
            Question::Wait { until_ms } => {
                let wait = Duration::from_millis((until_ms - now_ms).max(1) as u64);
                questions.again = questions.again.min(now + wait);
            }
            Question::Nothing => {}
        }
    }
    questions
}

/// Whether there is a partition to fetch that is not among these.
fn has_more(source: &Source, fetches: &Fetches) -> bool {
    source.partitions.lock().iter().any(|partition| {
        let asked = fetches.get(&(partition.topic_id(), partition.index()));
        partition.following() == Some(source.leader)
            && match (asked, partition.question()) {
                (None, Question::Fetch(_) | Question::Offset(_)) => true,
                (Some((_, asked)), Question::Fetch(now)) => asked.leader_epoch != now.leader_epoch,
                _ => false,
            }
    })
}

fn request(node: &Node, session: &mut Session, fetches: &Fetches, version: i16) -> FetchRequest {
    let config = node.config();
    let replication = &config.replication;
    let wanted = fetches.iter().map(|(key, (partition, fetch))| {
        let data = FetchPartition {
            partition: key.1,
            current_leader_epoch: fetch.leader_epoch,
            fetch_offset: fetch.offset,
            last_fetched_epoch: fetch.last_epoch.unwrap_or(-1),
            log_start_offset: fetch.log_start,
            partition_max_bytes: replication.fetch_max_bytes,
            high_watermark: fetch.high_watermark,
            ..Default::default()
        };
        (*key, (partition.topic().to_owned(), data))
    });
    let asked = session.ask(wanted.collect());
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
        session_id: asked.session_id,
        session_epoch: asked.session_epoch,
        topics: asked.topics,
        forgotten_topics_data: asked.forgotten,
        ..Default::default()
    }
}

fn take(
    session: &mut Session,
    early: &mut Early,
    fetches: &Fetches,
    response: FetchResponse,
    most: Duration,
) -> Result<(), String> {
    if response.error_code != 0 {
        session.reset();
        return Err(format!("the fetch session is lost: error {}", response.error_code));
    }
    session.answered(response.session_id);
    // Answers to fetches of versions before 13 name the topic, not its id.
    let ids: HashMap<&str, uuid::Uuid> =
        fetches.iter().map(|((id, _), (partition, _))| (partition.topic(), *id)).collect();
    let mut answered = HashSet::new();
    for topic in &response.responses {
        let id = match topic.topic_id.is_nil() {
            true => ids.get(topic.topic.as_str()).copied().unwrap_or_default(),
            false => topic.topic_id,
        };
        for data in &topic.partitions {
            let key = (id, data.partition_index);
            let Some((partition, asked)) = fetches.get(&key) else { continue };
            if !answered.insert(key) {
                continue;
            }
            take_one(early, key, partition, asked, data, most);
        }
    }
    Ok(())
}

fn take_one(
    early: &mut Early,
    key: Key,
    partition: &Arc<Partition>,
    asked: &Fetch,
    data: &PartitionData,
    most: Duration,
) {
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
    if is_early && early.hold(key, most) {
        return;
    }
    if !is_early {
        early.0.remove(&key);
    }
    let diverging = (data.diverging_epoch.end_offset >= 0).then_some(EpochEnd {
        epoch: data.diverging_epoch.epoch,
        end_offset: data.diverging_epoch.end_offset,
    });
    let records = match &data.records {
        Some(Records::Bytes(bytes)) => &bytes[..],
        _ => &[],
    };
    partition.fetched(asked, error, diverging, records, data.high_watermark, data.log_start_offset);
}

/// Asks where the leader's logs begin or end.
async fn ask_offsets(
    node: &Node,
    connection: &Connection,
    queries: Vec<(Arc<Partition>, OffsetQuery)>,
) -> Result<(), String> {
    for (partition, query) in queries {
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
            Some(found) => {
                Err(ErrorCode::from_i16(found.error_code).unwrap_or(ErrorCode::UnknownServerError))
            }
            None => Err(ErrorCode::UnknownServerError),
        };
        partition.offset_answered(&query, answer);
    }
    Ok(())
}
