//! `k1=v1,k2=[v1,v2],k3=v3`: the configurations of a command line or of a file.

use ottla_client::Properties;

use crate::args::jopt::Found;
use crate::runtime::Stop;

/// What is to be set, each key once.
pub(super) fn to_add(found: &Found) -> Result<Vec<(String, String)>, Stop> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(file) = found.value("add-config-file") {
        let bytes = std::fs::read(file).map_err(|error| Stop::error(format!("{file}: {error}")))?;
        let properties = Properties::parse(file, &bytes).map_err(Stop::error)?;
        pairs.extend(properties.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    if let Some(text) = found.value("add-config") {
        for (key, value) in parse(text)? {
            pairs.retain(|(other, _)| *other != key);
            pairs.push((key, value));
        }
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '.' | '_' | '-');
    match pairs.iter().find(|(key, _)| !key.chars().all(legal)) {
        Some((key, _)) => Err(Stop::error(format!("Invalid character found for config key: {key}"))),
        None => Ok(pairs),
    }
}

/// The keys that are to be removed.
pub(super) fn to_delete(found: &Found) -> Vec<String> {
    found.values("delete-config").into_iter().map(|key| key.trim().to_owned()).collect()
}

fn parse(text: &str) -> Result<Vec<(String, String)>, Stop> {
    let mut entries = split(text, ',');
    while entries.last().is_some_and(|last| last.is_empty()) {
        entries.pop();
    }
    let mut pairs = Vec::new();
    for entry in entries {
        let parts = split(entry, '=');
        let [key, value] = parts.as_slice() else {
            return Err(Stop::error(
                "requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\" or  \"key=[val1,val2]\" to group values which contain commas.",
            ));
        };
        let value = value.replace(['[', ']'], "");
        pairs.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(pairs)
}

/// The parts between separators that stand outside of square brackets.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(separator) {
        let rest = &text[at + 1..];
        // Inside of brackets the next bracket is a closing one.
        let outside = rest.find(['[', ']']).is_none_or(|next| rest[next..].starts_with('['));
        if outside {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_hold_commas_and_equals_together() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            parse("a=1, b = [x,y] ,c=").expect("pairs"),
            [pair("a", "1"), pair("b", "x,y"), pair("c", "")]
        );
        assert_eq!(parse("m=[k=v,k2=v2]").expect("pairs"), [pair("m", "k=v,k2=v2")]);
        for bad in ["a", "a=b=c", "a=1,,b=2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("a=1,").expect("pairs"), [pair("a", "1")]);
    }
}
