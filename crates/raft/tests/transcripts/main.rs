//! Golden transcripts: what one node does, step by step, in words.
//!
//! Each file in `testscripts/` is a list of blocks: commands, a line `---`, what came of them. The test
//! runs the commands and compares. `UPDATE_TRANSCRIPTS=1` writes what came instead; read it before you
//! commit it, because then it is the specification.

#![allow(unreachable_pub)]

mod script;
mod words;

use std::fs;
use std::path::Path;

fn transcript(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/testscripts").join(name);
    let text = fs::read_to_string(&path).expect("the transcript is there");
    let played = script::play(&text);
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        fs::write(&path, &played).expect("the transcript can be written");
    } else {
        assert!(text == played, "{name} went otherwise:\n{}", difference(&text, &played));
    }
}

fn difference(expected: &str, found: &str) -> String {
    let mut out = String::new();
    let (mut left, mut right) = (expected.lines(), found.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return out,
            (a, b) if a == b => out += &format!("  {}\n", a.unwrap_or_default()),
            (a, b) => out += &format!("- {}\n+ {}\n", a.unwrap_or_default(), b.unwrap_or_default()),
        }
    }
}

macro_rules! transcripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            transcript(concat!(stringify!($name), ".txt"));
        }
    )*};
}

transcripts! {
    single_voter unattached prospective candidate leader follower resigned observer voters snapshot restart
    shutdown refused hasty
}
