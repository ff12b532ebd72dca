//! `cargo xtask docs --check`: every block of the README and of the guides is run, in order, in a fresh directory with the
//! release tree, on hosts that are namespaces of their own; what a guide shows as output is compared. A guide and its
//! translation have the same blocks, and links lead somewhere. What is not run is listed with its reason.

mod compare;
mod markdown;
mod provide;
mod session;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::machine::Need;
use crate::tally::Tally;
use crate::{dist, machine, process};
use markdown::{Block, Step};
use session::{How, Lan, Session};

/// What blocks of the guides take beside cargo; those that lack something are listed as not run.
pub const NEEDS: &[Need] = &[Need::Namespaces, Need::Kcat, Need::Jdk, Need::Maven, Need::Python, Need::Node];

const USAGE: &str = "usage: cargo xtask docs --check [GUIDE]";
const LIMIT: Duration = Duration::from_secs(120);

/// Checks all pages, or runs the one guide whose path has this word.
pub fn run(words: &[&str]) -> Result<()> {
    let only = match words {
        ["--check"] => None,
        ["--check", word] => Some(*word),
        _ => bail!("{USAGE}"),
    };
    if as_root_of_a_namespace(words)? {
        return Ok(());
    }
    let mut tally = Tally::new("docs");
    let guides = read(&mut tally, only)?;
    ensure!(!guides.is_empty(), "no guide '{}'", only.unwrap_or_default());
    let mut left = Vec::new();
    match lacking() {
        None => {
            dist::lay_out()?;
            for guide in &guides {
                Walk::of(guide, &mut tally, &mut left).walk();
            }
        }
        Some(how) => {
            let blocks = guides.iter().flat_map(|guide| guide.blocks().map(|block| guide.place(block.line)));
            left.extend(blocks.map(|place| (place, format!("lacking: {how}"))));
        }
    }
    println!("\nnot run: {} block(s)", left.len());
    for (place, reason) in &left {
        println!("  {place}: {reason}");
    }
    tally.close()
}

/// A page and its steps.
struct Guide {
    path: String,
    steps: Vec<Step>,
}

impl Guide {
    fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.steps.iter().filter_map(|step| match step {
            Step::Block(block) => Some(block),
            _ => None,
        })
    }
}

/// Reads every page; what can be said without running anything is checked on the way.
fn read(tally: &mut Tally, only: Option<&str>) -> Result<Vec<Guide>> {
    let root = process::root();
    let mut guides = Vec::new();
    let mut pages = vec!["README.md".to_owned()];
    for dir in ["docs", "docs/guides", "docs/formats"] {
        for entry in fs::read_dir(root.join(dir))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            pages.extend(name.ends_with(".md").then(|| format!("{dir}/{name}")));
        }
    }
    pages.sort();
    for path in pages {
        let text = fs::read_to_string(root.join(&path))?;
        tally.note(&format!("{path}: its links"), compare::links(&root.join(&path), &text));
        let guide = path == "README.md" || path.starts_with("docs/guides/");
        if !guide {
            continue;
        }
        if let Some(original) = path.strip_suffix(".ko.md") {
            let original = fs::read_to_string(root.join(format!("{original}.md")));
            let same =
                original.map_err(Into::into).and_then(|original| compare::translation(&original, &text));
            tally.note(&format!("{path}: the blocks of the original"), same);
            continue;
        }
        if path != "README.md" {
            let korean = root.join(path.replace(".md", ".ko.md"));
            tally.note(
                &format!("{path}: it is there in Korean"),
                korean.exists().then_some(()).context("there is no .ko.md"),
            );
        }
        let steps = markdown::steps(&text).with_context(|| path.clone())?;
        if only.is_none_or(|only| path.contains(only)) {
            guides.push(Guide { path, steps });
        }
    }
    Ok(guides)
}

/// What this machine lacks for hosts of their own.
fn lacking() -> Option<String> {
    let missing =
        ["bash", "unshare", "nsenter", "ip"].into_iter().find(|name| machine::on_path(name).is_none());
    if let Some(name) = missing {
        return Some(format!("{name} (apt-get install bash util-linux iproute2)"));
    }
    let words =
        ["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "true"];
    let made = process::checked(Command::new("unshare").args(words), Duration::from_secs(20));
    made.is_err().then(|| "the right to make namespaces (run as root)".to_owned())
}

/// Who is not root may be root of a user namespace: runs all of this there. False: this process is root, or stays what
/// it is.
fn as_root_of_a_namespace(words: &[&str]) -> Result<bool> {
    let id = process::checked(Command::new("id").arg("-u"), Duration::from_secs(5))?;
    let inside = ["--user", "--map-root-user"];
    let may = || {
        process::checked(Command::new("unshare").args(inside).arg("true"), Duration::from_secs(20)).is_ok()
    };
    if id.trim() == "0" || machine::on_path("unshare").is_none() || !may() {
        return Ok(false);
    }
    // The build takes its own user's directories and rights.
    dist::lay_out()?;
    process::stream(
        Command::new("unshare").args(inside).arg(std::env::current_exe()?).arg("docs").args(words),
    )?;
    Ok(true)
}

/// One guide on its way.
struct Walk<'a> {
    guide: &'a Guide,
    tally: &'a mut Tally,
    left: &'a mut Vec<(String, String)>,
    kept: Vec<PathBuf>,
    act: usize,
    empty: bool,
    hosts: Vec<String>,
    sessions: BTreeMap<String, Session>,
    lan: Option<Lan>,
    /// The place of the block that failed: what comes after it in this act means nothing.
    broken: Option<String>,
}

impl<'a> Walk<'a> {
    fn of(guide: &'a Guide, tally: &'a mut Tally, left: &'a mut Vec<(String, String)>) -> Walk<'a> {
        let target = process::target();
        let mut kept = vec![process::root(), target.clone(), target.join("peers")];
        kept.iter_mut().for_each(|path| *path = path.canonicalize().unwrap_or_else(|_| path.clone()));
        kept.sort();
        // A directory in another that is kept comes with it.
        let all = kept.clone();
        kept.retain(|path| !all.iter().any(|other| other != path && path.starts_with(other)));
        kept.dedup();
        Walk {
            guide,
            tally,
            left,
            kept,
            act: 0,
            empty: false,
            hosts: Vec::new(),
            sessions: BTreeMap::new(),
            lan: None,
            broken: None,
        }
    }

    fn walk(mut self) {
        println!("-- {}", self.guide.path);
        for step in &self.guide.steps {
            match step {
                Step::Fresh => {
                    self.sessions.clear();
                    self.lan = None;
                    self.hosts.clear();
                    self.broken = None;
                    self.act += 1;
                }
                Step::Hosts(hosts) => self.hosts.clone_from(hosts),
                Step::EmptyDirectory => self.empty = true,
                Step::Provide { line, what } => {
                    let provided = match provide::lacks(what) {
                        // The blocks that need it say so.
                        Ok(Some(_)) => Ok(()),
                        Ok(None) => provide::stand_in(what).and_then(|script| self.hidden(&[], &script)),
                        Err(error) => Err(error),
                    };
                    if let Err(error) = provided {
                        let place = self.guide.place(*line);
                        self.broken = Some(place.clone());
                        self.tally.note(&place, Err(error));
                    }
                }
                Step::Hidden { line, on, text } => {
                    if self.broken.is_some() {
                        continue;
                    }
                    if let Err(error) = self.hidden(on, text) {
                        let place = self.guide.place(*line);
                        self.broken = Some(place.clone());
                        self.tally.note(&place, Err(error));
                    }
                }
                Step::Block(block) => self.block(block),
            }
        }
    }

    fn hidden(&mut self, on: &[String], text: &str) -> Result<()> {
        for host in self.typed_on(on) {
            let ran = self.session(&host)?.run(text, How::Good, LIMIT)?;
            ensure!(ran.good, "on {host} it failed; it printed\n{}", ran.printed);
        }
        Ok(())
    }

    fn block(&mut self, block: &Block) {
        let place = format!("{} {}", self.guide.place(block.line), block.language);
        if let Some(reason) = &block.marks.not_run {
            self.left.push((place, reason.clone()));
            return;
        }
        for need in &block.marks.needs {
            match provide::lacks(need) {
                Ok(None) => {}
                Ok(Some(how)) => {
                    self.left.push((place, format!("lacking: {how}")));
                    return;
                }
                Err(error) => {
                    self.tally.note(&place, Err(error));
                    return;
                }
            }
        }
        if let Some(broken) = &self.broken {
            let broken = format!("not reached: {broken} failed");
            self.tally.note(&place, Err(anyhow!(broken)));
            return;
        }
        if let Some(what) = &block.marks.stands_in {
            let reason =
                format!("it installs from the network; what the judges installed for {what} stands in");
            self.left.push((place.clone(), reason));
            if let Err(error) =
                provide::stand_in(what).and_then(|script| self.hidden(&block.marks.on, &script))
            {
                self.broken = Some(place.clone());
                self.tally.note(&place, Err(error));
            }
            return;
        }
        let start = Instant::now();
        let outcome = self.try_block(block);
        if outcome.is_err() {
            self.broken = Some(self.guide.place(block.line));
        }
        self.tally.note(&format!("{place}  ({:.1} s)", start.elapsed().as_secs_f64()), outcome);
    }

    fn try_block(&mut self, block: &Block) -> Result<()> {
        let script = script(block)?;
        for host in self.typed_on(&block.marks.on) {
            let session = self.session(&host)?;
            match block.marks.within {
                None => once(session, block, &script)?,
                Some(seconds) => {
                    let start = Instant::now();
                    while let Err(error) = once(session, block, &script) {
                        if start.elapsed() > Duration::from_secs(seconds) {
                            return Err(error.context(format!("not within {seconds} s")));
                        }
                        thread::sleep(Duration::from_millis(200));
                    }
                }
            }
        }
        Ok(())
    }

    fn typed_on(&self, on: &[String]) -> Vec<String> {
        if !on.is_empty() {
            return on.to_vec();
        }
        vec![self.hosts.first().cloned().unwrap_or_else(|| "localhost".to_owned())]
    }

    fn session(&mut self, host: &str) -> Result<&mut Session> {
        if self.sessions.is_empty() {
            self.open()?;
        }
        self.sessions.get_mut(host).with_context(|| format!("no host {host}"))
    }

    /// Lays out the directories and opens a shell on every host.
    fn open(&mut self) -> Result<()> {
        let stem = self.guide.path.trim_end_matches(".md").replace('/', "-").to_lowercase();
        let everyone = process::target().join("judges/docs").join(format!("{stem}-{}", self.act));
        if everyone.exists() {
            fs::remove_dir_all(&everyone)?;
        }
        fs::create_dir_all(&everyone)?;
        let everyone = everyone.canonicalize()?;
        let hosts = if self.hosts.is_empty() { vec!["localhost".to_owned()] } else { self.hosts.clone() };
        let mut names = "127.0.0.1 localhost\n".to_owned();
        for (index, host) in self.hosts.iter().enumerate() {
            names.push_str(&format!("{} {host}\n", session::address(index)));
        }
        fs::write(everyone.join("names"), names)?;
        for host in &hosts {
            let home = everyone.join(host).join("ottla");
            fs::create_dir_all(&home)?;
            if !self.empty {
                let tree = dist::tree().join(".");
                process::checked(Command::new("cp").arg("-a").arg(tree).arg(&home), Duration::from_secs(60))?;
            }
            programs(&everyone.join(host).join("docs/bin"))?;
            let session = Session::open(&everyone, host, &self.kept).with_context(|| host.clone())?;
            self.sessions.insert(host.clone(), session);
        }
        if !self.hosts.is_empty() {
            let sessions = self.hosts.iter().filter_map(|host| self.sessions.get(host));
            self.lan = Some(Lan::connect(sessions)?);
        }
        Ok(())
    }
}

/// Programs that stand in for others: a build that was done before, the JDK that was found.
fn programs(bin: &Path) -> Result<()> {
    fs::create_dir_all(bin)?;
    let tree = dist::tree().canonicalize()?;
    let cargo = format!(
        "case \"$*\" in\n\
         'run --release -- '*) shift 3; exec '{tree}/bin/ottla' \"$@\" ;;\n\
         'xtask dist') mkdir -p target/dist && cp -a '{tree}' target/dist/ottla ;;\n\
         *) echo \"cargo $*: nothing stands in for it\" >&2; exit 1 ;;\n\
         esac",
        tree = tree.display()
    );
    program(&bin.join("cargo"), &cargo)?;
    if let Some(jdk) = machine::jdk() {
        // The judges' libraries have a logger that says everything, where a guide's reader has a silent one.
        let java = jdk.join("bin/java");
        let quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=off";
        program(&bin.join("java"), &format!("exec '{}' {quiet} \"$@\"", java.display()))?;
    }
    Ok(())
}

fn program(file: &Path, script: &str) -> Result<()> {
    fs::write(file, format!("#!/bin/sh\n{script}\n"))?;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
}

/// Runs a block once on one host and looks at what it printed.
fn once(session: &mut Session, block: &Block, script: &str) -> Result<()> {
    let marks = &block.marks;
    let how = match &marks.background {
        Some(word) => How::Background(word),
        None if marks.fails || marks.within.is_some() => How::Any,
        None => How::Good,
    };
    let ran = session.run(script, how, LIMIT)?;
    if ran.good == marks.fails {
        let what = if marks.fails { "it should fail" } else { "it failed" };
        bail!("{what}; it printed\n{}", ran.printed);
    }
    block.shown.as_deref().map_or(Ok(()), |shown| compare::output(shown, &ran.printed))
}

/// The block as a script of the shell: its own lines, or a file that it is saved as and what its first line says to do
/// with it.
fn script(block: &Block) -> Result<String> {
    if block.language == "sh" {
        return Ok(block.typed());
    }
    ensure!(
        matches!(block.language.as_str(), "python" | "java" | "js" | "go" | "c" | "properties" | "yaml"),
        "a block of '{}' is not run: mark it, with a reason",
        block.language
    );
    let (file, command) = block.file()?;
    Ok(format!(
        "cat >{file} <<'END OF BLOCK'\n{}END OF BLOCK\n{}\n",
        block.typed(),
        command.unwrap_or_default()
    ))
}
