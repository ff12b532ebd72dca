//! ISO 8601 durations, as `java.time.Duration.parse` reads them: days, hours, minutes, seconds with a fraction.

/// Whether `text` is a duration that is not negative.
#[must_use]
pub fn is_iso_duration(text: &str) -> bool {
    iso_nanos(text).is_some_and(|nanos| nanos >= 0)
}

/// The duration in nanoseconds, or `None` where Java refuses the text.
#[must_use]
pub fn iso_nanos(text: &str) -> Option<i128> {
    let upper = text.to_ascii_uppercase();
    let (negative, rest) = match upper.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let rest = rest.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (rest, None),
    };
    let mut total: i128 = 0;
    let mut parts = 0;
    if !date.is_empty() {
        total += whole(date.strip_suffix('D')?)? * 86_400 * 1_000_000_000;
        parts += 1;
    }
    if let Some(time) = time {
        let mut left = time;
        let before = parts;
        for (unit, seconds) in [('H', 3600), ('M', 60), ('S', 1)] {
            let Some((number, next)) = left.split_once(unit) else { continue };
            let (number, fraction) = match number.split_once(['.', ',']) {
                Some((number, fraction)) if unit == 'S' => (number, fraction),
                Some(_) => return None,
                None => (number, ""),
            };
            let part = whole(number)? * seconds * 1_000_000_000;
            total += if number.starts_with('-') { part - nanos(fraction)? } else { part + nanos(fraction)? };
            parts += 1;
            left = next;
        }
        if !left.is_empty() || parts == before {
            return None;
        }
    }
    if parts == 0 {
        return None;
    }
    Some(if negative { -total } else { total })
}

fn whole(digits: &str) -> Option<i128> {
    digits.parse::<i64>().ok().map(i128::from)
}

fn nanos(fraction: &str) -> Option<i128> {
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::iso_nanos;

    #[test]
    fn durations_are_read_as_java_reads_them() {
        const SECOND: i128 = 1_000_000_000;
        for (text, expected) in [
            ("PT20.345S", Some(20_345_000_000)),
            ("PT15M", Some(900 * SECOND)),
            ("PT10H", Some(36_000 * SECOND)),
            ("P2D", Some(172_800 * SECOND)),
            ("p2dt3h4m", Some((172_800 + 10_800 + 240) * SECOND)),
            ("PT-6H3M", Some((-6 * 3600 + 180) * SECOND)),
            ("-PT-6H+3M", Some((6 * 3600 - 180) * SECOND)),
            ("PT-0.5S", Some(-500_000_000)),
            ("PT0S", Some(0)),
            ("", None),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("1H", None),
            ("PT1.5H", None),
            ("PT1S1H", None),
            ("P1W", None),
            ("PT1.0123456789S", None),
        ] {
            assert_eq!(iso_nanos(text), expected, "{text}");
        }
    }
}
