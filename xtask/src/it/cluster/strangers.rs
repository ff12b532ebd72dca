//! What brokers and controllers say to each other, said by somebody who is neither: from an ordinary client, with stale
//! epochs and invented ids. Each is refused by its error, and the cluster goes on with all it has.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::ledger::Ledger;
use super::nodes::{Nodes, Shape, Voters};
use crate::frame::{self, Bytes};
use crate::server::{CLUSTER, System};
use crate::tally::Tally;

const TOPIC: &str = "ledger";
const SOME: usize = 200;
const LIMIT: Duration = Duration::from_secs(10);

const VOTE: i16 = 52;
const ALTER_PARTITION: i16 = 56;
const FETCH_SNAPSHOT: i16 = 59;
const BROKER_REGISTRATION: i16 = 62;
const BROKER_HEARTBEAT: i16 = 63;

/// APIs that no client listener has, with their lowest versions.
const AMONG_NODES: &[(&str, i16, i16)] = &[
    ("Vote", VOTE, 0),
    ("BeginQuorumEpoch", 53, 0),
    ("EndQuorumEpoch", 54, 0),
    ("AlterPartition", ALTER_PARTITION, 2),
    ("Envelope", 58, 0),
    ("FetchSnapshot", FETCH_SNAPSHOT, 0),
    ("BrokerRegistration", BROKER_REGISTRATION, 0),
    ("BrokerHeartbeat", BROKER_HEARTBEAT, 0),
    ("AllocateProducerIds", 67, 0),
    ("ControllerRegistration", 70, 0),
    ("AssignReplicasToDirs", 73, 0),
    ("UpdateRaftVoter", 82, 0),
];

/// `cluster-strangers`.
pub fn run(tally: &mut Tally, system: System) {
    tally.check("what nodes say to each other, said by strangers: refused, and nothing is lost", || {
        all(system)
    });
}

fn all(system: System) -> Result<()> {
    let mut nodes = Nodes::make(system, "cluster-strangers", Shape::Combined(3), Voters::Static)?;
    nodes.start_all()?;
    nodes.ready()?;
    let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
    nodes.whole(TOPIC)?;
    for (name, key, version) in AMONG_NODES {
        closes(nodes.ports()[0], *key, *version).with_context(|| format!("{name} on a client listener"))?;
    }
    ledger.until_more(SOME)?;
    // A voter with an epoch that nobody has: an election at most, in which the stranger does not win.
    let id = nodes.controller()?;
    let port = nodes.node(id).controller_port.context("a controller")?;
    let (_, epoch) = vote(port, CLUSTER, 5000, 99)?;
    ensure!(epoch == 5000, "the epoch of the candidate, not {epoch}");
    ledger.until_more(SOME)?;
    ensure!((1..=3).contains(&nodes.controller()?), "a stranger leads");
    // The epochs below this one are past now.
    controller(&nodes)?;
    ledger.until_more(SOME)?;
    let code = super::wire::create_topic(nodes.ports()[0], "afterwards", 1, 3)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    let there: Vec<bool> = (1..=3).map(|id| nodes.is_there(id)).collect();
    ensure!(there == [true; 3], "every node is the one that was started");
    super::finish(nodes, ledger)
}

/// The connection closes without an answer.
fn closes(port: u16, key: i16, version: i16) -> Result<()> {
    let mut stream = frame::connect(port, LIMIT)?;
    stream.write_all(&frame::request(key, version, 1, true, Bytes::new().raw(&[0; 64])))?;
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
        Ok(_) => bail!("it was answered"),
        Err(error) => Err(error.into()),
    }
}

/// Vote version 0; (the error, the epoch that the answer has).
fn vote(port: u16, cluster: &str, epoch: i32, candidate: i32) -> Result<(i16, i32)> {
    let partition = Bytes::new().i32(0).i32(epoch).i32(candidate).i32(0).i64(0).varint(0);
    let body = Bytes::new().compact_string(cluster).varint(2).compact_string("__cluster_metadata");
    let body = body.varint(2).raw(&partition.0).varint(0).varint(0);
    let answer = ask(port, VOTE, 0, body)?;
    let error = i16_at(&answer, 0)?;
    if error != 0 {
        return Ok((error, -1));
    }
    // The array, the name, the array, the partition; then error, leader, epoch, granted.
    let at = 2 + 1 + 1 + 18 + 1 + 4;
    ensure!(answer.get(at + 10) == Some(&0), "a stranger got a vote");
    Ok((i16_at(&answer, at)?, i32_at(&answer, at + 6)?))
}

/// One request on a connection of its own; what follows the header's tags.
fn ask(port: u16, key: i16, version: i16, body: Bytes) -> Result<Vec<u8>> {
    let mut stream = frame::connect(port, LIMIT)?;
    let mut answer = frame::ask(&mut stream, &frame::request(key, version, 5, true, body), 5)?;
    ensure!(answer.first() == Some(&0), "a header with tags");
    Ok(answer.split_off(1))
}

fn i16_at(bytes: &[u8], at: usize) -> Result<i16> {
    Ok(i16::from_be_bytes(bytes.get(at..at + 2).context("an answer that breaks off")?.try_into()?))
}

fn i32_at(bytes: &[u8], at: usize) -> Result<i32> {
    Ok(i32::from_be_bytes(bytes.get(at..at + 4).context("an answer that breaks off")?.try_into()?))
}

/// FetchSnapshot version 0 of an id at a position; the partition's error.
fn snapshot(port: u16, epoch: i32, end: i64, position: i64) -> Result<i16> {
    let id = Bytes::new().i64(end).i32(3).varint(0);
    let partition = Bytes::new().i32(0).i32(epoch).raw(&id.0).i64(position).varint(0);
    let body = Bytes::new().i32(99).i32(1000).varint(2).compact_string("__cluster_metadata");
    let answer = ask(port, FETCH_SNAPSHOT, 0, body.varint(2).raw(&partition.0).varint(0).varint(0))?;
    match i16_at(&answer, 4)? {
        0 => i16_at(&answer, 4 + 2 + 1 + 1 + 18 + 1 + 4),
        error => Ok(error),
    }
}

fn controller(nodes: &Nodes) -> Result<()> {
    let id = nodes.controller()?;
    let port = nodes.node(id).controller_port.context("a controller")?;
    let (epoch, _) = super::wire::quorum_leader(port)?.context("it leads")?;
    let mut faults = Vec::new();
    let mut expect = |what: &str, found: Result<i16>, codes: &[i16]| match found {
        Ok(code) if codes.contains(&code) => {}
        Ok(code) => faults.push(format!("{what}: error {code}, not one of {codes:?}")),
        Err(error) => faults.push(format!("{what}: {error:#}")),
    };
    let code = |answer: Result<(i16, i32)>| answer.map(|(code, _)| code);
    expect("a vote of another cluster", code(vote(port, "AAAAAAAAAAAAAAAAAAAAAQ", epoch + 1, 2)), &[104]);
    expect("a vote of a past epoch", code(vote(port, CLUSTER, epoch - 1, 2)), &[74]);
    expect("a vote of this epoch for another", code(vote(port, CLUSTER, epoch, id % 3 + 1)), &[0]);
    expect("a snapshot that is not there", snapshot(port, epoch, 1_000_000, 0), &[98]);
    expect("a snapshot of a past epoch", snapshot(port, epoch - 1, 1, 0), &[74]);
    expect("a snapshot of an epoch to come", snapshot(port, epoch + 7, 1, 0), &[75]);
    let heartbeat = |broker: i32, epoch: i64| {
        let body = Bytes::new().i32(broker).i64(epoch).i64(0).i8(0).i8(0).varint(0);
        i16_at(&ask(port, BROKER_HEARTBEAT, 0, body)?, 4)
    };
    expect("a heartbeat with an invented epoch", heartbeat(1, 123_456_789), &[77]);
    expect("a heartbeat of a broker that nobody knows", heartbeat(99, 1), &[102, 77]);
    let register = |broker: i32, cluster: &str| {
        let listener = Bytes::new().compact_string("PLAINTEXT").compact_string("localhost");
        let listener = listener.i16(1).i16(0).varint(0);
        let body = Bytes::new().i32(broker).compact_string(cluster).raw(&[7; 16]);
        let body = body.varint(2).raw(&listener.0).varint(1).varint(0).varint(0);
        i16_at(&ask(port, BROKER_REGISTRATION, 0, body)?, 4)
    };
    expect("a registration for another cluster", register(77, "AAAAAAAAAAAAAAAAAAAAAQ"), &[104]);
    expect("a registration with a live broker's id", register(1, CLUSTER), &[101]);
    let alter = |broker: i32, epoch: i64| {
        let partition = Bytes::new().i32(0).i32(0).varint(2).i32(broker).i8(0).i32(0).varint(0);
        let topic = Bytes::new().raw(&[9; 16]).varint(2).raw(&partition.0).varint(0);
        let body = Bytes::new().i32(broker).i64(epoch).varint(2).raw(&topic.0).varint(0);
        i16_at(&ask(port, ALTER_PARTITION, 2, body)?, 4)
    };
    expect("AlterPartition with an invented broker epoch", alter(1, 123_456_789), &[77]);
    expect("AlterPartition of a broker that nobody knows", alter(99, 1), &[77, 102]);
    ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok(())
}
