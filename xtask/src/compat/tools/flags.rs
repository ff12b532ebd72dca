//! Which flags a tool has, told by Apache's own help, and which of them the invocations use.

use std::collections::BTreeSet;

/// A tool's help (of the tool itself, or of one of its commands) read for its flags.
#[derive(Default)]
pub struct Flags {
    /// Every spelling of every flag, but those that ask for the help.
    pub names: BTreeSet<String>,
    /// argparse4j's commands: `{describe,upgrade}`.
    pub commands: Vec<String>,
}

const OF_HELP: &[&str] = &["-h", "--help"];

/// Reads the table of joptsimple or the blocks of argparse4j.
pub fn read(help: &str) -> Flags {
    let mut flags = Flags::default();
    let argparse = help.trim_start().starts_with("usage: ");
    for line in help.lines() {
        let column = match (argparse, line.strip_prefix("  ")) {
            (true, Some(rest)) if rest.starts_with('-') => rest,
            (false, _) if line.starts_with('-') => line,
            _ => continue,
        };
        // The text behind the column may name other flags.
        let column = column.split("  ").next().unwrap_or_default();
        for word in column.split([' ', ',', '/']) {
            if is_flag(word) && !OF_HELP.contains(&word) {
                flags.names.insert(word.to_owned());
            }
            // `<String: a --flag>` is a description.
            if word.starts_with('<') {
                break;
            }
        }
    }
    if argparse {
        flags.commands = commands(help);
    }
    flags
}

fn is_flag(word: &str) -> bool {
    let bare = word.trim_start_matches('-');
    word.len() - bare.len() <= 2
        && word.starts_with('-')
        && bare.starts_with(|c: char| c.is_ascii_alphabetic())
        && bare.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

/// What stands in braces in the usage and is no option's argument.
fn commands(help: &str) -> Vec<String> {
    let usage: String = help.lines().take_while(|line| !line.trim().is_empty()).collect::<Vec<_>>().join(" ");
    let mut before = "";
    for word in usage.split_whitespace() {
        // `[--level {a,b}]` are an option's values; `[-h] {list,drop}` are commands.
        let of_option =
            before.trim_start_matches(['[', '(']).starts_with('-') && !before.ends_with([']', ')']);
        if word.starts_with('{') && !of_option {
            let inner = word.trim_matches(['{', '}']);
            return inner.split(',').map(str::to_owned).collect();
        }
        before = word;
    }
    Vec::new()
}

/// Those of `flags` that no invocation uses; with `command`, only invocations that name it count.
pub fn unused<'f>(flags: &'f Flags, command: Option<&str>, runs: &[&[String]]) -> Vec<&'f str> {
    let used: BTreeSet<&str> = runs
        .iter()
        .filter(|words| command.is_none_or(|command| words.iter().any(|word| word == command)))
        .flat_map(|words| words.iter())
        .map(|word| word.split('=').next().unwrap_or_default())
        .collect();
    flags.names.iter().map(String::as_str).filter(|name| !used.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joptsimples_table() {
        let help = "This tool ...\nOption                                   Description\n------                                   -----------\n\
                    --alter                                  Alter, see --create\n--bootstrap-server <String: server to    REQUIRED\n\
                    \u{20}\u{20}connect to>\n-t, --topic <String: --x>          The topic\n--help                   Print\n";
        let flags = read(help);
        assert_eq!(
            flags.names.iter().map(String::as_str).collect::<Vec<_>>(),
            ["--alter", "--bootstrap-server", "--topic", "-t"]
        );
        let words: Vec<String> = ["--alter", "--topic=x"].map(str::to_owned).into();
        assert_eq!(unused(&flags, None, &[&words]), ["--bootstrap-server", "-t"]);
    }

    #[test]
    fn argparses_blocks() {
        let help = "usage: kafka-x [-h] [--level {a,b}] (--one ONE | --two TWO)\n               {list,drop} ...\n\noptional arguments:\n\
                    \u{20}\u{20}-h, --help             show\n  --release-version R, -r R\n                         The --other\n  --level {a,b}\n";
        let flags = read(help);
        assert_eq!(flags.commands, ["list", "drop"]);
        assert_eq!(
            flags.names.iter().map(String::as_str).collect::<Vec<_>>(),
            ["--level", "--release-version", "-r"]
        );
        let words: Vec<String> = ["list", "-r"].map(str::to_owned).into();
        assert_eq!(unused(&flags, Some("drop"), &[&words]).len(), 3);
    }
}
