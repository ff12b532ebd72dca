//! What is never the same twice, replaced by a name. These are all the masks:
//!
//! | Mask | Replaces |
//! | --- | --- |
//! | `{dir}`, `{data}`, `{properties}` | the way's directory, its node's log directory and configuration |
//! | `{port}`, `{cport}` | the ports of the way's node |
//! | `{uuid}` | an UUID of 36 letters, or of Kafka's 22 (topics, directories, members) |
//! | `{ms}` | milliseconds since 1970: thirteen digits of the years 2014 to 2033 |
//! | `{time}` | a date with a time, with or without milliseconds |
//! | `console-consumer-{n}`, `perf-consumer-{n}` | the random number of a group that nobody named |
//! | `crc: {crc}` | the checksum of a batch, which depends on its time |
//! | `Epoch: {epoch}` | the end of the metadata log where `kafka-features` tells it |
//! | `{number}` | where the invocation says `figures`, every number, and `NaN` |
//! | (shortened) | `Exception in thread "main" joptsimple.X: ` before a misuse of flags; blanks where the invocation says `figures` and where a group has a random number |
//! | (sorted) | names of options, states and types in an error: Apache's tools have them in the order of an immutable set, which each JVM draws |
//! | (left out) | log4j's lines, `[{time}] LEVEL ...`; a Java stack trace behind its first line |

/// What a way's own world is called in its outputs.
pub struct Own {
    /// Texts and the names that stand for them, the longest texts first.
    pub names: Vec<(String, &'static str)>,
}

/// A text with everything masked, as lines.
pub fn lines(text: &str, own: &Own, figures: bool) -> Vec<String> {
    let mut text = text.replace('\r', "");
    for (from, to) in &own.names {
        text = text.replace(from.as_str(), to);
    }
    let masked = tokens(&times(&text));
    // A random number's length shows in the widths of columns.
    let drawn = masked.contains("-consumer-{n}");
    without_logs(&masked)
        .into_iter()
        .filter(|line| !is_trace(line))
        .map(|line| if figures { numbers(line) } else { line.to_owned() })
        .map(|line| if drawn { line.split_whitespace().collect::<Vec<_>>().join(" ") } else { line })
        .map(|line| sorted(&line).unwrap_or(line))
        .map(|line| match line.strip_prefix("Exception in thread \"main\" joptsimple.") {
            Some(misuse) => misuse.split_once(": ").map_or_else(|| line.clone(), |(_, said)| said.to_owned()),
            None => line,
        })
        .collect()
}

/// A record of log4j ends with its logger's name in brackets, which may stand some lines further.
fn without_logs(text: &str) -> Vec<&str> {
    let (mut kept, mut lines) = (Vec::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        if !is_log(line) {
            kept.push(line);
            continue;
        }
        let mut last = line;
        while !ends_with_logger(last) {
            match lines.next() {
                Some(next) => last = next,
                None => break,
            }
        }
        // An exception follows its record: a line that names it, then its trace.
        if lines.clone().nth(1).is_some_and(is_trace) {
            lines.next();
        }
    }
    kept
}

fn ends_with_logger(line: &str) -> bool {
    line.strip_suffix(')').and_then(|line| line.rsplit_once(" (")).is_some_and(|(_, name)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._$".contains(c))
    })
}

fn is_log(line: &str) -> bool {
    const LEVELS: &[&str] = &["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    line.strip_prefix("[{time}] ").is_some_and(|rest| LEVELS.iter().any(|level| rest.starts_with(level)))
}

fn is_trace(line: &str) -> bool {
    let more = |rest: &str| rest.starts_with("... ") && rest.ends_with(" more");
    line.strip_prefix('\t').is_some_and(|rest| {
        let rest = rest.trim_start();
        rest.starts_with("Suppressed: ") || rest.starts_with("at ") && rest.ends_with(')') || more(rest)
    }) || line.starts_with("Caused by: ")
}

/// The names that an error lists, in the order of the alphabet.
fn sorted(line: &str) -> Option<String> {
    const BEFORE: [&str; 5] = [
        " of these options: ",
        " the following options: ",
        " the following scenarios: ",
        " Valid states are: ",
        " Valid types are: ",
    ];
    let at = BEFORE.iter().find_map(|before| line.find(before).map(|at| at + before.len()))?;
    let (said, names) = line.split_at(at);
    let mut names: Vec<&str> = names.split(", ").map(|name| name.trim_matches(['[', ']'])).collect();
    names.sort_unstable();
    Some(format!("{said}{}", names.join(", ")))
}

/// `2025-01-31 12:00:00,123`, with a `T` between, with `.` or `:` before the milliseconds, or without them.
fn times(text: &str) -> String {
    const SHAPE: &[u8] = b"dddd-dd-dd_dd:dd:dd";
    let bytes = text.as_bytes();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let found = bytes.len() - at >= SHAPE.len()
            && SHAPE.iter().zip(&bytes[at..]).all(|(shape, byte)| match shape {
                b'd' => byte.is_ascii_digit(),
                b'_' => matches!(byte, b' ' | b'T'),
                other => other == byte,
            });
        if !found {
            let length = text[at..].chars().next().map_or(1, char::len_utf8);
            out.push_str(&text[at..at + length]);
            at += length;
            continue;
        }
        out.push_str("{time}");
        at += SHAPE.len();
        let digits =
            |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        if matches!(bytes.get(at), Some(b',' | b'.' | b':')) && digits(at + 1) >= 3 {
            at += 1 + digits(at + 1);
        }
        if bytes.get(at) == Some(&b'Z') {
            at += 1;
        }
    }
    out
}

/// Masks words: runs of letters, digits, `_` and `-`.
fn tokens(text: &str) -> String {
    let (mut out, mut word) = (String::with_capacity(text.len()), String::new());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            word.push(c);
        } else {
            push(&mut out, &word);
            word.clear();
            out.push(c);
        }
    }
    push(&mut out, &word);
    out
}

fn push(out: &mut String, word: &str) {
    let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    if number && out.ends_with("crc: ") {
        out.push_str("{crc}");
    } else if number && out.ends_with(" Epoch: ") {
        out.push_str("{epoch}");
    } else {
        out.push_str(&token(word));
    }
}

fn token(word: &str) -> String {
    if let Some(front) = word.len().checked_sub(36)
        && is_uuid(&word[front..])
    {
        return format!("{}{{uuid}}", &word[..front]);
    }
    if is_kafka_uuid(word) {
        return "{uuid}".to_owned();
    }
    if word.len() == 13
        && word.bytes().all(|b| b.is_ascii_digit())
        && ("1400000000000".."2000000000000").contains(&word)
    {
        return "{ms}".to_owned();
    }
    for group in ["console-consumer-", "perf-consumer-", "console-share-consumer-"] {
        if let Some(rest) = word.strip_prefix(group) {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                return format!("{group}{{n}}{}", token(&rest[digits..]));
            }
        }
    }
    word.to_owned()
}

fn is_uuid(word: &str) -> bool {
    word.bytes().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_hexdigit(),
    })
}

/// 22 letters of base64 for 16 bytes (the last one carries two bits alone), with both cases in it, as words seldom have.
fn is_kafka_uuid(word: &str) -> bool {
    word.len() == 22
        && word.ends_with(['A', 'Q', 'g', 'w'])
        && word.bytes().any(|b| b.is_ascii_uppercase())
        && word.bytes().any(|b| b.is_ascii_lowercase())
}

/// Every number, with its sign and its point.
fn numbers(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_ascii_digit() {
            out.push(c);
            continue;
        }
        if out.ends_with('-')
            && !out[..out.len() - 1].ends_with(|b: char| b.is_ascii_alphanumeric() || b == '}')
        {
            out.pop();
        }
        while chars.next_if(|c| c.is_ascii_digit() || *c == '.').is_some() {}
        out.push_str("{number}");
    }
    // Columns are as wide as their numbers. What has not happened yet has no average.
    let words = out.split_whitespace().map(|word| if word == "NaN" { "{number}" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> Vec<String> {
        lines(text, &Own { names: vec![("25001".to_owned(), "{port}")] }, false)
    }

    #[test]
    fn what_changes_has_a_name() {
        assert_eq!(masked("a localhost:25001 b"), ["a localhost:{port} b"]);
        assert_eq!(masked("TopicId: qcTl_J1aS0-8ztYUYmCyyA x"), ["TopicId: {uuid} x"]);
        assert_eq!(masked("c-5b2e7a88-1f3c-4ac3-9a7f-b7de0a2a1c55."), ["c-{uuid}."]);
        assert_eq!(masked("at 1763728000123,"), ["at {ms},"]);
        assert_eq!(
            masked("console-consumer-4711-1-x perf-consumer-9"),
            ["console-consumer-{n}-1-x perf-consumer-{n}"]
        );
        assert_eq!(masked("2025-11-21 12:00:00,123 2025-11-21T12:00:00Z"), ["{time} {time}"]);
        assert_eq!(masked("Größe 1763728000"), ["Größe 1763728000"]);
    }

    #[test]
    fn names_have_one_order() {
        let one = masked("Option [delete] takes one of these options: [group], [all-groups]");
        assert_eq!(one, ["Option [delete] takes one of these options: all-groups, group"]);
        assert_eq!(
            masked("Invalid state list 'x'. Valid states are: Stable, Dead")[0].split(": ").nth(1),
            Some("Dead, Stable")
        );
        assert_eq!(masked("Stable, Dead"), ["Stable, Dead"]);
    }

    #[test]
    fn logs_and_traces_are_left_out() {
        let text = "x\n[2025-11-21 12:00:00,123] WARN y (z)\njava.lang.X: m\n\tat a.B.c(D.java:1)\nCaused by: y\n\t... 3 more\n";
        assert_eq!(masked(text), ["x"], "the record, its exception and the trace");
        let text =
            "a\n[2025-11-21 12:00:00,123] ERROR org.X: m\n\n\tat a.B.c(D.java:1)\n (org.apache.Y)\nb\n";
        assert_eq!(masked(text), ["a", "b"]);
        assert_eq!(masked("\tProduce(0): 0 to 13"), ["\tProduce(0): 0 to 13"]);
    }

    #[test]
    fn figures_are_numbers() {
        assert_eq!(numbers("12.5 MB/s, -3 x 1-2"), "{number} MB/s, {number} x {number}-{number}");
        assert_eq!(numbers("rate : NaN"), numbers("rate : 0.5"));
    }
}
