//! Helps of all three kinds read, and what is made of them.

use std::collections::BTreeMap;

use super::page::{Page, read};
use super::{OWN, names, roff, shells};
use crate::KAFKA_TOOLS;
use crate::args::jopt::{Kind, Parser};

/// A help as clap prints it.
const CLAP: &str = "Topics, in short words

Usage: ottla topic [OPTIONS] <COMMAND>

Commands:
  list      Every topic with its state
  set-rf    Change how many replicas each partition has

Options:
  -b, --bootstrap <BOOTSTRAP>  Brokers to ask first [default: localhost:9092]
      --watch [<SECONDS>]      Again and again
  -h, --help                   Print help

Examples:
  ottla topic list
";

/// A help as argparse4j prints it: words drawn apart.
const BLOCKS: &str = "usage: kafka-transactions.sh [-h] [-v] --bootstrap-server host:port COMMAND
                             ...

This tool is used to analyze  the  transactional  state of producers.

optional arguments:
  -h, --help             show this help message and exit
  --bootstrap-server host:port
                         hostname and port  for  the
                         broker

commands:
  COMMAND
    list                 list transactions
    describe-producers   describe the  states  of
                         active producers
    forceTerminateTransaction
                         Force abort
";

fn table() -> String {
    let mut p = Parser::bare();
    p.takes(
        "allow-principal",
        "principal is in principalType:name format, as --allow-principal takes it and as User:bob shows.",
        "allow-principal",
        Kind::Text,
    );
    p.flag("list", "List them.");
    p.takes("f", "A file.", "", Kind::Text).also(&["file"]).required();
    format!("This tool helps. It does.\n{}", p.help())
}

fn pages() -> BTreeMap<String, Page> {
    [("topic", CLAP.to_owned()), ("kafka-transactions", BLOCKS.to_owned()), ("kafka-acls", table())]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), read(name, &text)))
        .collect()
}

#[test]
fn lists_of_clap_are_read() {
    let page = read("topic", CLAP);
    assert_eq!(page.about, ["Topics, in short words"]);
    assert_eq!(page.usage, "ottla topic [OPTIONS] <COMMAND>");
    let commands: Vec<_> = page.commands.iter().map(|it| (it.name.as_str(), it.about.as_str())).collect();
    assert_eq!(
        commands,
        [("list", "Every topic with its state"), ("set-rf", "Change how many replicas each partition has")]
    );
    let options: Vec<_> = page.options.iter().map(|it| (it.names(), it.takes_value())).collect();
    assert_eq!(
        options,
        [(vec!["-b", "--bootstrap"], true), (vec!["--watch"], true), (vec!["-h", "--help"], false)]
    );
    assert_eq!(page.examples, ["ottla topic list"]);
}

#[test]
fn blocks_of_argparse_are_read() {
    let page = read("kafka-transactions", BLOCKS);
    assert_eq!(page.about, ["This tool is used to analyze the transactional state of producers."]);
    let commands: Vec<_> = page.commands.iter().map(|it| (it.name.as_str(), it.about.as_str())).collect();
    assert_eq!(
        commands,
        [
            ("list", "list transactions"),
            ("describe-producers", "describe the states of active producers"),
            ("forceTerminateTransaction", "Force abort"),
        ]
    );
    assert_eq!(page.options[1].title, "--bootstrap-server host:port");
    assert_eq!(page.options[1].about, "hostname and port for the broker");
    assert!(page.options[1].takes_value() && !page.options[0].takes_value());
}

#[test]
fn tables_of_joptsimple_are_read() {
    let page = read("kafka-acls", &table());
    let titles: Vec<&str> = page.options.iter().map(|option| option.title.as_str()).collect();
    assert_eq!(
        titles,
        ["--allow-principal <String: allow-principal>", "-f, --file <String>", "--list"],
        "a title is broken at its hyphen, and a required one has a star"
    );
    assert_eq!(
        page.options[0].about,
        "principal is in principalType:name format, as --allow-principal takes it and as User:bob shows."
    );
    assert_eq!(page.short(), "This tool helps");
}

#[test]
fn pages_are_roff_that_cannot_be_misread() {
    let mut page = read("kafka-acls", &table());
    page.about.push(".so it goes \\ on".into());
    let text = roff::of_tool(&page);
    assert!(text.starts_with(".TH KAFKA\\-ACLS 1 "), "{text}");
    assert!(text.contains("\n\\&.so it goes \\e on\n"), "{text}");
    assert!(text.contains(".TP\n\\fB\\-f, \\-\\-file <String>\\fR\nA file."), "{text}");
    let whole = roff::of_program(&pages());
    assert!(whole.contains("\\fBottla\\-topic\\fR(1)") && whole.contains("\\fBkafka\\-acls\\fR(1)"));
}

#[test]
fn scripts_have_every_tool_and_flag() {
    let pages = pages();
    let bash = shells::bash(&pages);
    for row in [
        "'ottla') echo 'kafka-acls kafka-transactions topic' ;;",
        "'kafka-acls') echo '--allow-principal -f --file --list' ;;",
        "'topic') echo 'list set-rf -b --bootstrap --watch -h --help' ;;",
        "complete -o default -F _ottla ottla kafka-acls kafka-acls.sh kafka-transactions kafka-transactions.sh\n",
    ] {
        assert!(bash.contains(row), "{row}\n{bash}");
    }
    let fish = shells::fish(&pages);
    assert!(fish.contains("complete -c kafka-acls.sh -s f -l file -x -d 'A file'"), "{fish}");
    assert!(fish.contains("complete -c ottla -n '__fish_seen_subcommand_from topic' -s b -l bootstrap -x"));
    assert!(shells::zsh(&pages).starts_with("#compdef ottla kafka-acls kafka-acls.sh"));
}

#[test]
fn every_name_is_a_tool() {
    for name in KAFKA_TOOLS {
        let is_ours = crate::find(&format!("kafka-{name}")).is_some();
        assert!(is_ours || *name == "server-start", "{name}");
    }
    for name in OWN {
        assert!(crate::find(name).is_some() || name == "dev", "{name}");
    }
    assert_eq!(names().len(), OWN.len() + KAFKA_TOOLS.len());
}

#[test]
fn every_script_of_the_release_has_its_words() {
    let bin = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bin");
    for entry in std::fs::read_dir(bin).expect("bin is there") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        let Some(plain) = name.strip_prefix("kafka-").and_then(|name| name.strip_suffix(".sh")) else {
            continue;
        };
        assert!(KAFKA_TOOLS.contains(&plain), "{name}");
    }
}
