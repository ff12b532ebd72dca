//! Several log directories: partitions spread over them, and one that fails takes only its own partitions, when the node
//! starts and later; a flush that fails is never taken for one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::cluster::wire;
use super::{Background, batch, config, good, no_panic, refused, scratch, script};
use crate::machine;
use crate::process;
use crate::server::{CLUSTER, free_ports};
use crate::tally::Tally;

const TOPIC: &str = "spread";
const PARTITIONS: i32 = 9;
const NAMES: [&str; 3] = ["a", "b", "c"];
const STORAGE_ERROR: i16 = 56;

pub fn run(tally: &mut Tally) -> Result<()> {
    tally
        .check("three log directories: spread; one that is gone takes only its partitions; back again", lost);
    match machine::on_path("cc") {
        Some(cc) => {
            tally.check("a flush that fails: not acknowledged, only its directory goes", || flush(&cc));
            tally.check("directories that cannot be read at the start: EIO", || unreadable(&cc));
        }
        None => println!("left out: a flush that fails, a directory with EIO; lacking: a C compiler"),
    }
    Ok(())
}

/// A node with three directories.
struct Place {
    dir: PathBuf,
    file: PathBuf,
    port: u16,
}

impl Place {
    fn make(name: &str, more: &[(&str, &str)]) -> Result<Place> {
        let dir = scratch(name)?;
        let ports: [u16; 2] = free_ports()?;
        let dirs: Vec<String> = NAMES.map(|name| dir.join(name).display().to_string()).to_vec();
        let (dirs, metadata) = (dirs.join(","), dir.join("metadata").display().to_string());
        let voters = format!("1@localhost:{}", ports[1]);
        let listeners = format!("PLAINTEXT://:{},CONTROLLER://:{}", ports[0], ports[1]);
        let advertised = format!("PLAINTEXT://localhost:{}", ports[0]);
        let mut changes = vec![
            ("node.id", "1"),
            ("controller.quorum.voters", &*voters),
            ("listeners", &*listeners),
            ("advertised.listeners", &*advertised),
            ("log.dirs", &*dirs),
            ("metadata.log.dir", &*metadata),
        ];
        changes.extend(more);
        let file = config(&dir, &changes)?;
        good(script("kafka-storage.sh").args(["format", "-t", CLUSTER, "-c"]).arg(&file))?;
        Ok(Place { dir, file, port: ports[0] })
    }

    fn start(&self, life: &str, environment: &[(&str, &str)]) -> Result<Background> {
        let mut command = script("kafka-server-start.sh");
        command.arg(&self.file).envs(environment.iter().copied());
        let mut node = Background::spawn(&mut command, self.dir.join(life))?;
        node.until("Kafka Server started")?;
        Ok(node)
    }

    /// The directory of each partition.
    fn spread(&self) -> BTreeMap<i32, &'static str> {
        let lies =
            |partition: i32, name: &&str| self.dir.join(name).join(format!("{TOPIC}-{partition}")).is_dir();
        let found = (0..PARTITIONS).filter_map(|p| Some((p, *NAMES.iter().find(|name| lies(p, name))?)));
        found.collect()
    }

    fn until_all_lead(&self) -> Result<()> {
        let start = Instant::now();
        while !wire::view(self.port)?.partitions.values().all(|p| p.leader == 1) {
            ensure!(start.elapsed() < Duration::from_secs(20), "all have a leader again");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether exactly the partitions that lie in `gone` are not served, and none of them was made anew elsewhere. The
    /// others take a record at `offset`.
    fn serves_without(&self, gone: &str, spread: &BTreeMap<i32, &str>, offset: i64) -> Result<()> {
        for ((topic, partition), known) in wire::view(self.port)?.partitions {
            let leader = if topic == TOPIC && spread[&partition] == gone { -1 } else { 1 };
            ensure!(known.leader == leader, "{topic}-{partition} is led by {}", known.leader);
        }
        for (partition, answer) in self.produce()? {
            match spread[&partition] == gone {
                true => ensure!(answer.0 == STORAGE_ERROR, "partition {partition}: {answer:?}"),
                false => ensure!(answer == (0, offset), "partition {partition}: {answer:?}"),
            }
        }
        let anew = self.spread().into_iter().find(|(partition, name)| spread[partition] != *name);
        ensure!(anew.is_none(), "a partition was made anew elsewhere: {anew:?}");
        Ok(())
    }

    /// (partition, the error or the offset) of one more record to each.
    fn produce(&self) -> Result<BTreeMap<i32, (i16, i64)>> {
        let records = batch::Batch::plain(1).bytes();
        let one = |p: i32| Ok((p, batch::produce_to(self.port, TOPIC, p, &records)?));
        (0..PARTITIONS).map(one).collect()
    }
}

fn lost() -> Result<()> {
    let place = Place::make("directories", &[])?;
    let node = place.start("first", &[])?;
    batch::create_topic(place.port, TOPIC, PARTITIONS)?;
    let spread = place.spread();
    for name in NAMES {
        let count = spread.values().filter(|found| **found == name).count();
        ensure!(count == 3, "three partitions in {name}, not {count}: {spread:?}");
    }
    ensure!(place.produce()?.values().all(|answer| *answer == (0, 0)), "all are taken");
    node.end("TERM")?;

    let (there, away) = (place.dir.join("b"), place.dir.join("b-away"));
    fs::rename(&there, &away)?;
    fs::write(&there, "a file where a directory was\n")?;
    let node = place.start("second", &[])?;
    place.serves_without("b", &spread, 1)?;
    // What is new goes where there is room; nobody makes anew what may lie in the directory that is gone.
    batch::create_topic(place.port, "later", 4)?;
    for (name, count) in [("a", 2), ("c", 2)] {
        let later = (0..4).filter(|p| place.dir.join(name).join(format!("later-{p}")).is_dir()).count();
        ensure!(later == count, "{count} partitions of the new topic in {name}, not {later}");
    }
    let text = node.end("TERM")?;
    ensure!(
        text.contains(&format!("Stopping serving logs in dir {}", there.display())),
        "it is named:\n{text}"
    );
    no_panic(&text)?;

    fs::remove_file(&there)?;
    fs::rename(&away, &there)?;
    let node = place.start("third", &[])?;
    place.until_all_lead()?;
    for (partition, (code, offset)) in place.produce()? {
        let next = if spread[&partition] == "b" { 1 } else { 2 };
        ensure!((code, offset) == (0, next), "partition {partition}: error {code}, offset {offset}");
    }
    ensure!(place.spread() == spread, "everything lies where it lay: {:?}", place.spread());
    node.end("TERM")?;

    let metadata = place.dir.join("metadata");
    fs::rename(&metadata, &away)?;
    fs::write(&metadata, "a file where a directory was\n")?;
    let said = format!("Encountered I/O error in metadata log directory {}", metadata.display());
    refused(script("kafka-server-start.sh").arg(&place.file), &[&said])
}

/// A disk that answers every open with EIO: the node goes on without it. With none that answers it does not start.
fn unreadable(cc: &Path) -> Result<()> {
    let place = Place::make("unreadable", &[])?;
    let shim = shim(cc, &place.dir)?;
    let node = place.start("first", &[])?;
    batch::create_topic(place.port, TOPIC, PARTITIONS)?;
    let spread = place.spread();
    ensure!(place.produce()?.values().all(|answer| *answer == (0, 0)), "all are taken");
    node.end("TERM")?;
    let below = format!("{}/", place.dir.join("c").display());
    let node = place.start("second", &[("LD_PRELOAD", &*shim), ("FAIL_OPEN_BELOW", &*below)])?;
    place.serves_without("c", &spread, 1)?;
    let text = node.end("TERM")?;
    ensure!(text.contains("Input/output error"), "what the disk said is told:\n{text}");
    no_panic(&text)?;
    let below = format!("{}/", place.dir.display());
    // The file with the configuration lies there, too.
    let file = place.dir.with_extension("properties");
    fs::copy(&place.file, &file)?;
    let mut command = script("kafka-server-start.sh");
    command.arg(&file).env("LD_PRELOAD", &*shim).env("FAIL_OPEN_BELOW", &*below);
    refused(&mut command, &["No readable meta.properties files found.", "Input/output error"])
}

/// `fsync` and `fdatasync` of files below FAIL_FLUSH_BELOW fail with EIO once the file FAIL_FLUSH_WHEN is there; every
/// open of a file below FAIL_OPEN_BELOW does.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
    const char *when = getenv("FAIL_FLUSH_WHEN"), *below = getenv("FAIL_FLUSH_BELOW");
    char link[64], path[4096];
    if (!when || !below || access(when, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, below, strlen(below)) == 0;
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
    if (fails(fd)) { errno = EIO; return -1; }
    return real(fd);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int)) dlsym(RTLD_NEXT, "fsync");
    if (fails(fd)) { errno = EIO; return -1; }
    return real(fd);
}

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    const char *below = getenv("FAIL_OPEN_BELOW");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (!real) real = (int (*)(const char *, int, ...)) dlsym(RTLD_NEXT, "open64");
    if (below && strncmp(path, below, strlen(below)) == 0) { errno = EIO; return -1; }
    return real(path, flags, mode);
}
"#;

/// Builds the shim; returns its path.
fn shim(cc: &Path, dir: &Path) -> Result<String> {
    let (source, shim) = (dir.join("shim.c"), dir.join("shim.so"));
    fs::write(&source, SHIM)?;
    let mut compile = Command::new(cc);
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(&source).arg("-ldl");
    process::checked(&mut compile, Duration::from_secs(60))?;
    Ok(shim.display().to_string())
}

fn flush(cc: &Path) -> Result<()> {
    let place = Place::make("flush", &[("log.flush.interval.messages", "1")])?;
    let shim = shim(cc, &place.dir)?;
    let trigger = place.dir.join("fail-now");
    let (below, when) = (format!("{}/", place.dir.join("b").display()), trigger.display().to_string());
    let environment = [("LD_PRELOAD", &*shim), ("FAIL_FLUSH_WHEN", &*when), ("FAIL_FLUSH_BELOW", &*below)];
    let node = place.start("first", &environment)?;
    batch::create_topic(place.port, TOPIC, PARTITIONS)?;
    let spread = place.spread();
    ensure!(place.produce()?.values().all(|answer| *answer == (0, 0)), "all are taken");
    fs::write(&trigger, "")?;
    let answers = place.produce()?;
    let first = answers.iter().find(|(p, _)| spread[*p] == "b").context("a partition in b")?.1;
    ensure!(first.0 == STORAGE_ERROR, "KAFKA_STORAGE_ERROR for the flush that failed, not {first:?}");
    for (partition, (code, offset)) in &answers {
        match spread[partition] {
            "b" => ensure!(*code != 0, "partition {partition} was acknowledged without a flush"),
            _ => ensure!((*code, *offset) == (0, 1), "partition {partition}: error {code}, offset {offset}"),
        }
    }
    // The disk works again; what is in doubt stays closed until the node starts anew.
    fs::remove_file(&trigger)?;
    for (partition, (code, offset)) in place.produce()? {
        match spread[&partition] {
            "b" => ensure!(code != 0, "partition {partition}: a failed flush was forgotten"),
            _ => ensure!((code, offset) == (0, 2), "partition {partition}: error {code}, offset {offset}"),
        }
    }
    let text = node.text();
    ensure!(text.contains(&place.dir.join("b").display().to_string()), "the directory is named:\n{text}");
    no_panic(&text)?;
    node.end("TERM")?;
    let node = place.start("second", &[])?;
    place.until_all_lead()?;
    for (partition, (code, offset)) in place.produce()? {
        // What was not acknowledged is there or not.
        let right = if spread[&partition] == "b" { (1..=2).contains(&offset) } else { offset == 3 };
        ensure!(code == 0 && right, "partition {partition}: error {code}, offset {offset}");
    }
    node.end("TERM").map(drop)
}
