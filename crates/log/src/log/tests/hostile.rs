//! Files that hold anything: opening, reading and appending may fail with an error, and never do worse.

use proptest::prelude::*;

use super::*;

/// What is done to a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip { at: u16, bits: u8 },
    Cut { at: u16 },
    Grow { bytes: Vec<u8> },
    Replace { bytes: Vec<u8> },
    Zero { at: u16, len: u8 },
    Remove,
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        6 => (any::<u16>(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        2 => any::<u16>().prop_map(|at| Damage::Cut { at }),
        2 => bytes().prop_map(|bytes| Damage::Grow { bytes }),
        2 => bytes().prop_map(|bytes| Damage::Replace { bytes }),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(at, len)| Damage::Zero { at, len }),
        1 => Just(Damage::Remove),
    ]
}

fn bench() -> Bench {
    let bench =
        Bench::new(LogConfig { segment_bytes: 3000, index_interval_bytes: 400, ..LogConfig::default() });
    let mut log = bench.create();
    for n in 0..12 {
        append(&mut log, &idempotent(1, 0, n * 2, 2)).unwrap();
        append(&mut log, &build(BatchBuilder::new(0).producer(2, 0, n * 2).transactional(true), 2, NOW))
            .unwrap();
        let marker = ottla_records::control::end_transaction_batch(0, 0, NOW, (2, 0), n % 2 == 0, 0);
        let coordinator = LeaderAppend { origin: Origin::Coordinator, ..LeaderAppend::from_client(NOW, 0) };
        log.append_as_leader(&coordinator, &[accepted(&marker)]).unwrap();
    }
    log.set_topic_id(uuid::Uuid::from_u128(3)).unwrap();
    log.close().unwrap();
    bench
}

fn use_it(bench: &Bench, clean: bool, recovery_point: Offset) {
    let options = OpenOptions { recovery_point, high_watermark: i64::MAX, ..bench.options(clean) };
    let Ok((mut log, _)) = Log::open(&bench.dir(), &partition(), &options) else { return };
    let mut at = log.log_start();
    // Reads go on until one fails or the end is reached; every step gets further.
    while let Ok(fetched) = log.read(at, 500, true, ReadUpTo::LastStableOffset) {
        let Ok(bytes) = fetched.slice.to_vec() else { break };
        let next = BatchIter::new(&bytes).map_while(Result::ok).map(|batch| batch.next_offset()).max();
        match next {
            Some(next) if next > at => at = next,
            _ => break,
        }
    }
    let mut decompressor = Decompressor::new();
    for timestamp in [0, NOW, NOW + 1, i64::MAX] {
        drop(log.offset_for_timestamp(timestamp, &mut decompressor));
    }
    drop(log.max_timestamp(&mut decompressor));
    drop(log.aborted_transactions(0, i64::MAX));
    drop(append(&mut log, &idempotent(1, 0, 24, 1)));
    drop(log.truncate_to(log.log_start() + 5, NOW));
    drop(log.apply_retention(i64::MAX));
    drop(log.flush(NOW));
    drop(log.close());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_brings_the_process_down(
        damages in proptest::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
        clean in any::<bool>(),
        recovery_point in 0..70i64,
    ) {
        let bench = bench();
        for (file, damage) in damages {
            let names = bench.names();
            let name = &names[file.index(names.len())];
            let mut bytes = bench.file(name);
            let place = |at: u16, len: usize| usize::from(at) % len.max(1);
            match damage {
                Damage::Flip { at, bits } => {
                    let at = place(at, bytes.len());
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
                }
                Damage::Cut { at } => bytes.truncate(place(at, bytes.len())),
                Damage::Grow { bytes: more } => bytes.extend(more),
                Damage::Replace { bytes: other } => bytes = other,
                Damage::Zero { at, len } => {
                    let at = place(at, bytes.len());
                    bytes.iter_mut().skip(at).take(len.into()).for_each(|byte| *byte = 0);
                }
                Damage::Remove => {
                    bench.disk.remove(&Path::new("/data/t-0").join(name)).unwrap();
                    continue;
                }
            }
            bench.overwrite(name, &bytes);
        }
        use_it(&bench, clean, recovery_point);
        use_it(&bench, false, 0);
    }
}
