//! argparse4j's "Did you mean": every name with the smallest distance, if that is small.

/// The names to suggest for `typed`: those that begin with it, else those a few cheap edits away.
pub(super) fn candidates<'a>(
    typed: &str,
    known: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<&'a str> {
    let mut rated: Vec<(usize, &str)> = known
        .into_iter()
        .map(|(body, shown)| (if body.starts_with(typed) { 0 } else { distance(typed, body) }, shown))
        .collect();
    rated.sort();
    match rated.first() {
        Some(&(best, _)) if best < 7 => {
            rated.iter().take_while(|(distance, _)| *distance == best).map(|(_, shown)| *shown).collect()
        }
        _ => Vec::new(),
    }
}

/// A swap of neighbours costs nothing, a replacement 2, a missing letter 1, a letter too many 4.
fn distance(typed: &str, known: &str) -> usize {
    let a: Vec<char> = typed.chars().collect();
    let b: Vec<char> = known.chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i * 4;
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + if a[i - 1] == b[j - 1] { 0 } else { 2 };
            let mut best = replace.min(rows[i - 1][j] + 4).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] != b[j - 1] && a[i - 2] == b[j - 1] && a[i - 1] == b[j - 2] {
                best = best.min(rows[i - 2][j - 2]);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
