//! How Kafka's tools read their arguments. Kafka has two dialects, and so have we: [`jopt`] is what most tools speak
//! (joptsimple), [`argparse`] what the tools with subcommands speak (argparse4j). Flags, messages and help are the
//! real tools' own; what is added is "did you mean" and an answer for flags that ended with ZooKeeper.

pub mod argparse;
mod gone;
pub mod jopt;
mod lines;
pub(crate) mod nearest;
