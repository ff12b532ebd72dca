//! One command line: a verb and `key=value` arguments.

use std::collections::HashMap;
use std::str::FromStr;

pub trait Stage {
    fn act(&mut self, line: &Line, out: &mut Vec<String>);
    fn summary(&self) -> String;
}

pub struct Line<'a> {
    pub verb: &'a str,
    args: HashMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    pub fn parse(line: &'a str) -> Self {
        let mut parts = line.split_whitespace();
        let verb = parts.next().expect("a verb");
        let args = parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
        Self { verb, args }
    }

    pub fn has(&self, key: &str) -> bool {
        self.args.contains_key(key)
    }

    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.args.get(key).copied()
    }

    pub fn get<T: FromStr>(&self, key: &str) -> Option<T> {
        self.text(key).map(|text| text.parse().unwrap_or_else(|_| panic!("{key}={text} is not right")))
    }

    pub fn or<T: FromStr>(&self, key: &str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    pub fn need<T: FromStr>(&self, key: &str) -> T {
        self.get(key).unwrap_or_else(|| panic!("{} needs {key}=", self.verb))
    }

    pub fn list(&self, key: &str) -> Option<Vec<i32>> {
        let text = self.text(key)?;
        Some(text.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().expect("ids")).collect())
    }

    /// `a..b`
    pub fn range(&self, key: &str) -> Option<(i64, i64)> {
        let (a, b) = self.text(key)?.split_once("..").expect("a..b");
        Some((a.parse().expect("a number"), b.parse().expect("a number")))
    }
}

pub fn ids(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
