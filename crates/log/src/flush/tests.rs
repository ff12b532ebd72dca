//! The group commit.

use std::path::Path;
use std::sync::mpsc::channel;

use super::*;
use crate::fs::{Disk, Fault, SimDisk};
use crate::{DirOptions, Handles, Log, LogConfig, OpenOptions, PartitionDir};
use ottla_records::builder::{BatchBuilder, NewRecord};
use ottla_records::validate::Accepted;
use ottla_records::{Batch, TimestampType};

fn dir(disk: &SimDisk) -> LogDir {
    disk.create_dir(Path::new("/data")).ok();
    let options =
        DirOptions { disk: Arc::new(disk.clone()), handles: Handles::new(64), ..DirOptions::default() };
    LogDir::open(Path::new("/data"), options).unwrap()
}

fn logs(dir: &LogDir, count: i32) -> Vec<Log> {
    let options = OpenOptions::new(Arc::new(LogConfig::default()), 0, true);
    (0..count).map(|n| Log::create(dir, &PartitionDir::current("t", n), None, &options).unwrap()).collect()
}

fn append(log: &mut Log) {
    let mut builder = BatchBuilder::new(0);
    builder.append(&NewRecord::new(0, None, Some(b"value")));
    let bytes = builder.build();
    let batch = Batch::parse(&bytes).unwrap();
    let accepted = Accepted { batch, timestamp: (TimestampType::CreateTime, 0) };
    log.append_as_leader(&crate::LeaderAppend::from_client(0, 0), &[accepted]).unwrap();
}

#[test]
fn what_is_queued_together_is_served_together_and_becomes_durable() {
    let disk = SimDisk::new();
    let dir = dir(&disk);
    let mut logs = logs(&dir, 20);
    let (send, receive) = channel();
    for (n, log) in logs.iter_mut().enumerate() {
        append(log);
        let send = send.clone();
        let work = log.flush_work().unwrap().unwrap();
        assert_eq!(work.up_to(), 1);
        dir.flusher().submit(work, move |done| send.send((n, done.unwrap())).unwrap());
    }
    for _ in 0..20 {
        let (n, flushed) = receive.recv().unwrap();
        assert_eq!(logs[n].flushed(&flushed, 0), 1);
        assert_eq!(logs[n].flush_work().unwrap().map(|work| work.up_to()), None);
    }
    let (rounds, flushes) = dir.flusher().served();
    assert!(flushes == 20 && (1..=20).contains(&rounds), "{flushes} in {rounds}");
    drop(logs);
    disk.power_off();
    disk.power_on(1);
    let dir = self::dir(&disk);
    let options = OpenOptions::new(Arc::new(LogConfig::default()), 0, false);
    for n in 0..20 {
        assert_eq!(Log::open(&dir, &PartitionDir::current("t", n), &options).unwrap().0.log_end(), 1);
    }
}

#[test]
fn threads_that_wait_share_rounds() {
    let disk = SimDisk::new();
    let dir = dir(&disk);
    let logs: Vec<_> = logs(&dir, 8).into_iter().map(Mutex::new).collect();
    std::thread::scope(|scope| {
        for log in &logs {
            scope.spawn(|| {
                for n in 1..=50 {
                    let mut held = log.lock();
                    append(&mut held);
                    let work = held.flush_work().unwrap().unwrap();
                    drop(held);
                    let flushed = dir.flusher().flush(work).unwrap();
                    assert_eq!(log.lock().flushed(&flushed, 0), n);
                }
            });
        }
    });
    assert_eq!(dir.flusher().served().1, 400);
}

#[test]
fn a_failed_fsync_fails_everybody_and_the_directory() {
    let disk = SimDisk::new();
    let dir = dir(&disk);
    let mut logs = logs(&dir, 3);
    for log in &mut logs {
        append(log);
        log.flush(0).unwrap();
        append(log);
    }
    let works: Vec<_> = logs.iter_mut().map(|log| log.flush_work().unwrap().unwrap()).collect();
    disk.fail_at(disk.calls() + 1, Fault::Error(std::io::ErrorKind::Other));
    let outcomes = run_together(works, &mut Costs::default());
    let texts: Vec<_> =
        outcomes.iter().map(|outcome| outcome.as_ref().map_err(ToString::to_string)).collect();
    assert_eq!(texts[0].as_ref().map(|flushed| flushed.up_to), Ok(2));
    assert!(texts[1].as_ref().unwrap_err().starts_with("cannot sync /data/t-1/"), "{texts:?}");
    assert!(texts[2].as_ref().unwrap_err().contains("is offline"), "{texts:?}");
    assert!(dir.offline().is_some());
    assert!(logs[0].flush_work().is_err());
}

#[test]
fn a_flush_from_before_a_truncation_says_nothing() {
    let disk = SimDisk::new();
    let dir = dir(&disk);
    let mut log = logs(&dir, 1).pop().unwrap();
    (0..5).for_each(|_| append(&mut log));
    let flushed = log.flush_work().unwrap().unwrap().run().unwrap();
    log.truncate_to(2, 0).unwrap();
    (0..5).for_each(|_| append(&mut log));
    assert_eq!(log.flushed(&flushed, 0), 0);
    assert_eq!(log.flush(0).unwrap(), 7);
}

#[test]
fn the_cheaper_way_is_found() {
    let mut costs = Costs::default();
    assert!(!costs.at_once_is_cheaper(3));
    assert!(costs.at_once_is_cheaper(100));
    let ms = Duration::from_millis;
    for _ in 0..20 {
        costs.learn(100, true, ms(500));
    }
    assert!(!costs.at_once_is_cheaper(100), "others write a lot");
    for _ in 0..200 {
        costs.learn(100, false, ms(20));
    }
    assert!(costs.at_once_is_cheaper(100), "it is tried again");
}
