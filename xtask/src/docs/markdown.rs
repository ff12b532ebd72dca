//! A guide as steps: its fenced blocks, in order, with what the invisible marks before them ask for.
//!
//! A mark is a comment of HTML on lines of its own, before the block that it is about:
//!
//! | Mark | Means |
//! | --- | --- |
//! | `docs: not run: REASON` | the next block is not run |
//! | `docs: stands in: python` | the next block installs; what the judges have installed already is put in its place |
//! | `docs: needs java, node` | the next block is not run where one of these is lacking |
//! | `docs: background until TEXT` | it goes on beside the others, once it has said TEXT |
//! | `docs: fails` | it must end with an error |
//! | `docs: within 20 s` | it is tried again until it succeeds and says what it shall |
//! | `docs: on kafka1 kafka2` | it is typed on these hosts, one after the other |
//! | `docs: set WORD: TEXT` | WORD in the block stands for TEXT |
//! | `docs: hosts kafka1 kafka2` | from here on there are these hosts; unmarked blocks are typed on the first |
//! | `docs: provide apache` | what the judges installed is put where the guide says that it lies |
//! | `docs: fresh` | from here on everything begins anew: directories, processes |
//! | `docs: in an empty directory` | the guide is not about a release tree |
//! | `docs: run [on HOST]`, then lines | a block that the reader does not see |
//!
//! A fence of the language `text` shows what the block before it prints.

use anyhow::{Context, Result, bail, ensure};

/// What the marks before a block ask for.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Marks {
    pub not_run: Option<String>,
    pub stands_in: Option<String>,
    pub needs: Vec<String>,
    pub background: Option<String>,
    pub fails: bool,
    pub within: Option<u64>,
    pub on: Vec<String>,
    pub set: Vec<(String, String)>,
}

/// A fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its first fence, from 1 on.
    pub line: usize,
    pub language: String,
    pub text: String,
    pub marks: Marks,
    /// What it prints, as the guide shows it.
    pub shown: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Block(Block),
    Hidden { line: usize, on: Vec<String>, text: String },
    Hosts(Vec<String>),
    Provide { line: usize, what: String },
    Fresh,
    EmptyDirectory,
}

/// Every fence with its language and text, as a reader sees them.
pub fn fences(text: &str) -> Result<Vec<(usize, String, String)>> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut body = String::new();
        loop {
            let (_, line) =
                lines.next().with_context(|| format!("line {}: this fence does not end", number + 1))?;
            if line.trim() == "```" {
                break;
            }
            body.push_str(line.get(indent..).unwrap_or_else(|| line.trim_start()));
            body.push('\n');
        }
        found.push((number + 1, language.trim().to_owned(), body));
    }
    Ok(found)
}

/// The steps of a guide.
pub fn steps(text: &str) -> Result<Vec<Step>> {
    let fences = fences(text)?;
    let mut steps: Vec<Step> = Vec::new();
    let mut marks = Marks::default();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim_start().starts_with("```") {
            let place =
                fences.iter().position(|(at, ..)| *at == number + 1).context("a fence is found twice")?;
            let (line, language, text) = fences[place].clone();
            for _ in 0..=text.lines().count() {
                lines.next();
            }
            let marks = std::mem::take(&mut marks);
            if language == "text" && marks.not_run.is_none() {
                shown(&mut steps, line, text)?;
            } else {
                steps.push(Step::Block(Block { line, language, text, marks, shown: None }));
            }
            continue;
        }
        let Some(mark) = line.trim_start().strip_prefix("<!-- docs: ") else { continue };
        if let Some(mark) = mark.trim_end().strip_suffix("-->") {
            take(number + 1, mark.trim(), &mut marks, &mut steps)
                .with_context(|| format!("line {}", number + 1))?;
            continue;
        }
        let mut hidden = String::new();
        for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "-->") {
            hidden.push_str(line);
            hidden.push('\n');
        }
        let on =
            mark.trim().strip_prefix("run").with_context(|| format!("line {}: '{mark}'?", number + 1))?;
        let on = on.trim().strip_prefix("on ").unwrap_or_default().split_whitespace();
        steps.push(Step::Hidden { line: number + 1, on: on.map(str::to_owned).collect(), text: hidden });
    }
    ensure!(marks == Marks::default(), "marks at the end are about no block");
    Ok(steps)
}

/// What the last block prints.
fn shown(steps: &mut [Step], line: usize, text: String) -> Result<()> {
    let last = steps.iter_mut().rev().find_map(|step| match step {
        Step::Block(block) => Some(block),
        _ => None,
    });
    let block = last.with_context(|| format!("line {line}: no block prints this"))?;
    ensure!(block.shown.is_none(), "line {line}: the block of line {} has its output already", block.line);
    block.shown = Some(text);
    Ok(())
}

fn take(line: usize, mark: &str, marks: &mut Marks, steps: &mut Vec<Step>) -> Result<()> {
    let words = |text: &str| -> Vec<String> {
        text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    if let Some(reason) = mark.strip_prefix("not run:") {
        marks.not_run = Some(reason.trim().to_owned());
    } else if let Some(what) = mark.strip_prefix("stands in:") {
        marks.stands_in = Some(what.trim().to_owned());
    } else if let Some(needs) = mark.strip_prefix("needs ") {
        marks.needs = words(needs);
    } else if let Some(text) = mark.strip_prefix("background until ") {
        marks.background = Some(text.trim().to_owned());
    } else if let Some(on) = mark.strip_prefix("on ") {
        marks.on = words(on);
    } else if let Some(set) = mark.strip_prefix("set ") {
        let (word, text) = set.split_once(':').context("`set WORD: TEXT`")?;
        marks.set.push((word.trim().to_owned(), text.trim().to_owned()));
    } else if let Some(hosts) = mark.strip_prefix("hosts ") {
        steps.push(Step::Hosts(words(hosts)));
    } else if let Some(what) = mark.strip_prefix("provide ") {
        steps.push(Step::Provide { line, what: what.trim().to_owned() });
    } else if let Some(seconds) = mark.strip_prefix("within ") {
        let seconds = seconds.strip_suffix(" s").context("`within N s`")?;
        marks.within = Some(seconds.trim().parse()?);
    } else {
        match mark {
            "fails" => marks.fails = true,
            "fresh" => steps.push(Step::Fresh),
            "in an empty directory" => steps.push(Step::EmptyDirectory),
            other => bail!("no mark '{other}'"),
        }
    }
    Ok(())
}

impl Block {
    /// For a block in another language than the shell's: the file that it is saved as and the command that its first
    /// line names, as in `# hello.py: venv/bin/python hello.py`. The command may be missing.
    pub fn file(&self) -> Result<(String, Option<String>)> {
        let head = self.text.lines().next().unwrap_or_default();
        let head = head.trim_start_matches(['#', '/', ' ']).trim();
        let (name, command) = match head.split_once(':') {
            Some((name, command)) => (name.trim(), Some(command.trim().to_owned())),
            None => (head, None),
        };
        ensure!(
            name.contains('.') && !name.contains(' '),
            "its first line is `FILE: COMMAND` or `FILE` as a comment, not '{head}'"
        );
        Ok((name.to_owned(), command))
    }

    /// Its text with every `set` word replaced.
    pub fn typed(&self) -> String {
        self.marks.set.iter().fold(self.text.clone(), |text, (word, by)| replace_word(&text, word, by))
    }
}

/// Replaces `word` where it does not stand inside of a longer one.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let after = &rest[at + word.len()..];
        let whole = !rest[..at].ends_with(inside) && !after.starts_with(inside);
        out.push_str(&rest[..at]);
        out.push_str(if whole { by } else { word });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = "\
# Title
<!-- docs: hosts a b -->
<!-- docs: on b -->
<!-- docs: set PID: $(cat pid) -->
```sh
kill -9 PID   # PIDS stay
```

prints

```text
gone
```
<!-- docs: run on a
sleep 1
-->
1. In a list:

   <!-- docs: not run: it installs -->
   ```python
   # hello.py: python hello.py
   if True:
       pass
   ```
";

    #[test]
    fn marks_belong_to_the_next_block_and_text_to_the_last() {
        let steps = steps(GUIDE).unwrap();
        assert_eq!(steps[0], Step::Hosts(vec!["a".into(), "b".into()]));
        let Step::Block(block) = &steps[1] else { panic!("{steps:?}") };
        assert_eq!((block.line, block.marks.on.as_slice()), (5, &["b".to_owned()][..]));
        assert_eq!(block.typed(), "kill -9 $(cat pid)   # PIDS stay\n");
        assert_eq!(block.shown.as_deref(), Some("gone\n"));
        assert_eq!(steps[2], Step::Hidden { line: 14, on: vec!["a".into()], text: "sleep 1\n".into() });
        let Step::Block(block) = &steps[3] else { panic!("{steps:?}") };
        assert_eq!(block.text, "# hello.py: python hello.py\nif True:\n    pass\n");
        assert_eq!(block.file().unwrap(), ("hello.py".into(), Some("python hello.py".into())));
        assert_eq!(block.marks.not_run.as_deref(), Some("it installs"));
        assert_eq!(steps.len(), 4);
    }

    #[test]
    fn what_is_no_mark_is_an_error() {
        assert!(steps("<!-- docs: fail -->\n").is_err());
        assert!(steps("<!-- docs: fails -->\n").is_err());
        assert!(steps("```sh\nls\n").is_err());
        assert!(steps("```text\nno block before it\n```\n").is_err());
    }
}
