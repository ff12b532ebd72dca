//! What every test here needs: a formatted directory, a node on free ports, a client of raw frames, batches.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_broker::Node;
use ottla_config::NodeConfig;
use ottla_log::MetaProperties;
use ottla_log::fs::{Disk, RealDisk};
use ottla_metadata::MetadataVersion;
use ottla_metadata::decide::Bootstrap;
use ottla_protocol::frame::RequestHead;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::produce_response::PartitionProduceResponse;
use ottla_protocol::messages::{CreateTopicsRequest, MetadataRequest, ProduceRequest};
use ottla_protocol::wire::{Message, Reader, Request};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_records::{BatchBuilder, BatchIter, Compression, NewRecord};
use uuid::Uuid;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The cluster of the directories that are formatted here.
pub(crate) const CLUSTER: &str = "jZ3QJ0zQTCmBbVGpf0eZzg";

/// A running node and its directory.
pub(crate) struct Server {
    pub(crate) node: Arc<Node>,
    dir: Option<tempfile::TempDir>,
    extra: String,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::with("")
    }

    /// A node with more lines in its configuration.
    pub(crate) fn with(extra: &str) -> Server {
        let dir = tempfile::tempdir().unwrap();
        format(dir.path());
        Server::on(dir, extra.to_owned())
    }

    /// A node whose second log directory cannot be used.
    pub(crate) fn with_failed_dir(path: &Path) -> Server {
        let dir = tempfile::tempdir().unwrap();
        format(dir.path());
        std::fs::write(path, "a file where a directory was").unwrap();
        let dirs = format!("log.dirs={},{}", dir.path().display(), path.display());
        Server::on(dir, dirs)
    }

    fn on(dir: tempfile::TempDir, extra: String) -> Server {
        let listeners = match extra.contains("listeners=") {
            true => "",
            false => {
                "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0\n\
                      inter.broker.listener.name=PLAINTEXT\n"
            }
        };
        let dirs = match extra.contains("log.dirs=") {
            true => String::new(),
            false => format!("log.dirs={}\n", dir.path().display()),
        };
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n\
             controller.listener.names=CONTROLLER\n{listeners}{dirs}offsets.topic.num.partitions=2\n\
             offsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\n{extra}\n"
        );
        let config = NodeConfig::load("test", text.as_bytes(), &[]).unwrap().config;
        Server { node: Node::start(config).unwrap(), dir: Some(dir), extra }
    }

    /// The same directory under another process, so to say.
    pub(crate) fn restart(mut self) -> Server {
        self.node.stop();
        let (dir, extra) = (self.dir.take().unwrap(), self.extra.clone());
        drop(self);
        Server::on(dir, extra)
    }

    pub(crate) fn at(&self, listener: &str) -> SocketAddr {
        self.node.bound().iter().find(|(name, _)| name == listener).unwrap().1
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.at("PLAINTEXT"))
    }

    /// Creates a topic; returns its id.
    pub(crate) fn topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let created = self.client().ask(7, &request);
        assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0]);
        created.topics[0].topic_id
    }

    /// That the node serves a new client.
    pub(crate) fn assert_serves(&self) {
        let answer = self.client().ask(9, &MetadataRequest { topics: Some(vec![]), ..Default::default() });
        assert_eq!(answer.brokers.len(), 1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.node.stop();
    }
}

fn format(dir: &Path) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let bootstrap = Bootstrap::formatted(MetadataVersion::LATEST);
    let records: Vec<Bytes> =
        bootstrap.records().iter().map(|(r, version)| r.encode_framed(*version).unwrap().into()).collect();
    ottla_quorum::format::write_bootstrap(&disk, dir, &records, 0).unwrap();
    MetaProperties::new(CLUSTER, 1, Uuid::new_v4()).write(&RealDisk, dir).unwrap();
}

/// The frame of a request, its length included.
pub(crate) fn frame<R: Request>(correlation_id: i32, version: i16, request: &R) -> Vec<u8> {
    let api = ApiKey::from_i16(R::KEY).unwrap();
    framed(api, version, correlation_id, &request.to_vec(version).unwrap())
}

/// The frame of any bytes that claim to be a request.
pub(crate) fn framed(api: ApiKey, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    RequestHead { api, version, correlation_id, client_id: Some("test") }.write(&mut bytes).unwrap();
    bytes.extend_from_slice(body);
    let length = (bytes.len() - 4) as i32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A client that knows frames and nothing else.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    last: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, last: 0 }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a request; returns its correlation id.
    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.last += 1;
        let bytes = frame(self.last, version, request);
        self.write(&bytes);
        self.last
    }

    /// The bytes of the next response, without their length.
    pub(crate) fn receive_bytes(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next response and its correlation id.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let bytes = self.receive_bytes();
        decode::<R>(&bytes, version)
    }

    pub(crate) fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let sent = self.send(version, request);
        let (correlation_id, response) = self.receive::<R>(version);
        assert_eq!(correlation_id, sent);
        response
    }

    /// Whether the node closes the connection, without another answer.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => {
                assert!(
                    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    "neither answered nor closed"
                );
                true
            }
        }
    }

    /// Appends a batch to partition `index` of a topic with acks=all.
    pub(crate) fn produce(&mut self, topic: &str, index: i32, batch: Vec<u8>) -> PartitionProduceResponse {
        let answer = self.ask(11, &produce(topic, index, -1, batch));
        answer.responses[0].partition_responses[0].clone()
    }

    /// As [`Client::produce`], for what has to succeed: the base offset.
    pub(crate) fn append(&mut self, topic: &str, index: i32, batch: Vec<u8>) -> i64 {
        let answer = self.produce(topic, index, batch);
        assert_eq!(answer.error_code, 0, "{answer:?}");
        answer.base_offset
    }
}

pub(crate) fn decode<R: Request>(bytes: &[u8], version: i16) -> (i32, R::Response) {
    let api = ApiKey::from_i16(R::KEY).unwrap();
    let mut reader = Reader::new(bytes, version, false);
    let correlation_id = reader.i32().unwrap();
    let mut reader = Reader::new(reader.rest(), version, api.response_header_version(version) == 1);
    reader.skip_tags().unwrap();
    (correlation_id, R::Response::decode(reader.rest(), version).unwrap())
}

pub(crate) fn produce(topic: &str, index: i32, acks: i16, batch: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData { index, records: Some(Bytes::from(batch).into()) };
    let topic = TopicProduceData { name: topic.to_owned(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A batch of these values, stamped now.
pub(crate) fn batch(values: &[&str]) -> Vec<u8> {
    batch_at(now_ms(), values)
}

pub(crate) fn batch_at(timestamp_ms: i64, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    for value in values {
        builder.append(&NewRecord::new(timestamp_ms, Some(b"key"), Some(value.as_bytes())));
    }
    builder.build()
}

/// A batch of one record with a value of `size` zeros.
pub(crate) fn large(size: usize, codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).compression(codec, None);
    builder.append(&NewRecord::new(now_ms(), Some(b"key"), Some(&vec![0; size])));
    builder.build()
}

/// The values in a run of batches.
pub(crate) fn values(bytes: &[u8]) -> Vec<String> {
    let mut values = Vec::new();
    for batch in BatchIter::verified(bytes) {
        for record in batch.unwrap().plain_records().unwrap() {
            let record = record.unwrap();
            values.push(String::from_utf8_lossy(record.value.unwrap()).into_owned());
        }
    }
    values
}

pub(crate) fn code(error: ErrorCode) -> i16 {
    error.code()
}
