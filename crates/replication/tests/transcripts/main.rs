//! Golden transcripts: what one leader or follower does, step by step, in words.
//!
//! Each file in `testscripts/` is a list of blocks: commands, a line `---`, what came of them. The test
//! runs the commands and compares. `UPDATE_TRANSCRIPTS=1` writes what came instead; read it before you
//! commit it, because then it is the specification.

#![allow(unreachable_pub)]

mod follower;
mod leader;
mod line;

use std::fs;
use std::path::Path;

use line::{Line, Stage};

fn play(text: &str, stage: &mut impl Stage) -> String {
    let mut out = Vec::new();
    for block in text.trim_end().split("\n\n") {
        let commands: Vec<&str> = block.lines().take_while(|line| *line != "---").collect();
        let mut lines: Vec<String> = commands.iter().map(|line| (*line).to_owned()).collect();
        let acting: Vec<&&str> = commands.iter().filter(|line| !line.starts_with('#')).collect();
        if !acting.is_empty() {
            lines.push("---".to_owned());
            for command in acting {
                stage.act(&Line::parse(command), &mut lines);
            }
            lines.push(stage.summary());
        }
        out.push(lines.join("\n"));
    }
    out.join("\n\n") + "\n"
}

fn transcript(name: &str, stage: &mut impl Stage) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/testscripts").join(name);
    let text = fs::read_to_string(&path).expect("the transcript is there");
    let played = play(&text, stage);
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
    ($stage:ty: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            transcript(concat!(stringify!($name), ".txt"), &mut <$stage>::default());
        }
    )*};
}

transcripts! { leader::Leading: watermark acks shrink expand answers image reassignment low_watermark read_replica }
transcripts! { follower::Following: fetching diverging out_of_range errors }
