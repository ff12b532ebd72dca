//! A partition directory that Apache Kafka 4.3.1 has written: three segments (rolled by `segment.ms`), batches of
//! every compression, headers, tombstones, idempotent producers, transactions that were committed, aborted and left
//! open; `index.interval.bytes` was 300. Stopped with kill -9, started again, stopped cleanly.

use super::*;
use crate::producers::snapshot;

const FILES: [(&str, &[u8]); 15] = {
    macro_rules! file {
        ($name:literal) => {
            ($name, include_bytes!(concat!("../../../tests/kafka-4.3.1/", $name)))
        };
    }
    [
        file!("00000000000000000000.log"),
        file!("00000000000000000000.index"),
        file!("00000000000000000000.timeindex"),
        file!("00000000000000000066.log"),
        file!("00000000000000000066.index"),
        file!("00000000000000000066.timeindex"),
        file!("00000000000000000066.snapshot"),
        file!("00000000000000000076.log"),
        file!("00000000000000000076.index"),
        file!("00000000000000000076.timeindex"),
        file!("00000000000000000076.txnindex"),
        file!("00000000000000000076.snapshot"),
        file!("00000000000000000087.snapshot"),
        file!("leader-epoch-checkpoint"),
        file!("partition.metadata"),
    ]
};

/// Timestamp of the first record; one second lies between two.
const FIRST: i64 = 1_795_231_000_000;

fn bench(wanted: impl Fn(&str) -> bool) -> Bench {
    let bench = Bench::new(LogConfig {
        index_interval_bytes: 300,
        segment_ms: 60_000,
        retention_ms: -1,
        ..LogConfig::default()
    });
    bench.disk.create_dir(Path::new("/data/t-0")).unwrap();
    for (name, bytes) in FILES.iter().filter(|(name, _)| wanted(name)) {
        bench.overwrite(name, bytes);
    }
    bench
}

fn open(bench: &Bench, clean: bool) -> (Log, LoadReport) {
    let options = OpenOptions { now_ms: FIRST + 100_000, high_watermark: 87, ..bench.options(clean) };
    Log::open(&bench.dir(), &partition(), &options).unwrap()
}

/// Number `n` of the records that were sent, and how many batches were control batches.
fn sent(log: &Log, from: Offset, up_to: ReadUpTo) -> (Vec<i64>, usize) {
    let mut decompressor = Decompressor::new();
    let (mut keys, mut markers) = (Vec::new(), 0);
    let mut at = from;
    loop {
        let bytes = log.read(at, 700, true, up_to).unwrap().slice.to_vec().unwrap();
        for batch in BatchIter::verified(&bytes).map_while(Result::ok) {
            at = batch.next_offset();
            if batch.is_control() {
                markers += 1;
                continue;
            }
            for record in decompressor.records(&batch, 1 << 20).unwrap() {
                let record = record.unwrap();
                let key = std::str::from_utf8(record.key.unwrap()).unwrap();
                let n: i64 = key.strip_prefix('k').unwrap().parse().unwrap();
                assert_eq!(record.timestamp, FIRST + n * 1000);
                assert_eq!(record.value.is_none(), n % 7 == 3);
                assert_eq!(record.headers.len(), if n % 3 == 0 { 2 } else { 0 });
                if record.offset >= from {
                    keys.push(n);
                }
            }
        }
        if bytes.is_empty() {
            return (keys, markers);
        }
    }
}

fn check(log: &mut Log) {
    assert_eq!((log.log_start(), log.log_end()), (0, 87));
    assert_eq!(log.segments().map(|(base, _)| base).collect::<Vec<_>>(), [0, 66, 76]);
    let (keys, markers) = sent(log, 0, ReadUpTo::LogEnd);
    assert_eq!((keys, markers), ((0..84).collect(), 3));
    assert_eq!(sent(log, 40, ReadUpTo::HighWatermark).0, (40..84).collect::<Vec<_>>());
    // The last transaction is open.
    assert_eq!(log.last_stable_offset(), 85);
    assert_eq!(sent(log, 70, ReadUpTo::LastStableOffset).0.last(), Some(&81));
    let aborted = |producer_id, first_offset, last_offset, last_stable_offset| AbortedTxn {
        producer_id,
        first_offset,
        last_offset,
        last_stable_offset,
    };
    let both = [aborted(6, 70, 76, 66), aborted(5, 78, 80, 81)];
    assert_eq!(log.aborted_transactions(0, 87).unwrap(), both);
    assert_eq!(log.aborted_transactions(0, 78).unwrap(), both[..1]);
    assert_eq!(log.aborted_transactions(77, 87).unwrap(), both[1..]);
    let fetched = log.read(66, 100, true, ReadUpTo::LastStableOffset).unwrap();
    assert_eq!(fetched.aborted, both[..1]);
    for n in [0, 1, 17, 59, 65, 83] {
        let found =
            log.offset_for_timestamp(FIRST + n * 1000 - 500, &mut Decompressor::new()).unwrap().unwrap();
        // Markers have the time they were written at, later than all records.
        let expected = if n == 83 { 76 } else { n };
        assert_eq!((n, found.offset), (n, expected));
    }
    let known = log.producer(6).unwrap();
    assert_eq!((known.epoch, known.coordinator_epoch, known.open_transaction()), (1, 0, Some(85)));
    assert_eq!(log.producers().count(), 8);
    let wire = build(BatchBuilder::new(0).producer(7, 0, 0), 4, FIRST);
    let again = log.append_as_leader(&LeaderAppend::from_client(FIRST, 2), &[accepted(&wire)]).unwrap();
    assert_eq!((again.duplicate, again.first_offset, again.last_offset), (true, 81, 84));
}

#[test]
fn what_kafka_closed_is_opened_and_read() {
    let bench = bench(|_| true);
    let (mut log, report) = open(&bench, true);
    assert_eq!(report, LoadReport::default());
    check(&mut log);
    let entries = |epoch, start_offset| EpochEntry { epoch, start_offset };
    // Epoch 2 has begun at the log end and has no record.
    assert_eq!(log.epochs(), [entries(0, 0)]);
    let id = ottla_records::uuid_text::encode(&log.topic_id().unwrap());
    assert!(std::str::from_utf8(&bench.file("partition.metadata")).unwrap().ends_with(&id));
}

#[test]
fn what_kafka_left_behind_when_it_was_killed_is_recovered() {
    // Indexes of the active segment have their full size, and there is no snapshot at the end.
    let bench = bench(|name| name != "00000000000000000087.snapshot");
    for (name, len) in
        [("00000000000000000076.index", 10_485_760), ("00000000000000000076.timeindex", 10_485_756)]
    {
        let mut bytes = bench.file(name);
        bytes.resize(len, 0);
        bench.overwrite(name, &bytes);
    }
    for recovery_point in [0, 66, 80] {
        let options = OpenOptions {
            now_ms: FIRST + 100_000,
            high_watermark: 87,
            recovery_point,
            ..bench.options(false)
        };
        let (mut log, report) = Log::open(&bench.dir(), &partition(), &options).unwrap();
        assert_eq!(report.repairs, []);
        check(&mut log);
    }
}

#[test]
fn what_is_made_anew_is_what_kafka_has_made() {
    let bench = bench(|name| name.ends_with(".log"));
    let (mut log, _) = open(&bench, false);
    check(&mut log);
    log.close().unwrap();
    let kept = |name: &&(&str, &[u8])| name.0.contains("index") || name.0.ends_with(".log");
    for (name, bytes) in FILES.iter().filter(kept) {
        assert_eq!(bench.file(name), *bytes, "{name}");
    }
    for (name, bytes) in FILES.iter().filter(|(name, _)| name.ends_with(".snapshot")) {
        let made = snapshot::decode(&bench.file(name)).unwrap();
        assert_eq!(made, snapshot::decode(bytes).unwrap(), "{name}");
    }
}

#[test]
fn appending_the_same_batches_makes_the_same_files() {
    let kafka = bench(|_| true);
    let bench = Bench::new((*kafka.config).clone());
    let mut log = bench.create();
    for (_, bytes) in FILES.iter().filter(|(name, _)| name.ends_with(".log")) {
        for batch in BatchIter::new(bytes) {
            log.append_as_follower(FIRST, 0, batch.unwrap().bytes()).unwrap();
        }
    }
    log.set_high_watermark(87);
    check(&mut log);
    log.close().unwrap();
    for (name, bytes) in FILES.iter().filter(|(name, _)| name.contains("index") || name.ends_with(".log")) {
        assert_eq!(bench.file(name), *bytes, "{name}");
    }
}
