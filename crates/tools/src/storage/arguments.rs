//! The flags of `kafka-storage`, as Kafka 4.3 has them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The Kafka storage tool.
#[derive(Debug, Parser)]
#[command(name = "kafka-storage", about = "The Kafka storage tool.", disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Get information about the log directories on this node.
    Info(ConfigFlag),
    /// Format the log directories on this node.
    Format(Format),
    /// Show the features that belong to a metadata version.
    VersionMapping(VersionMapping),
    /// Show what a feature's level depends on.
    FeatureDependencies(FeatureDependencies),
    /// Print a random UUID.
    RandomUuid,
}

#[derive(Debug, Args)]
pub(super) struct ConfigFlag {
    /// The configuration file to use.
    #[arg(long, short = 'c')]
    pub(super) config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Format {
    /// The configuration file to use.
    #[arg(long, short = 'c')]
    pub(super) config: PathBuf,
    /// The cluster id to use, as random-uuid prints one.
    #[arg(long, short = 't', allow_hyphen_values = true)]
    pub(super) cluster_id: String,
    /// A SCRAM credential to begin with.
    #[arg(long, short = 'S')]
    pub(super) add_scram: Vec<String>,
    /// Pass over directories that are formatted already.
    #[arg(long, short = 'g')]
    pub(super) ignore_formatted: bool,
    /// The release whose features the cluster begins with.
    #[arg(long, short = 'r')]
    pub(super) release_version: Option<String>,
    /// A feature's level, as name=level.
    #[arg(long, short = 'f')]
    pub(super) feature: Vec<String>,
    /// This controller is a dynamic quorum of one.
    #[arg(long, short = 's', conflicts_with_all = ["no_initial_controllers", "initial_controllers"])]
    pub(super) standalone: bool,
    /// The dynamic quorum's voters are known elsewhere.
    #[arg(long, short = 'N', conflicts_with = "initial_controllers")]
    pub(super) no_initial_controllers: bool,
    /// The dynamic quorum's first voters: id@host:port:directory, separated by commas.
    #[arg(long, short = 'I')]
    pub(super) initial_controllers: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct VersionMapping {
    /// The release to look up; the newest if left out.
    #[arg(long, short = 'r')]
    pub(super) release_version: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct FeatureDependencies {
    /// A feature's level, as name=level.
    #[arg(long, short = 'f', required = true)]
    pub(super) feature: Vec<String>,
}
