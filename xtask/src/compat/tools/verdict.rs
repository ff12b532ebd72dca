//! Two outputs beside each other: as lines, their difference, and what the list of expected differences says of it.

use super::expected::{self, Expected, Side, What};
use super::way::Way;
use crate::server::System;

/// How an invocation ended, as it is compared.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: Vec<String>,
    pub err: Vec<String>,
}

impl Outcome {
    /// `exit 0`, `out| ...`, `err| ...`.
    pub fn lines(&self) -> Vec<String> {
        let exit = self.code.map_or("still running".to_owned(), |code| format!("exit {code}"));
        let out = self.out.iter().map(|line| format!("out| {line}"));
        let err = self.err.iter().map(|line| format!("err| {line}"));
        std::iter::once(exit).chain(out).chain(err).collect()
    }
}

/// What became of one comparison.
#[derive(PartialEq, Eq, Debug)]
pub enum Verdict {
    Equal,
    /// Every difference is in the list, for these reasons.
    Listed(Vec<&'static str>),
    /// Lines that nothing explains, `-` the reference's and `+` the other's.
    Unlisted(Vec<String>),
}

/// Which patterns of [`expected::all`] matched something: by entry and pattern.
pub struct Used(Vec<Vec<bool>>);

impl Used {
    pub fn new() -> Used {
        Used(expected::all().map(|entry| vec![false; entry.patterns().len().max(1)]).collect())
    }

    /// What matched nothing, of the tools that `ran` says were judged in full.
    pub fn stale(&self, ran: impl Fn(&str) -> bool) -> Vec<String> {
        let mut stale = Vec::new();
        let must = |entry: &Expected| !matches!(entry.what, What::Drawn(_) | What::DrawnOrder);
        for (entry, used) in expected::all().zip(&self.0).filter(|(entry, _)| ran(entry.tool) && must(entry))
        {
            for (n, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
                let what = entry.patterns().get(n).copied().unwrap_or("the whole entry");
                stale.push(format!("{} `{}`: nothing matches {what}", entry.tool, entry.run));
            }
        }
        stale
    }
}

/// Compares what a way gave with the reference.
pub fn judge(
    tool: &str,
    run: &str,
    way: Way,
    reference: &Outcome,
    other: &Outcome,
    used: &mut Used,
) -> Verdict {
    let (mut reference, mut other) = (reference.clone(), other.clone());
    let mut reasons = Vec::new();
    let applying: Vec<(usize, &Expected)> =
        expected::all().enumerate().filter(|(_, entry)| entry.applies(tool, run, way)).collect();
    if reference == other {
        return Verdict::Equal;
    }
    for (n, entry) in &applying {
        if rewrite(entry, &mut reference, &mut other) {
            used.0[*n][0] = true;
            reasons.push(entry.why);
        }
    }
    let mut unlisted = Vec::new();
    for line in difference(&reference.lines(), &other.lines()) {
        let mut explained = false;
        for (n, entry) in &applying {
            for (m, pattern) in entry.patterns().iter().enumerate() {
                if matches(pattern, &line) {
                    used.0[*n][m] = true;
                    explained = true;
                    reasons.push(entry.why);
                }
            }
        }
        if !explained {
            unlisted.push(line);
        }
    }
    reasons.dedup();
    if !unlisted.is_empty() {
        Verdict::Unlisted(unlisted)
    } else if reasons.is_empty() {
        Verdict::Equal
    } else {
        Verdict::Listed(reasons)
    }
}

/// Applies an entry that is not about single lines; whether it changed anything.
fn rewrite(entry: &Expected, reference: &mut Outcome, other: &mut Outcome) -> bool {
    match entry.what {
        What::Lines(_) | What::Drawn(_) => false,
        What::HelpOnStdout => {
            // The same text, on the other stream and with the other code.
            let moves = other.err.is_empty() && other.code == Some(0) && reference.code == Some(1);
            if moves {
                reference.code = Some(0);
                let told = std::mem::take(&mut reference.err);
                reference.out.extend(told);
            }
            moves
        }
        What::Order | What::DrawnOrder => {
            // Objects of JSON that stand in one line have their order, too.
            let sorted = |lines: &[String]| {
                let pieces = lines.iter().flat_map(|line| line.split(['{', '}']));
                let mut pieces: Vec<String> =
                    pieces.map(|piece| piece.trim_matches(['[', ']', ',']).to_owned()).collect();
                pieces.sort();
                pieces
            };
            if reference.out == other.out || sorted(&reference.out) != sorted(&other.out) {
                return false;
            }
            reference.out.clone_from(&other.out);
            true
        }
    }
}

impl Expected {
    fn patterns(&self) -> &'static [&'static str] {
        match self.what {
            What::Lines(patterns) | What::Drawn(patterns) => patterns,
            _ => &[],
        }
    }

    fn applies(&self, tool: &str, run: &str, way: Way) -> bool {
        let side = match self.side {
            Side::Tool => way.tool == System::Ottla,
            Side::Server => way.node == System::Ottla,
            Side::Both => way.tool == System::Ottla && way.node == System::Ottla,
            Side::Theirs => way.tool == System::Apache && way.node == System::Ottla,
            Side::Any => true,
        };
        side && matches(self.tool, tool) && matches(self.run, run)
    }
}

/// `*` stands for any letters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The lines that only one of the two has, in their order: `-` for the first, `+` for the second.
pub fn difference(first: &[String], second: &[String]) -> Vec<String> {
    let same = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    let (first, second) = (&first[same..], &second[same..]);
    let tail = first.iter().rev().zip(second.iter().rev()).take_while(|(a, b)| a == b).count();
    let (first, second) = (&first[..first.len() - tail], &second[..second.len() - tail]);
    // Lengths of the longest common rests.
    let width = second.len() + 1;
    let mut common = vec![0u32; (first.len() + 1) * width];
    for i in (0..first.len()).rev() {
        for j in (0..second.len()).rev() {
            common[i * width + j] = if first[i] == second[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < first.len() || j < second.len() {
        if i < first.len() && j < second.len() && first[i] == second[j] {
            i += 1;
            j += 1;
        } else if j == second.len()
            || i < first.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]
        {
            lines.push(format!("-{}", first[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", second[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &str) -> Vec<String> {
        words.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn globs() {
        assert!(matches("a*c", "abc") && matches("*", "") && matches("a", "a") && matches("*b*", "abc"));
        assert!(!matches("a*c", "ab") && !matches("a", "ab") && !matches("a*b*a", "aba-"));
    }

    #[test]
    fn only_what_differs_is_told() {
        assert_eq!(difference(&texts("a b c d"), &texts("a x c d e")), ["-b", "+x", "+e"]);
        assert!(difference(&texts("a b"), &texts("a b")).is_empty());
        assert_eq!(difference(&texts("a"), &texts("a a")), ["+a"]);
    }

    #[test]
    fn a_difference_that_nobody_listed_is_told() {
        let way = super::super::way::WAYS[2];
        let outcome = |text: &str| Outcome { code: Some(0), out: texts(text), err: Vec::new() };
        let mut used = Used::new();
        let verdict = judge("kafka-none", "--x", way, &outcome("a"), &outcome("b"), &mut used);
        assert_eq!(verdict, Verdict::Unlisted(vec!["-out| a".into(), "+out| b".into()]));
        assert_eq!(judge("kafka-none", "--x", way, &outcome("a"), &outcome("a"), &mut used), Verdict::Equal);
    }
}
