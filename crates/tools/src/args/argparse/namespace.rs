//! What was found among the arguments.

use std::collections::{BTreeMap, BTreeSet};

/// Values by name.
#[derive(Debug, Clone, Default)]
pub struct Namespace {
    pub(super) values: BTreeMap<String, Vec<String>>,
    pub(super) given: BTreeSet<String>,
}

impl Namespace {
    /// The value, given or default.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str)
    }

    /// All values of an argument that takes several.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.values.get(name).map_or(Vec::new(), |values| values.iter().map(String::as_str).collect())
    }

    /// An integer's value; it was checked when the arguments were read.
    pub fn integer(&self, name: &str) -> Option<i32> {
        self.text(name)?.parse().ok()
    }

    /// A long's value.
    pub fn long(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// A double's value.
    pub fn double(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// Whether a flag is set.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether the argument was given, not only its default.
    pub fn given(&self, name: &str) -> bool {
        self.given.contains(name)
    }
}
