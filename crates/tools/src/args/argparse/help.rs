//! Usage and help, as argparse4j prints them.

use super::text::{width, wrap};
use super::{Action, Arg, Count, Group, Kind, Parser};

/// The column where descriptions begin.
const COLUMN: usize = 25;

impl Arg {
    fn metavar_text(&self) -> String {
        match &self.metavar {
            Some(metavar) => metavar.clone(),
            None if !self.choices.is_empty() => format!("{{{}}}", self.choices.join(",")),
            None if self.kind == Kind::Boolean => "{true,false}".into(),
            None if self.flags.is_empty() => self.dest.clone(),
            None => self.dest.to_uppercase(),
        }
    }

    /// The values as the usage shows them.
    fn values_text(&self) -> String {
        if !self.takes_value() {
            return String::new();
        }
        let one = self.metavar_text();
        match self.count {
            Count::One => one,
            Count::Range(0, 1) => format!("[{one}]"),
            Count::Range(0, usize::MAX) => format!("[{one} [{one} ...]]"),
            Count::Range(_, usize::MAX) => format!("{one} [{one} ...]"),
            Count::Range(n, _) => vec![one; n].join(" "),
        }
    }

    /// `--flag VALUE`, or a positional argument's value.
    fn short_bare(&self) -> String {
        let values = self.values_text();
        match self.flags.first() {
            None => values,
            Some(flag) if values.is_empty() => (*flag).to_owned(),
            Some(flag) => format!("{flag} {values}"),
        }
    }

    fn short(&self) -> String {
        let bare = self.short_bare();
        if self.required || self.flags.is_empty() { bare } else { format!("[{bare}]") }
    }

    fn title(&self) -> String {
        if self.flags.is_empty() {
            return self.metavar_text();
        }
        let values = self.values_text();
        let space = if values.is_empty() { "" } else { " " };
        self.flags.iter().map(|flag| format!("{flag}{space}{values}")).collect::<Vec<_>>().join(", ")
    }

    fn print_help(&self, default_help: bool, text: &mut String) {
        if self.suppressed {
            return;
        }
        let help = match &self.default {
            Some(default) if default_help && self.default_shown => {
                format!("{} (default: {default})", self.help).trim_start().to_owned()
            }
            _ => self.help.clone(),
        };
        entry(text, &self.title(), &help);
    }
}

/// The widest `usage: NAME` that has arguments beside it, and the indent of those that do not.
const LONGEST_NAME: usize = 30;
const SHORT_INDENT: usize = 6;

/// A title, and what it is for in the column beside it, or below if the title is long.
fn entry(text: &mut String, title: &str, help: &str) {
    text.push_str("  ");
    text.push_str(title);
    if help.is_empty() {
        text.push('\n');
        return;
    }
    let used = title.chars().count() + 2;
    if used <= 23 {
        text.push_str(&" ".repeat(COLUMN - used));
    } else {
        text.push('\n');
        text.push_str(&" ".repeat(COLUMN));
    }
    text.push_str(&wrap(help, width(), COLUMN, &" ".repeat(COLUMN)));
    text.push('\n');
}

impl Parser {
    /// Whether this argument is listed among the others, not in a section of its own.
    fn ungrouped(&self, arg: &Arg) -> bool {
        !arg.group.is_some_and(|group| self.groups[group].separate())
    }

    fn in_exclusive(&self, arg: &Arg) -> bool {
        arg.group.is_some_and(|group| self.groups[group].exclusive)
    }

    fn shown_in(&self, group: usize) -> Vec<&Arg> {
        self.args.iter().filter(|arg| arg.group == Some(group) && !arg.suppressed).collect()
    }

    /// The whole help; `above` are the parsers whose subcommand this is.
    pub(super) fn help_below(&self, above: &[&Parser]) -> String {
        let mut text = self.usage_below(above);
        if !self.description.is_empty() {
            text.push_str(&format!("\n{}\n", wrap(&self.description, width(), 0, "")));
        }
        let commands_apart = !self.sub_title.is_empty();
        let has_commands = !self.subcommands.is_empty();
        let section = |args: Vec<&Arg>, text: &mut String| {
            for arg in args {
                arg.print_help(self.default_help, text);
            }
        };
        let positional: Vec<&Arg> = self.positionals().filter(|arg| self.ungrouped(arg)).collect();
        if positional.iter().any(|arg| !arg.suppressed) || (has_commands && !commands_apart) {
            text.push_str("\npositional arguments:\n");
            section(positional, &mut text);
            if has_commands && !commands_apart {
                self.print_commands(&mut text);
            }
        }
        let optional: Vec<&Arg> = self.options().filter(|arg| self.ungrouped(arg)).collect();
        if optional.iter().any(|arg| !arg.suppressed) {
            text.push_str("\noptional arguments:\n");
            section(optional, &mut text);
        }
        if has_commands && commands_apart {
            text.push_str(&format!("\n{}:\n", self.sub_title));
            self.print_commands(&mut text);
        }
        for (i, group) in self.groups.iter().enumerate().filter(|(_, group)| group.separate()) {
            text.push('\n');
            if !group.title.is_empty() {
                text.push_str(&format!("{}:\n", group.title));
            }
            if !group.description.is_empty() {
                text.push_str(&format!("  {}\n\n", wrap(&group.description, width(), 2, "  ")));
            }
            section(self.args.iter().filter(|arg| arg.group == Some(i)).collect(), &mut text);
        }
        text
    }

    fn print_commands(&self, text: &mut String) {
        entry(text, &self.commands_text(), "");
        for sub in &self.subcommands {
            if !sub.about.is_empty() {
                entry(text, &format!("  {}", sub.command.unwrap_or_default()), &sub.about);
            }
        }
    }

    fn commands_text(&self) -> String {
        if let Some(metavar) = self.sub_metavar {
            return metavar.to_owned();
        }
        let names: Vec<&str> = self.subcommands.iter().filter_map(|sub| sub.command).collect();
        format!("{{{}}}", names.join(","))
    }

    /// What of this parser's arguments stands in the usage of its subcommands.
    fn required_usage(&self, parts: &mut Vec<String>) {
        parts.extend(self.command.map(str::to_owned));
        parts.extend(
            self.options()
                .filter(|arg| arg.required && !arg.suppressed && !self.in_exclusive(arg))
                .map(Arg::short),
        );
        for (i, group) in self.groups.iter().enumerate().filter(|(_, group)| group.exclusive) {
            match self.shown_in(i).as_slice() {
                [only] if group.required => parts.push(only.short_bare()),
                [only] if only.required => parts.push(only.short()),
                [] | [_] => {}
                args if group.required => exclusive_usage(group, args, parts),
                _ => {}
            }
        }
        parts.extend(self.positionals().filter(|arg| !arg.suppressed).map(Arg::short));
    }

    pub(super) fn usage_below(&self, above: &[&Parser]) -> String {
        let mut parts = Vec::new();
        for parser in above {
            parser.required_usage(&mut parts);
        }
        parts.extend(self.command.map(str::to_owned));
        parts.extend(self.options().filter(|arg| !arg.suppressed && !self.in_exclusive(arg)).map(Arg::short));
        for (i, group) in self.groups.iter().enumerate().filter(|(_, group)| group.exclusive) {
            match self.shown_in(i).as_slice() {
                [] => {}
                [only] if group.required => parts.push(only.short_bare()),
                [only] => parts.push(only.short()),
                args => exclusive_usage(group, args, &mut parts),
            }
        }
        parts.extend(self.positionals().filter(|arg| !arg.suppressed).map(Arg::short));
        if !self.subcommands.is_empty() {
            parts.push(self.commands_text());
            parts.push("...".into());
        }
        let mut text = format!("usage: {}", self.prog);
        // argparse4j's indent is as wide as what stands before it; a long name has a line of its own.
        let mut indent = text.chars().count();
        if indent > LONGEST_NAME {
            indent = SHORT_INDENT;
            text.push('\n');
            text.push_str(&" ".repeat(indent));
        }
        // There argparse4j counts the first line's indent twice.
        let mut used = if indent == SHORT_INDENT { 2 * indent } else { indent };
        for (i, part) in parts.iter().enumerate() {
            let columns = part.chars().count();
            if i > 0 && used + columns + 1 > width() {
                text.push('\n');
                text.push_str(&" ".repeat(indent));
                used = indent;
            }
            text.push(' ');
            text.push_str(part);
            used += columns + 1;
        }
        text.push('\n');
        text
    }

    /// The help.
    pub fn help(&self) -> String {
        self.help_below(&[])
    }

    /// The usage.
    pub fn usage(&self) -> String {
        self.usage_below(&[])
    }
}

fn exclusive_usage(group: &Group, args: &[&Arg], parts: &mut Vec<String>) {
    let (open, close) = if group.required { ("(", ")") } else { ("[", "]") };
    for (i, arg) in args.iter().enumerate() {
        let bare = arg.short_bare();
        match i {
            0 => parts.push(format!("{open}{bare}")),
            _ if i + 1 == args.len() => parts.extend(["|".into(), format!("{bare}{close}")]),
            _ => parts.extend(["|".into(), bare]),
        }
    }
}

impl Action {
    pub(super) fn ends_the_tool(self) -> bool {
        matches!(self, Action::Help | Action::Version)
    }
}
