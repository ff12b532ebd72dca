//! `ottla config`: configuration files made, checked, explained and brought up to date, without a node.

mod check;
mod explain;
mod init;
mod migrate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::{Form, end, parse};

/// Makes, checks and explains configuration files.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ottla config init --nodes kafka1,kafka2,kafka3        three nodes, each broker and controller
  ottla config init --nodes b1,b2 --controllers c1      two brokers and a controller
  ottla config init --nodes localhost,localhost         two on one host, with ports of their own
  ottla config check config/server.properties
  ottla config explain min.insync.replicas
  ottla config migrate server.properties                a file of the ZooKeeper era";

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the files of a cluster, and the commands that format its nodes with one cluster id.
    Init(Init),
    /// Say everything that is wrong or odd about a file, with its lines.
    Check(Check),
    /// Say what a key means, what it may be and when a change takes effect.
    Explain(Explain),
    /// Turn a file of the ZooKeeper era into one of today, beside the old one.
    Migrate(Migrate),
}

#[derive(Debug, Args)]
struct Init {
    /// Hosts of the brokers, separated by commas, as the others reach them; a host may stand there more than once.
    #[arg(long, value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// Hosts of controllers that are no brokers; without them every node of --nodes is a controller too.
    #[arg(long, value_delimiter = ',')]
    controllers: Vec<String>,
    /// Where the files are written.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Where the nodes keep their data; each in a directory of its own below it.
    #[arg(long)]
    data_dir: Option<String>,
    /// The first port for clients; the controllers' is the next one.
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// A fixed list of voters in every file (controller.quorum.voters) in place of voters in the metadata.
    #[arg(long = "static")]
    fixed: bool,
    /// The cluster id; a random one if left out.
    #[arg(long)]
    cluster_id: Option<String>,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct Check {
    file: PathBuf,
    /// A value on top, as kafka-server-start takes it.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
}

#[derive(Debug, Args)]
struct Explain {
    key: String,
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
}

#[derive(Debug, Args)]
struct Migrate {
    file: PathBuf,
    /// Where the new file is written; FILE.kraft if left out.
    #[arg(long)]
    to: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &[OsString]) -> ExitCode {
    let arguments: Arguments = match parse("config", args) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    end(match arguments.command {
        Command::Init(wanted) => init::run(&wanted),
        Command::Check(wanted) => check::run(&wanted),
        Command::Explain(wanted) => explain::run(&wanted),
        Command::Migrate(wanted) => migrate::run(&wanted),
    })
}
