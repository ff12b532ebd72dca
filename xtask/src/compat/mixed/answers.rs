//! The same request of a peer to a node of each kind in the same place: what they answer, byte for byte. Where they differ on
//! purpose, `docs/formats/mixed.md` says why.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{A, O, agree, cluster, kind, programs};
use crate::frame::{self, Bytes};
use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::it::cluster::wire;
use crate::server::{CLUSTER, System};
use crate::tally::Tally;

const LIMIT: Duration = Duration::from_secs(10);
const METADATA_TOPIC: &str = "__cluster_metadata";
const TOPIC: &str = "asked";
const NOBODY: [u8; 16] = [7; 16];
const NIL: [u8; 16] = [0; 16];

/// A request as a peer sends it.
struct Question {
    name: &'static str,
    key: i16,
    version: i16,
    body: Bytes,
    /// Bytes of the answer that are a node's own: where its log begins, a broker drawn at random.
    own: Range<usize>,
    /// Apache Kafka cannot write its answer; ours has this error for the partition.
    unwritten: Option<i16>,
}

fn question(name: &'static str, key: i16, version: i16, body: Bytes) -> Question {
    Question { name, key, version, body: body.varint(0), own: 0..0, unwritten: None }
}

impl Question {
    fn own(mut self, own: Range<usize>) -> Question {
        self.own = own;
        self
    }

    fn unwritten(self, ours: i16) -> Question {
        Question { unwritten: Some(ours), ..self }
    }

    /// From this byte on the answer is a text, which each says in its own words, and what follows it.
    fn words_from(self, at: usize) -> Question {
        self.own(at..usize::MAX)
    }
}

pub fn run(tally: &mut Tally) {
    let made = || -> Result<Nodes> {
        let mut nodes = cluster("answers", &[A, O, O], Shape::Combined(3), Voters::Static)?;
        nodes.start_all()?;
        nodes.ready()?;
        let code = wire::create_topic(nodes.ports()[0], TOPIC, 1, 3)?;
        ensure!(code == 0, "CreateTopics: error {code}");
        nodes.whole(TOPIC)?;
        Ok(nodes)
    };
    let mut nodes = match made() {
        Ok(nodes) => nodes,
        Err(error) => return tally.note("a cluster to ask", Err(error)),
    };
    // Under a leader of ours, one follower is of each kind.
    if let Err(error) = led_by(&mut nodes, O) {
        return tally.note("a leader of ours", Err(error));
    }
    let (epoch, leader) = (epoch(&nodes).unwrap_or(-1), nodes.controller().unwrap_or(-1));
    for question in to_followers(leader, epoch) {
        tally.check(&format!("followers: {}", question.name), || {
            let leader = nodes.controller()?;
            let ports: Vec<u16> =
                nodes.all.iter().filter(|n| n.id != leader).filter_map(|n| n.controller_port).collect();
            let kinds: Vec<System> = nodes.all.iter().filter(|n| n.id != leader).map(|n| n.system).collect();
            ensure!(kinds == [A, O], "followers are {kinds:?}");
            same(&question, &ask(ports[0], &question)?, &ask(ports[1], &question)?)
        });
    }
    for question in to_brokers() {
        tally.check(&format!("brokers: {}", question.name), || {
            let ports = nodes.ports();
            same(&question, &ask(ports[0], &question)?, &ask(ports[1], &question)?)
        });
    }
    // The leader of each kind, one after the other; the answers hold no epochs.
    let ours = of_leader(&mut nodes, O);
    let theirs = of_leader(&mut nodes, A);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            for (question, (ours, theirs)) in to_leaders(epoch).iter().zip(ours.iter().zip(&theirs)) {
                tally.note(&format!("leaders: {}", question.name), same(question, theirs, ours));
            }
        }
        (Err(error), _) | (_, Err(error)) => tally.note("leaders of both kinds", Err(error)),
    }
    tally.check("nothing of what was asked changed anything", || {
        nodes.no_panic()?;
        agree::metadata(&nodes)
    });
}

fn of_leader(nodes: &mut Nodes, wanted: System) -> Result<Vec<Vec<u8>>> {
    led_by(nodes, wanted)?;
    let leader = nodes.controller()?;
    let port =
        nodes.all.iter().find(|n| n.id == leader).and_then(|n| n.controller_port).context("a controller")?;
    let epoch = epoch(nodes)?;
    to_leaders(epoch).iter().map(|question| ask(port, question)).collect()
}

/// Until a node of this kind is the active controller.
fn led_by(nodes: &mut Nodes, wanted: System) -> Result<()> {
    for _ in 0..12 {
        let id = nodes.controller()?;
        if kind(nodes, id) == wanted {
            return Ok(());
        }
        nodes.kill(id)?;
        if wanted == A {
            // Two of ours would mostly elect one of ours: Apache Kafka's meets one that has just started.
            let other =
                nodes.all.iter().find(|n| n.system == O && n.id != id).map(|n| n.id).context("another")?;
            nodes.kill(other)?;
            std::thread::sleep(Duration::from_millis(2500));
        } else {
            nodes.controller()?;
        }
        nodes.start_all()?;
        nodes.ready()?;
    }
    anyhow::bail!("no node of {} was elected", wanted.name())
}

fn epoch(nodes: &Nodes) -> Result<i32> {
    let all = nodes.all.iter().filter_map(|n| wire::quorum_leader(n.controller_port?).ok()?);
    all.map(|(epoch, _)| epoch).max().context("an epoch")
}

fn ask(port: u16, question: &Question) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    programs::until(question.name, LIMIT, || {
        let mut stream = frame::connect(port, LIMIT)?;
        let request = frame::request(question.key, question.version, 40, true, question.body.clone());
        answer = frame::ask(&mut stream, &request, 40)?;
        Ok(true)
    })?;
    Ok(answer)
}

fn same(question: &Question, theirs: &[u8], ours: &[u8]) -> Result<()> {
    let text = |bytes: &[u8]| {
        let shown: String = bytes
            .iter()
            .map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' })
            .collect();
        format!("{bytes:02x?}\n      {shown}")
    };
    let shared = |bytes: &[u8]| {
        let indexed = bytes.iter().copied().enumerate();
        indexed.filter(|(at, _)| !question.own.contains(at)).map(|(_, byte)| byte).collect::<Vec<u8>>()
    };
    if let Some(code) = question.unwritten {
        let ok = theirs == UNWRITTEN && ours.get(ERROR_AT..ERROR_AT + 2) == Some(&code.to_be_bytes()[..]);
        ensure!(ok, "Apache Kafka: {}\nOttla:        {}", text(theirs), text(ours));
        return Ok(());
    }
    ensure!(shared(theirs) == shared(ours), "Apache Kafka: {}\nOttla:        {}", text(theirs), text(ours));
    Ok(())
}

// ---- what is asked

/// One topic with one partition, as raft's requests name the metadata log.
fn of_metadata(body: Bytes, partition: Bytes) -> Bytes {
    body.varint(2).compact_string(METADATA_TOPIC).varint(2).raw(&partition.varint(0).0).varint(0)
}

fn cluster_id() -> Bytes {
    Bytes::new().compact_string(CLUSTER)
}

fn vote(cluster: &str, voter: i32, (leader, epoch): (i32, i32), pre: i8) -> Bytes {
    let partition = Bytes::new().i32(0).i32(epoch).i32(leader).raw(&NIL).raw(&NIL).i32(0).i64(0).i8(pre);
    of_metadata(Bytes::new().compact_string(cluster).i32(voter), partition)
}

fn begin(voter: i32, leader: i32, epoch: i32) -> Bytes {
    let partition = Bytes::new().i32(0).raw(&NIL).i32(leader).i32(epoch);
    of_metadata(cluster_id().i32(voter), partition).varint(1)
}

fn end(leader: i32, epoch: i32) -> Bytes {
    of_metadata(cluster_id(), Bytes::new().i32(0).i32(leader).i32(epoch).varint(1)).varint(1)
}

/// A fetch of version 17 from one partition.
fn fetch(topic: [u8; 16], epoch: i32, offset: i64, last_epoch: i32) -> Bytes {
    let head = Bytes::new().i32(0).i32(0).i32(1_000_000).i8(0).i32(0).i32(-1);
    let partition =
        Bytes::new().i32(0).i32(epoch).i64(offset).i32(last_epoch).i64(0).i32(1_000_000).varint(0);
    head.varint(2).raw(&topic).varint(2).raw(&partition.0).varint(0).varint(1).compact_string("")
}

/// Of the metadata's snapshot that ends at offset 1 of epoch 1, which nobody has.
fn fetch_snapshot(epoch: i32) -> Bytes {
    let snapshot = Bytes::new().i64(1).i32(1).varint(0);
    let partition = Bytes::new().i32(0).i32(epoch).raw(&snapshot.0).i64(0);
    of_metadata(Bytes::new().i32(-1).i32(1_000_000), partition)
}

/// Where an answer to FetchSnapshot has the partition's error: behind the throttle time, the error, the topic's name and the
/// partition.
const ERROR_AT: usize = 1 + 4 + 2 + 1 + 1 + METADATA_TOPIC.len() + 1 + 4;
/// UNKNOWN_SERVER_ERROR for the whole, and no topic.
const UNWRITTEN: [u8; 9] = [0, 0, 0, 0, 0, 0xff, 0xff, 1, 0];

fn heartbeat(id: i32, epoch: i64) -> Bytes {
    Bytes::new().i32(id).i64(epoch).i64(0).i8(0).i8(0)
}

fn alter(id: i32, epoch: i64) -> Bytes {
    let isr = Bytes::new().varint(2).i32(1).i64(-1).varint(0);
    let partition = Bytes::new().i32(0).i32(0).raw(&isr.0).i8(0).i32(0).varint(0);
    Bytes::new().i32(id).i64(epoch).varint(2).raw(&NOBODY).varint(2).raw(&partition.0).varint(0)
}

fn registration(id: i32, cluster: &str, features: &[(&str, i16, i16)], dirs: &[[u8; 16]]) -> Bytes {
    let mut body = Bytes::new().i32(id).compact_string(cluster).raw(&NOBODY);
    body = body.varint(2).compact_string("PLAINTEXT").compact_string("localhost").i16(1).i16(0).varint(0);
    body = body.varint(features.len() as u64 + 1);
    for (name, min, max) in features {
        body = body.compact_string(name).i16(*min).i16(*max).varint(0);
    }
    body = body.varint(0).i8(0).varint(dirs.len() as u64 + 1);
    dirs.iter().fold(body, |body, dir| body.raw(dir)).i64(-1)
}

const FEATURES: &[(&str, i16, i16)] = &[
    ("metadata.version", 7, 30),
    ("group.version", 0, 1),
    ("transaction.version", 0, 2),
    ("eligible.leader.replicas.version", 0, 1),
    ("share.version", 0, 1),
    ("streams.version", 0, 1),
    ("kraft.version", 0, 1),
];

fn voter(body: Bytes, id: i32) -> Bytes {
    body.i32(id).raw(&NOBODY)
}

fn one_listener(body: Bytes) -> Bytes {
    body.varint(2).compact_string("CONTROLLER").compact_string("localhost").i16(1).varint(0)
}

fn add_voter(id: i32) -> Bytes {
    one_listener(voter(cluster_id().i32(1000), id)).i8(1)
}

fn update_voter(epoch: i32) -> Bytes {
    one_listener(voter(cluster_id().i32(epoch), 9)).i16(0).i16(1).varint(0)
}

/// To controllers that are not the active one, as it would ask. A second leader of one epoch ends Apache Kafka's process.
fn to_followers(leader: i32, epoch: i32) -> Vec<Question> {
    vec![
        question("Vote of another cluster", 52, 2, vote("another", 1, (leader, epoch + 5), 0)),
        question("Vote of an old epoch", 52, 2, vote(CLUSTER, -1, (leader, 0), 0)),
        question("pre-vote of an old epoch", 52, 2, vote(CLUSTER, -1, (leader, 0), 1)),
        question("pre-vote while there is a leader", 52, 2, vote(CLUSTER, -1, (leader, epoch), 1)),
        question("Vote for a voter that it is not", 52, 2, vote(CLUSTER, 99, (leader, epoch), 0)),
        question("BeginQuorumEpoch of an old epoch", 53, 1, begin(-1, leader, 0)),
        question("BeginQuorumEpoch to a voter that it is not", 53, 1, begin(99, leader, epoch)),
        question("EndQuorumEpoch of an old epoch", 54, 1, end(leader, 0)),
        question("Fetch of the metadata", 1, 17, fetch(metadata_id(), epoch, 0, 0)).own(51..59),
        question("Fetch of the metadata in an old epoch", 1, 17, fetch(metadata_id(), 0, 0, 0)).own(51..59),
        question("Fetch of the metadata in an epoch to come", 1, 17, fetch(metadata_id(), epoch + 9, 0, 0))
            .own(51..59),
        question("DescribeQuorum", 55, 2, of_metadata(Bytes::new(), Bytes::new().i32(0))).words_from(31),
        question("BrokerHeartbeat", 63, 2, heartbeat(1, 1)),
        question("AlterPartition", 56, 3, alter(1, 1)),
        question("BrokerRegistration", 62, 4, registration(9, CLUSTER, FEATURES, &[NOBODY])),
        question("AllocateProducerIds", 67, 0, Bytes::new().i32(1).i64(1)),
        question("AssignReplicasToDirs", 73, 0, Bytes::new().i32(1).i64(1).varint(1)),
        question("ControllerRegistration", 70, 0, Bytes::new().i32(9).raw(&NOBODY).i8(0).varint(1).varint(1))
            .words_from(7),
        question("UnregisterBroker", 64, 0, Bytes::new().i32(77)).words_from(7),
        question("AddRaftVoter", 80, 1, add_voter(9)).words_from(7),
        question("RemoveRaftVoter", 81, 0, voter(cluster_id(), 9)).words_from(7),
        question("UpdateRaftVoter", 82, 0, update_voter(epoch)),
        question("UpdateRaftVoter of an old epoch", 82, 0, update_voter(0)),
        question("DescribeCluster of controllers", 60, 2, Bytes::new().i8(0).i8(2).i8(0)),
        question("DescribeCluster of brokers", 60, 2, Bytes::new().i8(0).i8(1).i8(0)),
    ]
}

/// To brokers, as a replica asks.
fn to_brokers() -> Vec<Question> {
    let epochs =
        Bytes::new().i32(2).varint(2).compact_string("nowhere").varint(2).i32(0).i32(0).i32(0).varint(0);
    vec![
        question("Fetch of an unknown topic", 1, 17, fetch(NOBODY, 0, 0, 0)),
        question("OffsetForLeaderEpoch of an unknown topic", 23, 4, epochs.varint(0)),
        question("DescribeCluster", 60, 2, Bytes::new().i8(0).i8(1).i8(1)).own(32..36),
    ]
}

/// To the active controller; what in the answers depends on the epoch is its own.
fn to_leaders(epoch: i32) -> Vec<Question> {
    let without = &FEATURES[1..];
    let narrow: Vec<(&str, i16, i16)> = FEATURES.iter().map(|(name, min, _)| (*name, *min, *min)).collect();
    vec![
        question("BrokerHeartbeat with another epoch", 63, 2, heartbeat(1, 1)),
        question("BrokerHeartbeat of nobody", 63, 2, heartbeat(77, 1)),
        question("AlterPartition with another epoch", 56, 3, alter(1, 1)),
        question(
            "BrokerRegistration of another cluster",
            62,
            4,
            registration(9, "another", FEATURES, &[NOBODY]),
        ),
        question(
            "BrokerRegistration of an id that is taken",
            62,
            4,
            registration(1, CLUSTER, FEATURES, &[NOBODY]),
        ),
        question(
            "BrokerRegistration without metadata.version",
            62,
            4,
            registration(9, CLUSTER, without, &[NOBODY]),
        ),
        question(
            "BrokerRegistration that supports too little",
            62,
            4,
            registration(9, CLUSTER, &narrow, &[NOBODY]),
        ),
        question("BrokerRegistration without directories", 62, 4, registration(9, CLUSTER, FEATURES, &[])),
        question(
            "BrokerRegistration with a reserved directory",
            62,
            4,
            registration(9, CLUSTER, FEATURES, &[NIL]),
        ),
        question(
            "BrokerRegistration with a directory twice",
            62,
            4,
            registration(9, CLUSTER, FEATURES, &[NOBODY, NOBODY]),
        ),
        question("AllocateProducerIds with another epoch", 67, 0, Bytes::new().i32(1).i64(1)),
        question("AssignReplicasToDirs with another epoch", 73, 0, Bytes::new().i32(1).i64(1).varint(1)),
        question("UnregisterBroker of nobody", 64, 0, Bytes::new().i32(77)),
        question("AddRaftVoter under kraft.version 0", 80, 1, add_voter(9)),
        question("RemoveRaftVoter under kraft.version 0", 81, 0, voter(cluster_id(), 9)),
        question("Fetch of an unknown topic", 1, 17, fetch(NOBODY, 0, 0, 0)),
        question("FetchSnapshot of none that is there", 59, 1, fetch_snapshot(epoch)).unwritten(98),
        question("FetchSnapshot of an old epoch", 59, 1, fetch_snapshot(0)).unwritten(74),
        question("FetchSnapshot of an epoch to come", 59, 1, fetch_snapshot(epoch + 9)).unwritten(75),
        question(
            "DescribeQuorum of another topic",
            55,
            2,
            Bytes::new().varint(2).compact_string("x").varint(2).i32(0).varint(0).varint(0),
        )
        .words_from(14),
    ]
}

const fn metadata_id() -> [u8; 16] {
    let mut id = [0; 16];
    id[15] = 1;
    id
}
