//! `ottla group`: groups listed, described with their lag, reset and deleted, in short words.

mod reset;
mod show;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use ottla_client::{Cluster, CoordinatorKind, OffsetSpec, Properties};
use ottla_protocol::messages::DeleteGroupsRequest;

use super::{Form, block_on, parse};
use crate::consumer_groups::describe;
use crate::consumer_groups::server::{self, Group};
use crate::runtime::Thrown;
use show::Described;

/// Groups, in short words; kafka-consumer-groups has all of Kafka's.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Brokers to ask first, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092", global = true)]
    bootstrap: String,
    #[arg(short, long, value_enum, default_value = "text", global = true)]
    output: Form,
    /// list, describe, members: again and again, every so many seconds, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", global = true)]
    watch: Option<f64>,
}

const EXAMPLES: &str = "\
Examples:
  ottla group list
  ottla group describe billing --watch 1
  ottla group reset billing --to earliest -t orders --dry-run
  ottla group reset billing --to 2026-11-21T08:00:00.000 -t orders:0,1
  ottla group delete billing";

#[derive(Debug, Subcommand)]
enum Command {
    /// Every group with its type and state.
    List,
    /// Where a group stands: committed offsets, ends, lag, who reads what.
    Describe {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Members of a group and what they are given.
    Members {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Move a group that has no members to other offsets.
    Reset(reset::Arguments),
    /// Delete groups with the offsets they committed.
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
    },
}

pub(super) fn run(args: &[OsString]) -> ExitCode {
    let wanted: Arguments = match parse("group", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    block_on(async {
        loop {
            let (shown, code) = match work(&wanted).await {
                Ok(text) => (text, ExitCode::SUCCESS),
                Err(Failed { done, why }) => {
                    eprintln!("{why}");
                    (done, ExitCode::from(1))
                }
            };
            let again = wanted.watch.filter(|_| wanted.command.can_be_watched());
            if again.is_some() && wanted.output == Form::Text {
                // Clear and home: the screen is drawn in place.
                print!("\x1b[H\x1b[2J");
            }
            print!("{shown}");
            match again {
                Some(seconds) => {
                    tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.1, 3600.0))).await;
                }
                None => return code,
            }
        }
    })
}

impl Command {
    fn can_be_watched(&self) -> bool {
        matches!(self, Command::List | Command::Describe { .. } | Command::Members { .. })
    }
}

/// What was done before it went wrong, and why it did.
struct Failed {
    done: String,
    why: String,
}

impl From<String> for Failed {
    fn from(why: String) -> Failed {
        Failed { done: String::new(), why }
    }
}

/// An exception as a person reads it: its message and what we know beyond it.
fn why(thrown: Thrown) -> String {
    // What wraps the cause has the cause's class in front of its message.
    let message = thrown.message.rsplit_once("Exception: ").map_or(&*thrown.message, |(_, message)| message);
    if thrown.causes.is_empty() { message.to_owned() } else { format!("{message}\n{}", thrown.causes) }
}

async fn work(wanted: &Arguments) -> Result<String, Failed> {
    let cluster = Cluster::connect(&wanted.bootstrap, &Properties::new()).await.map_err(|error| {
        format!(
            "{error}\n    next: is the cluster up? give its addresses with -b (asked: {})",
            wanted.bootstrap
        )
    })?;
    let done = act(&cluster, wanted).await;
    cluster.close();
    done
}

async fn act(cluster: &Cluster, wanted: &Arguments) -> Result<String, Failed> {
    match &wanted.command {
        Command::List => {
            let mut groups = server::list(cluster, &[], &[], None).await.map_err(why)?;
            groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
            Ok(show::list(&groups, wanted.output))
        }
        Command::Describe { names } => {
            let mut described = Vec::new();
            for name in names {
                described.push(describe_one(cluster, name).await?);
            }
            Ok(show::describe(&described, wanted.output))
        }
        Command::Members { names } => {
            let mut groups = Vec::new();
            for name in names {
                groups.push(one(cluster, name).await?);
            }
            Ok(show::members(&groups, wanted.output))
        }
        Command::Reset(how) => {
            let group = one(cluster, &how.name).await;
            Ok(reset::run(cluster, how, group, wanted.output).await?)
        }
        Command::Delete { names } => {
            let (mut done, mut failed) = (String::new(), Vec::new());
            for name in names {
                let request = DeleteGroupsRequest { groups_names: vec![name.clone()] };
                let answer = cluster.coordinator(CoordinatorKind::Group, name, &request).await;
                let result = answer.map_err(Thrown::from).and_then(|answer| {
                    answer.results.iter().try_for_each(|result| Thrown::of_item(result.error_code, None))
                });
                match result {
                    Ok(()) => done += &format!("deleted {name}\n"),
                    Err(thrown) => failed.push(format!("{name}: {}", why(thrown))),
                }
            }
            if failed.is_empty() { Ok(done) } else { Err(Failed { done, why: failed.join("\n") }) }
        }
    }
}

/// A group that is there.
async fn one(cluster: &Cluster, name: &str) -> Result<Group, String> {
    let nothing = || format!("{name}: there is no such group\n    next: ottla group list");
    match server::describe(cluster, name).await {
        Ok(group) if group.state == "Dead" => Err(nothing()),
        Ok(group) => Ok(group),
        Err(thrown) if thrown.class.ends_with("GroupIdNotFoundException") => Err(nothing()),
        Err(thrown) => Err(format!("{name}: {}", why(thrown))),
    }
}

async fn describe_one(cluster: &Cluster, name: &str) -> Result<Described, String> {
    let group = one(cluster, name).await?;
    let committed = server::committed(cluster, name).await.map_err(why)?;
    let all = describe::partitions_of(&group, &committed);
    let (led, gone) = describe::led(cluster, &all).await.map_err(why)?;
    let ends = server::offsets(cluster, led, OffsetSpec::Latest).await.map_err(why)?;
    let rows = describe::table(&group, &committed, &ends);
    Ok(Described { group, rows, gone })
}
