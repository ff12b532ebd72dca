//! `cargo xtask it seeds [S0..S4]`: the five tutorials of the acceptance list, replayed as a person types them, from the
//! archive that `dist` packs, on machines with the tutorials' own names, addresses, ports and paths. Every row of the
//! list and every trouble ends with an outcome: what was seen in this run, never what was thought of it.

mod book;
mod docs;
mod host;
mod relay;
mod rows;
mod s0;
mod s1;
mod s2;
mod s3;
mod s4;
mod said;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use self::book::Book;
use self::host::{Host, Shell};
use crate::dist;
use crate::machine::Need;
use crate::process;
use crate::server::System;
use crate::tally::Tally;

pub use self::relay::serve as relay;

pub const NEEDS: &[Need] = &[Need::Namespaces];

type Replay = fn(&mut Book, &Release) -> Result<()>;
const TUTORIALS: &[(&str, Replay)] =
    &[("S0", s0::replay), ("S1", s1::replay), ("S2", s2::replay), ("S3", s3::replay), ("S4", s4::replay)];

/// Goes through the tutorials, or the one that `it seeds WORD` names, and prints the table.
pub fn run(tally: &mut Tally, system: System) {
    if system != System::Ottla {
        tally.note("seeds", Err(anyhow!("the tutorials are typed into our release tree")));
        return;
    }
    let only = tally.word().map(str::to_owned);
    let outcome = (|| {
        let release = Release::pack()?;
        let mut book = Book::default();
        let chosen = |name: &str| only.as_deref().is_none_or(|only| only == name);
        for (name, replay) in TUTORIALS {
            if !chosen(name) {
                book.gap(name, false, format!("only {} was asked for", only.as_deref().unwrap_or_default()));
                continue;
            }
            let start = Instant::now();
            println!("== {name}");
            if let Err(error) = replay(&mut book, &release) {
                book.gap(name, true, format!("{name} broke off: {error:#}"));
            }
            println!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
        }
        docs::look(&mut book, only.is_some());
        book.close(tally).map(drop)
    })();
    if let Err(error) = outcome {
        tally.note("seeds", Err(error));
    }
}

/// The archive that a person downloads.
pub struct Release {
    pub archive: PathBuf,
    /// The directory that it unpacks to.
    pub name: String,
    /// Where gpg keeps the key that signed it.
    pub keys: PathBuf,
}

impl Release {
    fn pack() -> Result<Release> {
        let keys = process::target().join("judges/keys");
        let signer = Some(dist::Signer::throwaway(&keys)?);
        dist::run(&dist::Release { is_static: true, signer, ..Default::default() })?;
        let mut archives: Vec<PathBuf> = fs::read_dir(process::target().join("dist"))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "tgz"))
            .collect();
        archives.sort_by_key(|path| fs::metadata(path).and_then(|m| m.modified()).ok());
        let archive = archives.pop().context("dist packs an archive")?;
        let mut list = Command::new("tar");
        let list = process::checked(list.arg("-tzf").arg(&archive), Duration::from_secs(60))?;
        let name = list.lines().next().and_then(|line| line.split('/').next()).context("it holds files")?;
        Ok(Release { name: name.to_owned(), archive: archive.canonicalize()?, keys: keys.canonicalize()? })
    }

    /// What `wget` leaves in the user's directory.
    pub fn download(&self, host: &Host) -> Result<String> {
        let file = self.archive.file_name().context("a name")?.to_string_lossy().into_owned();
        fs::copy(&self.archive, host.work().join(&file))?;
        Ok(file)
    }

    /// Downloaded, unpacked and renamed to `kafka` in the user's directory; a shell inside.
    pub fn unpack<'h>(&self, host: &'h Host) -> Result<Shell<'h>> {
        let file = self.download(host)?;
        host.types(&format!("tar xzf {file} && mv {} kafka", self.name))?.code(0)?;
        Ok(host.shell(host.work().join("kafka")))
    }
}

/// What one does with vi: the lines `KEY=...` become these; what was not there comes at the end.
pub fn vi(file: &Path, lines: &[&str]) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let mut left: Vec<&str> = lines.to_vec();
    let mut out = Vec::new();
    for line in text.lines() {
        let new = left.iter().position(|new| !line.starts_with('#') && key(new) == key(line));
        match new {
            Some(at) => out.push(left.remove(at).to_owned()),
            None => out.push(line.to_owned()),
        }
    }
    out.extend(left.into_iter().map(str::to_owned));
    fs::write(file, out.join("\n") + "\n")?;
    Ok(())
}

/// The file without the lines of these keys.
pub fn without(file: &Path, keys: &[&str]) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let kept = text.lines().filter(|line| !keys.iter().any(|key| line.starts_with(&format!("{key}="))));
    fs::write(file, kept.collect::<Vec<_>>().join("\n") + "\n")?;
    Ok(())
}

/// Where a node's console listens unless its file says otherwise, for its own machine only.
pub fn console(node_id: u16) -> String {
    format!("127.0.0.1:{}", 8780 + node_id % 100)
}

/// The partitions of a `--describe`: (partition, leader, replicas, isr).
pub fn partitions(text: &str) -> Vec<(i32, String, String, String)> {
    let field = |line: &str, name: &str| {
        let found =
            line.split('\t').find_map(|part| part.trim().strip_prefix(name).map(|v| v.trim().to_owned()));
        found.unwrap_or_default()
    };
    text.lines()
        .filter(|line| line.starts_with('\t'))
        .map(|line| {
            let partition = field(line, "Partition:").parse().unwrap_or(-1);
            (partition, field(line, "Leader:"), field(line, "Replicas:"), field(line, "Isr:"))
        })
        .collect()
}

/// Sorted numbers of a list such as `3,1`.
pub fn ids(list: &str) -> Vec<i32> {
    let mut ids: Vec<i32> = list.split(',').filter_map(|id| id.trim().parse().ok()).collect();
    ids.sort_unstable();
    ids
}

/// Until no server of the machine is left, with all that it held: a process that is killed lets go of its locks last.
pub fn gone(sh: &Shell<'_>) -> Result<()> {
    let left = "ps -o stat= -C ottla | grep -qv '^Z'";
    host::until("the servers end", SOON, || Ok(sh.types(left)?.code != 0)).map(drop)
}

const SOON: Duration = Duration::from_secs(30);
