//! Power cuts at every call that changes something: what comes back is a prefix of what was appended, it holds
//! everything that was flushed, and the producers fit it.

use super::*;
use crate::dir::{CheckpointEntry, CheckpointKind};
use crate::fs::Fault;

/// What the workload has done so far, as far as its answers have come back.
#[derive(Default)]
struct Done {
    /// Every batch that may be in the log, with its base offset; in the order of offsets.
    batches: Vec<(Offset, Vec<u8>)>,
    /// All before it was answered as flushed.
    flushed: Offset,
    /// The lowest offset a truncation was begun to, and what was there before.
    before_truncation: Vec<(Offset, Vec<u8>)>,
}

impl Done {
    fn append(&mut self, log: &mut Log, bytes: Vec<u8>) -> Result<(), AppendError> {
        self.batches.push((log.log_end(), bytes.clone()));
        append(log, &bytes)?;
        log.set_high_watermark(log.log_end());
        Ok(())
    }
}

fn checkpoint(log: &Log) -> Result<(), Error> {
    let entry = CheckpointEntry { topic: "t".into(), partition: 0, offset: log.recovery_point() };
    log.dir().write_checkpoint(CheckpointKind::RecoveryPoint, [entry])
}

fn open(bench: &Bench) -> Result<Log, Error> {
    let dir = match bench.try_dir() {
        Ok(dir) => dir,
        Err(error) => return Err(Error::io("open", Path::new("/data"), std::io::Error::other(error))),
    };
    let clean = dir.clean_shutdown()?.is_some();
    let points = dir.read_checkpoint(CheckpointKind::RecoveryPoint)?;
    let recovery_point = points.first().map_or(0, |entry| entry.offset);
    let options = OpenOptions { recovery_point, high_watermark: i64::MAX, ..bench.options(clean) };
    let log = match dir.partitions()?.is_empty() {
        true => Log::create(&dir, &partition(), None, &options)?,
        false => Log::open(&dir, &partition(), &options)?.0,
    };
    dir.forget_clean_shutdown()?;
    Ok(log)
}

fn marker(id: ProducerId, commit: bool) -> Vec<u8> {
    ottla_records::control::end_transaction_batch(0, 0, NOW, (id, 0), commit, 0)
}

fn workload(bench: &Bench, done: &mut Done) -> Result<(), AppendError> {
    let mut log = open(bench)?;
    let mut sequence = 0;
    for round in 0..4 {
        for _ in 0..4 {
            done.append(&mut log, idempotent(7, 0, sequence, 3))?;
            sequence += 3;
        }
        let transactional = BatchBuilder::new(0).producer(9, 0, round * 2).transactional(true);
        done.append(&mut log, build(transactional, 2, NOW))?;
        let bytes = marker(9, round % 2 == 0);
        done.batches.push((log.log_end(), bytes.clone()));
        let coordinator = LeaderAppend { origin: Origin::Coordinator, ..LeaderAppend::from_client(NOW, 0) };
        log.append_as_leader(&coordinator, &[accepted(&bytes)])?;
        log.set_high_watermark(log.log_end());
        if let Some(work) = log.flush_work_of_completed()? {
            let flushed = log.dir().flusher().flush(work)?;
            log.flushed(&flushed, NOW);
            done.flushed = log.recovery_point();
        }
        if round != 2 {
            log.flush(NOW)?;
            done.flushed = log.recovery_point();
            checkpoint(&log)?;
        }
    }
    // What a new leader does to a follower that is ahead of it.
    let cut = done.batches[done.batches.len() - 9].0;
    done.before_truncation = done.batches.clone();
    done.flushed = done.flushed.min(cut);
    done.batches.retain(|(base, _)| *base < cut);
    log.truncate_to(cut, NOW)?;
    checkpoint(&log)?;
    log.begin_epoch(1);
    for n in 0..8 {
        done.append(&mut log, idempotent(11, 0, n * 4, 4))?;
    }
    log.dir().remove_doomed(i64::MAX)?;
    log.flush(NOW)?;
    done.flushed = log.recovery_point();
    // What a clean shutdown makes durable without a flush of the log.
    log.begin_epoch(2);
    done.append(&mut log, idempotent(11, 0, 32, 4))?;
    let (dir, end) = (log.dir().clone(), log.log_end());
    log.close_at_shutdown()?;
    dir.mark_clean_shutdown(1)?;
    done.flushed = end;
    drop(dir);
    let mut log = open(bench)?;
    done.append(&mut log, batch(2, NOW))?;
    log.flush(NOW)?;
    done.flushed = log.recovery_point();
    Ok(())
}

/// The log that has exactly these batches.
fn reference(batches: &[(Offset, Vec<u8>)], end: Offset) -> Log {
    let mut log = Bench::new(LogConfig::default()).create();
    let append = LeaderAppend { origin: Origin::Coordinator, ..LeaderAppend::from_client(NOW, 0) };
    for (base, bytes) in batches.iter().take_while(|(base, _)| *base < end) {
        assert_eq!(*base, log.log_end());
        log.append_as_leader(&append, &[accepted(bytes)]).unwrap();
    }
    log
}

fn producers(log: &Log) -> Vec<(ProducerId, ProducerEpoch, Sequence, Offset)> {
    let entries = log.producers();
    let mut all: Vec<_> = entries
        .map(|(id, entry)| (id, entry.epoch, entry.last_sequence(), entry.transaction_start))
        .collect();
    all.sort_unstable();
    all
}

fn check(bench: &Bench, done: &Done, context: &str) {
    let mut log = open(bench).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(log.log_end() >= done.flushed, "{context}: {} of {}", log.log_end(), done.flushed);
    let found = records(&log, 0);
    let fits = [&done.batches, &done.before_truncation].into_iter().find_map(|batches| {
        let reference = reference(batches, log.log_end());
        (reference.log_end() == log.log_end() && records(&reference, 0) == found).then_some(reference)
    });
    let Some(reference) = fits else { panic!("{context}: no prefix of what was appended: {found:?}") };
    assert_eq!(producers(&log), producers(&reference), "{context}");
    assert_eq!(log.first_undecided_offset(), reference.first_undecided_offset(), "{context}");
    let aborted = |log: &Log| log.aborted_transactions(0, i64::MAX).unwrap();
    assert_eq!(aborted(&log), aborted(&reference), "{context}");
    // It goes on.
    append(&mut log, &batch(3, NOW)).unwrap();
    assert_eq!(records(&log, 0).len(), found.len() + 3, "{context}");
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 3000, index_interval_bytes: 500, ..LogConfig::default() }
}

fn calls_of_workload() -> u64 {
    let bench = Bench::new(config());
    let before = bench.disk.calls();
    workload(&bench, &mut Done::default()).unwrap();
    bench.disk.calls() - before
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_was_flushed() {
    let calls = calls_of_workload();
    assert!(calls > 150, "{calls}");
    for call in 0..calls {
        for seed in 0..20 {
            let bench = Bench::new(config());
            bench.disk.fail_at(bench.disk.calls() + call, Fault::PowerCut);
            let mut done = Done::default();
            let ended = workload(&bench, &mut done);
            assert!(ended.is_err() || !bench.disk.is_on(), "call {call}");
            bench.disk.power_off();
            bench.disk.power_on(seed * 1_000_003 + call);
            check(&bench, &done, &format!("cut at call {call}, seed {seed}"));
        }
    }
}

#[test]
fn what_was_truncated_does_not_come_back_behind_new_records() {
    for seed in 0..200 {
        let size = batch(5, NOW).len() as u32;
        let bench = Bench::new(LogConfig { segment_bytes: 4 * size, ..LogConfig::default() });
        let mut log = bench.create();
        fill(&mut log, 8, 5);
        let before = records(&log, 0);
        log.flush(NOW).unwrap();
        checkpoint(&log).unwrap();
        log.truncate_to(10, NOW).unwrap();
        checkpoint(&log).unwrap();
        // The new records end exactly where the segment began that is gone.
        for n in 0..2 {
            append(&mut log, &batch(5, NOW + 1000 + n)).unwrap();
        }
        let after = records(&log, 0);
        drop(log);
        bench.disk.power_off();
        bench.disk.power_on(seed);
        let found = records(&open(&bench).unwrap(), 0);
        assert!(before.starts_with(&found) || after.starts_with(&found), "seed {seed}: {found:?}");
        assert!(found.len() >= 10);
    }
}

#[test]
fn a_failing_call_takes_the_directory_offline_and_loses_nothing() {
    for call in 0..calls_of_workload() {
        for fault in [Fault::Error(std::io::ErrorKind::Other), Fault::HalfDone(std::io::ErrorKind::Other)] {
            let bench = Bench::new(config());
            bench.disk.fail_at(bench.disk.calls() + call, fault);
            let mut done = Done::default();
            if workload(&bench, &mut done).is_ok() {
                continue;
            }
            // The process is started again; then the power is cut.
            check(&bench, &done, &format!("{fault:?} at call {call}"));
        }
    }
}
