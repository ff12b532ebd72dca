//! Wrong record batches: the error of the protocol, nothing appended, nobody harmed.

use anyhow::{Result, ensure};

use super::batch::{self, Batch, gzip_bomb, gzip_stored, record, signed};
use crate::frame::Bytes;
use crate::server::{Server, System, peak_mib};
use crate::tally::Tally;

const NONE: i16 = 0;
const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_REQUIRED_ACKS: i16 = 21;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;

const TOPIC: &str = "bad-batches";
const GZIP: i16 = 1;
const ZSTD: i16 = 4;

pub fn run(tally: &mut Tally, server: &mut Server) -> Result<()> {
    let port = server.site.port;
    batch::create_topic(port, TOPIC, 1)?;
    tally.check("batch: a right one is taken", || taken(port));
    for (name, version, bytes, codes) in wrong() {
        tally.check(&format!("batch: {name}"), || refused(port, version, &bytes, codes));
    }
    tally.check("batch: more than message.max.bytes", || {
        refused(port, 7, &Batch::of(record(0, &vec![b'x'; 8_100_000]), 1).bytes(), &[MESSAGE_TOO_LARGE])
    });
    tally.check("batch: acks of 2", || {
        let mut stream = crate::frame::connect(port, std::time::Duration::from_secs(10))?;
        let request = batch::produce_request(7, TOPIC, 2, &Batch::plain(1).bytes());
        let answer = crate::frame::ask(&mut stream, &request, 21)?;
        let at = 4 + 2 + TOPIC.len() + 4 + 4;
        let code = i16::from_be_bytes([answer[at], answer[at + 1]]);
        ensure!(code == INVALID_REQUIRED_ACKS, "error {INVALID_REQUIRED_ACKS}, not {code}");
        Ok(())
    });
    tally.check("batch: what an idempotent producer may not do", || sequences(port));
    tally.check("batch: a compressed bomb costs no memory", || bomb(server));
    tally.check("batch: right ones are taken after all of this", || taken(port));
    Ok(())
}

fn taken(port: u16) -> Result<()> {
    let before = batch::end_offset(port, TOPIC)?;
    let (code, base) = batch::produce(port, TOPIC, &Batch::plain(3).bytes())?;
    ensure!(code == NONE && base == before, "taken at {before}, not error {code} at {base}");
    ensure!(batch::end_offset(port, TOPIC)? == before + 3, "three more records");
    Ok(())
}

fn refused(port: u16, version: i16, bytes: &[u8], codes: &[i16]) -> Result<()> {
    let before = batch::end_offset(port, TOPIC)?;
    let (code, _) = batch::produce_as(port, version, TOPIC, bytes)?;
    ensure!(codes.contains(&code), "one of the errors {codes:?}, not {code}");
    let after = batch::end_offset(port, TOPIC)?;
    ensure!(after == before, "{} records were appended", after - before);
    Ok(())
}

/// (what is wrong, the request's version, the records, the errors that Apache Kafka answers with)
fn wrong() -> Vec<(&'static str, i16, Vec<u8>, &'static [i16])> {
    let two = || [record(0, b"a"), record(1, b"b")].concat();
    let plain = || Batch::plain(2);
    let mut cases: Vec<(&'static str, i16, Vec<u8>, &'static [i16])> = Vec::new();
    let mut case = |name, version, bytes, codes| cases.push((name, version, bytes, codes));

    case("a wrong checksum", 7, Batch { crc_off: 1, ..plain() }.bytes(), &[CORRUPT_MESSAGE]);
    case("more records said than there are", 7, Batch::of(two(), 3).bytes(), &[INVALID_RECORD]);
    case("fewer records said than there are", 7, Batch::of(two(), 1).bytes(), &[INVALID_RECORD]);
    case("no records at all", 7, Batch::of(Vec::new(), 0).bytes(), &[INVALID_RECORD]);
    case("a negative count", 7, Batch { count: -1, ..plain() }.bytes(), &[INVALID_RECORD]);
    case("a count of 2^31 - 1", 7, Batch { count: i32::MAX, ..plain() }.bytes(), &[INVALID_RECORD]);
    case(
        "a last offset that is not the last record's",
        7,
        Batch { last_offset_delta: 5, ..plain() }.bytes(),
        &[INVALID_RECORD],
    );
    case("a negative last offset", 7, Batch { last_offset_delta: -1, ..plain() }.bytes(), &[INVALID_RECORD]);
    // Within an uncompressed batch Kafka does not look; here it looks, and then stumbles over its own answer.
    let packed = |a: i32, b: i32| {
        let records = gzip_stored(&[record(a, b"a"), record(b, b"b")].concat());
        Batch { attributes: GZIP, ..Batch::of(records, 2) }.bytes()
    };
    case("two compressed records of the same offset", 7, packed(0, 0), &[INVALID_RECORD, -1]);
    case("compressed records whose offsets go backwards", 7, packed(1, 0), &[INVALID_RECORD, -1]);
    let short = Batch { attributes: GZIP, ..Batch::of(gzip_stored(&record(0, b"a")), 2) }.bytes();
    case("fewer compressed records than said", 7, short, &[INVALID_RECORD, -1]);
    case(
        "a control batch",
        7,
        Batch { attributes: 0x20, producer: (7, 0, 0), ..plain() }.bytes(),
        &[INVALID_RECORD],
    );
    case(
        "the codec 7, which does not exist",
        7,
        Batch { attributes: 7, ..plain() }.bytes(),
        &[INVALID_RECORD, CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION_TYPE, -1],
    );
    case(
        "gzip that is none",
        7,
        Batch { attributes: GZIP, ..plain() }.bytes(),
        &[INVALID_RECORD, CORRUPT_MESSAGE, -1],
    );
    case(
        "zstd in a version that did not have it",
        6,
        Batch { attributes: ZSTD, ..plain() }.bytes(),
        &[UNSUPPORTED_COMPRESSION_TYPE],
    );
    case("the format 1", 7, Batch { magic: 1, ..plain() }.bytes(), &[INVALID_RECORD, CORRUPT_MESSAGE]);
    case(
        "the format 3, which does not exist",
        7,
        Batch { magic: 3, ..plain() }.bytes(),
        &[INVALID_RECORD, CORRUPT_MESSAGE],
    );
    case("two batches for one partition", 7, [plain().bytes(), plain().bytes()].concat(), &[INVALID_RECORD]);
    case(
        "a length that goes beyond the end",
        7,
        Batch { length_off: 100, ..plain() }.bytes(),
        &[INVALID_RECORD, CORRUPT_MESSAGE],
    );
    case(
        "a length that ends too early",
        7,
        Batch { length_off: -3, ..plain() }.bytes(),
        &[INVALID_RECORD, CORRUPT_MESSAGE],
    );
    case("half a batch", 7, plain().bytes()[..40].to_vec(), &[INVALID_RECORD, CORRUPT_MESSAGE]);
    case(
        "a record that is longer than its batch",
        7,
        Batch::of(signed(Bytes::new(), 1 << 30).0, 1).bytes(),
        &[INVALID_RECORD, CORRUPT_MESSAGE],
    );
    case(
        "a record of a negative length",
        7,
        Batch::of(signed(Bytes::new(), -9).0, 1).bytes(),
        &[INVALID_RECORD, CORRUPT_MESSAGE],
    );
    let body =
        signed(signed(signed(Bytes::new().i8(0).varint(0).varint(0), -1), 1).raw(b"v"), i64::from(i32::MAX))
            .0;
    let flood = signed(Bytes::new(), body.len() as i64).raw(&body).0;
    case("2^31 - 1 headers", 7, Batch::of(flood, 1).bytes(), &[INVALID_RECORD, CORRUPT_MESSAGE]);
    cases
}

/// Epochs and sequences of a producer that nobody handed out: the log keeps its own account.
fn sequences(port: u16) -> Result<()> {
    let send = |epoch: i16, sequence: i32| {
        let batch = Batch { producer: (987_654, epoch, sequence), ..Batch::plain(2) };
        batch::produce(port, TOPIC, &batch.bytes())
    };
    let (code, first) = send(3, 0)?;
    ensure!(code == NONE, "the first batch is taken, not error {code}");
    let (code, second) = send(3, 2)?;
    ensure!(code == NONE && second == first + 2, "the next is taken behind it");
    ensure!(send(3, 0)? == (NONE, first), "the first once more: answered with its own offset, not appended");
    let (code, _) = send(3, 7)?;
    ensure!(
        code == OUT_OF_ORDER_SEQUENCE_NUMBER,
        "a gap is error {OUT_OF_ORDER_SEQUENCE_NUMBER}, not {code}"
    );
    let (code, _) = send(2, 4)?;
    ensure!(code == INVALID_PRODUCER_EPOCH, "an older epoch is error {INVALID_PRODUCER_EPOCH}, not {code}");
    ensure!(batch::end_offset(port, TOPIC)? == second + 2, "nothing else was appended");
    let (code, base) = send(4, 0)?;
    ensure!(code == NONE && base == second + 2, "a newer epoch begins at 0 again");
    Ok(())
}

/// A batch of one record whose value is about so many zeros, in gzip.
pub fn of_zeros(about: usize) -> Vec<u8> {
    let zeros = about / 258 * 258;
    // The record's own frame: attributes, time, offset, no key, a value of all zeros but the last, no headers.
    let frame = signed(Bytes::new().i8(0).varint(0).varint(0), -1);
    let value = zeros as i64 - 1;
    let inner = signed(frame, value).0;
    let head = signed(Bytes::new(), inner.len() as i64 + value + 1).raw(&inner).0;
    Batch { attributes: GZIP, ..Batch::of(gzip_bomb(&head, zeros), 1) }.bytes()
}

/// One record of more than a gigabyte, in seven megabytes of gzip.
fn bomb(server: &Server) -> Result<()> {
    let batch = of_zeros(1_100_000_000);
    let sent = batch.len();
    let before = peak_mib(server.pid())?;
    // Kafka takes it, should the record be well formed; what counts is what it costs.
    let (code, _) = batch::produce(server.site.port, TOPIC, &batch)?;
    ensure!([NONE, INVALID_RECORD, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE].contains(&code), "error {code}");
    let grown = peak_mib(server.pid())? - before;
    let bound = sent as f64 * 4.0 / 1_048_576.0 + 8.0;
    ensure!(server.system == System::Apache || grown < bound, "{sent} bytes made it grow by {grown:.0} MiB");
    Ok(())
}
