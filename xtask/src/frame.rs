//! Kafka's frames, written byte by byte: just enough of the wire to ask a server things that no client library would.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub const PRODUCE: i16 = 0;
pub const FETCH: i16 = 1;
pub const METADATA: i16 = 3;
pub const API_VERSIONS: i16 = 18;
pub const CREATE_TOPICS: i16 = 19;

/// Bytes being written, big-endian as Kafka's.
#[derive(Default, Clone)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn new() -> Bytes {
        Bytes::default()
    }

    pub fn i8(mut self, v: i8) -> Bytes {
        self.0.extend(v.to_be_bytes());
        self
    }

    pub fn i16(mut self, v: i16) -> Bytes {
        self.0.extend(v.to_be_bytes());
        self
    }

    pub fn i32(mut self, v: i32) -> Bytes {
        self.0.extend(v.to_be_bytes());
        self
    }

    pub fn i64(mut self, v: i64) -> Bytes {
        self.0.extend(v.to_be_bytes());
        self
    }

    /// A string of the versions before the flexible ones.
    pub fn string(self, v: &str) -> Bytes {
        self.i16(v.len() as i16).raw(v.as_bytes())
    }

    /// A string of the flexible versions.
    pub fn compact_string(self, v: &str) -> Bytes {
        self.varint(v.len() as u64 + 1).raw(v.as_bytes())
    }

    pub fn varint(mut self, mut v: u64) -> Bytes {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
        self
    }

    pub fn raw(mut self, v: &[u8]) -> Bytes {
        self.0.extend_from_slice(v);
        self
    }
}

/// A request with its length in front: header v1, or v2 when `flexible`.
pub fn request(key: i16, version: i16, correlation: i32, flexible: bool, body: Bytes) -> Vec<u8> {
    let header = Bytes::new().i16(key).i16(version).i32(correlation).string("judge");
    let header = if flexible { header.varint(0) } else { header };
    framed(&header.raw(&body.0).0)
}

/// `payload` behind its length.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    Bytes::new().i32(payload.len() as i32).raw(payload).0
}

/// A connection that gives up after `limit` of silence.
pub fn connect(port: u16, limit: Duration) -> Result<TcpStream> {
    connect_to(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit)
}

/// The same, to another host.
pub fn connect_to(at: SocketAddr, limit: Duration) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&at, limit).context("connect")?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One response: correlation id and what follows it.
pub fn response(stream: &mut TcpStream) -> Result<(i32, Vec<u8>)> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).context("no response")?;
    let length = i32::from_be_bytes(length);
    ensure!((4..100_000_000).contains(&length), "a response of {length} bytes");
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).context("a response that breaks off")?;
    let correlation = i32::from_be_bytes(payload[..4].try_into()?);
    Ok((correlation, payload.split_off(4)))
}

/// Sends one request and reads its response.
pub fn ask(stream: &mut TcpStream, request: &[u8], correlation: i32) -> Result<Vec<u8>> {
    stream.write_all(request)?;
    let (echoed, body) = response(stream)?;
    ensure!(echoed == correlation, "the response to {echoed}, not to {correlation}");
    Ok(body)
}

/// How many brokers the Metadata answer lists: a node that lists one is serving clients.
pub fn brokers(port: u16, limit: Duration) -> Result<i32> {
    let mut stream = connect(port, limit)?;
    // Version 0 with no topic asks for all of them; version 1's empty list asks for none.
    let body = ask(&mut stream, &request(METADATA, 1, 7, false, Bytes::new().i32(0)), 7)?;
    Ok(i32::from_be_bytes(body.get(..4).context("a Metadata response that breaks off")?.try_into()?))
}

/// The (key, lowest, highest) versions that the server names.
pub fn api_versions(port: u16) -> Result<Vec<(i16, i16, i16)>> {
    let mut stream = connect(port, Duration::from_secs(5))?;
    let body = ask(&mut stream, &request(API_VERSIONS, 0, 9, false, Bytes::new()), 9)?;
    ensure!(body.len() >= 6 && body[..2] == [0, 0], "ApiVersions v0 answers with an error");
    let rows = body[6..].chunks_exact(6).map(|row| {
        let at = |i: usize| i16::from_be_bytes([row[i], row[i + 1]]);
        (at(0), at(2), at(4))
    });
    Ok(rows.collect())
}
