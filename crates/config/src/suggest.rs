//! Did-you-mean: the known word nearest to one that nobody knows.

/// The candidate nearest to `word`, if one is near enough to be a slip of the fingers: at most one edit in
/// seven characters (two at least), an edit being a letter added, lost, changed, or two swapped.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = normal(word);
    let limit = (word.chars().count() / 7).max(2);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate.len().abs_diff(word.len()) > limit {
            continue;
        }
        let distance = distance(&word, candidate);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    // Two edits on a word of a few letters change it into anything.
    best.filter(|(distance, candidate)| *distance * 2 < candidate.len()).map(|(_, candidate)| candidate)
}

/// Lower case, with the dots that environment variables and YAML files turn into `_` or `-`.
fn normal(word: &str) -> String {
    word.trim().chars().map(|c| if matches!(c, '_' | '-') { '.' } else { c.to_ascii_lowercase() }).collect()
}

/// Edits between two words: the restricted Damerau-Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut cost = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(before[j - 2] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["advertised.listeners", "listeners", "log.dirs", "log.dir", "node.id"];
        let nearest = |word| nearest(word, known.into_iter());
        assert_eq!(nearest("advertised.listener"), Some("advertised.listeners"));
        assert_eq!(nearest("adverised.listeners"), Some("advertised.listeners"));
        assert_eq!(nearest("Log_Dirs"), Some("log.dirs"));
        assert_eq!(nearest("lgo.dirs"), Some("log.dirs"));
        assert_eq!(nearest("node-id"), Some("node.id"));
        assert_eq!(nearest("my.company.setting"), None);
        assert_eq!(nearest("x"), None);
    }

    #[test]
    fn distances() {
        for (a, b, edits) in
            [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3), ("abc", "abc", 0)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
