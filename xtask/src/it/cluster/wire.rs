//! What the cluster's judge asks over the wire: who leads, who is in sync, a producer's id, a topic.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::frame::{self, Bytes, CREATE_TOPICS, METADATA};

const FIND_COORDINATOR: i16 = 10;
const INIT_PRODUCER_ID: i16 = 22;
const DESCRIBE_QUORUM: i16 = 55;
/// A node that stands still shall not hold the judge up.
const PATIENCE: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone)]
pub struct Partition {
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
}

/// A broker's Metadata answer.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The clients' port of each broker that is not fenced.
    pub brokers: BTreeMap<i32, u16>,
    pub partitions: BTreeMap<(String, i32), Partition>,
}

/// Bytes that are read from the front.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("an answer that breaks off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }

    fn string(&mut self) -> Result<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn ids(&mut self) -> Result<Vec<i32>> {
        (0..self.i32()?).map(|_| self.i32()).collect()
    }
}

/// Everything that the broker at `port` knows.
pub fn view(port: u16) -> Result<View> {
    view_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// The same, of another host.
pub fn view_at(at: SocketAddr) -> Result<View> {
    let mut stream = frame::connect_to(at, PATIENCE)?;
    let body = frame::ask(&mut stream, &frame::request(METADATA, 1, 31, false, Bytes::new().i32(-1)), 31)?;
    let mut at = Reader(&body);
    let mut view = View::default();
    for _ in 0..at.i32()? {
        let id = at.i32()?;
        at.string()?;
        view.brokers.insert(id, u16::try_from(at.i32()?)?);
        at.string()?;
    }
    at.i32()?;
    for _ in 0..at.i32()? {
        at.i16()?;
        let name = at.string()?;
        at.take(1)?;
        for _ in 0..at.i32()? {
            at.i16()?;
            let (index, leader) = (at.i32()?, at.i32()?);
            let partition = Partition { leader, replicas: at.ids()?, isr: at.ids()? };
            view.partitions.insert((name.clone(), index), partition);
        }
    }
    Ok(view)
}

/// (epoch, id) of the quorum's leader, if the controller at `port` is it.
pub fn quorum_leader(port: u16) -> Result<Option<(i32, i32)>> {
    let mut stream = frame::connect(port, PATIENCE)?;
    let name = "__cluster_metadata";
    let body = Bytes::new().varint(2).compact_string(name).varint(2).i32(0).raw(&[0, 0, 0]);
    let answer = frame::ask(&mut stream, &frame::request(DESCRIBE_QUORUM, 0, 32, true, body), 32)?;
    let mut at = Reader(&answer);
    at.take(1)?;
    if at.i16()? != 0 {
        return Ok(None);
    }
    // One topic, its name, one partition, its number.
    at.take(1 + 1 + name.len() + 1 + 4)?;
    if at.i16()? != 0 {
        return Ok(None);
    }
    let (id, epoch) = (at.i32()?, at.i32()?);
    Ok((id >= 0).then_some((epoch, id)))
}

/// A new producer's id and epoch.
pub fn producer_id(port: u16) -> Result<(i64, i16)> {
    producer_id_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// The same, of another host.
pub fn producer_id_at(at: SocketAddr) -> Result<(i64, i16)> {
    let mut stream = frame::connect_to(at, Duration::from_secs(5))?;
    let body = Bytes::new().i16(-1).i32(60_000);
    let answer = frame::ask(&mut stream, &frame::request(INIT_PRODUCER_ID, 0, 33, false, body), 33)?;
    let mut at = Reader(&answer);
    at.i32()?;
    let code = at.i16()?;
    ensure!(code == 0, "InitProducerId: error {code}");
    Ok((at.i64()?, at.i16()?))
}

/// The broker that coordinates a group.
pub fn coordinator(port: u16, group: &str) -> Result<i32> {
    let mut stream = frame::connect(port, PATIENCE)?;
    let body = Bytes::new().string(group);
    let answer = frame::ask(&mut stream, &frame::request(FIND_COORDINATOR, 0, 35, false, body), 35)?;
    let mut at = Reader(&answer);
    let code = at.i16()?;
    ensure!(code == 0, "FindCoordinator: error {code}");
    at.i32()
}

/// Creates a topic; the error code.
pub fn create_topic(port: u16, name: &str, partitions: i32, copies: i16) -> Result<i16> {
    create_topic_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), name, partitions, copies)
}

/// The same, of another host.
pub fn create_topic_at(at: SocketAddr, name: &str, partitions: i32, copies: i16) -> Result<i16> {
    let mut stream = frame::connect_to(at, Duration::from_secs(15))?;
    let body = Bytes::new().i32(1).string(name).i32(partitions).i16(copies);
    let body = body.i32(0).i32(0).i32(10_000).i8(0);
    let answer = frame::ask(&mut stream, &frame::request(CREATE_TOPICS, 2, 34, false, body), 34)?;
    let mut at = Reader(&answer);
    at.take(4 + 4 + 2 + name.len())?;
    at.i16()
}
