//! Numbers and dates as Java prints them, where that differs from Rust: `%.2f` rounds halves up, `%f` has six digits,
//! and dates follow `SimpleDateFormat`.

use time::{OffsetDateTime, UtcOffset};

/// `%.Nf` of `java.util.Formatter`: the shortest decimal that means the number, its halves rounded up.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    let text = format!("{}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut number: Vec<u8> =
        whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(digits)).collect();
    if fraction.as_bytes().get(digits).is_some_and(|digit| *digit >= b'5') {
        let mut at = number.len();
        loop {
            if at == 0 {
                number.insert(0, b'1');
                break;
            }
            at -= 1;
            if number[at] != b'9' {
                number[at] += 1;
                break;
            }
            number[at] = b'0';
        }
    }
    let text = String::from_utf8(number).expect("T-8: digits are text");
    let (whole, fraction) = text.split_at(text.len() - digits);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A pattern of `SimpleDateFormat`, for the machine's own time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DateFormat {
    pieces: Vec<Piece>,
    offset: UtcOffset,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(char, usize),
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl DateFormat {
    /// Reads a pattern; the error is Java's sentence.
    pub(crate) fn new(pattern: &str) -> Result<DateFormat, String> {
        let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
        let mut pieces: Vec<Piece> = Vec::new();
        let mut chars = pattern.chars().peekable();
        let text = |pieces: &mut Vec<Piece>, c: char| match pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => pieces.push(Piece::Text(c.to_string())),
        };
        while let Some(c) = chars.next() {
            match c {
                '\'' if chars.next_if_eq(&'\'').is_some() => text(&mut pieces, '\''),
                '\'' => loop {
                    match chars.next() {
                        None => return Err("Unterminated quote".to_owned()),
                        Some('\'') if chars.next_if_eq(&'\'').is_some() => text(&mut pieces, '\''),
                        Some('\'') => break,
                        Some(c) => text(&mut pieces, c),
                    }
                },
                'y' | 'M' | 'd' | 'H' | 'm' | 's' | 'S' | 'h' | 'K' | 'k' | 'a' | 'D' | 'E' | 'Z' | 'X'
                | 'u' => {
                    let mut count = 1;
                    while chars.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    pieces.push(Piece::Field(c, count));
                }
                c if c.is_ascii_alphabetic() => return Err(format!("Illegal pattern character '{c}'")),
                c => text(&mut pieces, c),
            }
        }
        Ok(DateFormat { pieces, offset })
    }

    /// Milliseconds since the epoch in this form.
    pub(crate) fn format(&self, ms: i64) -> String {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(self.offset);
        self.pieces.iter().fold(String::new(), |out, piece| match piece {
            Piece::Text(text) => out + text,
            Piece::Field(letter, count) => out + &field(*letter, *count, &at),
        })
    }
}

fn field(letter: char, count: usize, at: &OffsetDateTime) -> String {
    let number = |value: i64| format!("{value:0count$}");
    let hour = i64::from(at.hour());
    match letter {
        'y' if count == 2 => format!("{:02}", at.year().rem_euclid(100)),
        'y' => number(at.year().into()),
        'M' if count == 3 => MONTHS[at.month() as usize - 1][..3].to_owned(),
        'M' if count > 3 => MONTHS[at.month() as usize - 1].to_owned(),
        'M' => number(at.month() as i64),
        'd' => number(at.day().into()),
        'D' => number(at.ordinal().into()),
        'E' if count > 3 => at.weekday().to_string(),
        'E' => at.weekday().to_string()[..3].to_owned(),
        'u' => number(at.weekday().number_from_monday().into()),
        'H' => number(hour),
        'k' => number(if hour == 0 { 24 } else { hour }),
        'K' => number(hour % 12),
        'h' => number(if hour % 12 == 0 { 12 } else { hour % 12 }),
        'm' => number(at.minute().into()),
        's' => number(at.second().into()),
        'S' => number(at.millisecond().into()),
        'a' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        // Z, X: the zone as an offset.
        letter => {
            let (hours, minutes, _) = at.offset().as_hms();
            let sign = if hours < 0 || minutes < 0 { '-' } else { '+' };
            let (hours, minutes) = (hours.unsigned_abs(), minutes.unsigned_abs());
            match (letter, count) {
                ('X', _) if hours == 0 && minutes == 0 => "Z".to_owned(),
                ('X', 1) => format!("{sign}{hours:02}"),
                ('X', 3) => format!("{sign}{hours:02}:{minutes:02}"),
                _ => format!("{sign}{hours:02}{minutes:02}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_up() {
        for (value, digits, text) in [
            (0.125, 2, "0.13"),
            (2.5, 0, "3"),
            (1.005, 2, "1.01"),
            (0.0, 1, "0.0"),
            (999.999, 2, "1000.00"),
            (9.99, 1, "10.0"),
            (123456.0, 6, "123456.000000"),
            (-0.05, 1, "-0.1"),
            (1e21, 1, "1000000000000000000000.0"),
            (f64::NAN, 2, "NaN"),
            (f64::INFINITY, 2, "Infinity"),
        ] {
            assert_eq!(fixed(value, digits), text);
        }
    }

    #[test]
    fn dates_follow_the_pattern() {
        let mut format = DateFormat::new("yyyy-MM-dd HH:mm:ss:SSS").unwrap();
        format.offset = UtcOffset::UTC;
        assert_eq!(format.format(1_763_715_045_120), "2025-11-21 08:50:45:120");
        let mut format = DateFormat::new("EEE d MMM yy, h:mm a 'o''clock' XXX").unwrap();
        format.offset = UtcOffset::from_hms(-3, -30, 0).unwrap();
        assert_eq!(format.format(0), "Wed 31 Dec 69, 8:30 PM o'clock -03:30");
        assert_eq!(DateFormat::new("b").unwrap_err(), "Illegal pattern character 'b'");
        assert_eq!(DateFormat::new("'x").unwrap_err(), "Unterminated quote");
    }
}
