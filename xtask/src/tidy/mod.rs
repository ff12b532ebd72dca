//! `cargo xtask tidy`: the rules of the house that no compiler checks. Every finding names its place and what to do.

mod arrows;
mod files;
mod leaks;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

/// One thing that is not as the house wants it.
struct Finding {
    place: String,
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { place: place.into(), what: what.into() }
    }
}

/// A file of the tree: its path from the root, and its text when it is text.
struct Source {
    path: String,
    text: Option<String>,
}

/// Checks everything; prints all findings before it fails.
pub fn run() -> Result<()> {
    let metadata = arrows::metadata()?;
    let sources = sources()?;
    let mut findings = arrows::check(&metadata)?;
    let crates = arrows::names(&metadata)?;
    findings.extend(arrows::manifests(&sources, &crates));
    findings.extend(files::check(&sources));
    findings.extend(leaks::check(&sources));
    for finding in &findings {
        println!("{}: {}", finding.place, finding.what);
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings", findings.len());
    }
    println!("tidy: {} crates, {} files in order", crates.len(), sources.len());
    Ok(())
}

/// Every file that is in the repository or would be with the next `git add`.
fn sources() -> Result<Vec<Source>> {
    let mut git = Command::new("git");
    git.current_dir(process::root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = process::checked(&mut git, Duration::from_secs(60))
        .context("tidy reads the list of files from git")?;
    let mut sources = Vec::new();
    for path in list.split('\0').filter(|p| !p.is_empty()) {
        let file: PathBuf = process::root().join(path);
        // Deleted and not yet committed, or a link.
        let Ok(bytes) = std::fs::read(&file) else { continue };
        sources.push(Source { path: path.to_owned(), text: String::from_utf8(bytes).ok() });
    }
    Ok(sources)
}
