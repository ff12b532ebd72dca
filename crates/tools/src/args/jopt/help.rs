//! The help: a table of two columns in 80 characters, as joptsimple's `BuiltinHelpFormatter` lays it out.

use super::{Kind, Opt, Parser, Takes};
use crate::args::lines::wrap;

const WIDTH: usize = 80;
const GAP: usize = 2;

impl Parser {
    /// The table of the options, each line filled with blanks to the same width.
    pub fn help(&self) -> String {
        let mut shown: Vec<&Opt> = self.options.iter().filter(|opt| !opt.hidden).collect();
        shown.sort_by_key(|opt| opt.names[0]);
        let mut rows: Vec<(String, String)> = Vec::with_capacity(shown.len() + 2);
        if shown.is_empty() {
            rows.push(("No options specified".into(), String::new()));
        } else if shown.iter().any(|opt| opt.required) {
            rows.push(("Option (* = required)".into(), "Description".into()));
            rows.push(("---------------------".into(), "-----------".into()));
        } else {
            rows.push(("Option".into(), "Description".into()));
            rows.push(("------".into(), "-----------".into()));
        }
        rows.extend(shown.iter().map(|opt| (opt.title(), opt.description())));
        let table = table(&rows);
        match &self.positional {
            Some(about) => format!("Non-option arguments:\n{about}\n\n{table}"),
            None => table,
        }
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// The widths of the two columns for these rows.
fn widths(rows: &[(String, String)]) -> (usize, usize) {
    let left = rows.iter().map(|(option, _)| chars(option)).max().unwrap_or(0).min((WIDTH - GAP) / 2);
    let right = rows.iter().map(|(_, about)| chars(about)).max().unwrap_or(0).min(WIDTH - left - GAP);
    (left, right)
}

fn table(rows: &[(String, String)]) -> String {
    let (left, right) = widths(rows);
    let mut fitted = Vec::new();
    for (option, about) in rows {
        let options = wrap(option, left);
        let abouts = wrap(about, right);
        for i in 0..options.len().max(abouts.len()) {
            let at = |lines: &[String]| lines.get(i).cloned().unwrap_or_default();
            fitted.push((at(&options), at(&abouts)));
        }
    }
    let (left, right) = widths(&fitted);
    let mut text = String::with_capacity(fitted.len() * (WIDTH + 1));
    for (option, about) in &fitted {
        text.push_str(&format!("{option:<left$}{:GAP$}{about:<right$}\n", ""));
    }
    text
}

impl Opt {
    fn title(&self) -> String {
        let mut title = String::from(if self.required { "* " } else { "" });
        for (i, name) in self.names.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            let dashes = if chars(name) > 1 { "--" } else { "-" };
            title.push_str(&format!("{comma}{dashes}{name}"));
        }
        let Some(kind) = self.kind() else { return title };
        let kind = match kind {
            Kind::Text => "String",
            Kind::Integer => "Integer",
            Kind::Long => "Long",
            Kind::Double => "Double",
            Kind::Boolean => "Boolean",
            Kind::Class(name) => name,
        };
        let value = if self.value.is_empty() { kind.to_owned() } else { format!("{kind}: {}", self.value) };
        match self.takes {
            Takes::Value(_) => format!("{title} <{value}>"),
            _ => format!("{title} [{value}]"),
        }
    }

    fn description(&self) -> String {
        match self.defaults.as_slice() {
            [] => self.about.clone(),
            [one] => format!("{} (default: {one})", self.about).trim().to_owned(),
            many => format!("{} (default: [{}])", self.about, many.join(", ")).trim().to_owned(),
        }
    }
}
