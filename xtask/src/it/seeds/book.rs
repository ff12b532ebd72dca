//! What was seen of each row, and the table made of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, anyhow};

use super::rows::{self, Weight};
use crate::process;
use crate::tally::Tally;

/// One observation of a row.
enum Seen {
    Held(String),
    Differed { expected: String, seen: String },
    NotRun(String),
}

/// What becomes of a row when all was seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Holds,
    Differs,
    NotRun,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::Holds => "holds",
            Outcome::Differs => "differs",
            Outcome::NotRun => "not run",
        }
    }
}

/// The observations of a run.
#[derive(Default)]
pub struct Book {
    seen: BTreeMap<&'static str, Vec<Seen>>,
    /// Why a tutorial was not gone through, by the beginning of its rows' numbers.
    gaps: Vec<(&'static str, Outcome, String)>,
}

impl Book {
    /// Runs an observation of the rows `ids` (separated by spaces): what was seen, or how it differs from `expected`.
    pub fn row(&mut self, ids: &str, expected: &str, look: impl FnOnce() -> Result<String>) {
        let seen = look();
        match &seen {
            Ok(seen) => println!("ok    {ids} {expected}\n      {}", first_line(seen)),
            Err(error) => {
                println!("DIFF  {ids} {expected}\n      {}", format!("{error:#}").replace('\n', "\n      "))
            }
        }
        for id in ids.split(' ') {
            self.enter(
                id,
                match &seen {
                    Ok(seen) => Seen::Held(first_line(seen)),
                    Err(error) => Seen::Differed {
                        expected: expected.to_owned(),
                        seen: squeezed(&format!("{error:#}")),
                    },
                },
            );
        }
    }

    /// Why nothing (or nothing more) can be seen of the rows.
    pub fn not_run(&mut self, ids: &str, reason: &str) {
        println!("-     {ids} {reason}");
        for id in ids.split(' ') {
            self.enter(id, Seen::NotRun(reason.to_owned()));
        }
    }

    /// A tutorial that was left out, or broke off.
    pub fn gap(&mut self, tutorial: &'static str, broken: bool, reason: String) {
        println!("{} {tutorial}: {reason}", if broken { "FAIL " } else { "-    " });
        let outcome = if broken { Outcome::Differs } else { Outcome::NotRun };
        self.gaps.push((tutorial, outcome, reason));
    }

    fn enter(&mut self, id: &str, seen: Seen) {
        let (id, ..) = rows::all().find(|(known, ..)| *known == id).expect("SEEDS-1 a row of the list");
        self.seen.entry(id).or_default().push(seen);
    }

    /// Outcome and explanation of a row.
    fn outcome(&self, id: &str) -> (Outcome, String) {
        let Some(seen) = self.seen.get(id) else {
            let tutorial = id.split('-').next().unwrap_or_default();
            let gap = self.gaps.iter().find(|(gap, ..)| *gap == tutorial);
            // A trouble is met in the tutorials: what broke off there may be why it was not.
            let gap = gap.or_else(|| self.gaps.first().filter(|_| tutorial == "T"));
            return match gap {
                Some((_, outcome, reason)) => (*outcome, format!("not reached: {reason}")),
                None => (Outcome::Differs, "nothing in this run looked at it".to_owned()),
            };
        };
        let differences: Vec<String> = seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Differed { expected, seen } => Some(format!("expected: {expected}; seen: {seen}")),
                _ => None,
            })
            .collect();
        if !differences.is_empty() {
            return (Outcome::Differs, differences.join(" / "));
        }
        let reasons = seen.iter().filter_map(|seen| match seen {
            Seen::NotRun(reason) => Some(format!("(not run: {reason})")),
            _ => None,
        });
        let held: Vec<String> = seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Held(seen) => Some(seen.clone()),
                _ => None,
            })
            .collect();
        let reasons: Vec<String> = reasons.collect();
        match held.is_empty() {
            true => (Outcome::NotRun, reasons.join(" ")),
            false => {
                let mut text = held.join(" | ");
                if !reasons.is_empty() {
                    text.push_str(&format!(" {}", reasons.join(" ")));
                }
                (Outcome::Holds, text)
            }
        }
    }

    /// Prints the table, writes it to `target/judges/seeds/table.md`, and gives every row to the tally: a row of P0 or
    /// P1 that differs is a failure.
    pub fn close(&self, tally: &mut Tally) -> Result<PathBuf> {
        let mut lines = vec![
            "| Row | Weight | Outcome | What must happen | Seen |".to_owned(),
            "| --- | --- | --- | --- | --- |".to_owned(),
        ];
        let mut counts: BTreeMap<(Weight, Outcome), usize> = BTreeMap::new();
        println!();
        for (id, weight, what) in rows::all() {
            let (outcome, why) = self.outcome(id);
            *counts.entry((*weight, outcome)).or_default() += 1;
            lines.push(format!(
                "| {id} | {} | {} | {} | {} |",
                weight.name(),
                outcome.name(),
                cell(what, 200),
                cell(&why, 600)
            ));
            let left_out = outcome == Outcome::NotRun && !self.seen.contains_key(id);
            if left_out {
                continue;
            }
            println!("{id:<6} {:<2} {:<8} {what}", weight.name(), outcome.name());
            if outcome != Outcome::Holds {
                println!("                   {}", cell(&why, 300));
            }
            match outcome {
                Outcome::Holds => tally.count(1, 0),
                Outcome::Differs if matches!(weight, Weight::P0 | Weight::P1) => {
                    tally.note(&format!("{id} {what}"), Err(anyhow!("{why}")));
                }
                Outcome::Differs | Outcome::NotRun => {}
            }
        }
        println!();
        lines.push(String::new());
        for outcome in [Outcome::Holds, Outcome::Differs, Outcome::NotRun] {
            let each: Vec<String> = [Weight::P0, Weight::P1, Weight::P2, Weight::Note]
                .into_iter()
                .map(|w| format!("{} {}", counts.get(&(w, outcome)).copied().unwrap_or(0), w.name()))
                .collect();
            let sum: usize = counts.iter().filter(|((_, o), _)| *o == outcome).map(|(_, n)| n).sum();
            let line = format!("{}: {sum} ({})", outcome.name(), each.join(", "));
            println!("{line}");
            lines.push(format!("{line}\n"));
        }
        let file = process::target().join("judges/seeds/table.md");
        fs::create_dir_all(file.parent().expect("it has one"))?;
        fs::write(&file, lines.join("\n") + "\n")?;
        println!("the table: {}", file.display());
        Ok(file)
    }
}

/// The first line that says something.
fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("(nothing)");
    line.chars().take(200).collect()
}

/// On one line.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str, limit: usize) -> String {
    squeezed(text).replace('|', "\\|").chars().take(limit).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_row_holds_only_when_something_was_seen_and_nothing_differed() {
        let mut book = Book::default();
        book.row("S0-01 T-07", "a tree", || Ok("it is there".to_owned()));
        book.row("T-07", "a link", || bail!("it is broken"));
        book.not_run("S0-02", "no shell");
        book.gap("S4", false, "left out".to_owned());
        let is = |id: &str, outcome| assert!(book.outcome(id).0 == outcome, "{id}");
        is("S0-01", Outcome::Holds);
        is("T-07", Outcome::Differs);
        is("S0-02", Outcome::NotRun);
        is("S4-01", Outcome::NotRun);
        is("S1-01", Outcome::Differs);
    }
}
