//! What was found among the arguments.

use std::collections::BTreeMap;

use super::{Misuse, Parser};

/// The options that were given, and the values of those that were not.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// By the option's first name: its values in the order they were given; no values if it was given without one.
    pub(super) given: BTreeMap<&'static str, Vec<String>>,
    pub(super) rest: Vec<String>,
    defaults: BTreeMap<&'static str, Vec<String>>,
    /// Second names.
    also: BTreeMap<&'static str, &'static str>,
    /// Every option, in the order in which they were given.
    pub(super) order: Vec<&'static str>,
    /// No argument at all.
    pub(super) nothing: bool,
}

impl Found {
    pub(super) fn new(parser: &Parser) -> Found {
        let mut found = Found { nothing: parser.arguments.is_empty(), ..Found::default() };
        for opt in &parser.options {
            if !opt.defaults.is_empty() {
                found.defaults.insert(opt.names[0], opt.defaults.clone());
            }
            found.also.extend(opt.names[1..].iter().map(|name| (*name, opt.names[0])));
        }
        found
    }

    fn key<'a>(&self, name: &'a str) -> &'a str
    where
        'static: 'a,
    {
        self.also.get(name).copied().unwrap_or(name)
    }

    /// Whether the option was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(self.key(name))
    }

    /// Whether the option was given with a value.
    pub fn has_argument(&self, name: &str) -> bool {
        !self.given_values(name).is_empty()
    }

    pub(super) fn given_values(&self, name: &str) -> &[String] {
        self.given.get(self.key(name)).map_or(&[], Vec::as_slice)
    }

    /// All values of the option, those of its default if it was given none.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let key = self.key(name);
        let given = self.given_values(name);
        let values =
            if given.is_empty() { self.defaults.get(key).map_or(&[][..], Vec::as_slice) } else { given };
        values.iter().map(String::as_str).collect()
    }

    /// The option's value: the last one that was given, else its default.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last().copied()
    }

    /// The option's only value; joptsimple refuses a second one when a tool asks for one.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Misuse> {
        let values = self.values(name);
        if values.len() > 1 {
            return Err(Misuse::new(format!(
                "Found multiple arguments for option {name}, but you asked for only one"
            )));
        }
        Ok(values.first().copied())
    }

    /// The value of an integer option. It was checked when the arguments were read.
    pub fn integer(&self, name: &str) -> Option<i32> {
        self.value(name)?.parse().ok()
    }

    /// The value of a long option.
    pub fn long(&self, name: &str) -> Option<i64> {
        self.value(name)?.parse().ok()
    }

    /// The value of a double option.
    pub fn double(&self, name: &str) -> Option<f64> {
        self.value(name)?.trim().trim_end_matches(['d', 'D', 'f', 'F']).parse().ok()
    }

    /// The options by their first name, in the order in which they were given, each as often as it was.
    pub fn order(&self) -> &[&'static str] {
        &self.order
    }

    /// Whether there was no argument at all.
    pub fn is_empty(&self) -> bool {
        self.nothing
    }

    /// The arguments that are no options.
    pub fn rest(&self) -> &[String] {
        &self.rest
    }
}
