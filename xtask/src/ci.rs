//! `cargo xtask ci STAGE`: what the hosted jobs call, one stage each. `cargo xtask test` runs the same stages.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::compat::{self, clients, disk};
use crate::machine::{self, Need};
use crate::server::System;
use crate::tally::Tally;
use crate::{codegen, docs, fuzz, it, process, sim, tidy};

/// One stage.
pub struct Stage {
    pub name: &'static str,
    /// What it takes beyond what cargo brings.
    pub needs: &'static [Need],
    /// It does what it can with those of its needs that are there.
    pub some_will_do: bool,
    /// It is a part of `cargo xtask test`.
    pub in_test: bool,
    pub run: fn() -> Result<()>,
}

const JAVA: &[Need] = &[Need::Jdk, Need::Maven];

/// Every stage, in the order in which they run: what fails fast comes first.
pub const STAGES: &[Stage] = &[
    Stage { name: "tidy", needs: &[], some_will_do: false, in_test: true, run: style },
    Stage { name: "lint", needs: &[], some_will_do: false, in_test: true, run: lint },
    Stage { name: "unit", needs: &[], some_will_do: false, in_test: true, run: unit },
    Stage { name: "sim", needs: &[], some_will_do: false, in_test: true, run: sim::stage },
    Stage { name: "it", needs: it::NEEDS, some_will_do: true, in_test: true, run: || it::run(None, None) },
    Stage { name: "wire", needs: JAVA, some_will_do: false, in_test: true, run: compat::wire::run },
    Stage { name: "config", needs: JAVA, some_will_do: false, in_test: true, run: compat::config::run },
    Stage {
        name: "clients",
        needs: clients::NEEDS,
        some_will_do: true,
        in_test: true,
        run: clients_against_ours,
    },
    Stage {
        name: "disk",
        needs: disk::NEEDS,
        some_will_do: false,
        in_test: true,
        run: || disk::run(System::Ottla),
    },
    Stage {
        name: "mixed",
        needs: compat::mixed::NEEDS,
        some_will_do: false,
        in_test: true,
        run: compat::mixed::short,
    },
    Stage {
        name: "docs",
        needs: docs::NEEDS,
        some_will_do: true,
        in_test: true,
        run: || docs::run(&["--check"]),
    },
    Stage { name: "fuzz", needs: &[Need::Compiler], some_will_do: false, in_test: true, run: fuzz_smoke },
    Stage { name: "deny", needs: &[], some_will_do: false, in_test: false, run: deny },
];

/// Runs one stage; what the machine lacks for it is an error.
pub fn run(name: &str) -> Result<()> {
    let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
    let stage = STAGES.iter().find(|stage| stage.name == name);
    let stage = stage.with_context(|| format!("no stage '{name}': {}", names.join(", ")))?;
    let missing = machine::lacking(stage.needs);
    // A stage that can do without some still fails here: whoever asks for a stage asks for all of it.
    if !missing.is_empty() {
        let ways: Vec<&str> = missing.iter().map(|need| need.how()).collect();
        bail!("the stage {name} lacks {}", ways.join("; "));
    }
    (stage.run)()
}

fn style() -> Result<()> {
    let mut tally = Tally::new("tidy");
    tally.check("the rules of the house", tidy::run);
    tally.check("the generated sources are those of the schema", || codegen::run(true));
    tally.check("cargo fmt", || process::stream(process::cargo().args(["fmt", "--all", "--check"])));
    tally.close()
}

fn lint() -> Result<()> {
    let mut tally = Tally::new("lint");
    tally.check("cargo clippy", || {
        let arguments = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"];
        process::stream(process::cargo().args(arguments))
    });
    tally.check("cargo doc", || {
        let mut cargo = process::cargo();
        cargo.args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings");
        process::stream(&mut cargo)
    });
    tally.close()
}

/// Every test of the workspace; each counts.
fn unit() -> Result<()> {
    let mut tally = Tally::new("unit");
    let mut cargo = process::cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cargo test")?;
    let (mut passed, mut failed) = (0, 0);
    for line in BufReader::new(child.stdout.take().context("a pipe")?).lines() {
        let line = line?;
        if let Some((ok, bad)) = counts(&line) {
            passed += ok;
            failed += bad;
        }
        let dull = line.is_empty() || line.ends_with("... ok") || line.starts_with("running ");
        if !dull && !line.starts_with("test result: ok. 0 passed") {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    tally.count(passed, failed);
    tally.note(
        "cargo test",
        if status.success() { Ok(()) } else { Err(anyhow::anyhow!("{failed} failed ({status})")) },
    );
    ensure!(passed > 0, "no test ran");
    tally.close()
}

/// The figures of a line `test result: ok. 12 passed; 0 failed; ...`.
fn counts(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| -> Option<usize> {
        let before = rest.split(word).next()?;
        before.trim_end().rsplit(' ').next()?.parse().ok()
    };
    Some((number(" passed")?, number(" failed")?))
}

fn clients_against_ours() -> Result<()> {
    clients::run(&clients::Choice { against: System::Ottla, nodes: 1, only: None, all: false })
}

fn fuzz_smoke() -> Result<()> {
    fuzz::run(&["--seconds", "15"])
}

/// Licences, advisories and sources of what we depend on.
fn deny() -> Result<()> {
    ensure!(
        machine::on_path("cargo-deny").is_some(),
        "lacking: cargo-deny (cargo install --locked cargo-deny)"
    );
    process::stream(Command::new("cargo-deny").args(["check"]).current_dir(process::root()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_figures_are_read() {
        let line = "test result: FAILED. 31 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(counts(line), Some((31, 2)));
        assert_eq!(counts("test a ... ok"), None);
    }
}
