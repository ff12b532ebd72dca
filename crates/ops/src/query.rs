//! What stands in a target: the parts of its path, and the pairs behind the question mark.

use std::borrow::Cow;

/// A target taken apart and decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The parts of the path between its slashes.
    pub(crate) path: Vec<String>,
    pairs: Vec<(String, String)>,
}

impl Target {
    /// Reads a path and a query; nothing where a part of them is no UTF-8 behind its `%`.
    pub(crate) fn read(path: &str, query: Option<&str>) -> Option<Target> {
        let parts = path.split('/').skip(1).map(|part| decoded(part, false).map(Cow::into_owned));
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(key, true)?.into_owned(), decoded(value, true)?.into_owned()))
        });
        Some(Target { path: parts.collect::<Option<_>>()?, pairs: pairs.collect::<Option<_>>()? })
    }

    /// The first value of `key`, if it is not empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether `key` stands there, with or without a value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == key)
    }

    /// A number, brought into the bounds; `otherwise` where there is none. The error names the key.
    pub(crate) fn number(&self, key: &str, otherwise: i64, least: i64, most: i64) -> Result<i64, String> {
        match self.text(key) {
            None => Ok(otherwise),
            Some(text) => match text.parse::<i64>() {
                Ok(number) => Ok(number.clamp(least, most)),
                Err(_) => Err(format!("{key}={text} is no number")),
            },
        }
    }
}

/// `%XX`, and in queries `+`, decoded.
fn decoded(text: &str, plus: bool) -> Option<Cow<'_, str>> {
    let is_plain = !text.contains(['%', '+']);
    if is_plain || !plus && !text.contains('%') {
        return Some(text.into());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            b'+' if plus => b' ',
            byte => byte,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_decoded() {
        let target =
            Target::read("/api/topics/a%2Fb%20c+d", Some("from=latest&contains=x%26y+z&bare&empty="))
                .expect("it can be read");
        assert_eq!(target.path, ["api", "topics", "a/b c+d"]);
        assert_eq!(target.text("contains"), Some("x&y z"));
        assert_eq!((target.text("empty"), target.text("missing")), (None, None));
        assert!(target.has("bare") && !target.has("missing"));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for wrong in ["/%", "/%2", "/%zz", "/%ff"] {
            assert_eq!(Target::read(wrong, None), None, "{wrong}");
        }
        assert_eq!(Target::read("/", Some("a=%c3")), None);
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let target = Target::read("/", Some("a=5&b=500&c=-7&d=x")).expect("it can be read");
        assert_eq!(target.number("a", 1, 0, 100), Ok(5));
        assert_eq!(target.number("b", 1, 0, 100), Ok(100));
        assert_eq!(target.number("c", 1, 0, 100), Ok(0));
        assert_eq!(target.number("none", 1, 0, 100), Ok(1));
        assert!(target.number("d", 1, 0, 100).is_err());
    }
}
