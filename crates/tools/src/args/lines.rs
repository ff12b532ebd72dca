//! Where a line of help may break: the places that Java's line break iterator finds in English text.
//!
//! A piece is opening marks, a word, closing marks, dashes and blanks, in this order; the next piece begins where the
//! order would have to start over.

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Start,
    Opening,
    Word,
    /// Dashes and digits, nothing else yet: a negative number.
    Number,
    Closing,
    Dash,
    Space,
}

/// The pieces of a line; together they are the line.
pub(crate) fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut part) = (0, Part::Start);
    let chars: Vec<(usize, char)> = line.char_indices().collect();
    for (i, &(at, c)) in chars.iter().enumerate() {
        let digit = |j: Option<usize>| j.and_then(|j| chars.get(j)).is_some_and(|(_, c)| c.is_ascii_digit());
        let only_dashes = |at: usize| line[start..at].bytes().all(|b| b == b'-');
        let opens_number = |i: usize| {
            let mut rest = chars[i..].iter().map(|(_, c)| *c).skip_while(|c| matches!(c, '(' | '[' | '{'));
            rest.next().is_some_and(|c| c.is_ascii_digit())
        };
        let next = match (part, c) {
            (Part::Space, c) if c.is_whitespace() => Some(Part::Space),
            (Part::Space, _) => None,
            (_, c) if c.is_whitespace() => Some(Part::Space),
            // Marks that hang on to what is before and what is after them.
            (_, '\'' | '$') => Some(Part::Opening),
            (Part::Start | Part::Opening, '(' | '[' | '{' | '"') => Some(Part::Opening),
            // A minus before a number in brackets belongs to it.
            (Part::Dash, '(' | '[' | '{') if only_dashes(at) && opens_number(i) => Some(Part::Opening),
            (_, '(' | '[' | '{') => None,
            (Part::Dash, '-') => Some(Part::Dash),
            // A minus: dashes are all there is before the digit.
            (Part::Dash, '0'..='9') if only_dashes(at) => Some(Part::Number),
            (Part::Number, '0'..='9') => Some(Part::Number),
            (Part::Dash, _) => None,
            (Part::Closing, '-') => None,
            (_, '-') => Some(Part::Dash),
            (Part::Word | Part::Number, '.' | ',') if digit(i.checked_sub(1)) && digit(Some(i + 1)) => {
                Some(Part::Word)
            }
            (_, '"' | '.' | ',' | ':' | ';' | '?' | '!' | '%' | ')' | ']' | '}') => Some(Part::Closing),
            (Part::Closing | Part::Number, _) => None,
            _ => Some(Part::Word),
        };
        part = next.unwrap_or_else(|| {
            pieces.push(&line[start..at]);
            start = at;
            match c {
                '(' | '[' | '{' | '"' | '\'' | '$' => Part::Opening,
                '-' => Part::Dash,
                '.' | ',' | ':' | ';' | '?' | '!' | '%' | ')' | ']' | '}' => Part::Closing,
                _ => Part::Word,
            }
        });
    }
    if start < line.len() {
        pieces.push(&line[start..]);
    }
    pieces
}

/// A text in lines of at most `width` characters, where its words allow; what goes on is indented by two blanks.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let trimmed = text.trim();
    for line in trimmed.split('\n') {
        let mut next = String::new();
        for piece in pieces(line) {
            if next.chars().count() + piece.chars().count() > width {
                lines.push(next.trim_end().to_owned());
                next = format!("  {piece}");
            } else {
                next.push_str(piece);
            }
        }
        if !next.is_empty() {
            lines.push(next);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(line: &str) -> String {
        pieces(line).iter().map(|piece| format!("{piece}|")).collect()
    }

    /// What Java 17 answers for the same lines.
    #[test]
    fn pieces_are_those_of_javas_break_iterator() {
        for expected in [
            "--|foo-|bar |baz|",
            "a--|b|",
            "1,000|",
            "a,|b|",
            "a.|b.|c|",
            "host1:|port1,|host2:|port2|",
            "'quoted |text' |here|",
            "(default: |12)|",
            "a/b |c|",
            "<k=v>|",
            "x |- |y|",
            "-1 |or |-2|",
            "x:|-3|>|",
            "--3|",
            "x:|-3-|4|",
            "'([^:,]|*)|(x|",
            "*)|-([0-|9]|*)|",
            "*)|-|(x|",
            "of |'(x|",
            "100%|",
            "$5.00|",
            "a-|1|",
            "1-|2|",
            "-|a|",
            "\"a\"|-|\"b\"|",
            "foo|(bar)|baz|",
            "k1=v1,|k2=|[v1,|v2,|v2]|",
            "U.|S.|A.|",
            "e.|g. |this|",
            "a...|b|",
        ] {
            assert_eq!(marked(&expected.replace('|', "")), expected);
        }
    }

    #[test]
    fn a_long_word_stands_alone_and_leaves_an_empty_line_before_it() {
        assert_eq!(wrap("averyverylongword x", 8), ["", "  averyverylongword", "  x"]);
    }
}
