//! The invocations of a tool, as a text: one directive a line. `tool NAME` comes first, `as a process` says that it cannot
//! live in the judge's JVM, `tries N SECONDS` that Apache's process may get stuck: after so many seconds it is
//! killed and started again, N times at most, `again NAME` that another script judges the help and the flags of the same tool, `help WORDS` that its help is asked for with other words than `--help`. Then, in the order in which they happen in every way's cluster:
//!
//! ```text
//! file NAME                 a file in {dir}; its lines follow as `| text`
//! setup TOOL WORDS          our tool, the same in every way; it must succeed. `< text` lines are its input
//!   kill SECONDS            it is killed then instead, with SIGKILL
//! capture NAME AFTER TOOL WORDS   as setup; the word that follows AFTER in its output becomes {NAME}
//! apache TOOL WORDS         Apache's tool, the same in every way; what becomes of it is not judged
//! copy FROM TO              a copy of a file, below {dir}
//! pause MS                  what the nodes do by themselves gets its time
//! run WORDS                 an invocation that is judged. `< text` lines are its input
//!   limit SECONDS           it may take longer than the usual limit
//!   interrupt SECONDS       it gets SIGINT then
//!   until TEXT              it gets SIGINT once it has said this on standard output; only where Apache's tool is a process
//!   figures                 numbers are measured ones and masked
//! ```
//!
//! Words are separated by blanks and quoted as in a shell with `'` or `"`. In all texts `{b}` is the address of the broker,
//! `{c}` that of the controller, `{port}` the broker's port, `{dead}` an address where nobody listens, `{dir}` the way's
//! own directory, `{data}` the node's log directory, `{properties}` its configuration.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long an invocation may take.
const LIMIT: Duration = Duration::from_secs(40);

/// A tool and what is done with it.
pub struct Script {
    /// `kafka-topics`.
    pub tool: String,
    /// What makes Apache's tool print its help.
    pub help: String,
    /// Apache's tool gets a process of its own each time.
    pub process: bool,
    /// Another script of the same tool judges its help and flags; what this one is called beside it.
    pub again: Option<String>,
    /// How often Apache's process is started until it ends, and how long it may take.
    pub tries: Option<(usize, Duration)>,
    pub steps: Vec<Step>,
}

/// One directive.
pub enum Step {
    File { name: String, text: String },
    Setup(Setup),
    Apache { tool: String, words: Vec<String> },
    Copy { from: String, to: String },
    Pause(Duration),
    Run(Run),
}

/// A step of the preparation, done with our tool.
#[derive(Default)]
pub struct Setup {
    pub tool: String,
    pub words: Vec<String>,
    pub input: String,
    /// A name, and the word in the output behind which its value stands.
    pub capture: Option<(String, String)>,
    /// It is killed then, in the middle of what it does.
    pub kill: Option<Duration>,
}

/// One judged invocation.
#[derive(Clone)]
pub struct Run {
    /// As it is written in the script; the second and later of the same get ` #2`.
    pub name: String,
    pub words: Vec<String>,
    pub input: String,
    pub limit: Duration,
    pub interrupt: Option<Duration>,
    /// Said on standard output, it is time for SIGINT.
    pub until: Option<String>,
    pub figures: bool,
}

impl Run {
    /// An invocation without input.
    pub fn of(name: &str) -> Result<Run> {
        Ok(Run {
            name: name.to_owned(),
            words: split(name)?,
            input: String::new(),
            limit: LIMIT,
            interrupt: None,
            until: None,
            figures: false,
        })
    }
}

/// Reads a script.
pub fn parse(text: &str) -> Result<Script> {
    let mut script = Script {
        tool: String::new(),
        help: "--help".to_owned(),
        process: false,
        again: None,
        tries: None,
        steps: Vec::new(),
    };
    for (number, line) in text.lines().enumerate() {
        directive(&mut script, line).with_context(|| format!("line {}: {line}", number + 1))?;
    }
    ensure!(!script.tool.is_empty(), "no tool is named");
    let mut seen: Vec<String> = Vec::new();
    for step in &mut script.steps {
        let Step::Run(run) = step else { continue };
        let before = seen.iter().filter(|name| **name == run.name).count();
        seen.push(run.name.clone());
        if before > 0 {
            run.name = format!("{} #{}", run.name, before + 1);
        }
    }
    Ok(script)
}

fn directive(script: &mut Script, line: &str) -> Result<()> {
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(());
    }
    let (word, rest) = trimmed.split_once(' ').unwrap_or((trimmed, ""));
    match word {
        "tool" => rest.clone_into(&mut script.tool),
        "help" => rest.clone_into(&mut script.help),
        "as" => script.process = true,
        "tries" => {
            let (tries, seconds) = rest.split_once(' ').context("tries N SECONDS")?;
            script.tries = Some((tries.parse()?, Duration::from_secs(seconds.parse()?)));
        }
        "again" => script.again = Some(rest.to_owned()),
        "file" => script.steps.push(Step::File { name: rest.to_owned(), text: String::new() }),
        "|" => match script.steps.last_mut() {
            Some(Step::File { text, .. }) => {
                text.push_str(rest);
                text.push('\n');
            }
            _ => bail!("this text belongs to no file"),
        },
        "setup" | "capture" => {
            let mut words = split(rest)?;
            let capture = match word {
                "capture" => {
                    ensure!(words.len() > 3, "capture NAME AFTER TOOL WORDS");
                    let name = words.remove(0);
                    Some((name, words.remove(0)))
                }
                _ => None,
            };
            ensure!(!words.is_empty(), "which tool?");
            let tool = words.remove(0);
            script.steps.push(Step::Setup(Setup { tool, words, capture, ..Setup::default() }));
        }
        "apache" => {
            let mut words = split(rest)?;
            ensure!(!words.is_empty(), "which tool?");
            let tool = words.remove(0);
            script.steps.push(Step::Apache { tool, words });
        }
        "copy" => {
            let (from, to) = rest.split_once(' ').context("copy FROM TO")?;
            script.steps.push(Step::Copy { from: from.to_owned(), to: to.to_owned() });
        }
        "pause" => script.steps.push(Step::Pause(Duration::from_millis(rest.parse()?))),
        "run" => script.steps.push(Step::Run(Run::of(rest)?)),
        // A line of input may begin or end with blanks.
        "<" => {
            let typed = line.trim_start().strip_prefix("< ").unwrap_or_default();
            match script.steps.last_mut() {
                Some(Step::Run(Run { input, .. }) | Step::Setup(Setup { input, .. })) => {
                    input.push_str(typed);
                    input.push('\n');
                }
                _ => bail!("this input belongs to nothing"),
            }
        }
        "kill" => {
            let Some(Step::Setup(setup)) = script.steps.last_mut() else { bail!("this belongs to a setup") };
            setup.kill = Some(Duration::from_secs(rest.parse()?));
        }
        "limit" | "interrupt" | "until" | "figures" => {
            let Some(Step::Run(run)) = script.steps.last_mut() else { bail!("this belongs to a run") };
            match word {
                "limit" => run.limit = Duration::from_secs(rest.parse()?),
                "interrupt" => run.interrupt = Some(Duration::from_secs(rest.parse()?)),
                "until" => {
                    ensure!(script.process, "only a process can be waited for");
                    run.until = Some(rest.to_owned());
                }
                _ => run.figures = true,
            }
        }
        _ => bail!("'{word}' is no directive"),
    }
    Ok(())
}

/// Words as a shell would make them, quotes and backslashes included; nothing else is special.
pub fn split(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => {
                word.get_or_insert_default().push(match chars.next().context("a \\ at the end")? {
                    't' => '\t',
                    'n' => '\n',
                    other => other,
                })
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    ensure!(quote.is_none(), "a quote is not closed");
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_shells() {
        assert_eq!(split("a  'b c' \"d\\\"\" e\\ f ''").unwrap(), ["a", "b c", "d\"", "e f", ""]);
        assert!(split("'a").is_err());
    }

    #[test]
    fn a_script_is_read() {
        let script = parse(
            "# x\ntool kafka-a\nfile f\n| {\n|   1\nsetup kafka-b --c\n< in \nrun --d\n  limit 5\nrun --d\n",
        )
        .unwrap();
        assert_eq!(script.tool, "kafka-a");
        assert!(matches!(&script.steps[0], Step::File { text, .. } if text == "{\n  1\n"));
        assert!(matches!(&script.steps[1], Step::Setup(setup) if setup.input == "in \n"));
        let names: Vec<&str> = script
            .steps
            .iter()
            .filter_map(|s| if let Step::Run(run) = s { Some(run.name.as_str()) } else { None })
            .collect();
        assert_eq!(names, ["--d", "--d #2"]);
        for wrong in ["run --a\n", "tool a\n| x\n", "tool a\nwalk\n", "tool a\n< x\n"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
