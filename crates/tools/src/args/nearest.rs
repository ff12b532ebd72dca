//! "Did you mean": the known name that lies nearest to a mistyped one.

/// The name nearest to `typed`, if one is near enough to be what was meant: one edit per three letters, or the only
/// name that begins with what was typed.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    if typed.len() >= 2 {
        let mut longer = known.iter().filter(|name| name.starts_with(typed));
        if let (Some(only), None) = (longer.next(), longer.next()) {
            return Some(only);
        }
    }
    let (distance, name) = known.iter().map(|name| (distance(typed, name), *name)).min()?;
    (distance <= typed.chars().count().div_ceil(3)).then_some(name)
}

/// Insertions, deletions, replacements and swaps of neighbours between two names.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_nonsense_is_not() {
        let known = ["bootstrap-server", "topic", "partitions", "partition", "list"];
        assert_eq!(nearest("bootstrap-servers", known), Some("bootstrap-server"));
        assert_eq!(nearest("boot", known), Some("bootstrap-server"));
        assert_eq!(nearest("toipc", known), Some("topic"));
        assert_eq!(nearest("partitons", known), Some("partitions"));
        assert_eq!(nearest("verbose", known), None);
    }
}
