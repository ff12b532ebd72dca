//! The dialect of most tools: joptsimple 5, as Kafka's `CommandDefaultOptions` and `CommandLineUtils` use it.
//!
//! `--option value`, `--option=value` and `-option value` are the same; an option that needs a value takes the next
//! argument whatever it looks like; `--` ends the options. There are no abbreviations: Kafka turns them off.

mod checks;
mod found;
mod help;
mod parse;
#[cfg(test)]
mod tests;

pub use checks::{key_values, key_values_strict};
pub use found::Found;
pub use parse::Misuse;

/// What the value of an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Text,
    /// A Java `Integer`.
    Integer,
    /// A Java `Long`.
    Long,
    /// A Java `Double`.
    Double,
    /// A Java `Boolean`: `true` in any case, else false.
    Boolean,
    /// A text that the help calls by this name.
    Class(&'static str),
}

/// Whether an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Maybe(Kind),
    Value(Kind),
}

/// One option.
#[derive(Debug, Clone)]
pub struct Opt {
    /// Its names, as joptsimple orders them: short ones first, each kind sorted.
    names: Vec<&'static str>,
    about: String,
    takes: Takes,
    /// What the help calls the value.
    value: String,
    defaults: Vec<String>,
    separator: Option<char>,
    required: bool,
    hidden: bool,
    /// The option that this old name stands for.
    stands_for: Option<&'static str>,
}

/// The options of a tool.
#[derive(Debug, Clone)]
pub struct Parser {
    tool: String,
    options: Vec<Opt>,
    positional: Option<String>,
    arguments: Vec<String>,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser with `--help` and `--version`.
    pub fn new() -> Parser {
        let mut parser = Parser::bare();
        parser.flag("help", "Print usage information.");
        parser.flag("version", "Display Kafka version.");
        parser
    }

    /// A parser without any option.
    pub fn bare() -> Parser {
        Parser {
            tool: crate::runtime::tool_name(),
            options: Vec::new(),
            positional: None,
            arguments: Vec::new(),
        }
    }

    /// An option without a value.
    pub fn flag(&mut self, name: &'static str, about: &str) -> &mut Opt {
        self.add(name, about, Takes::Nothing, "")
    }

    /// An option that needs a value; `value` is what the help calls it (empty: nothing).
    pub fn takes(&mut self, name: &'static str, about: &str, value: &str, kind: Kind) -> &mut Opt {
        self.add(name, about, Takes::Value(kind), value)
    }

    /// An option that may have a value.
    pub fn may_take(&mut self, name: &'static str, about: &str, value: &str, kind: Kind) -> &mut Opt {
        self.add(name, about, Takes::Maybe(kind), value)
    }

    fn add(&mut self, name: &'static str, about: &str, takes: Takes, value: &str) -> &mut Opt {
        assert!(!self.knows(name), "jopt-1: option {name} twice");
        self.options.push(Opt {
            names: vec![name],
            about: about.to_owned(),
            takes,
            value: value.to_owned(),
            defaults: Vec::new(),
            separator: None,
            required: false,
            hidden: false,
            stands_for: None,
        });
        let last = self.options.len() - 1;
        &mut self.options[last]
    }

    /// A name that Kafka has dropped, taken for `new` with one line on standard error. It is not in the help.
    pub fn old(&mut self, name: &'static str, new: &'static str) {
        let takes = self.spec(new).map_or(Takes::Nothing, |opt| opt.takes);
        let opt = self.add(name, "", takes, "");
        opt.hidden = true;
        opt.stands_for = Some(new);
    }

    /// Arguments that are no options are welcome, and the help says what they are.
    pub fn positional_about(&mut self, about: &str) {
        self.positional = Some(about.to_owned());
    }

    /// Arguments that are no options are welcome (they always are kept, in [`Found::rest`]).
    pub fn positional(&mut self) {}

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.spec(name).is_some()
    }

    fn spec(&self, name: &str) -> Option<&Opt> {
        self.options.iter().find(|opt| opt.names.contains(&name))
    }

    /// How Kafka prints an option in a message: all its names in brackets.
    pub fn spell(&self, name: &str) -> String {
        match self.spec(name) {
            Some(opt) => opt.spell(),
            None => format!("[{name}]"),
        }
    }

    fn known_names(&self) -> impl Iterator<Item = &str> {
        self.options.iter().filter(|opt| !opt.hidden).flat_map(|opt| opt.names.iter().copied())
    }
}

impl Opt {
    /// The value when the option is not given.
    pub fn default(&mut self, value: impl ToString) -> &mut Opt {
        self.defaults = vec![value.to_string()];
        self
    }

    /// The values when the option is not given.
    pub fn defaults(&mut self, values: &[&str]) -> &mut Opt {
        self.defaults = values.iter().map(|&v| v.to_owned()).collect();
        self
    }

    /// One argument is several values, separated by this.
    pub fn separated_by(&mut self, separator: char) -> &mut Opt {
        self.separator = Some(separator);
        self
    }

    /// The parser refuses to go on without it.
    pub fn required(&mut self) -> &mut Opt {
        self.required = true;
        self
    }

    /// More names.
    pub fn also(&mut self, names: &[&'static str]) -> &mut Opt {
        self.names.extend(names);
        self.names.sort_by_key(|name| (name.len() > 1, *name));
        self
    }

    /// Taken, but not in the help.
    pub fn hidden(&mut self) -> &mut Opt {
        self.hidden = true;
        self
    }

    fn kind(&self) -> Option<Kind> {
        match self.takes {
            Takes::Nothing => None,
            Takes::Maybe(kind) | Takes::Value(kind) => Some(kind),
        }
    }

    fn spell(&self) -> String {
        format!("[{}]", self.names.join(", "))
    }
}
