//! No file names a registry's host or a path of the machine that it was written on.

use super::{Finding, Source};

// Spelt in halves, so that this file does not find itself.
const HOSTS: &[&str] = &[
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("repo1.", "maven"),
    concat!("repo.", "maven.apache"),
    concat!("registry.", "npmjs"),
    concat!("files.", "pythonhosted"),
    concat!("proxy.", "golang"),
    concat!("deb.", "debian.org"),
];
const PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
    concat!("/tmp/", "kafka-src"),
    concat!("/opt/", "wheels"),
];

/// Every line that names one.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let Some(text) = &source.text else { continue };
        for (number, line) in text.lines().enumerate() {
            for word in HOSTS.iter().chain(PATHS) {
                if mentions(line, word) {
                    let what = format!("names `{word}`: take it out");
                    findings.push(Finding::new(format!("{}:{}", source.path, number + 1), what));
                }
            }
        }
    }
    findings
}

/// A path counts only where it begins, not inside of a longer one.
fn mentions(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !word.starts_with('/')
            || !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-$}*>".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_found_with_its_line() {
        let text = format!("fine\nsee {}here\n", PATHS[0]);
        let findings = check(&[Source { path: "docs/a.md".into(), text: Some(text) }]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "docs/a.md:2");
        assert!(!mentions(&format!("target{}x", PATHS[0]), PATHS[0]));
        assert!(mentions(HOSTS[0], HOSTS[0]));
    }
}
