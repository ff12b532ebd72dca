//! Lines that many tools print the same way.

use std::fmt::Display;
use std::io::{self, Write};

use time::OffsetDateTime;

use super::Out;

/// A line in the pattern of Kafka's tools' log, on standard error: `[2026-11-21 10:11:12,345] WARN text (logger)`.
pub fn log(level: &str, message: &str, logger: &str) {
    let now = OffsetDateTime::now_local().unwrap_or_else(|_| OffsetDateTime::now_utc());
    let (year, month, day) = now.to_calendar_date();
    let (hour, minute, second, milli) = now.to_hms_milli();
    let _ = writeln!(
        io::stderr(),
        "[{year}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02},{milli:03}] {level} {message} ({logger})",
        u8::from(month)
    );
}

/// A warning on standard error.
pub fn warn(text: impl Display) {
    let _ = writeln!(io::stderr(), "WARN {text}");
}

/// A notice of something that still works but has a newer way. Kafka prints it on standard output; here it is on
/// standard error, so that what a script reads stays clean.
pub fn deprecated(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A table as `ToolsUtils.prettyPrintTable` prints it: columns as wide as their widest value, a tab behind each.
pub fn table(out: &mut Out, headers: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        let widest = rows.iter().filter_map(|row| row.get(column)).map(|value| value.chars().count()).max();
        widest.unwrap_or(0).max(headers[column].chars().count())
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    for (value, width) in headers.iter().zip(&widths) {
        write!(out, "{value:<width$}\t")?;
    }
    writeln!(out)?;
    for row in rows {
        for (value, width) in row.iter().zip(&widths) {
            write!(out, "{value:<width$}\t")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// `[a, b]`, as Java prints a list.
pub fn java_list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}
