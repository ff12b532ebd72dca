//! Paths with wildcards: `*`, `?`, `{a,b}` and backslash escapes, a component at a time.

use ottla_metadata::image::Image;

use super::node::Node;

/// A path as its components: several slashes count as one.
fn split(path: &str) -> Vec<&str> {
    path.split('/').filter(|component| !component.is_empty()).collect()
}

/// The components of `path`, seen from `working_directory`, without `.` and `..`.
fn absolute(path: &str, working_directory: &str) -> Vec<String> {
    let full = if path.starts_with('/') { path.to_owned() } else { format!("{working_directory}/{path}") };
    let mut out: Vec<String> = Vec::new();
    for component in split(&full) {
        match component {
            "." => {}
            ".." => {
                out.pop();
            }
            name => out.push(name.to_owned()),
        }
    }
    out
}

/// What a path names: the components and the node.
pub(super) struct Found {
    pub(super) path: Vec<String>,
    pub(super) node: Node,
}

impl Found {
    pub(super) fn last(&self) -> &str {
        self.path.last().map_or("/", String::as_str)
    }

    pub(super) fn absolute(&self) -> String {
        format!("/{}", self.path.join("/"))
    }
}

/// Everything the path names, in the order of names; nothing if it names nothing.
pub(super) fn find(image: &Image, path: &str, working_directory: &str) -> Vec<Found> {
    let mut found = vec![Found { path: Vec::new(), node: Node::Root }];
    for component in absolute(path, working_directory) {
        let pattern = Pattern::parse(&component);
        let mut next = Vec::new();
        for Found { path, node } in found {
            let names = match &pattern {
                None => vec![component.clone()],
                Some(pattern) => {
                    node.children(image).into_iter().filter(|name| pattern.matches(name)).collect()
                }
            };
            for name in names {
                if let Some(child) = node.child(image, &name) {
                    let mut path = path.clone();
                    path.push(name);
                    next.push(Found { path, node: child });
                }
            }
        }
        found = next;
    }
    found
}

/// One element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(char),
    One,
    Many,
}

/// A component with wildcards, as its alternatives.
#[derive(Debug, PartialEq, Eq)]
struct Pattern(Vec<Vec<Piece>>);

/// Alternatives, each a list of pieces.
type Paths = Vec<Vec<Piece>>;

impl Pattern {
    /// `None` where the component can only be meant literally; so can a malformed one.
    fn parse(component: &str) -> Option<Pattern> {
        let mut wild = false;
        let mut done: Vec<Vec<Piece>> = vec![Vec::new()];
        // Inside of braces: what was before them, and the alternatives so far.
        let mut group: Option<(Paths, Paths)> = None;
        let mut chars = component.chars();
        let push = |paths: &mut Vec<Vec<Piece>>, piece: &Piece| {
            for path in paths {
                path.push(piece.clone());
            }
        };
        while let Some(c) = chars.next() {
            match c {
                '?' | '*' => {
                    wild = true;
                    push(&mut done, if c == '?' { &Piece::One } else { &Piece::Many });
                }
                '\\' => push(&mut done, &Piece::Literal(chars.next().unwrap_or('\\'))),
                '{' => {
                    if group.is_some() {
                        return None;
                    }
                    wild = true;
                    group = Some((done.clone(), Vec::new()));
                }
                ',' | '}' if group.is_some() => {
                    let (before, mut alternatives) = group.take().expect("it was looked at");
                    alternatives.append(&mut done);
                    if c == ',' {
                        done = before.clone();
                        group = Some((before, alternatives));
                    } else {
                        done = alternatives;
                    }
                }
                c => push(&mut done, &Piece::Literal(c)),
            }
        }
        (wild && group.is_none()).then_some(Pattern(done))
    }

    fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        self.0.iter().any(|pieces| matches(pieces, &name))
    }
}

fn matches(pieces: &[Piece], name: &[char]) -> bool {
    // Where to go on from when what follows the last `*` does not fit.
    let (mut p, mut n, mut retry) = (0, 0, None);
    loop {
        match pieces.get(p) {
            Some(Piece::Many) => {
                retry = Some((p, n));
                p += 1;
                continue;
            }
            Some(Piece::One) if n < name.len() => {
                (p, n) = (p + 1, n + 1);
                continue;
            }
            Some(Piece::Literal(c)) if name.get(n) == Some(c) => {
                (p, n) = (p + 1, n + 1);
                continue;
            }
            None if n == name.len() => return true,
            _ => {}
        }
        match retry {
            Some((star, at)) if at < name.len() => {
                retry = Some((star, at + 1));
                (p, n) = (star + 1, at + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).map_or(pattern == name, |pattern| pattern.matches(name))
    }

    #[test]
    fn wildcards() {
        assert!(Pattern::parse("plain-0.1").is_none());
        assert!(Pattern::parse("{nested{no}}").is_none());
        assert!(Pattern::parse("{unterminated").is_none());
        for (pattern, name, expected) in [
            ("t*", "t1", true),
            ("*", "", true),
            ("*a*b", "xaxbab", true),
            ("*a*b", "xaxba", false),
            ("?", "ab", false),
            ("a?c", "abc", true),
            ("{0,id}", "id", true),
            ("{0,id}", "1", false),
            ("x{a,b?}y*", "xbzy!", true),
            ("x{a,}y", "xy", true),
            ("a.c*", "abc", false),
            ("\\**", "*x", true),
            ("\\**", "yx", false),
            ("a,b*", "a,bc", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn paths_are_made_absolute() {
        assert_eq!(absolute("../x/./y//z", "/image/topics"), ["image", "x", "y", "z"]);
        assert_eq!(absolute("/../..", "/image"), Vec::<String>::new());
        assert_eq!(absolute("a/", "/"), ["a"]);
    }
}
