//! Who serves and who leads, asked over the wire: Metadata version 1 and DescribeQuorum version 0, written by hand,
//! because this crate judges what the others say.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const METADATA: i16 = 3;
const DESCRIBE_QUORUM: i16 = 55;
const METADATA_TOPIC: &str = "__cluster_metadata";
/// No answer of a cluster on one machine is longer.
const LONGEST: usize = 64 << 20;

/// One partition, as a broker lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub index: i32,
    /// The leader's id; -1 without one.
    pub leader: i32,
    /// Every replica's id, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The replicas that are in sync.
    pub isr: Vec<i32>,
}

impl Partition {
    /// Its name as directories have it: topic, dash, number.
    pub fn name(&self) -> String {
        format!("{}-{}", self.topic, self.index)
    }
}

/// What one broker knows of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Every broker that is not fenced, by id.
    pub brokers: Vec<i32>,
    /// Every partition, by topic and number.
    pub partitions: Vec<Partition>,
}

impl View {
    /// The partition `index` of `topic`.
    pub fn partition(&self, topic: &str, index: i32) -> Option<&Partition> {
        self.partitions.iter().find(|p| p.topic == topic && p.index == index)
    }
}

/// The quorum's leader: the active controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// Its id.
    pub id: i32,
    /// The epoch that it leads.
    pub epoch: i32,
}

/// Asks the broker at `port` of this machine for all it knows.
pub fn view(port: u16, limit: Duration) -> Result<View> {
    // An absent list (-1) is every topic.
    let body = ask(port, METADATA, 1, false, &(-1i32).to_be_bytes(), limit)?;
    read_view(&body)
}

fn read_view(body: &[u8]) -> Result<View> {
    let mut at = Cursor(body);
    let mut view = View::default();
    for _ in 0..at.i32()? {
        view.brokers.push(at.i32()?);
        at.string()?;
        at.i32()?;
        at.string()?;
    }
    at.i32()?;
    for _ in 0..at.i32()? {
        at.take(2)?;
        let topic = at.string()?;
        at.take(1)?;
        for _ in 0..at.i32()? {
            at.take(2)?;
            let (index, leader) = (at.i32()?, at.i32()?);
            let (replicas, isr) = (at.ids()?, at.ids()?);
            view.partitions.push(Partition { topic: topic.clone(), index, leader, replicas, isr });
        }
    }
    view.brokers.sort_unstable();
    view.partitions.sort_by(|a, b| (&a.topic, a.index).cmp(&(&b.topic, b.index)));
    Ok(view)
}

/// Asks the controller at `port` of this machine whether it leads; only the leader answers with more than an error.
pub fn quorum_leader(port: u16, limit: Duration) -> Result<Option<Leader>> {
    // One topic with one partition, in the compact form, and the ends of partition, topic and request.
    let mut body = vec![2, METADATA_TOPIC.len() as u8 + 1];
    body.extend(METADATA_TOPIC.as_bytes());
    body.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    read_leader(&ask(port, DESCRIBE_QUORUM, 0, true, &body, limit)?)
}

fn read_leader(body: &[u8]) -> Result<Option<Leader>> {
    let mut at = Cursor(body);
    // The end of the header, then the error of all of it, then one topic with one partition.
    at.take(1)?;
    if at.i16()? != 0 || at.take(1)?[0] != 2 {
        return Ok(None);
    }
    let name = usize::from(at.take(1)?[0]).saturating_sub(1);
    at.take(name)?;
    if at.take(1)?[0] != 2 {
        return Ok(None);
    }
    at.i32()?;
    if at.i16()? != 0 {
        return Ok(None);
    }
    let leader = Leader { id: at.i32()?, epoch: at.i32()? };
    Ok((leader.id >= 0).then_some(leader))
}

/// One request on a connection of its own; the answer behind its correlation id.
fn ask(port: u16, key: i16, version: i16, flexible: bool, body: &[u8], limit: Duration) -> Result<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.set_nodelay(true)?;
    let client = b"local-cluster";
    let mut request = Vec::new();
    request.extend(key.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(1i32.to_be_bytes());
    request.extend((client.len() as i16).to_be_bytes());
    request.extend(client);
    if flexible {
        request.push(0);
    }
    request.extend(body);
    let length = u32::try_from(request.len())?;
    stream.write_all(&[&length.to_be_bytes()[..], &request].concat())?;
    let mut head = [0; 8];
    stream.read_exact(&mut head).context("no answer")?;
    let length = i32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let length =
        usize::try_from(length).ok().and_then(|l| l.checked_sub(4)).context("the answer's length")?;
    ensure!(length <= LONGEST, "an answer of {length} bytes");
    ensure!(head[4..] == 1i32.to_be_bytes(), "an answer to another question");
    let mut answer = Vec::new();
    stream.take(length as u64).read_to_end(&mut answer)?;
    ensure!(answer.len() == length, "an answer that breaks off");
    Ok(answer)
}

/// Bytes that are read from the front.
struct Cursor<'b>(&'b [u8]);

impl<'b> Cursor<'b> {
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

    /// A string that may be absent, which is the same as empty here.
    fn string(&mut self) -> Result<String> {
        let length = self.i16()?;
        Ok(String::from_utf8_lossy(self.take(usize::try_from(length).unwrap_or(0))?).into_owned())
    }

    fn ids(&mut self) -> Result<Vec<i32>> {
        (0..self.i32()?).map(|_| self.i32()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: i32) -> [u8; 4] {
        value.to_be_bytes()
    }

    /// One broker, and `orders-0` with two replicas.
    fn metadata() -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(number(1));
        bytes.extend(number(7));
        bytes.extend(b"\0\x01h\0\0\x23\x84\xff\xff");
        bytes.extend(number(7));
        bytes.extend(number(1));
        bytes.extend(b"\0\0\0\x06orders\0");
        bytes.extend(number(1));
        bytes.extend(b"\0\0");
        for value in [0, 7, 2, 7, 8, 1, 7] {
            bytes.extend(number(value));
        }
        bytes
    }

    #[test]
    fn a_metadata_answer_is_read() {
        let view = read_view(&metadata()).expect("a right answer");
        assert_eq!(view.brokers, [7]);
        let partition = view.partition("orders", 0).expect("orders-0");
        assert_eq!(
            (partition.leader, &partition.replicas[..], &partition.isr[..]),
            (7, &[7, 8][..], &[7][..])
        );
        assert_eq!(partition.name(), "orders-0");
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error_wherever_it_does() {
        let whole = metadata();
        for length in 0..whole.len() {
            assert!(read_view(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn only_the_leader_names_one() {
        let mut answer = b"\0\0\0\x02\x13__cluster_metadata\x02\0\0\0\0\0\0".to_vec();
        answer.extend(number(3));
        answer.extend(number(9));
        assert_eq!(read_leader(&answer).expect("read"), Some(Leader { id: 3, epoch: 9 }));
        // NOT_LEADER_OR_FOLLOWER of the partition, then of all of it.
        let error = 1 + 2 + 1 + 19 + 1 + 4 + 1;
        answer[error] = 6;
        assert_eq!(read_leader(&answer).expect("read"), None);
        assert_eq!(read_leader(b"\0\0\x06\x01\0").expect("read"), None);
    }
}
