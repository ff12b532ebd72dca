//! Clients at work while nodes change hands: Apache Kafka's Java client and librdkafka (kcat) as idempotent producers and as
//! members of groups; an administrator; Apache Kafka's tools.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::machine::Need;
use crate::peers::{self, Jars};
use crate::process;

/// How long a program may take to end after it was asked to.
const END: Duration = Duration::from_secs(90);

/// How long a tool may take; a JVM on a busy machine is slow to start.
const TOOL: Duration = Duration::from_secs(240);

/// A program of one class, compiled.
pub struct Java {
    jars: Jars,
    classes: PathBuf,
    class: &'static str,
}

impl Java {
    /// `Mixed.java`.
    pub fn new() -> Result<Java> {
        Java::of("mixed", "Mixed")
    }

    /// `xtask/judges/DIR/CLASS.java`.
    pub fn of(dir: &str, class: &'static str) -> Result<Java> {
        let jars = peers::install()?;
        let source = process::root().join("xtask/judges").join(dir).join(format!("{class}.java"));
        let classes = process::target().join("peers").join(format!("judge-{dir}"));
        fs::create_dir_all(&classes)?;
        let mut javac = Command::new(jars.javac());
        javac.args(["-nowarn", "-proc:none", "-d"]).arg(&classes);
        javac.arg("-cp").arg(jars.class_path()).arg(source);
        process::checked(&mut javac, Duration::from_secs(120))?;
        Ok(Java { jars, classes, class })
    }

    pub fn command(&self, bootstrap: &str, words: &[&str]) -> Command {
        let logging = process::root().join("xtask/judges/peers/log4j2.properties");
        let mut java = Command::new(self.jars.java());
        java.args(["-Xmx96M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dpeer.log.level=WARN"]);
        java.arg(format!("-Dlog4j2.configurationFile={}", logging.display())).arg("-cp");
        java.arg(format!("{}:{}", self.classes.display(), self.jars.class_path()));
        java.arg(self.class).arg(bootstrap).args(words);
        java
    }
}

/// A tool of Apache Kafka's release; what it says on standard output.
pub fn tool(name: &str, arguments: &[&str]) -> Result<String> {
    let mut tool = peers::tool(&peers::install()?, name)?;
    process::checked(tool.args(arguments), TOOL)
}

/// A program in the background that works until its standard input ends. Dropped, it is killed.
pub struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    said: PathBuf,
}

impl Program {
    /// What it says goes to `DIR/NAME.out` and `DIR/NAME.err`.
    pub fn start(dir: &Path, name: &str, mut command: Command) -> Result<Program> {
        let said = dir.join(format!("{name}.out"));
        command.stdin(Stdio::piped()).stdout(File::create(&said)?);
        command.stderr(File::create(dir.join(format!("{name}.err")))?);
        let mut child = command.spawn().with_context(|| process::shown(&command))?;
        let input = child.stdin.take();
        Ok(Program { name: name.to_owned(), child, input, said })
    }

    pub fn said(&self) -> String {
        fs::read(&self.said).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    fn complaints(&self) -> String {
        let file = self.said.with_extension("err");
        let text = fs::read(file).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// It still works.
    pub fn works(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}):\n{}", self.name, self.complaints());
        }
        Ok(())
    }

    /// Ends its input, or sends it SIGTERM; it must end by itself, and well. What it said.
    pub fn end(mut self, by_signal: bool) -> Result<String> {
        drop(self.input.take());
        if by_signal {
            process::signal(self.child.id(), "TERM");
        }
        let status = process::wait(&mut self.child, END)?;
        let status = status.with_context(|| format!("{} does not end:\n{}", self.name, self.complaints()))?;
        ensure!(status.success(), "{} ended with {status}:\n{}", self.name, self.complaints());
        Ok(self.said())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// librdkafka as an idempotent producer with acks=all: kcat, fed line by line.
pub struct Librdkafka {
    program: Program,
    stop: Arc<AtomicBool>,
    lines: Arc<AtomicUsize>,
    feeder: JoinHandle<Result<()>>,
}

fn kcat() -> Result<Command> {
    let kcat = Need::Kcat.find().with_context(|| format!("lacking: {}", Need::Kcat.how()))?;
    Ok(Command::new(kcat))
}

impl Librdkafka {
    pub fn produce(dir: &Path, bootstrap: &str, topic: &str, tag: &str) -> Result<Librdkafka> {
        let mut command = kcat()?;
        command.args(["-P", "-E", "-b", bootstrap, "-t", topic, "-X", "enable.idempotence=true"]);
        command.args(["-X", "acks=all", "-X", "linger.ms=5"]);
        let mut program = Program::start(dir, "librdkafka-producer", command)?;
        let mut input = program.input.take().context("its input")?;
        let (stop, lines) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, written, tag) = (stop.clone(), lines.clone(), tag.to_owned());
        let feeder = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let number = written.load(Ordering::Relaxed);
                writeln!(input, "{tag}:{number}").context("kcat takes no more")?;
                written.store(number + 1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        });
        Ok(Librdkafka { program, stop, lines, feeder })
    }

    pub fn works(&mut self) -> Result<()> {
        self.program.works()
    }

    /// The number of records that it was given; it ends well when all of them are acknowledged.
    pub fn end(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let fed = self.feeder.join().map_err(|_| anyhow::anyhow!("kcat's feeder panicked"))?;
        let lines = self.lines.load(Ordering::Relaxed);
        let complaints = self.program.complaints();
        self.program.end(false)?;
        fed?;
        ensure!(!complaints.contains("Delivery failed"), "librdkafka: {complaints}");
        Ok(lines)
    }
}

/// librdkafka as a group's member; what it was given goes to its output, `PARTITION OFFSET VALUE`.
pub fn librdkafka_member(dir: &Path, bootstrap: &str, topic: &str, group: &str) -> Result<Program> {
    let mut command = kcat()?;
    command.args(["-G", group, "-E", "-b", bootstrap, "-u", "-q", "-X", "auto.offset.reset=earliest"]);
    command.args(["-X", "auto.commit.interval.ms=500", "-f", "%p %o %s\\n", topic]);
    Program::start(dir, "librdkafka-member", command)
}

/// Everything in a topic: each value with the places where it lies.
pub fn read_all(bootstrap: &str, topic: &str) -> Result<HashMap<String, Vec<(i32, i64)>>> {
    let mut command = kcat()?;
    command.args(["-C", "-e", "-q", "-o", "beginning", "-b", bootstrap, "-t", topic]);
    command.args(["-X", "check.crcs=true", "-f", "%p %o %s\\n"]);
    let text = process::checked(&mut command, Duration::from_secs(60))?;
    let mut found: HashMap<String, Vec<(i32, i64)>> = HashMap::new();
    for line in text.lines() {
        let (partition, offset, value) = three(line)?;
        found.entry(value.to_owned()).or_default().push((partition, offset));
    }
    Ok(found)
}

/// `PARTITION OFFSET VALUE`.
fn three(line: &str) -> Result<(i32, i64, &str)> {
    let mut words = line.splitn(3, ' ');
    let partition = words.next().context("a partition")?.parse().with_context(|| line.to_owned())?;
    let offset = words.next().context("an offset")?.parse().with_context(|| line.to_owned())?;
    Ok((partition, offset, words.next().context("a value")?))
}

/// How often each value was given to a member, from its book.
pub fn given(book: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    // The last line may be under way.
    let whole = &book[..book.rfind('\n').map_or(0, |at| at + 1)];
    for (_, _, value) in whole.lines().filter_map(|line| three(line).ok()) {
        *counts.entry(value.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// A Java producer's book: (number, partition, offset) of every acknowledged record.
pub fn acknowledged(book: &Path) -> Result<Vec<(usize, i32, i64)>> {
    let text = fs::read_to_string(book).with_context(|| book.display().to_string())?;
    let line = |line: &str| -> Result<(usize, i32, i64)> {
        let numbers: Vec<&str> = line.split(' ').collect();
        let [number, partition, offset] = numbers[..] else { bail!("'{line}'") };
        Ok((number.parse()?, partition.parse()?, offset.parse()?))
    };
    text.lines().map(line).collect()
}

/// Until `ready` says so.
pub fn until(what: &str, limit: Duration, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    loop {
        let last = ready();
        match last {
            Ok(true) => return Ok(()),
            Ok(false) if start.elapsed() > limit => bail!("not {what} within {} s", limit.as_secs()),
            Err(error) if start.elapsed() > limit => return Err(error.context(what.to_owned())),
            _ => thread::sleep(Duration::from_millis(100)),
        }
    }
}
