//! The four ways: whose tool on whose node. Each has a node of its own, so that what a tool changes is seen by the same
//! way alone, and everything has the same name everywhere.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::jvm::Jvm;
use super::masks::Own;
use super::script::{Run, Setup};
use crate::peers::{self, Jars};
use crate::process;
use crate::server::{Server, Site, System, binary};

/// How long a step of the preparation may take.
const SETUP: Duration = Duration::from_secs(30);

/// How long a node may take to serve: four start at the same time.
const START: Duration = Duration::from_secs(180);

/// How an invocation ended.
pub struct Answer {
    /// None: it was still running when its time was over.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Whose tool, on whose node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    pub tool: System,
    pub node: System,
}

/// All four; the first one is what the others are compared with.
pub const WAYS: [Way; 4] = [
    Way { tool: System::Apache, node: System::Apache },
    Way { tool: System::Ottla, node: System::Apache },
    Way { tool: System::Ottla, node: System::Ottla },
    Way { tool: System::Apache, node: System::Ottla },
];

impl Way {
    pub fn name(self) -> &'static str {
        match (self.tool, self.node) {
            (System::Apache, System::Apache) => "Apache's tool on Apache",
            (System::Ottla, System::Apache) => "our tool on Apache",
            (System::Ottla, System::Ottla) => "our tool on Ottla",
            (System::Apache, System::Ottla) => "Apache's tool on Ottla",
        }
    }

    fn directory(self) -> &'static str {
        match (self.tool, self.node) {
            (System::Apache, System::Apache) => "apache-on-apache",
            (System::Ottla, System::Apache) => "ours-on-apache",
            (System::Ottla, System::Ottla) => "ours-on-ottla",
            (System::Apache, System::Ottla) => "apache-on-ottla",
        }
    }
}

/// A way with its running node.
pub struct World {
    pub way: Way,
    /// Killed when the world is dropped.
    _server: Server,
    /// Where its tools run and find their files.
    dir: PathBuf,
    /// What `{NAME}` stands for.
    names: BTreeMap<String, String>,
}

impl World {
    /// Starts the way's node and prepares its directory.
    pub fn start(way: Way, ports: [u16; 2]) -> Result<World> {
        let mut site = Site::fresh(&format!("compat-tools/{}", way.directory()))?
            .with("group.min.session.timeout.ms", "1000")
            // Four nodes on a busy machine: a broker that comes late is not gone.
            .with("broker.session.timeout.ms", "120000")
            .with("offsets.topic.num.partitions", "1")
            .with("transaction.state.log.num.partitions", "1")
            .with("share.coordinator.state.topic.num.partitions", "1")
            .with("share.coordinator.state.topic.replication.factor", "1")
            .with("share.coordinator.state.topic.min.isr", "1");
        [site.port, site.controller_port] = ports;
        let dir = site.dir.join("work");
        fs::create_dir_all(&dir)?;
        let server = Server::start_within(way.node, &site, START)?;
        let names = [
            ("b", site.bootstrap()),
            ("c", format!("localhost:{}", site.controller_port)),
            ("port", site.port.to_string()),
            ("cport", site.controller_port.to_string()),
            ("dead", "localhost:1".to_owned()),
            ("dir", dir.display().to_string()),
            ("data", site.data().display().to_string()),
            ("properties", site.properties().display().to_string()),
        ];
        let names = names.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(World { way, _server: server, dir, names })
    }

    /// The texts of this world that no other has.
    pub fn own(&self) -> Own {
        let of = |name: &str| self.names[name].clone();
        Own {
            names: vec![
                (of("dir"), "{dir}"),
                (of("properties"), "{properties}"),
                (of("data"), "{data}"),
                (of("cport"), "{cport}"),
                (of("port"), "{port}"),
            ],
        }
    }

    /// The text with this world's values in place of `{NAME}`.
    pub fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.names {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    fn fill_all(&self, words: &[String]) -> Vec<String> {
        words.iter().map(|word| self.fill(word)).collect()
    }

    /// Writes a file into the way's directory.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.place(name)?, self.fill(text)).with_context(|| name.to_owned())
    }

    /// Copies a file into the way's directory.
    pub fn copy(&self, from: &str, to: &str) -> Result<()> {
        let from = self.fill(from);
        fs::copy(&from, self.place(to)?).with_context(|| from.clone()).map(drop)
    }

    fn place(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(path)
    }

    /// A step of the preparation, done with our tool in every world; it must succeed.
    pub fn setup(&mut self, setup: &Setup) -> Result<()> {
        let mut command = Command::new(binary());
        command.arg(&setup.tool).args(self.fill_all(&setup.words));
        let limit = setup.kill.unwrap_or(SETUP);
        let answer = self.process(&mut command, &self.fill(&setup.input), limit, Interrupt::Never)?;
        let expected = if setup.kill.is_some() { None } else { Some(0) };
        ensure!(
            answer.code == expected,
            "{}: {} {:?} ended with {:?}\n{}{}",
            self.way.name(),
            setup.tool,
            setup.words,
            answer.code,
            answer.out,
            answer.err
        );
        if let Some((name, after)) = &setup.capture {
            let mut found = answer.out.split_whitespace().skip_while(|word| word != after).skip(1);
            let value = found.next().with_context(|| format!("no '{after}' in\n{}", answer.out))?;
            self.names.insert(name.clone(), value.to_owned());
        }
        Ok(())
    }

    /// A step of the preparation, done with Apache's tool in every world. What the node does not serve fails here and is
    /// judged by what follows.
    pub fn apache(&self, tool: &str, words: &[String], jvm: &Jvm) -> Result<()> {
        jvm.run(peers::class(tool)?, &self.fill_all(words), "", SETUP, None).map(drop)
    }

    /// One judged invocation.
    pub fn run(&self, tool: &str, run: &Run, apache: &Apache<'_>) -> Result<Answer> {
        let words = self.fill_all(&run.words);
        let input = self.fill(&run.input);
        let interrupt = match (&run.until, run.interrupt) {
            (Some(text), _) => Interrupt::Said(text),
            (None, Some(after)) => Interrupt::After(after),
            (None, None) => Interrupt::Never,
        };
        match self.way.tool {
            System::Apache if !apache.process => {
                apache.jvm.run(peers::class(tool)?, &words, &input, run.limit, run.interrupt)
            }
            System::Apache => {
                let (tries, limit) = apache.tries.unwrap_or((1, run.limit));
                for _ in 1..tries {
                    let mut command = peers::tool(apache.jars, tool)?;
                    let answer = self.process(command.args(&words), &input, limit, interrupt)?;
                    if answer.code.is_some() {
                        return Ok(answer);
                    }
                }
                let mut command = peers::tool(apache.jars, tool)?;
                self.process(command.args(words), &input, limit, interrupt)
            }
            System::Ottla => {
                let mut command = Command::new(binary());
                command.arg(tool).args(words);
                self.process(&mut command, &input, run.limit, interrupt)
            }
        }
    }

    fn process(
        &self,
        command: &mut Command,
        input: &str,
        limit: Duration,
        interrupt: Interrupt<'_>,
    ) -> Result<Answer> {
        command.current_dir(&self.dir).env_remove("COLUMNS");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| process::shown(command))?;
        let mut stdin = child.stdin.take().context("its input")?;
        let typed = input.to_owned();
        // A tool that does not read must not hold the judge up.
        thread::spawn(move || stdin.write_all(typed.as_bytes()));
        let out = Said::of(child.stdout.take().context("its output")?);
        let err = Said::of(child.stderr.take().context("its errors")?);
        let code = ended(&mut child, limit, interrupt, &out)?;
        Ok(Answer { code, out: out.whole()?, err: err.whole()? })
    }
}

/// What runs Apache's tools.
pub struct Apache<'j> {
    pub jvm: &'j Jvm,
    pub jars: &'j Jars,
    pub process: bool,
    /// How often a process that gets stuck is started, and how long it may take each time.
    pub tries: Option<(usize, Duration)>,
}

/// When a process gets SIGINT.
#[derive(Clone, Copy)]
enum Interrupt<'t> {
    Never,
    After(Duration),
    /// As soon as it has said this on standard output.
    Said(&'t str),
}

/// What a process has said so far.
struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Said {
    fn of(mut stream: impl Read + Send + 'static) -> Said {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let to = bytes.clone();
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut piece) {
                to.lock().expect("not poisoned").extend_from_slice(&piece[..count]);
            }
        });
        Said { bytes, reader }
    }

    fn has(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.bytes.lock().expect("not poisoned")).contains(text)
    }

    /// All of it, once the process has ended.
    fn whole(self) -> Result<String> {
        ensure!(self.reader.join().is_ok(), "its output cannot be read");
        Ok(String::from_utf8_lossy(&self.bytes.lock().expect("not poisoned")).into_owned())
    }
}

/// The exit code as a shell gives it (130 after SIGINT); None when it had to be killed.
fn ended(child: &mut Child, limit: Duration, interrupt: Interrupt<'_>, out: &Said) -> Result<Option<i32>> {
    use std::os::unix::process::ExitStatusExt as _;
    let start = Instant::now();
    let mut status = match interrupt {
        Interrupt::Never => None,
        Interrupt::After(after) => process::wait(child, after)?,
        Interrupt::Said(text) => loop {
            let status = process::wait(child, Duration::from_millis(50))?;
            if status.is_some() || start.elapsed() > limit || out.has(text) {
                break status;
            }
        },
    };
    if status.is_none() && !matches!(interrupt, Interrupt::Never) {
        process::signal(child.id(), "INT");
    }
    if status.is_none() {
        status = process::wait(child, limit.saturating_sub(start.elapsed()).max(Duration::from_secs(5)))?;
    }
    match status {
        Some(status) => Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal))),
        None => {
            child.kill()?;
            child.wait()?;
            Ok(None)
        }
    }
}
