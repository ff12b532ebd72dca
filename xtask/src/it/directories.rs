//! Several log directories: partitions spread over them, and one that fails takes only its own partitions; a flush that
//! fails is never taken for one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::cluster::wire;
use super::{Background, batch, config, contents, good, no_panic, refused, scratch, script};
use crate::machine;
use crate::process;
use crate::server::{CLUSTER, free_ports};
use crate::tally::Tally;

const TOPIC: &str = "spread";
const PARTITIONS: i32 = 9;
const NAMES: [&str; 3] = ["a", "b", "c"];
const STORAGE_ERROR: i16 = 56;

pub fn run(tally: &mut Tally) -> Result<()> {
    tally.check(
        "three log directories: spread; one that is gone is named and nothing changed; back again",
        lost,
    );
    match machine::on_path("cc") {
        Some(cc) => {
            tally.check("a flush that fails: not acknowledged, only its directory goes", || flush(&cc))
        }
        None => println!("left out: a flush that fails; lacking: a C compiler"),
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

    // Apache Kafka starts without it; here a directory that is not what it was is for a person to look at.
    let (there, away) = (place.dir.join("b"), place.dir.join("b-away"));
    fs::rename(&there, &away)?;
    fs::write(&there, "a file where a directory was\n")?;
    let before = contents(&place.dir.join("a"));
    refused(
        script("kafka-server-start.sh").arg(&place.file),
        &[&there.display().to_string(), "meta.properties"],
    )?;
    let unchanged =
        contents(&place.dir.join("a")).into_iter().filter(|(path, _)| !path.ends_with("server.log"));
    ensure!(
        unchanged.eq(before.into_iter().filter(|(path, _)| !path.ends_with("server.log"))),
        "something changed"
    );

    fs::remove_file(&there)?;
    fs::rename(&away, &there)?;
    let node = place.start("third", &[])?;
    let start = Instant::now();
    loop {
        let view = wire::view(place.port)?;
        if view.partitions.values().all(|p| p.leader == 1) {
            break;
        }
        ensure!(start.elapsed() < Duration::from_secs(20), "all have a leader again, not {view:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    for (partition, (code, offset)) in place.produce()? {
        ensure!((code, offset) == (0, 1), "partition {partition}: error {code}, offset {offset}");
    }
    ensure!(place.spread() == spread, "everything lies where it lay: {:?}", place.spread());
    node.end("TERM").map(drop)
}

/// `fsync` and `fdatasync` of files below a directory fail with EIO once the file FAIL_FLUSH_WHEN is there.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
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
"#;

fn flush(cc: &Path) -> Result<()> {
    let place = Place::make("flush", &[("log.flush.interval.messages", "1")])?;
    let (source, shim) = (place.dir.join("shim.c"), place.dir.join("shim.so"));
    fs::write(&source, SHIM)?;
    let mut compile = Command::new(cc);
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(&source).arg("-ldl");
    process::checked(&mut compile, Duration::from_secs(60))?;
    let trigger = place.dir.join("fail-now");
    let (below, when) = (format!("{}/", place.dir.join("b").display()), trigger.display().to_string());
    let shim = shim.display().to_string();
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
    let start = Instant::now();
    while !wire::view(place.port)?.partitions.values().all(|p| p.leader == 1) {
        ensure!(start.elapsed() < Duration::from_secs(20), "all have a leader again");
        std::thread::sleep(Duration::from_millis(50));
    }
    for (partition, (code, offset)) in place.produce()? {
        // What was not acknowledged is there or not.
        let right = if spread[&partition] == "b" { (1..=2).contains(&offset) } else { offset == 3 };
        ensure!(code == 0 && right, "partition {partition}: error {code}, offset {offset}");
    }
    node.end("TERM").map(drop)
}
