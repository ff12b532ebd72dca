//! Log directories on the real file system.

use std::process::Command;

use super::*;
use crate::fs::{Fault, SimDisk};

fn open(path: &Path) -> Result<LogDir, DirError> {
    LogDir::open(path, DirOptions::default())
}

#[test]
fn what_is_no_directory_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(matches!(open(&temp.path().join("none")), Err(DirError::Missing { .. })));
    assert!(matches!(open(&file), Err(DirError::NotADirectory { .. })));
}

#[test]
fn a_directory_has_one_user_at_a_time() {
    let temp = tempfile::tempdir().unwrap();
    let first = open(temp.path()).unwrap();
    let clone = first.clone();
    match open(temp.path()) {
        Err(DirError::Locked { pid, lock_file }) => {
            assert_eq!(pid, Some(std::process::id()));
            assert_eq!(lock_file, temp.path().join(".lock"));
        }
        other => panic!("{other:?}"),
    }
    drop(first);
    assert!(open(temp.path()).is_err(), "a clone holds it too");
    // Those who only look need no lock.
    let look = DirOptions { lock: false, ..DirOptions::default() };
    LogDir::open(temp.path(), look).unwrap();
    drop(clone);
    open(temp.path()).unwrap();
}

#[test]
fn the_process_that_holds_the_lock_is_named() {
    let temp = tempfile::tempdir().unwrap();
    // Another process takes the lock the way a JVM does.
    let script = "import fcntl,sys,time\nf=open(sys.argv[1],'w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\ntime.sleep(60)";
    let mut child = match Command::new("python3")
        .args(["-c", script])
        .arg(temp.path().join(LOCK_FILE))
        .stdout(std::process::Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(error) => return eprintln!("not run: python3 cannot be started: {error}"),
    };
    let mut said = [0; 4];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
    let error = open(temp.path()).unwrap_err();
    child.kill().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    assert!(error.to_string().contains(&format!("it is held by process {pid}")), "{error}");
    open(temp.path()).unwrap();
}

#[test]
fn partitions_are_listed_and_strangers_skipped_or_refused() {
    let temp = tempfile::tempdir().unwrap();
    let dir = open(temp.path()).unwrap();
    let plain = PartitionDir::current("orders", 3);
    let stray = plain.with_kind(DirKind::Stray(uuid::Uuid::from_u128(9)));
    for name in [plain.to_string(), stray.to_string(), "lost+found".into(), ".snapshot".into()] {
        std::fs::create_dir(temp.path().join(name)).unwrap();
    }
    std::fs::write(temp.path().join("README"), b"").unwrap();
    let mut found = dir.partitions().unwrap();
    found.sort_by_key(ToString::to_string);
    assert_eq!(found, [plain.clone(), stray.clone()]);
    let delete = plain.with_kind(DirKind::Delete(uuid::Uuid::from_u128(1)));
    dir.rename_partition(&plain, &delete).unwrap();
    std::fs::write(dir.partition_path(&delete).join("00000000000000000000.log"), b"x").unwrap();
    dir.remove_partition(&delete).unwrap();
    dir.remove_partition(&delete).unwrap();
    assert_eq!(dir.partitions().unwrap(), [stray]);
    std::fs::create_dir(temp.path().join("stranger")).unwrap();
    assert!(dir.partitions().unwrap_err().to_string().contains("'stranger' is not in the form of"));
}

#[test]
fn the_marker_of_a_clean_shutdown_comes_and_goes() {
    let temp = tempfile::tempdir().unwrap();
    let dir = open(temp.path()).unwrap();
    assert_eq!(dir.clean_shutdown().unwrap(), None);
    dir.forget_clean_shutdown().unwrap();
    dir.mark_clean_shutdown(42).unwrap();
    let text = std::fs::read_to_string(temp.path().join(".kafka_cleanshutdown")).unwrap();
    assert_eq!(text, r#"{"version":0,"brokerEpoch":42}"#);
    assert_eq!(dir.clean_shutdown().unwrap(), Some(CleanShutdown { broker_epoch: Some(42) }));
    std::fs::write(temp.path().join(".kafka_cleanshutdown"), b"").unwrap();
    assert_eq!(dir.clean_shutdown().unwrap(), Some(CleanShutdown { broker_epoch: None }));
    dir.forget_clean_shutdown().unwrap();
    assert_eq!(dir.clean_shutdown().unwrap(), None);
}

#[test]
fn a_failed_write_takes_the_directory_offline_and_a_full_disk_does_not() {
    let disk = SimDisk::new();
    let options = DirOptions { disk: Arc::new(disk.clone()), ..DirOptions::default() };
    let dir = LogDir::open(Path::new("/"), options).unwrap();
    let entry = || CheckpointEntry { topic: "t".into(), partition: 0, offset: 1 };
    let fail = |kind| disk.fail_at(disk.calls(), Fault::Error(kind));
    fail(io::ErrorKind::StorageFull);
    let full = dir.write_checkpoint(CheckpointKind::HighWatermark, [entry()]).unwrap_err();
    assert!(matches!(full, Error::DiskFull { .. }), "{full}");
    dir.write_checkpoint(CheckpointKind::HighWatermark, [entry()]).unwrap();
    fail(io::ErrorKind::PermissionDenied);
    dir.write_checkpoint(CheckpointKind::HighWatermark, []).unwrap_err();
    let offline = dir.write_checkpoint(CheckpointKind::HighWatermark, []).unwrap_err();
    assert!(
        matches!(&offline, Error::Offline { reason, .. } if reason.contains("replication-offset-checkpoint"))
    );
    assert_eq!(dir.read_checkpoint(CheckpointKind::HighWatermark).unwrap(), [entry()]);
    assert!(dir.mark_clean_shutdown(1).is_err(), "a directory that failed was not stopped cleanly");
}
