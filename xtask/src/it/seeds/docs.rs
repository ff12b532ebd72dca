//! Rows that are answered by documentation: the pages say it, in both languages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::book::Book;
use crate::process;

/// All pages for users: README and docs/guides, in English or Korean.
fn pages(korean: bool) -> Result<String> {
    let root = process::root();
    let mut text = String::new();
    for entry in fs::read_dir(root.join("docs/guides"))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name.ends_with(".ko.md") == korean {
            text.push_str(&fs::read_to_string(entry.path())?);
        }
    }
    if !korean {
        for name in ["README.md", "docs/STATUS.md", "docs/CONFIGURATION.md"] {
            text.push_str(&fs::read_to_string(root.join(name)).with_context(|| name.to_owned())?);
        }
    }
    ensure!(!text.is_empty(), "no pages");
    Ok(text)
}

/// A line in which every one of `words` stands.
fn line(words: &[&str]) -> Result<String> {
    let text = pages(false)?;
    // Sentences go over lines: a paragraph is the unit.
    let found =
        text.split("\n\n").find(|p| words.iter().all(|w| p.to_lowercase().contains(&w.to_lowercase())));
    let found = found.with_context(|| format!("no paragraph of the docs has {words:?}"))?;
    let at = found.to_lowercase().find(&words[0].to_lowercase()).unwrap_or(0);
    let from = (0..=at).rev().find(|i| found.is_char_boundary(*i) && at - i >= 40).unwrap_or(0);
    Ok(found[from..].split_whitespace().collect::<Vec<_>>().join(" ").chars().take(160).collect())
}

const SAYS: &[(&str, &str, &[&str])] = &[
    (
        "S0-17 T-16",
        "which change needs a restart, which none, which a format",
        &["restart", "dynamic", "format"],
    ),
    ("S0-28", "the docs: in sync by replica.lag.time.max.ms, 30 s", &["replica.lag.time.max.ms", "30"]),
    ("S1-28", "the docs: what is ready, feature by feature", &["works:"]),
    ("S2-07 S4-04", "the docs: a controller is a role of KRaft, no ZooKeeper", &["controller", "zookeeper"]),
    ("S2-11", "the docs: partitions count from 0", &["partition", "from 0"]),
    ("S3-36", "the docs: order within a partition alone", &["order", "partition", "only"]),
    ("S3-37 T-11", "the docs: two listeners for WSL2, Docker and VirtualBox", &["wsl"]),
    ("S3-37 T-11", "the docs: VirtualBox's networks", &["virtualbox"]),
    ("S4-17", "the docs: when several brokers on one server help", &["one server", "throughput"]),
    ("T-06", "the docs: two brokers and a controller", &["two brokers", "controller"]),
    ("T-14", "the docs: a third light controller is the way out of two nodes", &["third", "controller"]),
    ("T-19 S3-23", "the docs: Python that runs, kafka-python by version", &["kafka-python", "3.11"]),
];

/// Looks into the pages; `part` when only one tutorial was asked for.
pub fn look(book: &mut Book, part: bool) {
    if part {
        return;
    }
    for (ids, expected, words) in SAYS {
        book.row(ids, expected, || line(words));
    }
    book.row("T-06", "every guide in English and in Korean", || {
        let dir = process::root().join("docs/guides");
        let names: Vec<String> =
            fs::read_dir(&dir)?.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        let missing: Vec<&String> = names
            .iter()
            .filter(|n| n.ends_with(".md") && !n.ends_with(".ko.md"))
            .filter(|n| !dir.join(n.replace(".md", ".ko.md")).exists())
            .collect();
        ensure!(missing.is_empty(), "not in Korean: {missing:?}");
        Ok(format!("{} pages", names.len()))
    });
    book.row("T-07", "every link within the pages leads to a file", links);
}

fn links() -> Result<String> {
    let root = process::root();
    let mut pages = vec![root.join("README.md")];
    for dir in ["docs", "docs/guides"] {
        pages.extend(
            fs::read_dir(root.join(dir))?
                .flatten()
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|e| e == "md")),
        );
    }
    let (mut count, mut broken) = (0, Vec::new());
    for page in &pages {
        let text = fs::read_to_string(page)?;
        for part in text.split("](").skip(1) {
            let link = part.split([')', ' ', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") || link.contains('<') {
                continue;
            }
            count += 1;
            if !page.parent().unwrap_or(Path::new("")).join(link).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    ensure!(broken.is_empty(), "{broken:?}");
    Ok(format!("{count} links on {} pages", pages.len()))
}
