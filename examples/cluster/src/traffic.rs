//! The producer and the consumer: for each partition a loop of each, on `ottla-client`, which go on until they are
//! told to end, wherever the leader is.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ottla_client::{Connection, Options};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::wire::Records;
use ottla_records::{BatchBuilder, BatchIter, NewRecord};

/// How long one request may wait for a node that says nothing.
const PATIENCE: Duration = Duration::from_secs(3);
/// The last versions that name topics instead of numbering them.
const PRODUCE: i16 = 12;
const FETCH: i16 = 12;
const DUPLICATE_SEQUENCE: i16 = 46;
const TOPIC_EXISTS: i16 = 36;
/// Errors that no second attempt can mend: OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, OUT_OF_ORDER_SEQUENCE and its kin,
/// INVALID_REQUEST.
const FATAL: &[i16] = &[1, 2, 10, 17, 18, 42, 45, 47, 59, 87];

/// One partition's figures.
#[derive(Default)]
struct Partition {
    acknowledged: AtomicU64,
    read: AtomicU64,
}

/// What the loops count, for whoever watches.
pub(crate) struct Counters {
    partitions: Vec<Partition>,
    /// Microseconds: since the last [`Counters::new_silence`], and ever.
    silence: AtomicU64,
    longest: AtomicU64,
    finish: AtomicBool,
    broken: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn new(partitions: usize) -> Counters {
        Counters {
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            silence: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            finish: AtomicBool::new(false),
            broken: Mutex::new(None),
        }
    }

    /// (acknowledged, read) of each partition.
    pub(crate) fn each(&self) -> Vec<(u64, u64)> {
        let figures = |p: &Partition| (p.acknowledged.load(Ordering::SeqCst), p.read.load(Ordering::SeqCst));
        self.partitions.iter().map(figures).collect()
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.each().iter().map(|(acknowledged, _)| acknowledged).sum()
    }

    pub(crate) fn read(&self) -> u64 {
        self.each().iter().map(|(_, read)| read).sum()
    }

    pub(crate) fn new_silence(&self) {
        self.silence.store(0, Ordering::SeqCst);
    }

    pub(crate) fn silence(&self) -> Duration {
        Duration::from_micros(self.silence.load(Ordering::SeqCst))
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::SeqCst))
    }

    /// The producers end; the consumers when they have read everything.
    pub(crate) fn finish(&self) {
        self.finish.store(true, Ordering::SeqCst);
    }

    /// The first promise that was broken, if one was.
    pub(crate) fn broken(&self) -> Result<()> {
        match self.broken.lock().map_err(|_| anyhow::anyhow!("a loop panicked"))?.clone() {
            Some(what) => bail!(what),
            None => Ok(()),
        }
    }

    fn acknowledge(&self, partition: usize, silence: Option<Duration>) {
        self.partitions[partition].acknowledged.fetch_add(1, Ordering::SeqCst);
        let silence = silence.map_or(0, |s| s.as_micros() as u64);
        self.silence.fetch_max(silence, Ordering::SeqCst);
        self.longest.fetch_max(silence, Ordering::SeqCst);
    }

    fn ended(&self, outcome: Result<()>) {
        if let (Err(error), Ok(mut broken)) = (outcome, self.broken.lock()) {
            broken.get_or_insert_with(|| format!("{error:#}"));
        }
    }
}

/// Creates the topic and runs every loop on a thread of its own.
pub(crate) fn begin(topic: &'static str, ports: Vec<(i32, u16)>, counters: Arc<Counters>) -> JoinHandle<()> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime.map_err(|error| counters.ended(Err(error.into()))) else { return };
        let ports = Arc::new(ports);
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            if let Err(error) = create(topic, &ports, counters.partitions.len()).await {
                return counters.ended(Err(error));
            }
            let mut loops = Vec::new();
            for partition in 0..counters.partitions.len() {
                let to = Route { topic, partition, ports: ports.clone(), connection: None };
                let from = Route { topic, partition, ports: ports.clone(), connection: None };
                let (one, other) = (counters.clone(), counters.clone());
                loops.push(tokio::task::spawn_local(async move { one.ended(produce(to, &one).await) }));
                loops.push(tokio::task::spawn_local(async move { other.ended(consume(from, &other).await) }));
            }
            for task in loops {
                if task.await.is_err() {
                    counters.ended(Err(anyhow::anyhow!("a loop panicked")));
                }
            }
        });
    })
}

fn options() -> Options {
    Options {
        client_id: "cluster".to_owned(),
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        ..Options::default()
    }
}

/// To any node that takes connections.
async fn any(ports: &[(i32, u16)]) -> Result<Connection> {
    for (_, port) in ports {
        if let Ok(connection) = Connection::connect("localhost", *port, &options()).await {
            return Ok(connection);
        }
    }
    bail!("no node takes connections")
}

async fn create(topic: &str, ports: &[(i32, u16)], partitions: usize) -> Result<()> {
    let new = CreatableTopic {
        name: topic.to_owned(),
        num_partitions: partitions as i32,
        replication_factor: 3,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![new], ..CreateTopicsRequest::default() };
    let answer = any(ports).await?.call(&request).await?;
    let result = answer.topics.first().context("an empty answer")?;
    ensure!([0, TOPIC_EXISTS].contains(&result.error_code), "CreateTopics: error {}", result.error_code);
    Ok(())
}

/// The way to a partition's leader.
struct Route {
    topic: &'static str,
    partition: usize,
    ports: Arc<Vec<(i32, u16)>>,
    connection: Option<Connection>,
}

impl Route {
    /// The connection to the leader, a new one if the last one was given up.
    async fn leader(&mut self) -> Result<Connection> {
        if let Some(connection) = self.connection.as_ref().filter(|c| !c.is_closed()) {
            return Ok(connection.clone());
        }
        let (topic, partition, ports) = (self.topic, self.partition as i32, self.ports.clone());
        let found = tokio::task::spawn_blocking(move || {
            // Any node may be behind: the first whose answer leads to a node that takes connections will do.
            ports.iter().find_map(|(_, port)| {
                let view = ottla_local_cluster::view(*port, Duration::from_millis(500)).ok()?;
                let leader = view.partition(topic, partition)?.leader;
                let (_, port) = ports.iter().find(|(id, _)| *id == leader)?;
                std::net::TcpStream::connect(("localhost", *port)).ok().map(|_| *port)
            })
        });
        let port = found.await?.context("no leader")?;
        let connection = Connection::connect("localhost", port, &options()).await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// What went wrong passes: another look for the leader, a moment later.
    async fn again(&mut self) {
        self.connection = None;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Record after record, each again and again until it is acknowledged.
async fn produce(mut to: Route, counters: &Counters) -> Result<()> {
    let (id, epoch) = loop {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let answer = async { Ok::<_, anyhow::Error>(any(&to.ports).await?.call(&request).await?) };
        match answer.await {
            Ok(answer) if answer.error_code == 0 => break (answer.producer_id, answer.producer_epoch),
            Ok(answer) if FATAL.contains(&answer.error_code) => {
                bail!("no producer id: error {}", answer.error_code)
            }
            _ if counters.finish.load(Ordering::SeqCst) => return Ok(()),
            _ => to.again().await,
        }
    };
    let mut last: Option<Instant> = None;
    let mut number = 0;
    while !counters.finish.load(Ordering::SeqCst) {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        let mut batch = BatchBuilder::new(0).producer(id, epoch, number);
        batch.append(&NewRecord::new(now_ms, None, Some(number.to_string().as_bytes())));
        let batch = Bytes::from(batch.build());
        while let Some(code) = send(&mut to, batch.clone()).await {
            ensure!(!FATAL.contains(&code), "record {number} of partition {}: error {code}", to.partition);
            to.again().await;
        }
        let now = Instant::now();
        counters.acknowledge(to.partition, last.replace(now).map(|last| now - last));
        number += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// None: acknowledged. Otherwise the partition's error; -1 when there was no answer.
async fn send(to: &mut Route, batch: Bytes) -> Option<i16> {
    let partition = PartitionProduceData { index: to.partition as i32, records: Some(Records::from(batch)) };
    let topic = TopicProduceData {
        name: to.topic.to_owned(),
        partition_data: vec![partition],
        ..TopicProduceData::default()
    };
    let request =
        ProduceRequest { acks: -1, timeout_ms: 2_500, topic_data: vec![topic], ..Default::default() };
    let Ok(connection) = to.leader().await else { return Some(-1) };
    let answer = connection.call_at(PRODUCE, &request).await;
    let code = answer.ok().and_then(|a| Some(a.responses.first()?.partition_responses.first()?.error_code));
    match code {
        Some(0 | DUPLICATE_SEQUENCE) => None,
        other => Some(other.unwrap_or(-1)),
    }
}

/// Reads everything, each record once and in order, until the end and all that was acknowledged.
async fn consume(mut from: Route, counters: &Counters) -> Result<()> {
    let own = &counters.partitions[from.partition];
    let (mut offset, mut idle) = (0, Instant::now());
    loop {
        let done = own.read.load(Ordering::SeqCst) >= own.acknowledged.load(Ordering::SeqCst);
        if counters.finish.load(Ordering::SeqCst) {
            if done {
                return Ok(());
            }
            ensure!(
                idle.elapsed() < crate::LIMIT,
                "partition {}: acknowledged records are lost",
                from.partition
            );
        }
        let records = match fetch(&mut from, offset).await {
            Ok(records) => records,
            Err(code) => {
                ensure!(
                    !FATAL.contains(&code),
                    "fetch at {offset} of partition {}: error {code}",
                    from.partition
                );
                from.again().await;
                continue;
            }
        };
        for batch in BatchIter::verified(&records) {
            let batch = batch.with_context(|| format!("partition {}", from.partition))?;
            for record in batch.plain_records().context("it was written uncompressed")? {
                let record = record?;
                if record.offset < offset {
                    continue;
                }
                let expected = own.read.load(Ordering::SeqCst).to_string();
                let found = String::from_utf8_lossy(record.value.unwrap_or_default());
                ensure!(
                    found == expected,
                    "offset {} of partition {} is record {found}, not {expected}",
                    record.offset,
                    from.partition
                );
                own.read.fetch_add(1, Ordering::SeqCst);
                offset = record.offset + 1;
                idle = Instant::now();
            }
        }
    }
}

/// The error is the partition's; -1 when there was no answer.
async fn fetch(from: &mut Route, offset: i64) -> Result<Bytes, i16> {
    let partition = FetchPartition {
        partition: from.partition as i32,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: from.topic.to_owned(), partitions: vec![partition], ..FetchTopic::default() };
    let request = FetchRequest {
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    let connection = from.leader().await.map_err(|_| -1i16)?;
    let answer = connection.call_at(FETCH, &request).await.map_err(|_| -1i16)?;
    let partition = answer.responses.first().and_then(|t| t.partitions.first()).ok_or(answer.error_code)?;
    match partition.error_code {
        0 => Ok(partition.records.as_ref().and_then(Records::as_bytes).cloned().unwrap_or_default()),
        code => Err(code),
    }
}
