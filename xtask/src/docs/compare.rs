//! What a block printed beside what its guide shows; the blocks of a guide beside those of its translation.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::markdown;

/// Both texts are the same but for ids, process ids, times, durations and the widths of columns. A line `...` of the guide
/// stands for any lines, `...` at the end of a line for any end of it.
pub fn output(shown: &str, printed: &str) -> Result<()> {
    let wanted: Vec<String> = shown.lines().map(mask).collect();
    let got: Vec<String> = printed.lines().map(mask).collect();
    let trimmed = trim(&got);
    ensure!(
        matches(trim(&wanted), trimmed),
        "it printed\n{}\nand the guide shows\n{}",
        printed.trim_end(),
        shown.trim_end()
    );
    Ok(())
}

/// Without the empty lines at both ends.
fn trim(lines: &[String]) -> &[String] {
    let from = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let to = lines.iter().rposition(|line| !line.is_empty()).map_or(from, |at| at + 1);
    &lines[from..to]
}

fn matches(wanted: &[String], got: &[String]) -> bool {
    match wanted.split_first() {
        None => got.is_empty(),
        Some((line, rest)) if line == "..." => (0..=got.len()).any(|skipped| matches(rest, &got[skipped..])),
        Some((line, rest)) => {
            let same = |there: &String| match line.strip_suffix("...") {
                Some(begin) => there.starts_with(begin),
                None => there == line,
            };
            got.split_first().is_some_and(|(first, left)| same(first) && matches(rest, left))
        }
    }
}

/// A line with everything that differs from run to run taken out.
fn mask(line: &str) -> String {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut out = String::new();
    let mut rest = line.as_str();
    while let Some(first) = rest.chars().next() {
        let end = if in_word(first) {
            rest.find(|c: char| !in_word(c)).unwrap_or(rest.len())
        } else {
            rest.find(in_word).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(end);
        out.push_str(&if in_word(first) { mask_word(word, &out, after) } else { word.to_owned() });
        rest = after;
    }
    out
}

fn mask_word(word: &str, before: &str, after: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let date = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        matches!(parts.as_slice(), [y, m, d] if y.len() == 4 && m.len() == 2 && digits(y) && digits(m)
            && digits(d.get(..2).unwrap_or("")))
    };
    if let Some((begin, uuid)) = word.len().checked_sub(36).and_then(|at| word.split_at_checked(at))
        && is_uuid(uuid)
    {
        return format!("{begin}UUID");
    }
    if word.len() == 22
        && !digits(word)
        && word.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase())
    {
        return "ID".to_owned();
    }
    if date(word) {
        return "DATE".to_owned();
    }
    let unit = after.trim_start().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let of_time = ["DATE ", "DATE", "DATE:", "N:"].iter().any(|end| before.ends_with(end));
    let timed = digits(word)
        && (word.len() == 13
            || before.ends_with("pid ")
            || before.ends_with("N,")
            || before.ends_with("N.")
            || of_time
            || (after.starts_with([' ', '.', ':']) && (matches!(unit, "ms" | "s" | "KiB" | "MiB"))));
    let with_unit = ["ms", "s"].iter().any(|unit| word.strip_suffix(unit).is_some_and(digits));
    if timed {
        "N".to_owned()
    } else if with_unit {
        "N unit".to_owned()
    } else {
        word.to_owned()
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// A guide and its translation have the same blocks; the words of comments may differ.
pub fn translation(original: &str, translated: &str) -> Result<()> {
    let (ours, theirs) = (markdown::fences(original)?, markdown::fences(translated)?);
    for ((line, language, text), (their_line, their_language, their_text)) in ours.iter().zip(&theirs) {
        let same = language == their_language && bare(language, text) == bare(language, their_text);
        ensure!(same, "its block of line {their_line} is not the original's of line {line}");
    }
    ensure!(ours.len() == theirs.len(), "it has {} blocks, the original {}", theirs.len(), ours.len());
    Ok(())
}

/// A block without the words of its comments; the first line of a program names its file.
fn bare(language: &str, text: &str) -> Vec<String> {
    let sign = match language {
        "sh" | "python" | "properties" | "yaml" => "# ",
        "java" | "js" | "go" | "c" => "// ",
        _ => return text.lines().map(str::to_owned).collect(),
    };
    let without = |(number, line): (usize, &str)| {
        if number == 0 && language != "sh" {
            return line.to_owned();
        }
        let comment = line.match_indices(sign).find(|(at, _)| *at == 0 || line[..*at].ends_with(' '));
        comment.map_or(line, |(at, _)| &line[..at]).trim_end().to_owned()
    };
    text.lines().enumerate().map(without).filter(|line| !line.is_empty()).collect()
}

/// Every link of a page to a file of this repository leads to one.
pub fn links(page: &Path, text: &str) -> Result<()> {
    let dir = page.parent().context("a page has a directory")?;
    for (at, _) in text.match_indices("](") {
        let target = text[at + 2..].split(')').next().unwrap_or_default();
        if target.contains("://") || target.starts_with('#') {
            continue;
        }
        let file = target.split('#').next().unwrap_or_default();
        ensure!(dir.join(file).exists(), "there is no {file}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_times_and_widths_may_differ_and_nothing_else() {
        let shown = "node 1   pid 17  up in 12 ms\n...\ncluster id MkU3OEVBNTcwNTJENDM2Qg\n";
        let printed = "node 1 pid 4711 up in 9 ms\nan extra line\ncluster id 5L6g3nShT-eMCtK--X86sw\n";
        output(shown, printed).unwrap();
        assert!(output(shown, &printed.replace("node 1", "node 2")).is_err());
        assert!(output("a\nb\n", "a\n").is_err());
        assert!(output("a\n", "a\nb\n").is_err());
        output("a ...\n", "a b c\n").unwrap();
        output("[2024-10-29 06:57:23,581] INFO x\n", "[2026-11-21 12:31:29,001] INFO x\n").unwrap();
        assert!(output("offset 12\n", "offset 13\n").is_err());
        let id = "rdkafka-3d0b5c2e-98f5-4b0c-8a8e-3f8a9a0c1d2e";
        output(
            &format!("g orders 0 5 5 0 {id} /127.0.0.1\n"),
            &format!("g   orders 0 5 5 0 {} /127.0.0.1\n", id.replace('3', "4")),
        )
        .unwrap();
    }

    #[test]
    fn a_translation_differs_in_comments_alone() {
        let original = "```sh\nls -l   # all of it\n# a line\n```\n";
        translation(original, "```sh\nls -l # 모두\n```\n").unwrap();
        assert!(translation(original, "```sh\nls # 모두\n```\n").is_err());
        assert!(translation(original, "").is_err());
        let program = "```python\n# a.py: python a.py\nprint('#1')\n```\n";
        assert!(translation(program, &program.replace("a.py: ", "b.py: ")).is_err());
        assert!(translation(program, &program.replace("#1", "#2")).is_err());
    }
}
