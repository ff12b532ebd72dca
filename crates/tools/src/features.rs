//! `kafka-features`: feature levels described, raised, lowered and looked up.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::Cluster;
use ottla_metadata::MetadataVersion;
use ottla_metadata::features::{FEATURES, Feature, METADATA_VERSION};
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_protocol::messages::{ApiVersionsRequest, UpdateFeaturesRequest};

use crate::args::argparse::{Arg, Kind, Namespace, Parser};
use crate::runtime::{self, KAFKA_VERSION, Out, Stop, Thrown};

/// The features in the order in which Kafka tells their levels.
pub(crate) const AS_LISTED: [&str; 6] = [
    "kraft.version",
    "transaction.version",
    "group.version",
    "eligible.leader.replicas.version",
    "share.version",
    "streams.version",
];
/// A metadata.version that this release of Kafka names and does not use.
const TESTED_ONLY: &str = "4.4-IV0";
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-features", args, features)
}

fn change(name: &'static str, verb: &str, release: &str, metadata: &str) -> Parser {
    let release_verb = if name == "upgrade" { "update" } else { name };
    Parser::sub(name)
        .arg(Arg::option(&["--metadata"]).help(&format!("DEPRECATED -- The level to which we should {name} the metadata. For example, {metadata}.")))
        .arg(Arg::option(&["--release-version"]).help(&format!("The release version to {release_verb} all features to. For example, {release} will set metadata.version=21 and kraft.version=1. Use the version-mapping command to learn which features will be set for any given version.")))
        .arg(Arg::option(&["--feature"]).append().help(&format!("A feature {verb} we should perform, in feature=level format. For example: `metadata.version=5`.")))
}

pub(crate) fn parser() -> Parser {
    let dry_run = |help: &str| Arg::option(&["--dry-run"]).store_true().help(help);
    let unsafely = |help: &str| Arg::option(&["--unsafe"]).store_true().help(help);
    let (oldest, newest) = (MetadataVersion::MINIMUM.name(), MetadataVersion::LATEST.name());
    Parser::new("kafka-features")
        .default_help()
        .description("This tool manages feature flags in Kafka.")
        .exclusive(
            false,
            vec![
                Arg::option(&["--bootstrap-server"]).help("A comma-separated list of host:port pairs to use for establishing the connection to the Kafka cluster."),
                Arg::option(&["--bootstrap-controller"]).help("A comma-separated list of host:port pairs to use for establishing the connection to the KRaft quorum."),
            ],
        )
        .arg(Arg::option(&["--command-config"]).kind(Kind::File).help("Property file containing configs to be passed to Admin Client."))
        .subcommands("command")
        .subcommand(Parser::sub("describe").about("Describes the current active feature flags.").arg(
            Arg::option(&["--node-id"]).kind(Kind::Integer).help("The node id to which the requests should be sent. If not specified, the requests will be sent to an arbitrary controller/broker."),
        ))
        .subcommand(
            change("upgrade", "upgrade", "3.9-IV0", "3.3-IV3")
                .about("Upgrade one or more feature flags.")
                .arg(dry_run("Validate this upgrade, but do not perform it.")),
        )
        .subcommand(
            change("downgrade", "downgrade", "3.9-IV0", "3.3-IV0")
                .about("Downgrade one or more feature flags.")
                .arg(unsafely("Perform this downgrade even if it may irreversibly destroy metadata."))
                .arg(dry_run("Validate this downgrade, but do not perform it.")),
        )
        .subcommand(
            Parser::sub("disable")
                .about("Disable one or more feature flags. This is the same as downgrading the version to zero.")
                .arg(Arg::option(&["--feature"]).append().help("A feature flag to disable."))
                .arg(unsafely("Disable this feature flag even if it may irreversibly destroy metadata."))
                .arg(dry_run("Perform a dry-run of this disable operation.")),
        )
        .subcommand(
            Parser::sub("version-mapping")
                .about("Look up the corresponding features for a given metadata version. Using the command with no --release-version  argument will return the mapping for the latest stable metadata version")
                .arg(Arg::option(&["--release-version"]).help(&format!("The release version to use for the corresponding feature mapping. The minimum is {oldest}; the default is {newest}"))),
        )
        .subcommand(
            Parser::sub("feature-dependencies")
                .about("Look up dependencies for a given feature version. If the feature is not known or the version not yet defined, an error is thrown. Multiple features can be specified.")
                .arg(Arg::option(&["--feature"]).required().append().help("The feature and version to look up dependencies for, in feature=version format. For example: `metadata.version=5`.")),
        )
}

fn features(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let parser = parser().refusing(|message| format!("Command line error: {message}. Type --help for help."));
    let ns = parser.parse(args, out)?;
    let command = ns.text("command").unwrap_or_default();
    match command {
        "version-mapping" => return version_mapping(&ns, out),
        "feature-dependencies" => return dependencies(&ns, out),
        _ => {}
    }
    let properties = runtime::properties(ns.text("command_config"))?;
    let (server, controller) = (ns.text("bootstrap_server"), ns.text("bootstrap_controller"));
    if server.is_none() && controller.is_none() {
        return Err(Stop::error(
            "Command line error: You must specify either --bootstrap-controller or --bootstrap-server.. Type --help for help.",
        ));
    }
    if command == "describe" && ns.integer("node_id").is_some_and(|id| id < 0) {
        let id = ns.integer("node_id").unwrap_or_default();
        return Err(Stop::error(format!("Invalid node id {id}: must be non-negative.")));
    }
    let updates = match command {
        "describe" => BTreeMap::new(),
        _ => wanted(command, &ns)?,
    };
    if command != "describe" && updates.is_empty() {
        return Err(Stop::error(format!("You must specify at least one feature to {command}")));
    }
    runtime::block_on(async {
        let call = if command == "describe" { "describeFeatures" } else { "updateFeatures" };
        let cluster = runtime::open_either(server, controller, &properties).await;
        let cluster = cluster.map_err(|thrown| thrown.calling(call))?;
        match command {
            "describe" => describe(&cluster, &ns, out).await,
            _ => update(&cluster, command, updates, &ns, out).await,
        }
    })
}

async fn describe(cluster: &Cluster, ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    let request = ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: KAFKA_VERSION.into(),
    };
    let answer = match ns.integer("node_id") {
        Some(id) => cluster.node(id, &request).await,
        None => cluster.any(&request).await,
    };
    let mut answer = answer.map_err(|error| Thrown::from(error).calling("describeFeatures"))?;
    Thrown::of_item(answer.error_code, None)?;
    answer.supported_features.sort_by(|a, b| a.name.cmp(&b.name));
    let epoch = answer.finalized_features_epoch;
    let epoch = if epoch < 0 { "-".to_owned() } else { epoch.to_string() };
    for feature in &answer.supported_features {
        let finalized = answer.finalized_features.iter().find(|finalized| finalized.name == feature.name);
        let level = finalized.map_or(0, |finalized| finalized.max_version_level);
        writeln!(
            out,
            "Feature: {:<40}  SupportedMinVersion: {:<15}  SupportedMaxVersion: {:<15}  FinalizedVersionLevel: {:<15}  Epoch: {epoch}",
            feature.name,
            level_text(&feature.name, feature.min_version),
            level_text(&feature.name, feature.max_version),
            level_text(&feature.name, level),
        )?;
    }
    Ok(())
}

fn level_text(feature: &str, level: i16) -> String {
    if feature != METADATA_VERSION {
        return level.to_string();
    }
    MetadataVersion::from_level(level).map_or(format!("UNKNOWN {level}"), |version| version.name().to_owned())
}

/// `feature=level`.
fn name_and_level(text: &str) -> Result<(String, i16), Stop> {
    let parse = |why: &str| Stop::error(format!("Can't parse feature=level string {text}: {why}"));
    let (name, level) = text.split_once('=').ok_or_else(|| parse("equals sign not found."))?;
    let level = level.trim();
    let number = level.parse().map_err(|_| parse(&format!("unable to parse {level} as a short.")))?;
    Ok((name.trim().to_owned(), number))
}

fn release(name: &str) -> Result<MetadataVersion, Stop> {
    MetadataVersion::from_release(name).ok_or_else(|| {
        Stop::error(format!(
            "Unknown metadata.version '{name}'. Supported metadata.version are: {}",
            supported_releases(true)
        ))
    })
}

/// Every metadata.version by its name, as Kafka lists them; some of its commands name the one that it only tests, too.
pub(crate) fn supported_releases(tested: bool) -> String {
    let levels = MetadataVersion::MINIMUM.level()..=MetadataVersion::LATEST.level();
    let names = levels.filter_map(MetadataVersion::from_level).map(MetadataVersion::name);
    names.chain(tested.then_some(TESTED_ONLY)).collect::<Vec<_>>().join(", ")
}

/// The features to change with their level.
fn wanted(command: &str, ns: &Namespace) -> Result<BTreeMap<String, i16>, Stop> {
    let mut updates = BTreeMap::new();
    let named = ns.texts("feature");
    if let Some(name) = ns.text("release_version") {
        if ns.given("metadata") || !named.is_empty() {
            return Err(Stop::error("Can not specify `release-version` with other feature flags."));
        }
        let version = release(name)?;
        updates.insert(METADATA_VERSION.to_owned(), version.level());
        for feature in &FEATURES {
            let level = feature.default_level(version);
            // A feature is not raised to zero.
            if command != "upgrade" || level > 0 {
                updates.insert(feature.name.to_owned(), level);
            }
        }
        return Ok(updates);
    }
    if let Some(name) = ns.text("metadata") {
        runtime::deprecated(" `metadata` flag is deprecated and may be removed in a future release.");
        updates.insert(METADATA_VERSION.to_owned(), release(name)?.level());
    }
    for text in named {
        let (name, level) = if command == "disable" { (text.to_owned(), 0) } else { name_and_level(text)? };
        if updates.insert(name.clone(), level).is_some() {
            return Err(Stop::error(format!("Feature {name} was specified more than once.")));
        }
    }
    Ok(updates)
}

async fn update(
    cluster: &Cluster,
    command: &str,
    updates: BTreeMap<String, i16>,
    ns: &Namespace,
    out: &mut Out,
) -> Result<(), Stop> {
    let dry_run = ns.flag("dry_run");
    let upgrade_type = match (command, ns.flag("unsafe")) {
        ("upgrade", _) => UPGRADE,
        (_, false) => SAFE_DOWNGRADE,
        (_, true) => UNSAFE_DOWNGRADE,
    };
    let request = UpdateFeaturesRequest {
        timeout_ms: 30_000,
        feature_updates: updates
            .iter()
            .map(|(feature, &level)| FeatureUpdateKey {
                feature: feature.clone(),
                max_version_level: level,
                allow_downgrade: false,
                upgrade_type,
            })
            .collect(),
        validate_only: dry_run,
    };
    let answer = cluster.controller(&request).await?;
    let mut failures = 0;
    for (feature, level) in &updates {
        let own = answer.results.iter().find(|result| result.feature == *feature);
        let outcome = Thrown::of_item(answer.error_code, answer.error_message.as_deref()).and_then(|()| {
            own.map_or(Ok(()), |own| Thrown::of_item(own.error_code, own.error_message.as_deref()))
        });
        match outcome {
            Err(thrown) => {
                failures += 1;
                let could_not = if dry_run { "Can not" } else { "Could not" };
                let what = match command {
                    "disable" => format!("disable {feature}"),
                    _ => format!("{command} {feature} to {level}"),
                };
                writeln!(out, "{could_not} {what}. {}", thrown.message)?;
            }
            Ok(()) => {
                let was = if dry_run { "can be" } else { "was" };
                match command {
                    "disable" => writeln!(out, "{feature} {was} disabled.")?,
                    _ => writeln!(out, "{feature} {was} {command}d to {level}.")?,
                }
            }
        }
    }
    match failures {
        0 => Ok(()),
        n => Err(Stop::error(format!("{n} out of {} operation(s) failed.", updates.len()))),
    }
}

fn version_mapping(ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    let name = ns.text("release_version").unwrap_or(MetadataVersion::LATEST.name());
    let version = release(name)?;
    writeln!(out, "metadata.version={} ({name})", version.level())?;
    for name in AS_LISTED {
        if let Some(feature) = Feature::named(name) {
            writeln!(out, "{name}={}", feature.default_level(version))?;
        }
    }
    Ok(())
}

fn dependencies(ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    for text in ns.texts("feature") {
        let (name, level) = name_and_level(text)?;
        if name == METADATA_VERSION {
            let version = MetadataVersion::from_level(level);
            let version = version.ok_or_else(|| Stop::error(format!("Unknown metadata.version {level}")))?;
            writeln!(out, "{name}={level} ({}) has no dependencies.", version.name())?;
            continue;
        }
        let feature = Feature::named(&name).ok_or_else(|| Stop::error(format!("Unknown feature: {name}")))?;
        if level < 0 || level > feature.max {
            return Err(Stop::error(format!("No feature:{name} with feature level {level}")));
        }
        let lowest = (MetadataVersion::MINIMUM.level()..=MetadataVersion::LATEST.level())
            .filter_map(MetadataVersion::from_level)
            .find(|&version| feature.unmet_dependency(level, Some(version)).is_none());
        match lowest.filter(|&version| version > MetadataVersion::MINIMUM) {
            Some(version) => {
                writeln!(out, "{name}={level} requires:")?;
                writeln!(out, "    {METADATA_VERSION}={} ({})", version.level(), version.name())?;
            }
            None => writeln!(out, "{name}={level} has no dependencies.")?,
        }
    }
    Ok(())
}
