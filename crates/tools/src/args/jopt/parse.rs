//! Reading arguments: joptsimple's rules, with its messages.

use std::fmt;

use super::{Found, Kind, Opt, Parser, Takes};
use crate::args::gone;
use crate::args::nearest::nearest;
use crate::runtime::{self, Stop};

/// Why arguments cannot be understood. [`Misuse::message`] is joptsimple's text; what is added for people comes after
/// it in [`fmt::Display`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misuse {
    message: String,
    more: String,
}

impl Misuse {
    pub(super) fn new(message: String) -> Misuse {
        Misuse { message, more: String::new() }
    }

    /// joptsimple's text alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A value that is none of its kind. joptsimple finds that when the tool asks for the value, later than the rest.
    pub fn is_conversion(&self) -> bool {
        self.message.starts_with("Cannot parse argument")
    }

    /// What we add to it: did you mean, or why a flag is gone. Empty, or whole lines.
    pub fn more(&self) -> &str {
        &self.more
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.more.is_empty() {
            write!(f, "\n{}", self.more)?;
        }
        Ok(())
    }
}

impl From<Misuse> for Stop {
    fn from(misuse: Misuse) -> Stop {
        Stop::error(misuse)
    }
}

impl Parser {
    /// Reads the arguments.
    pub fn parse(&mut self, args: &[String]) -> Result<Found, Misuse> {
        self.arguments = args.to_vec();
        if self.knows("bootstrap-server") && !self.knows("broker-list") {
            self.old("broker-list", "bootstrap-server");
        }
        let mut found = Found::new(self);
        let mut i = 0;
        let mut only_rest = false;
        while let Some(arg) = args.get(i) {
            i += 1;
            let long = arg.starts_with("--");
            if only_rest || !arg.starts_with('-') || arg == "-" {
                found.rest.push(arg.clone());
            } else if arg == "--" {
                only_rest = true;
            } else {
                let body = &arg[if long { 2 } else { 1 }..];
                let (name, value) = match body.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (body, None),
                };
                match self.spec(name) {
                    Some(opt) => take(opt, value, args, &mut i, &mut found)?,
                    None if long => return Err(self.unknown(name, args)),
                    None => self.cluster(body, args, &mut i, &mut found)?,
                }
            }
        }
        self.take_old_names(&mut found);
        self.check_all(&found)?;
        Ok(found)
    }

    /// `-abc` as `-a -b -c`, or `-avalue`.
    fn cluster(&self, body: &str, args: &[String], i: &mut usize, found: &mut Found) -> Result<(), Misuse> {
        for c in body.chars() {
            match self.spec(&c.to_string()) {
                None => return Err(self.unknown_short(c, body, args)),
                Some(opt) if opt.kind().is_some() => break,
                Some(_) => {}
            }
        }
        for (at, c) in body.char_indices() {
            let Some(opt) = self.spec(&c.to_string()) else { return Err(self.unknown_short(c, body, args)) };
            let rest = &body[at + c.len_utf8()..];
            if opt.kind().is_some() {
                return take(opt, (!rest.is_empty()).then_some(rest), args, i, found);
            }
            take(opt, None, args, i, found)?;
        }
        Ok(())
    }

    fn unknown(&self, name: &str, args: &[String]) -> Misuse {
        let mut misuse = Misuse::new(format!("{name} is not a recognized option"));
        if name == "zookeeper"
            && let Some(more) = gone::zookeeper(&self.tool, self, args)
        {
            misuse.more = more;
        } else if let Some(near) = nearest(name, self.known_names()) {
            misuse.more = format!("    did you mean --{near}?");
        }
        misuse
    }

    fn unknown_short(&self, c: char, body: &str, args: &[String]) -> Misuse {
        let name = body.split_once('=').map_or(body, |(name, _)| name);
        Misuse { message: format!("{c} is not a recognized option"), more: self.unknown(name, args).more }
    }

    /// Names that Kafka has dropped become the ones that took their place.
    fn take_old_names(&self, found: &mut Found) {
        for opt in &self.options {
            let (old, Some(new)) = (opt.names[0], opt.stands_for) else { continue };
            let Some(values) = found.given.remove(old) else { continue };
            runtime::deprecated(&format!(
                "Option --{old} is no longer an option of Apache Kafka and is taken as --{new}. Use --{new} instead."
            ));
            found.given.entry(new).or_default().extend(values);
        }
    }

    fn check_all(&self, found: &Found) -> Result<(), Misuse> {
        if !found.has("help") && !found.has("version") {
            let missing: Vec<String> = self
                .options
                .iter()
                .filter(|opt| opt.required && !found.has(opt.names[0]))
                .map(|opt| opt.names.join("/"))
                .collect();
            if !missing.is_empty() {
                return Err(Misuse::new(format!("Missing required option(s) [{}]", missing.join(", "))));
            }
        }
        for opt in &self.options {
            let (name, Some(kind)) = (opt.names[0], opt.kind()) else { continue };
            for value in found.given_values(name) {
                if !fits(value, kind) {
                    return Err(Misuse::new(format!(
                        "Cannot parse argument '{value}' of option {}",
                        opt.names.join("/")
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Notes an option with its value, which may be the next argument.
fn take(
    opt: &Opt,
    value: Option<&str>,
    args: &[String],
    i: &mut usize,
    found: &mut Found,
) -> Result<(), Misuse> {
    let key = opt.names[0];
    found.order.push(key);
    let given = found.given.entry(key).or_default();
    let value = match (opt.takes, value.filter(|value| !value.is_empty())) {
        (Takes::Nothing, _) => return Ok(()),
        (_, Some(value)) => value,
        (Takes::Value(_), None) => {
            let Some(next) = args.get(*i) else {
                return Err(Misuse::new(format!("Option {} requires an argument", opt.names.join("/"))));
            };
            *i += 1;
            next
        }
        (Takes::Maybe(kind), None) => match args.get(*i) {
            Some(next) if (!next.starts_with('-') || next == "-" || is_number(kind)) && fits(next, kind) => {
                *i += 1;
                next
            }
            _ => return Ok(()),
        },
    };
    match opt.separator {
        Some(separator) if value.split(separator).any(|part| !part.is_empty()) => {
            given.extend(value.split(separator).filter(|part| !part.is_empty()).map(str::to_owned));
        }
        _ => given.push(value.to_owned()),
    }
    Ok(())
}

fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Long | Kind::Double)
}

/// Whether Java's `valueOf` of the kind takes the text.
fn fits(text: &str, kind: Kind) -> bool {
    match kind {
        Kind::Integer => text.parse::<i32>().is_ok(),
        Kind::Long => text.parse::<i64>().is_ok(),
        Kind::Double => text.trim().trim_end_matches(['d', 'D', 'f', 'F']).parse::<f64>().is_ok(),
        Kind::Text | Kind::Boolean | Kind::Class(_) => true,
    }
}
