//! Where offsets are reset to: pure. Scopes, files, times and ranges in; offsets out.

use std::collections::BTreeMap;

use ottla_client::TopicPartition;

use crate::runtime::{Thrown, java};

/// Offsets by partition.
pub(crate) type Offsets = BTreeMap<TopicPartition, i64>;

/// `topic:0,1,2`.
pub(crate) fn topic_with_partitions(arg: &str) -> Result<Vec<TopicPartition>, Thrown> {
    let parts: Vec<&str> = arg.trim_end_matches(':').split(':').collect();
    let [topic, partitions] = parts.as_slice() else {
        return Err(Thrown::illegal_argument(format!(
            "Invalid topic arg '{arg}', expected topic name and partitions"
        )));
    };
    let one = |partition: &str| {
        let partition = partition.parse().map_err(|_| {
            Thrown::illegal_argument(format!(
                "Invalid partition '{partition}' specified in topic arg '{arg}''"
            ))
        })?;
        Ok(TopicPartition::new(*topic, partition))
    };
    partitions.trim_end_matches(',').split(',').map(one).collect()
}

/// Partitions as a Java `HashMap` of them is gone through.
pub(crate) fn java_order<T>(items: Vec<(TopicPartition, T)>) -> Vec<(TopicPartition, T)> {
    java::hash_order_by(items, |(at, _)| hash_code(at))
}

/// Java's `TopicPartition.hashCode`.
fn hash_code(at: &TopicPartition) -> u32 {
    let partition = 31u32.wrapping_add(at.partition as u32);
    partition.wrapping_mul(31).wrapping_add(java::string_hash(&at.topic))
}

/// Requested offsets brought between the beginning and the end of each log; what was changed is told.
pub(crate) fn within(requested: &Offsets, starts: &Offsets, ends: &Offsets) -> (Offsets, Vec<String>) {
    let mut warnings = Vec::new();
    let mut offsets = Offsets::new();
    for (at, &offset) in requested {
        let (start, end) = (starts.get(at).copied(), ends.get(at).copied());
        let offset = match (start, end) {
            (_, Some(end)) if offset > end => {
                warnings.push(format!(
                    "New offset ({offset}) is higher than latest offset for topic partition {at}. Value will be set to {end}"
                ));
                end
            }
            (Some(start), _) if offset < start => {
                warnings.push(format!(
                    "New offset ({offset}) is lower than earliest offset for topic partition {at}. Value will be set to {start}"
                ));
                start
            }
            _ => offset,
        };
        offsets.insert(at.clone(), offset);
    }
    (offsets, warnings)
}

/// Committed offsets shifted by `by`.
pub(crate) fn shifted(
    partitions: &[TopicPartition],
    committed: &BTreeMap<TopicPartition, (i64, Option<i32>)>,
    by: i64,
) -> Result<Offsets, Thrown> {
    let one = |at: &TopicPartition| match committed.get(at) {
        Some((offset, _)) => Ok((at.clone(), offset.wrapping_add(by))),
        None => Err(Thrown::illegal_argument(format!(
            "Cannot shift offset for partition {at} since there is no current committed offset"
        ))),
    };
    partitions.iter().map(one).collect()
}

/// A plan as `--export` writes it: `topic,partition,offset` if one group is meant, else with the group first.
///
/// # Errors
/// What Java's CSV reader finds wrong, with the line.
pub(crate) fn from_csv(text: &str, groups: &[&str]) -> Result<BTreeMap<String, Offsets>, Thrown> {
    let lines: Vec<&str> =
        text.trim_end_matches('\n').split('\n').map(|line| line.trim_end_matches('\r')).collect();
    let is_short = lines.first().is_some_and(|line| fields(line).len() <= 3);
    let single = match groups {
        [group] if is_short => Some(*group),
        _ => None,
    };
    let mut plan: BTreeMap<String, Offsets> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let fields = fields(line);
        let mut fields = fields.iter().map(String::as_str);
        let group = match single {
            Some(group) => group,
            None => fields.next().unwrap_or_default(),
        };
        let bad = |what: &str| {
            let columns =
                if single.is_some() { "topic,partition,offset" } else { "group,topic,partition,offset" };
            Thrown::new("java.lang.RuntimeException", format!("line {}: {what}: \"{line}\"", at + 1))
                .caused(&format!("    next: each line of the file is {columns}, without a head"))
        };
        let (Some(topic), Some(partition), Some(offset), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(bad("not as many columns as a plan has"));
        };
        let partition = partition.trim().parse().map_err(|_| bad("the partition is not a number"))?;
        let offset: i64 = offset.trim().parse().map_err(|_| bad("the offset is not a number"))?;
        if offset < 0 {
            return Err(Thrown::illegal_argument("Invalid negative offset"));
        }
        plan.entry(group.to_owned()).or_default().insert(TopicPartition::new(topic, partition), offset);
    }
    Ok(plan)
}

/// One line of a CSV file: commas, and quotes doubled within quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("there is always a field");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            _ => field.push(letter),
        }
    }
    fields
}

/// The plan as a file: Java's CSV writer quotes what is long or has something to quote.
pub(crate) fn to_csv(groups: &[(String, Vec<(TopicPartition, i64)>)], with_group: bool) -> String {
    let mut text = String::new();
    for (group, offsets) in groups {
        for (at, offset) in offsets {
            if with_group {
                text.push_str(&quoted(group));
                text.push(',');
            }
            text.push_str(&format!("{},{},{offset}\n", quoted(&at.topic), at.partition));
        }
    }
    text
}

fn quoted(field: &str) -> String {
    const LONGEST_CHECKED: usize = 24;
    if field.encode_utf16().count() > LONGEST_CHECKED || field.chars().any(|letter| letter < '-') {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

/// `YYYY-MM-DDThh:mm:ss.sss`, with `Z`, `+hh:mm` or `+hh` after it or UTC without: ms since 1970 (Kafka's
/// `Utils.getDateTime`).
pub(crate) fn date_time(text: &str) -> Result<i64, Thrown> {
    let bad = |message: String| {
        Thrown::new("java.lang.RuntimeException", format!("java.text.ParseException: {message}"))
    };
    let Some((_, time)) = text.split_once('T').filter(|(_, time)| !time.is_empty()) else {
        return Err(bad(
            "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format".to_owned()
        ));
    };
    let text = if time.contains(['+', '-', 'Z']) { text.to_owned() } else { format!("{text}Z") };
    instant(&text).ok_or_else(|| {
        bad(format!("Unparseable date: \"{text}\"")).caused("    next: write it as 2026-01-31T23:59:59.000")
    })
}

fn instant(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = number(&mut rest, "-")?;
    let month = number(&mut rest, "-")?;
    let day = number(&mut rest, "T")?;
    let hour = number(&mut rest, ":")?;
    let minute = number(&mut rest, ":")?;
    let second = number(&mut rest, ".")?;
    let millis = number(&mut rest, "")?;
    let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date =
        time::Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let small = |value: i64| u8::try_from(value).ok();
    let clock =
        time::Time::from_hms_milli(small(hour)?, small(minute)?, small(second)?, u16::try_from(millis).ok()?)
            .ok()?;
    let utc = time::PrimitiveDateTime::new(date, clock).assume_utc();
    let millis = i64::try_from(utc.unix_timestamp_nanos() / 1_000_000).ok()?;
    Some(millis - offset_minutes(rest)? * 60_000)
}

/// Digits up to a separator, which is taken too.
fn number(rest: &mut &str, separator: &str) -> Option<i64> {
    let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let value = rest[..digits].parse().ok()?;
    *rest = rest[digits..].strip_prefix(separator)?;
    Some(value)
}

/// `Z`, `+hh:mm` or `+hh`; what comes after it does not count.
fn offset_minutes(text: &str) -> Option<i64> {
    if text.starts_with('Z') {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours: i64 = text.get(1..3)?.parse().ok().filter(|hours| (0..24).contains(hours))?;
    let minutes =
        text.get(3..6).and_then(|text| text.strip_prefix(':')).and_then(|text| text.parse::<i64>().ok());
    Some(sign * (hours * 60 + minutes.filter(|minutes| (0..60).contains(minutes)).unwrap_or(0)))
}

/// `PnDTnHnMnS` in ms (Java's `Duration.parse`).
pub(crate) fn duration_ms(text: &str) -> Result<i64, Thrown> {
    duration(text).ok_or_else(|| {
        Thrown::new("java.time.format.DateTimeParseException", "Text cannot be parsed to a Duration")
            .caused("    next: write it as P7D, PT12H, PT30M or P1DT2H3M4.5S")
    })
}

fn duration(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (sign, rest) = match upper.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    if days.is_empty() && time.is_none_or(str::is_empty) || time.is_some_and(str::is_empty) {
        return None;
    }
    let mut total: i64 = 0;
    if !days.is_empty() {
        total = total.checked_add(days.strip_suffix('D')?.parse::<i64>().ok()?.checked_mul(86_400_000)?)?;
    }
    let mut rest = time.unwrap_or_default();
    for (unit, millis) in [('H', 3_600_000), ('M', 60_000)] {
        if let Some((count, after)) = rest.split_once(unit) {
            total = total.checked_add(count.parse::<i64>().ok()?.checked_mul(millis)?)?;
            rest = after;
        }
    }
    if !rest.is_empty() {
        let seconds = rest.strip_suffix('S')?.replace(',', ".");
        let (whole, part) = seconds.split_once('.').unwrap_or((&seconds, ""));
        if part.len() > 9 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let part: i64 = format!("{part:0<3}")[..3].parse().ok()?;
        let part = if whole.starts_with('-') { -part } else { part };
        total = total.checked_add(whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(part)?)?;
    }
    Some(sign * total)
}
