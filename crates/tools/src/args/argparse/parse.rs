//! Reading arguments: argparse4j's rules, with its messages.

use std::collections::BTreeSet;
use std::io::Write;

use super::candidates::candidates;
use super::text::{width, wrap};
use super::{Action, Arg, Count, Kind, Namespace, Parser};
use crate::args::nearest::nearest;
use crate::runtime::{self, KAFKA_VERSION, Out, Stop};

/// Where the reading stands.
struct State<'a> {
    args: &'a [String],
    at: usize,
    /// `--` was seen: no options any more.
    only_positional: bool,
    /// What is missing, said only if nothing else is wrong.
    missing: Option<Stop>,
    found: Namespace,
}

impl Parser {
    /// Reads the arguments. Help and version are printed here, with a quiet success as the reason to stop.
    pub fn parse(&self, args: &[String], out: &mut Out) -> Result<Namespace, Stop> {
        let mut state =
            State { args, at: 0, only_positional: false, missing: None, found: Namespace::default() };
        self.read(&mut state, &[], out)?;
        match state.missing {
            Some(missing) => Err(missing),
            None => Ok(state.found),
        }
    }

    /// The usage and a message on standard error, exit code 1.
    pub fn error(&self, message: impl std::fmt::Display) -> Stop {
        self.error_below(&[], &message.to_string())
    }

    fn error_below(&self, above: &[&Parser], message: &str) -> Stop {
        if let Some(words) = above.iter().copied().chain([self]).find_map(|parser| parser.refusal) {
            return Stop::error(words(message));
        }
        let line = format!("{}: error: {message}\n", self.prog);
        let text = format!("{}{}", self.usage_below(above), wrap(&line, width(), 0, ""));
        Stop::error(text.trim_end_matches('\n'))
    }

    fn read(&self, state: &mut State<'_>, above: &[&Parser], out: &mut Out) -> Result<(), Stop> {
        for arg in &self.args {
            if let Some(default) = &arg.default {
                state.found.values.insert(arg.dest.clone(), vec![default.clone()]);
            }
        }
        let mut used: BTreeSet<usize> = BTreeSet::new();
        let mut positional: Vec<String> = Vec::new();
        while let Some(arg) = state.args.get(state.at) {
            if state.looks_like_option(arg) && arg != "--" {
                state.at += 1;
                self.read_option(arg, state, &mut used, above, out)?;
            } else if arg == "--" && !state.only_positional {
                state.at += 1;
                state.only_positional = true;
            } else if positional.len() < self.positional_room() {
                positional.push(arg.clone());
                state.at += 1;
            } else if !self.subcommands.is_empty() {
                self.take_positional(&positional, state, above)?;
                self.note_missing(state, &used, above);
                return self.read_command(state, above, out);
            } else {
                let rest = state.args[state.at..].join(" ");
                return Err(self.error_below(above, &format!("unrecognized arguments: '{rest}'")));
            }
        }
        if !self.subcommands.is_empty() {
            return Err(self.error_below(above, "too few arguments"));
        }
        self.take_positional(&positional, state, above)?;
        self.note_missing(state, &used, above);
        Ok(())
    }

    fn positional_room(&self) -> usize {
        self.positionals()
            .map(|arg| match arg.count {
                Count::One => 1,
                Count::Range(_, most) => most,
            })
            .fold(0, usize::saturating_add)
    }

    fn take_positional(
        &self,
        given: &[String],
        state: &mut State<'_>,
        above: &[&Parser],
    ) -> Result<(), Stop> {
        let least = |arg: &Arg| match arg.count {
            Count::One => 1,
            Count::Range(least, _) => least,
        };
        let mut needed: usize = self.positionals().map(least).sum();
        if given.len() < needed {
            return Err(self.error_below(above, "too few arguments"));
        }
        let mut rest = given;
        for arg in self.positionals() {
            needed -= least(arg);
            let most = match arg.count {
                Count::One => 1,
                Count::Range(_, most) => most,
            };
            let (mine, others) = rest.split_at((rest.len() - needed).min(most));
            rest = others;
            if !mine.is_empty() {
                self.store(arg, mine, state, above)?;
            }
        }
        Ok(())
    }

    fn read_command(&self, state: &mut State<'_>, above: &[&Parser], out: &mut Out) -> Result<(), Stop> {
        let typed = &state.args[state.at];
        let names: Vec<&str> = self.subcommands.iter().filter_map(|sub| sub.command).collect();
        let mut fitting: Vec<&str> =
            names.iter().copied().filter(|name| name.starts_with(typed.as_str())).collect();
        if let Some(exact) = names.iter().find(|name| *name == typed) {
            fitting = vec![exact];
        }
        match fitting.as_slice() {
            [only] if !typed.is_empty() => {
                state.at += 1;
                let sub = self.subcommands.iter().find(|sub| sub.command == Some(only));
                let sub = sub.unwrap_or_else(|| panic!("argparse-1: subcommand {only} vanished"));
                let above: Vec<&Parser> = above.iter().copied().chain([self]).collect();
                sub.read(state, &above, out)?;
                state.found.values.insert(self.sub_dest.clone(), vec![(*only).to_owned()]);
                Ok(())
            }
            [_, _, ..] if !typed.is_empty() => {
                fitting.sort_unstable();
                let fitting = fitting.join(", ");
                Err(self.error_below(above, &format!("ambiguous command: {typed} could match {fitting}")))
            }
            _ => {
                let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
                let message = format!("invalid choice: '{typed}' (choose from {})", quoted.join(", "));
                let near = candidates(typed, names.iter().map(|name| (*name, *name)));
                Err(self.error_below(above, &message).and_err(did_you_mean(&near)))
            }
        }
    }

    /// One option at `arg`, which is behind `state.at` already.
    fn read_option(
        &self,
        arg: &str,
        state: &mut State<'_>,
        used: &mut BTreeSet<usize>,
        above: &[&Parser],
        out: &mut Out,
    ) -> Result<(), Stop> {
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (arg, None),
        };
        let flag = match self.old.iter().find(|(old, _, _)| *old == flag) {
            Some((_, new, notice)) => {
                runtime::deprecated(notice);
                new
            }
            None => flag,
        };
        let Some(index) = self.resolve(flag, above)? else {
            return self.read_short_options(arg, state, used, above, out);
        };
        let option = &self.args[index];
        self.check_exclusive(index, used, above)?;
        self.run(option, value, state, above, out)?;
        used.insert(index);
        Ok(())
    }

    /// The option that a flag, or the beginning of one, names.
    fn resolve(&self, flag: &str, above: &[&Parser]) -> Result<Option<usize>, Stop> {
        let exact = self.args.iter().position(|arg| arg.flags.contains(&flag));
        if exact.is_some() {
            return Ok(exact);
        }
        let mut fitting: Vec<(&str, usize)> = Vec::new();
        for (i, arg) in self.args.iter().enumerate() {
            fitting.extend(arg.flags.iter().filter(|known| known.starts_with(flag)).map(|known| (*known, i)));
        }
        match fitting.as_slice() {
            [] => Ok(None),
            [(_, only)] => Ok(Some(*only)),
            _ => {
                fitting.sort_unstable();
                let names: Vec<&str> = fitting.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                Err(self.error_below(above, &format!("ambiguous option: {flag} could match {names}")))
            }
        }
    }

    /// `-abc` as `-a -b -c`, or `-avalue`.
    fn read_short_options(
        &self,
        arg: &str,
        state: &mut State<'_>,
        used: &mut BTreeSet<usize>,
        above: &[&Parser],
        out: &mut Out,
    ) -> Result<(), Stop> {
        if arg.starts_with("--") {
            return Err(self.unknown(arg, above));
        }
        for (at, c) in arg.char_indices().skip(1) {
            let flag = format!("-{c}");
            let Some(index) = self.args.iter().position(|known| known.flags.contains(&flag.as_str())) else {
                return Err(self.unknown(arg, above));
            };
            let option = &self.args[index];
            self.check_exclusive(index, used, above)?;
            used.insert(index);
            let rest = &arg[at + c.len_utf8()..];
            if option.takes_value() {
                return self.run(option, (!rest.is_empty()).then_some(rest), state, above, out);
            }
            self.run(option, None, state, above, out)?;
        }
        Ok(())
    }

    fn unknown(&self, arg: &str, above: &[&Parser]) -> Stop {
        let flag = arg.split_once('=').map_or(arg, |(flag, _)| flag);
        let body = flag.trim_start_matches('-');
        let stop = self.error_below(above, &format!("unrecognized arguments: '{arg}'"));
        let known = || self.options().filter(|arg| !arg.suppressed).flat_map(|arg| arg.flags.iter().copied());
        let mut near = Vec::new();
        if body.len() >= 2 {
            near = candidates(body, known().map(|flag| (flag.trim_start_matches('-'), flag)));
            if near.is_empty() {
                // argparse4j gives up sooner than we do.
                near.extend(nearest(flag, known()));
            }
        }
        stop.and_err(did_you_mean(&near))
    }

    fn check_exclusive(&self, index: usize, used: &BTreeSet<usize>, above: &[&Parser]) -> Result<(), Stop> {
        let option = &self.args[index];
        let Some(group) = option.group.filter(|&group| self.groups[group].exclusive) else { return Ok(()) };
        let other = used.iter().find(|&&other| other != index && self.args[other].group == Some(group));
        match other {
            Some(&other) => Err(self.error_below(
                above,
                &format!(
                    "argument {}: not allowed with argument {}",
                    option.textual(),
                    self.args[other].textual()
                ),
            )),
            None => Ok(()),
        }
    }

    fn run(
        &self,
        option: &Arg,
        value: Option<&str>,
        state: &mut State<'_>,
        above: &[&Parser],
        out: &mut Out,
    ) -> Result<(), Stop> {
        let wrong = |what: String| self.error_below(above, &format!("argument {}: {what}", option.textual()));
        if !option.takes_value() {
            if let Some(value) = value {
                return Err(wrong(format!("ignore implicit argument '{value}'")));
            }
            match option.action {
                Action::Help => write!(out, "{}", self.help_below(above))?,
                Action::Version => writeln!(out, "{KAFKA_VERSION}")?,
                _ => self.put(option, vec!["true".to_owned()], state),
            }
            return if option.action.ends_the_tool() { Err(Stop::quiet(0)) } else { Ok(()) };
        }
        let (least, most) = match option.count {
            Count::One => (1, 1),
            Count::Range(least, most) => (least, most),
        };
        let mut values: Vec<String> = value.map(str::to_owned).into_iter().collect();
        while value.is_none() && values.len() < most {
            match state.args.get(state.at) {
                Some(next) if !state.looks_like_option(next) => {
                    values.push(next.clone());
                    state.at += 1;
                }
                _ => break,
            }
        }
        if values.len() < least {
            return Err(wrong(match option.count {
                Count::One => "expected one argument".into(),
                Count::Range(1, usize::MAX) => "expected at least one argument".into(),
                Count::Range(n, _) => format!("expected {n} argument(s)"),
            }));
        }
        self.store(option, &values, state, above)
    }

    fn store(
        &self,
        arg: &Arg,
        values: &[String],
        state: &mut State<'_>,
        above: &[&Parser],
    ) -> Result<(), Stop> {
        for value in values {
            if let Err(what) = arg.check(value) {
                return Err(self.error_below(above, &format!("argument {}: {what}", arg.textual())));
            }
        }
        self.put(arg, values.to_vec(), state);
        Ok(())
    }

    fn put(&self, arg: &Arg, values: Vec<String>, state: &mut State<'_>) {
        let first = state.found.given.insert(arg.dest.clone());
        let slot = state.found.values.entry(arg.dest.clone()).or_default();
        if arg.action == Action::Append && !first {
            slot.extend(values);
        } else {
            *slot = values;
        }
    }

    /// What is required and was not given; argparse4j names the last one that is missing.
    fn note_missing(&self, state: &mut State<'_>, used: &BTreeSet<usize>, above: &[&Parser]) {
        if state.missing.is_some() {
            return;
        }
        for (i, arg) in self.args.iter().enumerate() {
            if arg.required && !arg.flags.is_empty() && !used.contains(&i) {
                let message = format!("argument {} is required", arg.textual());
                state.missing = Some(self.error_below(above, &message));
            }
        }
        if state.missing.is_some() {
            return;
        }
        for (i, group) in self.groups.iter().enumerate() {
            let given = used.iter().any(|&arg| self.args[arg].group == Some(i));
            if group.exclusive && group.required && !given {
                let shown = self.args.iter().filter(|arg| arg.group == Some(i) && !arg.suppressed);
                let names: String = shown.map(|arg| arg.textual() + " ").collect();
                state.missing =
                    Some(self.error_below(above, &format!("one of the arguments {names}is required")));
            }
        }
    }
}

impl State<'_> {
    /// Whether an argument is an option: a dash and more, but no negative number.
    fn looks_like_option(&self, arg: &str) -> bool {
        let number = arg.strip_prefix('-').is_some_and(|digits| {
            digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok()
        });
        !self.only_positional && arg.len() > 1 && arg.starts_with('-') && !number
    }
}

impl Arg {
    /// Whether a value is one of the kind and of the choices.
    fn check(&self, value: &str) -> Result<(), String> {
        let java = |class: &str, ok: bool| match ok {
            true => Ok(()),
            false => Err(format!("could not convert '{value}' to {class} (For input string: \"{value}\")")),
        };
        match self.kind {
            Kind::Short => java("Short", value.parse::<i16>().is_ok())?,
            Kind::Integer => java("Integer", value.parse::<i32>().is_ok())?,
            Kind::Long => java("Long", value.parse::<i64>().is_ok())?,
            Kind::Double => java("Double", value.trim().parse::<f64>().is_ok())?,
            Kind::Text | Kind::Boolean | Kind::File => {}
        }
        if !self.choices.is_empty() && !self.choices.contains(&value) {
            return Err(format!("invalid choice: '{value}' (choose from {{{}}})", self.choices.join(",")));
        }
        Ok(())
    }
}

fn did_you_mean(near: &[&str]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = near.iter().map(|name| format!("\t{name}")).collect();
    format!("\nDid you mean:\n{}", lines.join("\n"))
}
