//! The shell's commands, their help and their errors.

use std::io::Write as _;

use ottla_metadata::image::Image;

use super::glob;
use crate::runtime::{Out, Stop};

/// A command: its name, its arguments as its usage shows them, its argument's name and help, what it does.
struct Command {
    name: &'static str,
    usage: &'static str,
    argument: Option<(&'static str, &'static str)>,
    about: &'static str,
    /// Only in the interactive shell.
    interactive: bool,
    least: usize,
    most: usize,
}

const fn command(
    name: &'static str,
    usage: &'static str,
    argument: Option<(&'static str, &'static str)>,
    about: &'static str,
    interactive: bool,
    (least, most): (usize, usize),
) -> Command {
    Command { name, usage, argument, about, interactive, least, most }
}

const ANY: usize = usize::MAX;

const COMMANDS: [Command; 10] = [
    command(
        "cat",
        "targets [targets ...]",
        Some(("targets", "The metadata files to display.")),
        "Show the contents of metadata files.",
        false,
        (1, ANY),
    ),
    command(
        "cd",
        "[target]",
        Some(("target", "The directory to change to.")),
        "Set the current working directory.",
        true,
        (0, 1),
    ),
    command("exit", "", None, "Exit the metadata shell.", true, (0, 0)),
    command(
        "find",
        "[paths [paths ...]]",
        Some(("paths", "The paths to start at.")),
        "Search for nodes in the directory hierarchy.",
        false,
        (0, ANY),
    ),
    command("help", "", None, "Display this help message.", true, (0, 0)),
    command(
        "history",
        "[numEntriesToShow]",
        Some(("numEntriesToShow", "The number of entries to show.")),
        "Print command history.",
        true,
        (0, 1),
    ),
    command(
        "ls",
        "[targets [targets ...]]",
        Some(("targets", "The metadata node paths to list.")),
        "List metadata nodes.",
        false,
        (0, ANY),
    ),
    command(
        "man",
        "cmd",
        Some(("cmd", "The command to get help text for.")),
        "Show the help text for a specific command.",
        true,
        (1, 1),
    ),
    command("pwd", "", None, "Print the current working directory.", true, (0, 0)),
    command(
        "tree",
        "targets [targets ...]",
        Some(("targets", "The metadata nodes to display.")),
        "Show the contents of metadata nodes in a tree structure.",
        false,
        (1, ANY),
    ),
];

const HELP: &str = "Welcome to the Apache Kafka metadata shell.

usage:  {cat,cd,exit,find,help,history,ls,man,pwd,tree} ...

positional arguments:
  {cat,cd,exit,find,help,history,ls,man,pwd,tree}
    cat                  Show the contents of metadata files.
    cd                   Set the current working directory.
    exit                 Exit the metadata shell.
    find                 Search for nodes in the directory hierarchy.
    help                 Display this help message.
    history              Print command history.
    ls                   List metadata nodes.
    man                  Show the help text for a specific command.
    pwd                  Print the current working directory.
    tree                 Show the contents  of  metadata  nodes  in  a tree
                         structure.
";

/// Whether the shell goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Command,
    Exit,
}

/// The metadata, where the user stands, and what was typed.
pub(super) struct Shell {
    image: Image,
    interactive: bool,
    working_directory: String,
    history: Vec<String>,
}

impl Shell {
    pub(super) fn new(image: Image, interactive: bool) -> Shell {
        Shell { image, interactive, working_directory: "/".to_owned(), history: Vec::new() }
    }

    /// Keeps a line for `history`; empty ones and repetitions of the last one are not kept.
    pub(super) fn remember(&mut self, line: &str) {
        let line = line.trim();
        if !line.is_empty() && self.history.last().is_none_or(|last| last != line) {
            self.history.push(line.to_owned());
        }
    }

    /// Runs one command, whose words these are.
    pub(super) fn run(&mut self, words: &[String], out: &mut Out) -> Result<Ended, Stop> {
        let used = words.iter().rposition(|word| !word.is_empty()).map_or(0, |last| last + 1);
        let Some((name, arguments)) = words[..used].split_first() else { return Ok(Ended::Command) };
        match self.choose(name, arguments) {
            Ok(command) if command.name == "exit" => return Ok(Ended::Exit),
            Ok(command) => self.act(command.name, arguments, out)?,
            Err(message) => writeln!(out, "{message}")?,
        }
        Ok(Ended::Command)
    }

    /// The command, or what argparse4j says.
    fn choose(&self, name: &str, arguments: &[String]) -> Result<&'static Command, String> {
        let known = || COMMANDS.iter().filter(|command| self.interactive || !command.interactive);
        let Some(command) = known().find(|command| command.name == name) else {
            let near: Vec<_> = known().filter(|command| command.name.starts_with(name)).collect();
            return Err(match near.as_slice() {
                [only] => format!("invalid choice: '{name}': did you mean '{}'?", only.name),
                _ => {
                    let names: Vec<String> = known().map(|command| format!("'{}'", command.name)).collect();
                    format!("invalid choice: '{name}' (choose from {})", names.join(", "))
                }
            });
        };
        if let Some(flag) = arguments.iter().find(|a| a.len() > 1 && a.starts_with('-')) {
            return Err(format!("unrecognized arguments: '{flag}'"));
        }
        if arguments.len() < command.least {
            return Err("too few arguments".to_owned());
        }
        if let Some(extra) = arguments.get(command.most) {
            return Err(format!("unrecognized arguments: '{extra}'"));
        }
        if command.name == "history"
            && let Some(count) = arguments.first()
            && count.parse::<i32>().is_err()
        {
            return Err(format!(
                "argument numEntriesToShow: could not convert '{count}' to Integer (32 bits)"
            ));
        }
        Ok(command)
    }

    fn act(&mut self, name: &str, arguments: &[String], out: &mut Out) -> Result<(), Stop> {
        match name {
            "cat" | "tree" => self.show(name, arguments, out)?,
            "find" => self.find(&effective(arguments), out)?,
            "ls" => self.list(&effective(arguments), out)?,
            "cd" => self.change(arguments.first().map_or("/", String::as_str), out)?,
            "pwd" => writeln!(out, "{}", self.working_directory)?,
            "help" => write!(out, "{HELP}")?,
            "man" => man(&arguments[0], out)?,
            "history" => {
                let wanted = arguments.first().and_then(|n| n.parse::<i32>().ok()).unwrap_or(i32::MAX);
                let first = self.history.len().saturating_sub(usize::try_from(wanted).unwrap_or(0));
                for (i, line) in self.history.iter().enumerate().skip(first) {
                    writeln!(out, "{i:5}  {line}")?;
                }
            }
            _ => unreachable!("T-7: the shell has no command {name}"),
        }
        Ok(())
    }

    fn show(&self, name: &str, targets: &[String], out: &mut Out) -> Result<(), Stop> {
        for target in targets {
            let found = glob::find(&self.image, target, &self.working_directory);
            if found.is_empty() {
                writeln!(out, "{name}: {target}: No such file or directory.")?;
            }
            for entry in found {
                if name == "cat" && entry.node.is_directory() {
                    writeln!(out, "cat: {target}: Is a directory")?;
                } else {
                    entry.node.print(&self.image, 0, &mut |line| writeln!(out, "{line}"))?;
                }
            }
        }
        Ok(())
    }

    fn find(&self, paths: &[&str], out: &mut Out) -> Result<(), Stop> {
        for path in paths {
            let found = glob::find(&self.image, path, &self.working_directory);
            if found.is_empty() {
                writeln!(out, "find: {path}: no such file or directory.")?;
            }
            for entry in found {
                self.walk(path, &entry.node, out)?;
            }
        }
        Ok(())
    }

    fn walk(&self, path: &str, node: &super::node::Node, out: &mut Out) -> std::io::Result<()> {
        writeln!(out, "{path}")?;
        for name in node.children(&self.image) {
            if let Some(child) = node.child(&self.image, &name) {
                let next = if path == "/" { format!("/{name}") } else { format!("{path}/{name}") };
                self.walk(&next, &child, out)?;
            }
        }
        Ok(())
    }

    fn list(&self, targets: &[&str], out: &mut Out) -> Result<(), Stop> {
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for target in targets {
            let found = glob::find(&self.image, target, &self.working_directory);
            if found.is_empty() {
                writeln!(out, "ls: {target}: no such file or directory.")?;
            }
            for entry in found {
                let last = entry.last().to_owned();
                if entry.node.is_directory() {
                    directories.push((last, entry.node.children(&self.image)));
                } else {
                    files.push(last);
                }
            }
        }
        let width = if self.interactive { screen_width() } else { None };
        entries("", width, &files, out)?;
        let introduce = !files.is_empty() || directories.len() > 1;
        let mut first = files.is_empty();
        for (name, children) in directories {
            let intro = match (introduce, first) {
                (false, _) => String::new(),
                (true, true) => format!("{name}:"),
                (true, false) => format!("\n{name}:"),
            };
            first = first && !introduce;
            entries(&intro, width, &children, out)?;
        }
        Ok(())
    }

    fn change(&mut self, target: &str, out: &mut Out) -> Result<(), Stop> {
        let found = glob::find(&self.image, target, &self.working_directory);
        if found.is_empty() {
            writeln!(out, "cd: {target}: no such directory.")?;
        }
        for entry in found {
            if entry.node.is_directory() {
                self.working_directory = entry.absolute();
            } else {
                writeln!(out, "cd: {target}: not a directory.")?;
            }
        }
        Ok(())
    }
}

/// The paths to look at: where the user stands, if none is given.
fn effective(paths: &[String]) -> Vec<&str> {
    let paths: Vec<&str> = paths.iter().map(String::as_str).filter(|path| !path.is_empty()).collect();
    if paths.is_empty() { vec!["."] } else { paths }
}

fn man(name: &str, out: &mut Out) -> std::io::Result<()> {
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return writeln!(out, "man: unknown command {name}. Type help to get a list of commands.");
    };
    writeln!(out, "{name}: {}\n", command.about)?;
    writeln!(out, "{}", format!("usage: {name} {}", command.usage).trim_end())?;
    if let Some((argument, help)) = command.argument {
        writeln!(out, "\npositional arguments:\n  {argument:<22} {help}")?;
    }
    Ok(())
}

fn screen_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

fn entries(intro: &str, width: Option<usize>, entries: &[String], out: &mut Out) -> std::io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    if !intro.is_empty() {
        writeln!(out, "{intro}")?;
    }
    let (widths, per_column) = columns(width, entries);
    for line in 0..entries.len().div_ceil(widths.len()) {
        let mut text = String::new();
        for (column, width) in widths.iter().enumerate() {
            if let Some(entry) = entries.get(line + column * per_column) {
                text += entry;
                if column + 1 < widths.len() {
                    text.extend(std::iter::repeat_n(' ', width.saturating_sub(entry.chars().count())));
                }
            }
        }
        writeln!(out, "{text}")?;
    }
    Ok(())
}

/// The widths of as many columns as fit, and how many entries each holds.
fn columns(width: Option<usize>, entries: &[String]) -> (Vec<usize>, usize) {
    let one = || {
        let longest = entries.iter().map(|entry| entry.chars().count() + 2).max();
        (vec![longest.unwrap_or(0)], entries.len())
    };
    let Some(width) = width else { return one() };
    for count in (2..=width / 4).rev() {
        let per_column = entries.len().div_ceil(count);
        let mut widths = vec![0; count];
        for (i, entry) in entries.iter().enumerate() {
            let slot = &mut widths[i / per_column];
            *slot = (*slot).max(entry.chars().count() + 2);
        }
        if widths.last() != Some(&0) && widths.iter().sum::<usize>() <= width {
            return (widths, per_column);
        }
    }
    one()
}

/// A line as words: blanks part them, quotes and backslashes keep them together.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_words() {
        assert_eq!(words("  ls  'a b' \"c\\\"d\" e\\ f \"\" "), ["ls", "a b", "c\"d", "e f", ""]);
        assert!(words("   ").is_empty());
    }

    #[test]
    fn columns_fit_the_screen() {
        let entries: Vec<String> = ["a", "bb", "ccc", "d"].iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(columns(None, &entries).0.len(), 1);
        assert_eq!(columns(Some(16), &entries), (vec![3, 4, 5, 3], 1));
        assert_eq!(columns(Some(14), &entries), (vec![4, 5], 2));
        assert_eq!(columns(Some(5), &entries).0.len(), 1);
    }

    #[test]
    fn commands_are_chosen_as_argparse4j_chooses() {
        let said = |interactive, line: &str| {
            let mut out = Out::new_for_test();
            Shell::new(Image::default(), interactive).run(&words(line), &mut out).unwrap();
            String::from_utf8(out.into_test()).unwrap()
        };
        assert_eq!(said(false, "foo"), "invalid choice: 'foo' (choose from 'cat', 'find', 'ls', 'tree')\n");
        assert_eq!(said(false, "pwd"), "invalid choice: 'pwd' (choose from 'cat', 'find', 'ls', 'tree')\n");
        assert_eq!(said(false, "l"), "invalid choice: 'l': did you mean 'ls'?\n");
        assert_eq!(said(true, "cat"), "too few arguments\n");
        assert_eq!(said(true, "exit 3"), "unrecognized arguments: '3'\n");
        assert_eq!(said(true, "ls -l"), "unrecognized arguments: '-l'\n");
        assert_eq!(said(true, "pwd"), "/\n");
        assert_eq!(said(true, "ls /"), "image\nlocal\n");
        assert_eq!(said(true, "ls"), "image\nlocal\n");
        assert_eq!(said(true, "cat /image/producerIds/*"), "-1\n");
        assert_eq!(said(true, "man exit"), "exit: Exit the metadata shell.\n\nusage: exit\n");
    }

    #[test]
    fn the_directory_changes_and_the_history_grows() {
        let mut out = Out::new_for_test();
        let mut shell = Shell::new(Image::default(), true);
        for line in [
            "cd image/topics",
            "pwd",
            "cd nope",
            "cd ../provenance",
            "cd",
            "cd",
            "pwd",
            "exit now",
            "history 2",
        ] {
            shell.remember(line);
            assert_eq!(shell.run(&words(line), &mut out).unwrap(), Ended::Command);
        }
        assert_eq!(shell.run(&words("exit"), &mut out).unwrap(), Ended::Exit);
        assert_eq!(
            String::from_utf8(out.into_test()).unwrap(),
            "/image/topics\ncd: nope: no such directory.\ncd: ../provenance: not a directory.\n/\n\
             unrecognized arguments: 'now'\n    6  exit now\n    7  history 2\n"
        );
    }
}
