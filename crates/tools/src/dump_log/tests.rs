//! What kafka-dump-log prints of files that were made here.

use ottla_records::builder::{BatchBuilder, NewRecord};
use ottla_records::{Compression, Header};

use super::*;

fn say(args: &[&str]) -> (String, Result<(), Stop>) {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let mut out = Out::new_for_test();
    let ended = dump(&args, &mut out);
    (String::from_utf8(out.into_test()).unwrap(), ended)
}

#[test]
fn unknown_files_and_names_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("leader-epoch-checkpoint");
    let (out, ended) = say(&["--files", odd.to_str().unwrap()]);
    assert_eq!((out, ended.is_ok()), (format!("Dumping {}\n", odd.display()), true));
    let (_, ended) = say(&["--files", "/nowhere/abc.log"]);
    let stop = ended.unwrap_err();
    assert!(stop.err.starts_with(
        "Exception in thread \"main\" java.lang.NumberFormatException: For input string: \"abc\"\n"
    ));
    assert_eq!(stop.code, 1);
    let (_, ended) = say(&["--files", "/nowhere/00.log"]);
    assert!(ended.unwrap_err().err.contains("java.nio.file.NoSuchFileException: /nowhere/00.log"));
    assert_eq!(normal("//a///b/"), Path::new("/a/b"));
}

/// A segment of two batches that begins at offset 5, with a gap, a header and a compressed batch.
fn segment(dir: &Path) -> String {
    let header = [Header { key: b"h", value: None }];
    let mut first = BatchBuilder::new(5).producer(9, 1, 0).leader_epoch(3);
    first.append(&NewRecord { timestamp: 1000, key: None, value: Some(b"v\xff"), headers: &header });
    let mut second = BatchBuilder::new(8).compression(Compression::Gzip, None);
    second.append(&NewRecord::new(2000, Some(&7i64.to_be_bytes()), None));
    let mut bytes = first.build();
    bytes.extend(second.build());
    let path = dir.join("00000000000000000005.log");
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn records_are_shown_with_their_batches() {
    let dir = tempfile::tempdir().unwrap();
    let file = segment(dir.path());
    let (out, ended) = say(&["--print-data-log", "--files", &file]);
    ended.unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[1], "Log starting offset: 5");
    assert!(lines[2].starts_with(
        "baseOffset: 5 lastOffset: 5 count: 1 baseSequence: 0 lastSequence: 0 producerId: 9 producerEpoch: 1 \
         partitionLeaderEpoch: 3 isTransactional: false isControl: false deleteHorizonMs: OptionalLong.empty \
         position: 0 CreateTime: 1000 size: "
    ));
    assert!(lines[2].ends_with("isvalid: true"));
    assert_eq!(
        lines[3],
        "| offset: 5 CreateTime: 1000 keySize: -1 valueSize: 2 sequence: 0 headerKeys: [h] payload: v\u{fffd}"
    );
    assert!(lines[4].contains(" compresscodec: gzip crc: "));
    let (out, _) = say(&[
        "--skip-record-metadata",
        "--key-decoder-class",
        "org.apache.kafka.tools.api.LongDecoder",
        "--files",
        &file,
    ]);
    assert_eq!(out.lines().last(), Some("| key: 7"));
    let (out, _) = say(&["--files", &file]);
    assert_eq!(out.lines().count(), 4, "{out}");
}

#[test]
fn what_is_behind_the_last_batch_and_damage_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = segment(dir.path());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[70] ^= 1;
    bytes.extend([0; 9]);
    std::fs::write(&file, &bytes).unwrap();
    let (out, _) = say(&["--files", &file]);
    assert!(out.contains("isvalid: false") && out.contains("isvalid: true"), "{out}");
    assert!(out.ends_with("Found 9 invalid bytes at the end of 00000000000000000005.log\n"), "{out}");
    let (out, _) = say(&["--files", &file, "--max-bytes", "100"]);
    assert_eq!(out.lines().count(), 3, "one batch fits, and the rest is no news: {out}");
}

#[test]
fn indexes_are_compared_with_their_log() {
    let dir = tempfile::tempdir().unwrap();
    segment(dir.path());
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let index = write("00000000000000000005.index", &[0, 0, 0, 3, 0, 0, 0, 0]);
    let (out, ended) = say(&["--files", &index]);
    ended.unwrap();
    assert!(out.ends_with("\noffset: 8 position: 0\n"), "{out}");
    let (out, _) = say(&["--files", &index, "--index-sanity-check"]);
    assert!(out.ends_with("passed sanity check.\n"), "{out}");
    let index = write("00000000000000000005.index", &[0, 0, 0, 3, 0, 0, 9, 0]);
    assert!(
        say(&["--files", &index])
            .1
            .unwrap_err()
            .err
            .contains("Slice from position 2304 exceeds end position")
    );
    let times = [1000i64.to_be_bytes().as_slice(), &[0; 4], &2000i64.to_be_bytes(), &[0, 0, 0, 3]].concat();
    write("00000000000000000005.index", &[]);
    let times = write("00000000000000000005.timeindex", &times);
    let mut findings = Findings::default();
    let mut out = Out::new_for_test();
    let mut p = parser();
    let wanted = Wanted::of(&p.parse(&["--files".to_owned(), times.clone()]).unwrap());
    index::dump_times(Path::new(&times), "00000000000000000005.timeindex", &wanted, &mut findings, &mut out)
        .unwrap();
    assert!(findings.time_mismatches.is_empty() && findings.time_unknown.is_empty());
    assert_eq!(
        String::from_utf8(out.into_test()).unwrap(),
        "timestamp: 1000 offset: 5\ntimestamp: 2000 offset: 8\n"
    );
    let aborted = write("00000000000000000005.txnindex", &[0; 34]);
    assert!(
        say(&["--files", &aborted])
            .0
            .ends_with("version: 0 producerId: 0 firstOffset: 0 lastOffset: 0 lastStableOffset: 0\n")
    );
}
