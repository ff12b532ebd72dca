//! `cargo xtask sim`: builds the simulator and runs it. What it takes beyond its own options is `--mutants`, which needs
//! a build that has them in.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::tally::Tally;

/// Seeds of the stage: at most this many, and at most so many minutes of them.
const STAGE_SEEDS: &str = "2000";
/// Each of these is run two times.
const STAGE_TWICE: &str = "200";

/// Runs the simulator with these options; see `cargo xtask sim --help`.
pub fn run(words: &[&str]) -> Result<()> {
    let mutants = words.iter().any(|word| word.starts_with("--mutant"));
    process::stream(Command::new(build(mutants)?).args(words))
}

/// The stage: a bounded number of seeds, some of them twice.
pub fn stage() -> Result<()> {
    let program = build(false)?;
    let mut tally = Tally::new("sim");
    tally.check("seeds", || process::stream(Command::new(&program).args(["--seeds", STAGE_SEEDS])));
    tally.check("the same seed gives the same run", || {
        process::stream(Command::new(&program).args(["--twice", "--seeds", STAGE_TWICE]))
    });
    tally.close()
}

/// Builds it with the profile `sim`; where it is.
fn build(mutants: bool) -> Result<std::path::PathBuf> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--quiet", "--package", "ottla-sim", "--profile", "sim"]);
    if mutants {
        cargo.args(["--features", "mutants"]);
    }
    process::stream(&mut cargo).context("the simulator cannot be built")?;
    Ok(process::target().join("sim").join("ottla-sim"))
}
