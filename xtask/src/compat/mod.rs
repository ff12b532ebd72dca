//! `cargo xtask compat`: judges that nobody here wrote, put beside ours and beside Apache Kafka.

pub mod clients;
pub mod config;
pub mod disk;
pub mod librdkafka;
pub mod mixed;
pub mod tools;
pub mod wire;

use anyhow::{Context, Result, bail};

use crate::server::System;

const USAGE: &str = "\
usage: cargo xtask compat JUDGE

  wire                             every message and version through Apache Kafka's own classes
  clients [--against apache|ottla] [--nodes 1|3] [--only NAME] [--all]
                                   client libraries in their versions, against one server
  config                           the table of keys and the parser against Apache Kafka's own
  disk [--against apache|ottla]    one directory under Apache Kafka and the other, in turn; its tools on the files
  librdkafka [--against apache|ottla] [--nodes 1|3] [--only NAME]
                                   librdkafka's own tests of a broker: passed P of the B that Apache Kafka passes
  mixed [GROUP [WORD]]             Apache Kafka's nodes and ours in one cluster; a cluster moved over and back
                                   (with WORD only the checks that have it in their names)
  tools [TOOL ...] [--only WORD]   Kafka's command line tools: Apache's and ours, on Apache and on ours
";

/// Runs one judge.
pub fn run(words: &[&str]) -> Result<()> {
    match words {
        ["wire"] => wire::run(),
        ["clients", rest @ ..] => {
            let mut choice = clients::Choice { against: System::Ottla, nodes: 1, only: None, all: false };
            let mut rest = rest.iter();
            while let Some(word) = rest.next() {
                match *word {
                    "--against" => choice.against = System::parse(rest.next().copied().unwrap_or_default())?,
                    "--nodes" => choice.nodes = one_or_three(rest.next())?,
                    "--only" => choice.only = rest.next().map(|name| (*name).to_owned()),
                    "--all" => choice.all = true,
                    other => bail!("compat clients: '{other}'?\n\n{USAGE}"),
                }
            }
            clients::run(&choice)
        }
        ["librdkafka", rest @ ..] => {
            let mut choice = librdkafka::Choice { against: None, nodes: 1, only: None };
            let mut rest = rest.iter();
            while let Some(word) = rest.next() {
                match *word {
                    "--against" => {
                        choice.against = Some(System::parse(rest.next().copied().unwrap_or_default())?)
                    }
                    "--nodes" => choice.nodes = one_or_three(rest.next())?,
                    "--only" => choice.only = rest.next().map(|name| (*name).to_owned()),
                    other => bail!("compat librdkafka: '{other}'?\n\n{USAGE}"),
                }
            }
            librdkafka::run(&choice)
        }
        ["tools", rest @ ..] => {
            let mut choice = tools::Choice::default();
            let mut rest = rest.iter();
            while let Some(word) = rest.next() {
                match *word {
                    "--only" => choice.only = Some((*rest.next().context(USAGE)?).to_owned()),
                    other if other.starts_with('-') => bail!("compat tools: '{other}'?\n\n{USAGE}"),
                    tool => choice.tools.push(tool.to_owned()),
                }
            }
            tools::run(&choice)
        }
        ["config"] => config::run(),
        ["mixed"] => mixed::run(None, None),
        ["mixed", group] => mixed::run(Some(group), None),
        ["mixed", group, word] => mixed::run(Some(group), Some(word)),
        ["disk"] => disk::run(System::Ottla),
        ["disk", "--against", system] => disk::run(System::parse(system)?),
        _ => bail!("no such judge\n\n{USAGE}"),
    }
}

fn one_or_three(word: Option<&&str>) -> Result<usize> {
    word.and_then(|n| n.parse().ok()).filter(|n| matches!(n, 1 | 3)).context(USAGE)
}
