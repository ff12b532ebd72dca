//! Where to begin and to end: kcat's `-o`.

use std::str::FromStr;

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    Beginning,
    End,
    /// What the group has committed, else the beginning.
    Stored,
    Offset(i64),
    /// So many records before the end.
    Last(i64),
    /// The first record of this time or later, ms since the epoch.
    From(i64),
    /// Up to the first record of this time; an end, not a beginning.
    Until(i64),
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Position, String> {
        let number = |digits: &str| digits.parse::<i64>().map_err(|_| format!("'{digits}' is not a number"));
        Ok(match text {
            "beginning" | "earliest" => Position::Beginning,
            "end" | "latest" => Position::End,
            "stored" => Position::Stored,
            _ => match text.split_once('@') {
                Some(("s", time)) => Position::From(number(time)?),
                Some(("e", time)) => Position::Until(number(time)?),
                _ => match text.strip_prefix('-') {
                    Some(count) => Position::Last(number(count)?),
                    None => Position::Offset(number(text).map_err(|_| {
                        format!("'{text}': beginning, end, stored, an offset, -N, s@MILLISECONDS or e@MILLISECONDS")
                    })?),
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling() {
        for (text, position) in [
            ("beginning", Position::Beginning),
            ("end", Position::End),
            ("stored", Position::Stored),
            ("17", Position::Offset(17)),
            ("-10", Position::Last(10)),
            ("s@5", Position::From(5)),
            ("e@6", Position::Until(6)),
        ] {
            assert_eq!(text.parse::<Position>().unwrap(), position);
        }
        for text in ["begin", "-x", "s@", "x@1", ""] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
