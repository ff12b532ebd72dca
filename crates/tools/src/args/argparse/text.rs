//! Text as argparse4j lays it out: in blocks, both edges straight.

use crate::args::lines::pieces;

/// The width of a help; `COLUMNS` counts if it is set, as for argparse4j.
pub(super) fn width() -> usize {
    if cfg!(test) {
        return 75;
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<usize>().ok());
    columns.filter(|&columns| columns > 5).map_or(75, |columns| columns - 5)
}

/// A text in lines of at most `width` columns. The first line begins at column `offset`, the others behind `indent`;
/// all but the last one are filled up with blanks between the words.
pub(super) fn wrap(text: &str, width: usize, offset: usize, indent: &str) -> String {
    let mut wrapped = String::new();
    let mut line = String::new();
    let mut used = offset;
    for piece in line_pieces(text) {
        let columns = piece.chars().count();
        if used + columns > width {
            wrapped.push_str(&block(&line, width, used));
            wrapped.push('\n');
            wrapped.push_str(indent);
            line.clear();
            used = indent.len();
        }
        line.push_str(piece);
        used += columns;
        if piece.ends_with('\n') {
            wrapped.push_str(&line);
            wrapped.push_str(indent);
            line.clear();
            used = indent.len();
        }
    }
    wrapped.push_str(&line);
    wrapped
}

/// The pieces of a text of several lines, each line's last one with its line feed.
fn line_pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').flat_map(pieces)
}

/// A line of `used` columns (with what stands before it) widened to `width`.
fn block(line: &str, width: usize, used: usize) -> String {
    let trimmed = line.trim_matches(' ');
    let used = used - (line.chars().count() - trimmed.chars().count());
    let mut gaps = 0;
    let mut in_gap = false;
    for c in trimmed.chars() {
        gaps += usize::from(c == ' ' && !in_gap);
        in_gap = c == ' ';
    }
    if gaps == 0 || used > width {
        return trimmed.to_owned();
    }
    // What does not go evenly into the gaps goes into the middle ones.
    let (each, over) = ((width - used) / gaps, (width - used) % gaps);
    let first = (gaps - over).div_ceil(2);
    let (mut filled, mut gap) = (String::with_capacity(width), 0);
    in_gap = false;
    for c in trimmed.chars() {
        if c == ' ' && !in_gap {
            let more = each + usize::from(gap >= first && gap < first + over);
            filled.extend(std::iter::repeat_n(' ', more));
            gap += 1;
        }
        in_gap = c == ' ';
        filled.push(c);
    }
    filled
}
