//! The dialect of the tools with subcommands: argparse4j 0.7, with its usage, its messages and its blocked text.
//!
//! Options and commands may be shortened to a unique beginning. What is required is asked for only when nothing else is
//! wrong.

mod candidates;
mod help;
mod namespace;
mod parse;
#[cfg(test)]
mod tests;
mod text;

pub use namespace::Namespace;

/// What an argument's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Text,
    /// A Java `Short`.
    Short,
    /// A Java `Integer`.
    Integer,
    /// A Java `Long`.
    Long,
    /// A Java `Double`.
    Double,
    /// A Java `Boolean`: `true` in any case, else false.
    Boolean,
    /// A path.
    File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Store,
    Append,
    StoreTrue,
    Help,
    Version,
}

/// How many values an argument takes: one, or between two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    One,
    Range(usize, usize),
}

/// One argument: an option (it has flags) or a positional one.
#[derive(Debug, Clone)]
pub struct Arg {
    flags: Vec<&'static str>,
    dest: String,
    kind: Kind,
    action: Action,
    count: Count,
    required: bool,
    default: Option<String>,
    default_shown: bool,
    choices: Vec<&'static str>,
    metavar: Option<String>,
    help: String,
    suppressed: bool,
    group: Option<usize>,
}

impl Arg {
    /// An option with these flags; its name in the namespace is the first long flag's, with underscores.
    pub fn option(flags: &[&'static str]) -> Arg {
        let name = flags.iter().find(|flag| flag.starts_with("--")).unwrap_or(&flags[0]);
        Arg::new(flags.to_vec(), name.trim_start_matches('-').replace('-', "_"))
    }

    /// A positional argument.
    pub fn positional(name: &str) -> Arg {
        Arg::new(Vec::new(), name.to_owned())
    }

    fn new(flags: Vec<&'static str>, dest: String) -> Arg {
        Arg {
            flags,
            dest,
            kind: Kind::Text,
            action: Action::Store,
            count: Count::One,
            required: false,
            default: None,
            default_shown: true,
            choices: Vec::new(),
            metavar: None,
            help: String::new(),
            suppressed: false,
            group: None,
        }
    }

    /// Its name in the namespace.
    pub fn dest(mut self, dest: &str) -> Arg {
        self.dest = dest.to_owned();
        self
    }

    /// What its value is.
    pub fn kind(mut self, kind: Kind) -> Arg {
        self.kind = kind;
        self
    }

    /// It must be given.
    pub fn required(mut self) -> Arg {
        self.required = true;
        self
    }

    /// Its value when it is not given; the help says it.
    pub fn default(mut self, value: impl ToString) -> Arg {
        self.default = Some(value.to_string());
        self
    }

    /// Its value when it is not given; the help does not say it.
    pub fn default_hidden(mut self, value: impl ToString) -> Arg {
        self.default_shown = false;
        self.default(value)
    }

    /// A flag without a value.
    pub fn store_true(mut self) -> Arg {
        self.action = Action::StoreTrue;
        // argparse4j gives such a flag a default, and the help says it.
        self.default = Some("false".into());
        self
    }

    /// Every time it is given adds to a list.
    pub fn append(mut self) -> Arg {
        self.action = Action::Append;
        self
    }

    /// Prints Kafka's version and ends.
    pub fn version(mut self) -> Arg {
        self.action = Action::Version;
        self
    }

    /// `?`, `*`, `+` or a number.
    pub fn nargs(mut self, nargs: &str) -> Arg {
        self.count = match nargs {
            "?" => Count::Range(0, 1),
            "*" => Count::Range(0, usize::MAX),
            "+" => Count::Range(1, usize::MAX),
            n => n.parse().map_or(Count::One, |n| Count::Range(n, n)),
        };
        self
    }

    /// The values that are allowed.
    pub fn choices(mut self, choices: &[&'static str]) -> Arg {
        self.choices = choices.to_vec();
        self
    }

    /// What the help calls its value.
    pub fn metavar(mut self, metavar: &str) -> Arg {
        self.metavar = Some(metavar.to_owned());
        self
    }

    /// What it is for.
    pub fn help(mut self, help: &str) -> Arg {
        self.help = help.to_owned();
        self
    }

    /// Taken, but not in the help.
    pub fn suppress(mut self) -> Arg {
        self.suppressed = true;
        self
    }

    fn takes_value(&self) -> bool {
        matches!(self.action, Action::Store | Action::Append)
    }

    /// How messages name it.
    fn textual(&self) -> String {
        if self.flags.is_empty() { self.dest.clone() } else { self.flags.join("/") }
    }
}

#[derive(Debug, Clone)]
struct Group {
    title: String,
    description: String,
    exclusive: bool,
    required: bool,
}

impl Group {
    /// Whether the help has a section for it.
    fn separate(&self) -> bool {
        !self.exclusive || !self.title.is_empty() || !self.description.is_empty()
    }
}

/// A tool's arguments, or a subcommand's.
#[derive(Debug, Clone)]
pub struct Parser {
    prog: String,
    command: Option<&'static str>,
    about: String,
    description: String,
    default_help: bool,
    args: Vec<Arg>,
    groups: Vec<Group>,
    subcommands: Vec<Parser>,
    sub_dest: String,
    sub_title: String,
    /// What usage and help call the subcommands; else they are listed.
    sub_metavar: Option<&'static str>,
    old: Vec<(&'static str, &'static str, String)>,
    refusal: Option<fn(&str) -> String>,
}

impl Parser {
    /// A tool's parser; it has `-h`.
    pub fn new(prog: &str) -> Parser {
        let help = Arg::option(&["-h", "--help"]).help("show this help message and exit");
        Parser {
            prog: prog.to_owned(),
            command: None,
            about: String::new(),
            description: String::new(),
            default_help: false,
            args: vec![Arg { action: Action::Help, ..help }],
            groups: Vec::new(),
            subcommands: Vec::new(),
            sub_dest: String::new(),
            sub_title: String::new(),
            sub_metavar: None,
            old: Vec::new(),
            refusal: None,
        }
    }

    /// A subcommand's parser; it has `-h`.
    pub fn sub(command: &'static str) -> Parser {
        Parser { command: Some(command), ..Parser::new("") }
    }

    /// Misuse is said in the tool's own words, which take the message, and without the usage.
    pub fn refusing(mut self, words: fn(&str) -> String) -> Parser {
        self.refusal = Some(words);
        self
    }

    /// The help says the defaults.
    pub fn default_help(mut self) -> Parser {
        self.default_help = true;
        self
    }

    /// What a subcommand is for, in its tool's help.
    pub fn about(mut self, about: &str) -> Parser {
        self.about = about.to_owned();
        self
    }

    /// What the tool is for.
    pub fn description(mut self, description: &str) -> Parser {
        self.description = description.to_owned();
        self
    }

    /// One more argument.
    pub fn arg(mut self, arg: Arg) -> Parser {
        self.args.push(arg);
        self
    }

    /// Arguments of which at most one may be given, or exactly one.
    pub fn exclusive(self, required: bool, args: Vec<Arg>) -> Parser {
        self.grouped(
            Group { title: String::new(), description: String::new(), exclusive: true, required },
            args,
        )
    }

    /// The same with a section of its own in the help.
    pub fn exclusive_titled(self, title: &str, description: &str, required: bool, args: Vec<Arg>) -> Parser {
        let (title, description) = (title.to_owned(), description.to_owned());
        self.grouped(Group { title, description, exclusive: true, required }, args)
    }

    /// Arguments with a section of their own in the help.
    pub fn group(self, title: &str, args: Vec<Arg>) -> Parser {
        self.group_described(title, "", args)
    }

    /// The same with a description.
    pub fn group_described(self, title: &str, description: &str, args: Vec<Arg>) -> Parser {
        let (title, description) = (title.to_owned(), description.to_owned());
        self.grouped(Group { title, description, exclusive: false, required: false }, args)
    }

    fn grouped(mut self, group: Group, args: Vec<Arg>) -> Parser {
        let index = self.groups.len();
        self.groups.push(group);
        self.args.extend(args.into_iter().map(|arg| Arg { group: Some(index), ..arg }));
        self
    }

    /// The namespace says under this name which subcommand was given.
    pub fn subcommands(mut self, dest: &str) -> Parser {
        self.sub_dest = dest.to_owned();
        self
    }

    /// The same with a section of its own in the help.
    pub fn subcommands_titled(mut self, dest: &str, title: &str) -> Parser {
        self.sub_title = title.to_owned();
        self.subcommands(dest)
    }

    /// What usage and help call the subcommands, in place of the list of them.
    pub fn subcommands_metavar(mut self, metavar: &'static str) -> Parser {
        self.sub_metavar = Some(metavar);
        self
    }

    /// One more subcommand. Like argparse4j's it shows defaults only if it is asked to itself.
    pub fn subcommand(mut self, mut sub: Parser) -> Parser {
        sub.prog = self.prog.clone();
        self.subcommands.push(sub);
        self
    }

    /// A flag that Kafka has dropped, taken as another one with a line on standard error.
    pub fn old(mut self, old: &'static str, new: &'static str, notice: &str) -> Parser {
        self.old.push((old, new, notice.to_owned()));
        self
    }

    fn options(&self) -> impl Iterator<Item = &Arg> {
        self.args.iter().filter(|arg| !arg.flags.is_empty())
    }

    fn positionals(&self) -> impl Iterator<Item = &Arg> {
        self.args.iter().filter(|arg| arg.flags.is_empty())
    }
}
