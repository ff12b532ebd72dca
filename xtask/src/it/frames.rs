//! What the network may send: wrong lengths, unknown keys, cut bodies, counts of two thousand millions, floods of tagged
//! fields. The connection may close, the node may not: others are served, and memory stays in bounds.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::batch;
use crate::frame::{self, API_VERSIONS, Bytes, METADATA, PRODUCE, framed, request};
use crate::server::{Server, System, peak_mib, resident_mib};
use crate::tally::Tally;

const PATIENCE: Duration = Duration::from_secs(10);
const UNSUPPORTED_VERSION: i16 = 35;

pub fn run(tally: &mut Tally, server: &mut Server) -> Result<()> {
    let port = server.site.port;
    batch::create_topic(port, "frames", 1)?;
    // It stays open all the while, and is served at the end.
    let mut bystander = frame::connect(port, PATIENCE)?;
    ping(&mut bystander)?;

    for (name, bytes) in closing() {
        tally.check(&format!("frame: {name}: the connection closes"), || closes(port, &bytes));
    }
    tally.check("frame: ApiVersions of a version to come: answered with version 0 and what there is", || {
        future(port)
    });
    tally.check("frame: answers come in the order of the questions", || in_order(port));
    tally.check("frame: one byte at a time", || byte_by_byte(port));
    tally.check("frame: a client that goes away in the middle", || half(port));
    tally.check("frame: every API and version with bodies that are none", || every_api(server));
    tally.check("frame: counts of 2^31 - 1 and floods of tagged fields cost no memory", || floods(server));
    if server.system == System::Ottla {
        // Apache Kafka allocates what is announced, and has no memory left for others.
        tally
            .check("frame: two hundred connections that announce much and send little", || announced(server));
    }
    tally.check("frame: the bystander is still served", || ping(&mut bystander));
    Ok(())
}

/// Frames after which nothing more can be understood.
fn closing() -> Vec<(&'static str, Vec<u8>)> {
    let versions = |v: i16| request(API_VERSIONS, v, 1, v >= 3, Bytes::new());
    let mut cases = vec![
        ("a length of -1", Bytes::new().i32(-1).raw(&[0; 64]).0),
        ("a length of -2^31", Bytes::new().i32(i32::MIN).0),
        ("a length of 2^31 - 1", Bytes::new().i32(i32::MAX).raw(&[0; 64]).0),
        ("one more than socket.request.max.bytes", Bytes::new().i32(104_857_601).raw(&[0; 64]).0),
        ("a length of 0", Bytes::new().i32(0).0),
        ("a length of 3", framed(&[0, 18, 0])),
        ("a header that ends in its client id", framed(&Bytes::new().i16(18).i16(0).i32(1).i16(100).0)),
        ("an API that does not exist", request(1000, 0, 1, false, Bytes::new())),
        ("an API of a negative key", request(-1, 0, 1, false, Bytes::new())),
        ("a version that Produce does not have", request(PRODUCE, 99, 1, true, Bytes::new())),
        (
            "a version that is no longer served",
            request(PRODUCE, 2, 1, false, Bytes::new().i16(1).i32(1000).i32(0)),
        ),
        ("a negative version", request(METADATA, -1, 1, false, Bytes::new())),
        ("a body that is not there", request(METADATA, 4, 1, false, Bytes::new())),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
    ];
    let mut cut = versions(3);
    // Its header says that tagged fields follow, and none do.
    *cut.last_mut().expect("a request has bytes") = 200;
    cases.push(("tagged fields that are not there", cut));
    cases
}

/// A question that every version of everything answers.
fn ping(stream: &mut TcpStream) -> Result<()> {
    let answer = frame::ask(stream, &request(API_VERSIONS, 0, 77, false, Bytes::new()), 77)?;
    ensure!(answer.len() > 100 && answer[..2] == [0, 0], "a list of versions, not {} bytes", answer.len());
    Ok(())
}

/// What came until the other side closed.
fn until_closed(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => Ok(all),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(all),
        Err(error) => bail!("the connection stays open ({error}), {} bytes came", all.len()),
    }
}

fn closes(port: u16, bytes: &[u8]) -> Result<()> {
    let mut stream = frame::connect(port, PATIENCE)?;
    stream.write_all(bytes)?;
    let came = until_closed(&mut stream)?;
    ensure!(came.is_empty(), "closed without an answer, but {} bytes came", came.len());
    ping(&mut frame::connect(port, PATIENCE)?)
}

fn future(port: u16) -> Result<()> {
    let mut stream = frame::connect(port, PATIENCE)?;
    let body = Bytes::new().compact_string("a client of times to come").compact_string("99").varint(0);
    let answer = frame::ask(&mut stream, &request(API_VERSIONS, 99, 5, true, body), 5)?;
    let code = i16::from_be_bytes([answer[0], answer[1]]);
    ensure!(code == UNSUPPORTED_VERSION, "error {UNSUPPORTED_VERSION}, not {code}");
    let count = i32::from_be_bytes(answer[2..6].try_into()?);
    ensure!(answer.len() == 6 + count as usize * 6, "the layout of version 0");
    let row =
        answer[6..].chunks_exact(6).find(|r| r[..2] == API_VERSIONS.to_be_bytes()).context("its own row")?;
    ensure!(row[2..4] == [0, 0] && row[5] >= 4, "the versions of ApiVersions itself: {row:?}");
    // The same connection goes on.
    ping(&mut stream)
}

fn in_order(port: u16) -> Result<()> {
    let mut stream = frame::connect(port, PATIENCE)?;
    let mut all = Vec::new();
    for i in 0..50 {
        all.extend(match i % 3 {
            0 => request(API_VERSIONS, 0, i, false, Bytes::new()),
            // As kafka-python asks: right behind the other, before its answer.
            1 => request(METADATA, 0, i, false, Bytes::new().i32(0)),
            _ => batch::produce_request(7, "frames", -1, &batch::Batch::plain(1).bytes()),
        });
    }
    stream.write_all(&all)?;
    for i in 0..50 {
        let (correlation, _) = frame::response(&mut stream)?;
        let expected = if i % 3 == 2 { 21 } else { i };
        ensure!(correlation == expected, "the answer to {expected}, not to {correlation}");
    }
    Ok(())
}

fn byte_by_byte(port: u16) -> Result<()> {
    let mut stream = frame::connect(port, PATIENCE)?;
    for byte in request(METADATA, 1, 8, false, Bytes::new().i32(0)) {
        stream.write_all(&[byte])?;
        std::thread::sleep(Duration::from_millis(1));
    }
    let (correlation, _) = frame::response(&mut stream)?;
    ensure!(correlation == 8, "the answer to 8, not to {correlation}");
    Ok(())
}

fn half(port: u16) -> Result<()> {
    let whole = batch::produce_request(7, "frames", -1, &batch::Batch::plain(20).bytes());
    for cut in [1, 4, 9, 40, whole.len() - 1] {
        let mut stream = frame::connect(port, PATIENCE)?;
        stream.write_all(&whole[..cut])?;
        stream.shutdown(Shutdown::Both)?;
    }
    ping(&mut frame::connect(port, PATIENCE)?)
}

/// Bodies that no schema allows, for everything that is advertised. An answer or a closed connection, within the limit.
fn every_api(server: &Server) -> Result<()> {
    let port = server.site.port;
    // Apache Kafka never answers some of what makes no sense to its transaction coordinator.
    let patience = if server.system == System::Apache { Duration::from_millis(500) } else { PATIENCE };
    let mut asked = 0;
    for (key, low, high) in frame::api_versions(port)? {
        for version in low..=high {
            for flexible in [false, true] {
                for body in bodies(key, version) {
                    let mut stream = frame::connect(port, patience)?;
                    stream.write_all(&request(key, version, 3, flexible, Bytes::new().raw(&body)))?;
                    // No more comes from here: whoever waits for the rest learns that there is none.
                    stream.shutdown(Shutdown::Write)?;
                    let what = || format!("API {key} version {version} with {} bytes", body.len());
                    let end = until_closed(&mut stream);
                    if server.system == System::Ottla {
                        end.with_context(what)?;
                    }
                    asked += 1;
                }
            }
        }
    }
    ensure!(asked > 500, "only {asked} requests");
    ping(&mut frame::connect(port, PATIENCE)?)
}

fn bodies(key: i16, version: i16) -> Vec<Vec<u8>> {
    // Always the same bytes for the same API and version.
    let mut state = 0x9e37_79b9_u64 ^ ((key as u64) << 20) ^ version as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    vec![
        Vec::new(),
        vec![0x7f, 0xff, 0xff, 0xff],
        vec![0xff; 40],
        (0..64).map(|_| next()).collect(),
        // Mostly small numbers reach deeper into a message than noise does.
        (0..200).map(|_| if next() < 96 { next() } else { next() % 4 }).collect(),
    ]
}

/// Small frames that say they hold very much, and a large one full of tagged fields.
fn floods(server: &Server) -> Result<()> {
    let port = server.site.port;
    let before = peak_mib(server.pid())?;
    let most = Bytes::new().i32(i32::MAX);
    let mut sent = 0;
    let mut send = |bytes: Vec<u8>| -> Result<()> {
        let mut stream = frame::connect(port, PATIENCE)?;
        // It may close before it has taken all of it.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        sent += bytes.len();
        until_closed(&mut stream).map(drop)
    };
    send(request(METADATA, 4, 1, false, most.clone()))?;
    send(request(PRODUCE, 7, 1, false, Bytes::new().i16(-1).i16(1).i32(1000).i32(i32::MAX)))?;
    send(request(frame::FETCH, 11, 1, false, Bytes::new().raw(&[0; 21]).i32(i32::MAX)))?;
    send(request(frame::CREATE_TOPICS, 2, 1, false, most.clone()))?;
    // Compact arrays and strings of nearly 2^32 elements.
    let compact = || Bytes::new().varint(u64::from(u32::MAX));
    send(request(METADATA, 12, 1, true, compact()))?;
    send(request(PRODUCE, 9, 1, true, Bytes::new().varint(0).i16(1).i32(1000).raw(&compact().0)))?;
    send(request(API_VERSIONS, 3, 1, true, compact()))?;
    // A million tagged fields of no bytes, in the header and in the body.
    let mut tags = Bytes::new().varint(1_000_000);
    for tag in 0..1_000_000 {
        tags = tags.varint(tag + 100).varint(0);
    }
    let header = Bytes::new().i16(API_VERSIONS).i16(3).i32(1).string("judge").raw(&tags.0);
    send(framed(&header.compact_string("a").compact_string("b").varint(0).0))?;
    let body = Bytes::new().compact_string("a").compact_string("b").raw(&tags.0);
    send(request(API_VERSIONS, 3, 1, true, body))?;
    let header = Bytes::new().i16(API_VERSIONS).i16(3).i32(1).string("judge").varint(u64::from(u32::MAX));
    send(framed(&header.0))?;
    ping(&mut frame::connect(port, PATIENCE)?)?;
    let grown = peak_mib(server.pid())? - before;
    let bound = sent as f64 * 4.0 / 1_048_576.0 + 8.0;
    ensure!(server.system == System::Apache || grown < bound, "{sent} bytes made it grow by {grown:.0} MiB");
    Ok(())
}

fn announced(server: &Server) -> Result<()> {
    let before = resident_mib(server.pid())?;
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut stream = frame::connect(server.site.port, PATIENCE)?;
        stream.write_all(&Bytes::new().i32(100_000_000).i16(PRODUCE).i16(7).i32(1).raw(&[0; 2000]).0)?;
        streams.push(stream);
    }
    // They are all held open while another is served.
    ping(&mut frame::connect(server.site.port, PATIENCE)?)?;
    std::thread::sleep(Duration::from_millis(300));
    let grown = resident_mib(server.pid())? - before;
    ensure!(grown < 40.0, "400 kB made it grow by {grown:.0} MiB");
    drop(streams);
    ping(&mut frame::connect(server.site.port, PATIENCE)?)
}
