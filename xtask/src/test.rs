//! `cargo xtask test`, the README's second command: everything that this machine can test, installing what it needs
//! itself. The last line counts, and names what the machine lacks with the way to get it.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::ci::{STAGES, Stage};
use crate::machine::{self, Need};
use crate::tally;

/// Runs every stage that the machine has the programs for; with `all`, one that it lacks is a failure.
pub fn run(all: bool) -> Result<()> {
    let start = Instant::now();
    let mut lacking: BTreeSet<Need> = BTreeSet::new();
    let mut broken = Vec::new();
    for stage in STAGES.iter().filter(|stage| stage.in_test) {
        let missing = machine::lacking(stage.needs);
        if stage.can_run(&missing) {
            println!("\n=== {} ({:.0} s)", stage.name, start.elapsed().as_secs_f64());
            if let Err(error) = (stage.run)() {
                println!("{}: {error:#}", stage.name);
                broken.push(stage.name);
            }
        } else {
            println!("\n=== {}: left out", stage.name);
        }
        lacking.extend(missing);
    }
    // A stage that fails without counting anything counts as one.
    let (passed, counted) = tally::totals();
    let failed = counted.max(broken.len());
    let ways: Vec<&str> = lacking.iter().map(|need| need.how()).collect();
    println!("\n{:.0} minutes", start.elapsed().as_secs_f64() / 60.0);
    let mut line = format!("{passed} passed, {failed} failed");
    if !broken.is_empty() {
        line.push_str(&format!("; in {}", broken.join(", ")));
    }
    if !ways.is_empty() {
        line.push_str(&format!("; this machine lacks {}", ways.join("; ")));
    }
    println!("{line}");
    if failed > 0 {
        bail!("the tests failed");
    }
    if all && !ways.is_empty() {
        bail!("under --all, what a machine lacks is a failure");
    }
    Ok(())
}

impl Stage {
    /// A judge of many clients runs those that it can, `it` leaves single checks out; every other stage needs all
    /// that it names.
    fn can_run(&self, missing: &BTreeSet<Need>) -> bool {
        let most_needs_nothing = self.needs == crate::it::NEEDS;
        missing.is_empty() || self.some_will_do && (most_needs_nothing || missing.len() < self.needs.len())
    }
}
