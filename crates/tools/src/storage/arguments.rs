//! The flags of `kafka-storage`, as Kafka 4.3 has them.

use std::path::PathBuf;

use ottla_metadata::MetadataVersion;

use crate::args::argparse::{Arg, Namespace, Parser};
use crate::runtime::{Out, Stop};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Command {
    Info(ConfigFlag),
    Format(Format),
    VersionMapping(VersionMapping),
    FeatureDependencies(FeatureDependencies),
    RandomUuid,
}

#[derive(Debug)]
pub(super) struct ConfigFlag {
    /// The configuration file to use.
    pub(super) config: PathBuf,
}

#[derive(Debug)]
pub(super) struct Format {
    /// The configuration file to use.
    pub(super) config: PathBuf,
    /// The cluster id to use, as random-uuid prints one.
    pub(super) cluster_id: String,
    /// SCRAM credentials to begin with.
    pub(super) add_scram: Vec<String>,
    /// Pass over directories that are formatted already.
    pub(super) ignore_formatted: bool,
    /// The release whose features the cluster begins with.
    pub(super) release_version: Option<String>,
    /// Features' levels, as name=level.
    pub(super) feature: Vec<String>,
    /// This controller is a dynamic quorum of one.
    pub(super) standalone: bool,
    /// The dynamic quorum's voters are known elsewhere.
    pub(super) no_initial_controllers: bool,
    /// The dynamic quorum's first voters: id@host:port:directory, separated by commas.
    pub(super) initial_controllers: Option<String>,
}

#[derive(Debug)]
pub(super) struct VersionMapping {
    /// The release to look up; the newest if left out.
    pub(super) release_version: Option<String>,
}

#[derive(Debug)]
pub(super) struct FeatureDependencies {
    /// Features' levels, as name=level.
    pub(super) feature: Vec<String>,
}

/// Reads the arguments; help and misuse end the tool.
pub(super) fn parse(args: &[String], out: &mut Out) -> Result<Command, Stop> {
    let ns = parser().parse(args, out)?;
    let config = || PathBuf::from(ns.text("config").unwrap_or_default());
    Ok(match ns.text("command").unwrap_or_default() {
        "info" => Command::Info(ConfigFlag { config: config() }),
        "format" => Command::Format(Format {
            config: config(),
            cluster_id: ns.text("cluster_id").unwrap_or_default().to_owned(),
            add_scram: texts(&ns, "add_scram"),
            ignore_formatted: ns.flag("ignore_formatted"),
            release_version: ns.text("release_version").map(str::to_owned),
            feature: texts(&ns, "feature"),
            standalone: ns.flag("standalone"),
            no_initial_controllers: ns.flag("no_initial_controllers"),
            initial_controllers: ns.text("initial_controllers").map(str::to_owned),
        }),
        "version-mapping" => Command::VersionMapping(VersionMapping {
            release_version: ns.text("release_version").map(str::to_owned),
        }),
        "feature-dependencies" => {
            Command::FeatureDependencies(FeatureDependencies { feature: texts(&ns, "feature") })
        }
        _ => Command::RandomUuid,
    })
}

fn texts(ns: &Namespace, name: &str) -> Vec<String> {
    ns.texts(name).into_iter().map(str::to_owned).collect()
}

pub(crate) fn parser() -> Parser {
    let (oldest, newest) = (MetadataVersion::MINIMUM.name(), MetadataVersion::LATEST.name());
    let config = || Arg::option(&["--config", "-c"]).required().help("The Kafka configuration file to use.");
    let format = Parser::sub("format")
        .about("Format the Kafka log directories on this node.")
        .arg(config())
        .arg(Arg::option(&["--cluster-id", "-t"]).required().help("The cluster ID to use."))
        .arg(Arg::option(&["--add-scram", "-S"]).append().help(
            "A SCRAM_CREDENTIAL to add to the __cluster_metadata log e.g.\n'SCRAM-SHA-256=[name=alice,password=alice-secret]'\n'SCRAM-SHA-512=[name=alice,iterations=8192,salt=\"N3E=\",saltedpassword=\"YCE=\"]'",
        ))
        .arg(Arg::option(&["--ignore-formatted", "-g"]).store_true().help(
            "When this option is passed, the format command will skip over already formatted directories rather than failing.",
        ))
        .arg(Arg::option(&["--release-version", "-r"]).help(&format!(
            "The release version to use for the initial feature settings. The minimum is {oldest}; the default is {newest}"
        )))
        .arg(Arg::option(&["--feature", "-f"]).append().help(
            "The setting to use for a specific feature, in feature=level format. For example: `kraft.version=1`.",
        ))
        .exclusive(
            false,
            vec![
                Arg::option(&["--standalone", "-s"]).store_true().help(
                    "Used to initialize a controller as a single-node dynamic quorum. When setting this flag, the controller.quorum.voters config must not be set, and controller.quorum.bootstrap.servers is set instead.",
                ),
                Arg::option(&["--no-initial-controllers", "-N"]).store_true().help(
                    "Used to initialize a server without specifying a dynamic quorum. When setting this flag, the controller.quorum.voters config should not be set, and controller.quorum.bootstrap.servers is set instead.",
                ),
                Arg::option(&["--initial-controllers", "-I"]).help(
                    "Used to initialize a server with the specified dynamic quorum. The argument is a comma-separated list of id@hostname:port:directory. The same values must be used to format all nodes. For example:\n0@example.com:8082:JEXY6aqzQY-32P5TStzaFg,1@example.com:8083:MvDxzVmcRsaTz33bUuRU6A,2@example.com:8084:07R5amHmR32VDA6jHkGbTA\n. When setting this flag, the controller.quorum.voters config must not be set, and controller.quorum.bootstrap.servers is set instead.",
                ),
            ],
        );
    Parser::new("kafka-storage")
        .default_help()
        .description("The Kafka storage tool.")
        .subcommands("command")
        .subcommand(
            Parser::sub("info")
                .about("Get information about the Kafka log directories on this node.")
                .arg(config()),
        )
        .subcommand(format)
        .subcommand(
            Parser::sub("version-mapping")
                .about("Look up the corresponding features for a given metadata version. Using the command with no --release-version  argument will return the mapping for the latest stable metadata version")
                .arg(Arg::option(&["--release-version", "-r"]).help(&format!(
                    "The release version to use for the corresponding feature mapping. The minimum is {oldest}; the default is {newest}"
                ))),
        )
        .subcommand(
            Parser::sub("feature-dependencies")
                .about("Look up dependencies for a given feature version. If the feature is not known or the version not yet defined, an error is thrown. Multiple features can be specified.")
                .arg(Arg::option(&["--feature", "-f"]).required().append().help(
                    "The features and their versions to look up dependencies for, in feature=version format. For example: `metadata.version=5`.",
                )),
        )
        .subcommand(Parser::sub("random-uuid").about("Print a random UUID."))
}
