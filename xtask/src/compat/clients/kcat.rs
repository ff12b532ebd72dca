//! kcat, the command line of librdkafka, as distributions carry it: what people type in a shell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Client;
use crate::process;

pub const NAME: &str = "kcat";

const RECORDS: usize = 200;
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// kcat, its checks written here: it has no language of its own.
pub fn client(program: PathBuf) -> Client {
    let checks = vec![
        "create",
        "none",
        "gzip",
        "snappy",
        "lz4",
        "zstd",
        "headers",
        "times",
        "idempotent",
        "group",
        "commit",
    ];
    let run = move |bootstrap: &str, prefix: &str, phase: &str| {
        let kcat =
            Kcat { program: program.clone(), bootstrap: bootstrap.to_owned(), prefix: prefix.to_owned() };
        fs::create_dir_all(kcat.scratch())?;
        let mut lines = String::new();
        let mut check = |name: &str, outcome: Result<()>| match outcome {
            Ok(()) => lines.push_str(&format!("ok {name}\n")),
            Err(error) => {
                lines.push_str(&format!("fail {name}: {}\n", format!("{error:#}").replace('\n', " ")))
            }
        };
        if phase == "first" {
            check("create", kcat.create());
            for codec in CODECS {
                check(codec, kcat.codec(codec));
            }
            check("headers", kcat.headers());
            check("times", kcat.times());
            check("idempotent", kcat.idempotent());
            check("group", kcat.group());
            check("commit", kcat.commit());
        } else {
            check("restart", kcat.restart());
            check("survived", kcat.verify("gzip"));
        }
        Ok(lines)
    };
    Client { name: NAME.to_owned(), checks, run: Box::new(run) }
}

struct Kcat {
    program: PathBuf,
    bootstrap: String,
    prefix: String,
}

fn key(i: usize) -> String {
    if i % 10 == 3 { String::new() } else { format!("key-{i}") }
}

fn value(i: usize) -> String {
    if i % 10 == 7 {
        return String::new();
    }
    format!("value-{i}{}", " the same words again and again".repeat(i % 13))
}

impl Kcat {
    fn scratch(&self) -> PathBuf {
        process::target().join("judges/kcat")
    }

    fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args([
            "-b",
            &self.bootstrap,
            "-X",
            "heartbeat.interval.ms=200",
            "-X",
            "session.timeout.ms=10000",
        ]);
        command.args(["-X", "fetch.wait.max.ms=50"]);
        command
    }

    fn say(&self, arguments: &[&str]) -> Result<String> {
        process::checked(self.command().args(arguments), Duration::from_secs(30))
    }

    /// Sends `lines`, one record each.
    fn produce(&self, topic: &str, lines: &[String], arguments: &[&str]) -> Result<()> {
        let file = self.scratch().join(format!("{topic}.in"));
        fs::write(&file, lines.join("\n") + "\n")?;
        let topic = self.topic(topic);
        let file = file.display().to_string();
        let mut all = vec!["-P", "-t", &topic, "-X", "linger.ms=20"];
        all.extend(arguments);
        all.extend(["-l", &file]);
        self.say(&all).map(drop)
    }

    /// Reads to the end; one JSON value for every record.
    fn consume(&self, topic: &str, arguments: &[&str]) -> Result<Vec<Value>> {
        let topic = self.topic(topic);
        let mut all = vec!["-C", "-t", &topic, "-e", "-q", "-J"];
        all.extend(arguments);
        self.say(&all)?.lines().map(|line| serde_json::from_str(line).context("kcat's JSON")).collect()
    }

    /// Topics that nobody created appear with the first record, with the server's number of partitions.
    fn create(&self) -> Result<()> {
        self.produce("auto", &["first".to_owned()], &[])?;
        let listed: Value = serde_json::from_str(&self.say(&["-L", "-J"])?)?;
        let topics = listed["topics"].as_array().context("kcat lists topics")?;
        let ours =
            topics.iter().find(|t| t["topic"] == self.topic("auto").as_str()).context("it is not listed")?;
        let partitions = ours["partitions"].as_array().map_or(0, Vec::len);
        ensure!(partitions == 2, "2 partitions, not {partitions}");
        let brokers = listed["brokers"].as_array().map_or(0, Vec::len);
        ensure!(brokers == super::copies(), "{brokers} brokers are listed");
        Ok(())
    }

    fn codec(&self, codec: &str) -> Result<()> {
        let lines: Vec<String> = (0..RECORDS).map(|i| format!("{}\t{}", key(i), value(i))).collect();
        self.produce(codec, &lines, &["-p", "0", "-K", "\\t", "-Z", "-z", codec])?;
        self.verify(codec)
    }

    fn verify(&self, codec: &str) -> Result<()> {
        let records = self.consume(codec, &["-p", "0", "-o", "beginning"])?;
        ensure!(records.len() == RECORDS, "{RECORDS} records, not {}", records.len());
        for (i, record) in records.iter().enumerate() {
            ensure!(record["offset"] == i, "offset {i}, not {}", record["offset"]);
            let (k, v) = (key(i), value(i));
            // kcat's JSON keeps an empty key as it is in one version and writes null in another.
            ensure!(record["key"].as_str().unwrap_or_default() == k, "the key of {i}, not {}", record["key"]);
            ensure!(record["payload"].as_str().unwrap_or_default() == v, "the value of {i}");
            ensure!(v.is_empty() == record["payload"].is_null(), "a tombstone at {i}");
        }
        Ok(())
    }

    fn headers(&self) -> Result<()> {
        let headers = ["-H", "b=1", "-H", "a=2", "-H", "b=3", "-p", "0"];
        self.produce("headers", &["v".to_owned()], &headers)?;
        let records = self.consume("headers", &["-p", "0", "-o", "beginning"])?;
        let seen = records.first().context("no record")?["headers"].to_string();
        ensure!(seen == r#"["b","1","a","2","b","3"]"#, "headers as sent, not {seen}");
        Ok(())
    }

    fn times(&self) -> Result<()> {
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|d| d.as_millis() as i64);
        self.produce("times", &["early".to_owned()], &["-p", "0"])?;
        thread::sleep(Duration::from_millis(30));
        let between = now()?;
        thread::sleep(Duration::from_millis(30));
        self.produce("times", &["late".to_owned()], &["-p", "0"])?;
        let topic = self.topic("times");
        let ask = |time: &str| -> Result<String> {
            let answer = self.say(&["-Q", "-t", &format!("{topic}:0:{time}")])?;
            Ok(answer.rsplit(' ').next().unwrap_or_default().trim().to_owned())
        };
        for (time, offset) in [(between.to_string().as_str(), "1"), ("-2", "0"), ("-1", "2")] {
            let found = ask(time)?;
            ensure!(found == offset, "offset {offset} for the time {time}, not {found}");
        }
        let records = self.consume("times", &["-p", "0", "-o", "1"])?;
        let record = records.first().context("no record")?;
        ensure!(
            record["payload"] == "late" && record["tstype"] == "create",
            "the later record, not {record}"
        );
        ensure!(record["ts"].as_i64().is_some_and(|t| t > between && t <= now().unwrap_or(0)), "its time");
        Ok(())
    }

    fn idempotent(&self) -> Result<()> {
        let lines: Vec<String> = (0..1000).map(|i| format!("once-{i}")).collect();
        let settings = ["-p", "0", "-X", "enable.idempotence=true", "-X", "batch.num.messages=20"];
        self.produce("once", &lines, &settings)?;
        let records = self.consume("once", &["-p", "0", "-o", "beginning"])?;
        let payloads: Vec<&str> = records.iter().filter_map(|r| r["payload"].as_str()).collect();
        ensure!(payloads == lines, "a thousand records, once and in order, not {}", payloads.len());
        Ok(())
    }

    /// Two members: the first has both partitions, they share, the second leaves.
    fn group(&self) -> Result<()> {
        self.produce("group", &["a".to_owned()], &["-p", "0"])?;
        let one = Member::join(self, "one")?;
        one.until("both partitions for the only member", |owned| owned == [0, 1])?;
        let two = Member::join(self, "two")?;
        one.until("one partition for the first", |owned| owned.len() == 1)?;
        two.until("one partition for the second", |owned| owned.len() == 1)?;
        ensure!(one.owned()? != two.owned()?, "different partitions for the two");
        self.produce("group", &["b".to_owned(), "c".to_owned()], &["-p", "0"])?;
        self.produce("group", &["d".to_owned(), "e".to_owned()], &["-p", "1"])?;
        let start = Instant::now();
        while one.lines()? + two.lines()? < 5 {
            ensure!(start.elapsed() < Duration::from_secs(20), "5 records within 20 s");
            thread::sleep(Duration::from_millis(20));
        }
        ensure!(two.lines()? == 2, "the second reads its partition, not {}", two.lines()?);
        two.leave()?;
        one.until("both partitions for the one that stayed", |owned| owned == [0, 1])?;
        one.leave()
    }

    fn commit(&self) -> Result<()> {
        let lines: Vec<String> = (0..10).map(|i| format!("value-{i}")).collect();
        self.produce("commit", &lines, &["-p", "0"])?;
        self.read_on(7, "value-0")
    }

    fn restart(&self) -> Result<()> {
        self.read_on(3, "value-7")
    }

    /// The group reads `count` records, the first of which is `first`, and commits on its way out.
    fn read_on(&self, count: usize, first: &str) -> Result<()> {
        let group = self.topic("commit");
        let count = count.to_string();
        let settings = ["-X", "auto.offset.reset=earliest", "-q", "-c", &count];
        let mut all = vec!["-G", &group];
        all.extend(settings);
        all.push(&group);
        let read = self.say(&all)?;
        ensure!(read.lines().next() == Some(first), "{first} first, not {:?}", read.lines().next());
        ensure!(read.lines().count().to_string() == count, "{count} records");
        Ok(())
    }
}

/// A kcat that is a member of the group for as long as it runs.
struct Member {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Member {
    fn join(kcat: &Kcat, name: &str) -> Result<Member> {
        let out = kcat.scratch().join(format!("{name}.out"));
        let err = kcat.scratch().join(format!("{name}.err"));
        let mut command = kcat.command();
        command.args([
            "-G",
            &kcat.topic("group"),
            "-u",
            "-X",
            "auto.offset.reset=earliest",
            &kcat.topic("group"),
        ]);
        command.stdin(Stdio::null()).stdout(fs::File::create(&out)?).stderr(fs::File::create(&err)?);
        Ok(Member { child: command.spawn()?, out, err })
    }

    /// The partitions of the last assignment; nothing after a revocation.
    fn owned(&self) -> Result<Vec<u32>> {
        let text = fs::read_to_string(&self.err)?;
        let Some(line) = text.lines().rfind(|line| line.contains("rebalanced")) else {
            return Ok(Vec::new());
        };
        let Some((_, assigned)) = line.split_once("assigned:") else { return Ok(Vec::new()) };
        let mut numbers: Vec<u32> =
            assigned.split('[').skip(1).filter_map(|part| part.split(']').next()?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn until(&self, what: &str, enough: impl Fn(&[u32]) -> bool) -> Result<()> {
        let start = Instant::now();
        while !enough(&self.owned()?) {
            if start.elapsed() > Duration::from_secs(20) {
                bail!("{what} within 20 s; it says: {}", tail(&self.err));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn lines(&self) -> Result<usize> {
        Ok(fs::read_to_string(&self.out)?.lines().count())
    }

    fn leave(mut self) -> Result<()> {
        process::signal(self.child.id(), "TERM");
        let ended = process::wait(&mut self.child, Duration::from_secs(20))?;
        ensure!(ended.is_some(), "kcat is still there 20 s after SIGTERM");
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(3)..].join(" | ")
}
