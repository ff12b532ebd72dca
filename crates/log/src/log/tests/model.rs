//! The log against a list of records: whatever is done in whatever order, both hold the same.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append { batches: usize, count: i32 },
    Follow { gap: i64, count: i32, epoch: i32 },
    Truncate { back: i64 },
    DeleteBefore { share: u8 },
    Retention,
    Flush,
    Release,
    Reopen { clean: bool },
    Read { share: u8, max_bytes: usize },
    Time { share: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..3usize, 1..8i32).prop_map(|(batches, count)| Step::Append { batches, count }),
        2 => (0..30i64, 1..8i32, 0..2i32).prop_map(|(gap, count, epoch)| Step::Follow { gap, count, epoch }),
        1 => (0..40i64).prop_map(|back| Step::Truncate { back }),
        1 => any::<u8>().prop_map(|share| Step::DeleteBefore { share }),
        1 => Just(Step::Retention),
        1 => Just(Step::Flush),
        1 => Just(Step::Release),
        2 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
        3 => (any::<u8>(), 0..3000usize).prop_map(|(share, max_bytes)| Step::Read { share, max_bytes }),
        2 => any::<u8>().prop_map(|share| Step::Time { share }),
    ]
}

struct Model {
    /// (offset, timestamp), ascending in both.
    records: Vec<(Offset, i64)>,
    start: Offset,
    end: Offset,
    epoch: i32,
}

fn offset_at(model: &Model, share: u8) -> Offset {
    model.start + (model.end - model.start) * i64::from(share) / 255
}

fn run(steps: Vec<Step>) {
    let size = batch(5, NOW).len() as u32;
    // Gaps come only with compaction, which also keeps retention from deleting.
    let bench = Bench::new(LogConfig {
        segment_bytes: 4 * size,
        index_interval_bytes: size / 3,
        compact: true,
        delete: false,
        ..LogConfig::default()
    });
    let mut log = Some(bench.create());
    let mut model = Model { records: Vec::new(), start: 0, end: 0, epoch: 0 };
    let mut recovery_point = 0;
    for step in steps {
        let now = log.as_mut().unwrap();
        match step {
            Step::Append { batches, count } => {
                for _ in 0..batches {
                    append(now, &batch(count, NOW + model.end)).unwrap();
                    model.records.extend((0..i64::from(count)).map(|n| (model.end + n, NOW + model.end + n)));
                    model.end += i64::from(count);
                }
                now.set_high_watermark(model.end);
            }
            Step::Follow { gap, count, epoch } => {
                model.epoch += epoch;
                let base = model.end + gap;
                let bytes = build(BatchBuilder::new(base).leader_epoch(model.epoch), count, NOW + base);
                now.append_as_follower(NOW, model.epoch, &bytes).unwrap();
                model.records.extend((0..i64::from(count)).map(|n| (base + n, NOW + base + n)));
                model.end = base + i64::from(count);
                now.set_high_watermark(model.end);
            }
            Step::Truncate { back } => {
                let to = (model.end - back).max(model.start);
                now.truncate_to(to, NOW).unwrap();
                model.end = model.end.min(to);
                let kept: Vec<_> =
                    records(now, model.start).into_iter().map(|found| (found.0, found.1)).collect();
                let below = model.records.partition_point(|(offset, _)| *offset < to);
                model.records.truncate(below);
                // A batch that reaches over the new end has gone as a whole.
                assert!(model.records.starts_with(&kept) && model.records.len() - kept.len() < 8);
                model.records = kept;
                recovery_point = recovery_point.min(to);
            }
            Step::DeleteBefore { share } => {
                let to = offset_at(&model, share);
                now.delete_records_before(to).unwrap();
                model.start = model.start.max(to);
                model.records.retain(|(offset, _)| *offset >= to);
            }
            Step::Retention => {
                now.apply_retention(NOW).unwrap();
                now.dir().remove_doomed(i64::MAX).unwrap();
            }
            Step::Flush => {
                recovery_point = now.flush(NOW).unwrap();
                assert_eq!(recovery_point, model.end);
            }
            Step::Release => now.release().unwrap(),
            Step::Reopen { clean } => {
                let open = log.take().unwrap();
                if clean {
                    open.close().unwrap()
                } else {
                    drop(open)
                }
                let options = OpenOptions {
                    recovery_point,
                    log_start: model.start,
                    high_watermark: i64::MAX,
                    ..bench.options(clean)
                };
                let opened = Log::open(&bench.dir(), &partition(), &options).unwrap().0;
                // A truncation into a batch leaves no trace of where it was cut behind the last batch.
                let least = model.records.last().map_or(model.start, |(offset, _)| offset + 1);
                assert!((least..=model.end).contains(&opened.log_end()), "{least} {}", opened.log_end());
                model.end = opened.log_end();
                recovery_point = recovery_point.min(model.end);
                log = Some(opened);
            }
            Step::Read { share, max_bytes } => {
                let from = offset_at(&model, share);
                let fetched = now.read(from, max_bytes, true, ReadUpTo::LogEnd).unwrap();
                let bytes = fetched.slice.to_vec().unwrap();
                let first = model.records.iter().find(|(offset, _)| *offset >= from);
                match (BatchIter::verified(&bytes).next(), first) {
                    (None, None) => {}
                    (Some(batch), Some((offset, _))) => {
                        let batch = batch.unwrap();
                        assert!(batch.base_offset <= *offset && *offset <= batch.last_offset());
                    }
                    (found, expected) => panic!("from {from}: {found:?}, expected {expected:?}"),
                }
            }
            Step::Time { share } => {
                let timestamp = NOW + offset_at(&model, share);
                let found = now.offset_for_timestamp(timestamp, &mut Decompressor::new()).unwrap();
                let expected = model.records.iter().find(|(_, time)| *time >= timestamp);
                assert_eq!(found.map(|found| (found.offset, found.timestamp)), expected.copied());
            }
        }
        let now = log.as_ref().unwrap();
        assert_eq!((now.log_start(), now.log_end()), (model.start, model.end));
        let found: Vec<_> = records(now, model.start).into_iter().map(|found| (found.0, found.1)).collect();
        assert_eq!(found, model.records);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_list_of_records(steps in proptest::collection::vec(step(), 1..40)) {
        run(steps);
    }
}
