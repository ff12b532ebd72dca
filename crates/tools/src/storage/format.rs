//! Formatting log directories (Kafka's `Formatter`): meta.properties, the first records, the first voters.
//!
//! Nothing that is there is ever touched: a directory that is formatted already is refused or passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla_config::NodeConfig;
use ottla_log::MetaProperties;
use ottla_log::fs::{Disk, RealDisk};
use ottla_metadata::decide::Bootstrap;
use ottla_metadata::features::{self, KRAFT_VERSION, METADATA_VERSION};
use ottla_quorum::METADATA_DIRECTORY;
use ottla_raft::{Endpoints, HostPort, ReplicaKey, VersionRange, Voter, VoterSet};
use ottla_records::uuid_text;
use uuid::Uuid;

use super::{arguments, features as feature_flags};
use crate::config_file;

/// Which voters a metadata directory is formatted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voters {
    /// `controller.quorum.voters` names them.
    Static,
    /// A dynamic quorum that these voters begin: id, host, port, directory id.
    First(Vec<(i32, String, u16, Uuid)>),
    /// A dynamic quorum that is known elsewhere.
    Elsewhere,
}

/// What is to be formatted.
#[derive(Debug, Clone)]
pub struct FormatPlan {
    /// Every log directory, the metadata directory among them.
    pub dirs: Vec<PathBuf>,
    /// The metadata log's directory.
    pub metadata_dir: PathBuf,
    /// The node's id.
    pub node_id: i32,
    /// The cluster's id.
    pub cluster_id: String,
    /// The first records.
    pub bootstrap: Bootstrap,
    /// The voters.
    pub voters: Voters,
    /// The name of the listener that voters are reached at.
    pub controller_listener: String,
    /// Whether formatted directories are passed over instead of refused.
    pub ignore_formatted: bool,
}

/// One directory that was formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formatted {
    /// The directory.
    pub dir: PathBuf,
    /// Kafka's words for what it is now.
    pub kind: &'static str,
}

/// Why nothing was formatted, or not all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError(pub String);

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FormatError {}

/// Formats what is not formatted. An empty answer: everything was already.
pub fn format(plan: &FormatPlan) -> Result<Vec<Formatted>, FormatError> {
    let mut fresh = Vec::new();
    for dir in &plan.dirs {
        match MetaProperties::read(&RealDisk, dir) {
            Ok(None) => fresh.push(dir),
            Ok(Some(found)) if !plan.ignore_formatted => return Err(already_formatted(dir, &found)),
            Ok(Some(found)) => check_same(plan, dir, &found)?,
            Err(error) => return Err(FormatError(format!("{}: {error}", dir.display()))),
        }
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let records = plan
        .bootstrap
        .records()
        .iter()
        .map(|(record, version)| record.encode_framed(*version).map(Bytes::from))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| FormatError(error.to_string()))?;
    let mut formatted = Vec::new();
    for dir in fresh {
        std::fs::create_dir_all(dir).map_err(|error| cannot(dir, "create", &error))?;
        let is_metadata = *dir == plan.metadata_dir;
        let (kind, directory_id) = match &plan.voters {
            _ if !is_metadata => ("data directory", uuid_text::random()),
            Voters::Static => ("metadata directory", uuid_text::random()),
            Voters::First(voters) => match voters.iter().find(|v| v.0 == plan.node_id) {
                Some(own) => ("dynamic metadata voter directory", own.3),
                None => ("dynamic metadata directory", uuid_text::random()),
            },
            Voters::Elsewhere => ("metadata directory", uuid_text::random()),
        };
        let failed = |error: &dyn std::fmt::Display| FormatError(format!("{}: {error}", dir.display()));
        ottla_quorum::format::write_bootstrap(&disk, dir, &records, now_ms).map_err(|e| failed(&e))?;
        if is_metadata
            && let Voters::First(voters) = &plan.voters
            && voters.iter().any(|v| v.0 == plan.node_id)
        {
            let set = voter_set(&plan.controller_listener, voters);
            ottla_quorum::format::write_first_voters(&disk, dir, 1, set, now_ms).map_err(|e| failed(&e))?;
        }
        // Last: a directory counts as formatted once this file is there.
        MetaProperties::new(plan.cluster_id.as_str(), plan.node_id, directory_id)
            .write(&RealDisk, dir)
            .map_err(|error| cannot(dir, "write meta.properties into", &error))?;
        formatted.push(Formatted { dir: dir.clone(), kind });
    }
    Ok(formatted)
}

fn voter_set(listener: &str, voters: &[(i32, String, u16, Uuid)]) -> VoterSet {
    VoterSet::from_voters(voters.iter().map(|(id, host, port, directory)| Voter {
        key: ReplicaKey::new(*id, *directory),
        endpoints: Endpoints::single(listener, HostPort::new(host.as_str(), *port)),
        kraft_versions: VersionRange { min: 0, max: 1 },
    }))
}

fn cannot(dir: &Path, what: &str, error: &std::io::Error) -> FormatError {
    let user = rustix::process::geteuid().as_raw();
    let who = if error.kind() == std::io::ErrorKind::PermissionDenied {
        format!(" (running as user id {user})")
    } else {
        String::new()
    };
    FormatError(format!("cannot {what} {}: {error}{who}", dir.display()))
}

/// Kafka's sentence, then what lies there: deleting it is what people regret.
fn already_formatted(dir: &Path, found: &MetaProperties) -> FormatError {
    let (topics, bytes) = contents(dir);
    let cluster = found.cluster_id.as_deref().unwrap_or("unknown");
    let node = found.node_id.map_or("unknown".into(), |id| id.to_string());
    FormatError(format!(
        "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.\n    \
         found: cluster.id={cluster}, node.id={node}, {topics} topics, {bytes} bytes of logs\n    \
         next: to keep the data you normally do not need to format again; start the server with the same configuration",
        dir.display()
    ))
}

/// Topics and bytes of logs in a directory.
fn contents(dir: &Path) -> (usize, u64) {
    let mut topics = std::collections::BTreeSet::new();
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((topic, number)) = name.rsplit_once('-') else { continue };
        if !entry.path().is_dir() || number.parse::<u32>().is_err() {
            continue;
        }
        if name != METADATA_DIRECTORY {
            topics.insert(topic.to_owned());
        }
        for file in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|e| e == "log") {
                bytes += file.metadata().map_or(0, |m| m.len());
            }
        }
    }
    (topics.len(), bytes)
}

/// With `--ignore-formatted` a directory may stay, but not one of another cluster or node.
fn check_same(plan: &FormatPlan, dir: &Path, found: &MetaProperties) -> Result<(), FormatError> {
    let other = |what: &str, theirs: &str, ours: &str| {
        Err(FormatError(format!(
            "Invalid {what} in: {}/meta.properties. Expected {ours}, but read {theirs}",
            dir.display()
        )))
    };
    if let Some(id) = found.cluster_id.as_deref().filter(|id| *id != plan.cluster_id) {
        return other("cluster.id", id, &plan.cluster_id);
    }
    if let Some(id) = found.node_id.filter(|id| *id != plan.node_id) {
        return other("node.id", &id.to_string(), &plan.node_id.to_string());
    }
    Ok(())
}

/// The command.
pub(super) fn run(wanted: &arguments::Format) -> Result<ExitCode, String> {
    let loaded = config_file::load(&wanted.config, &[])?;
    let config = &loaded.config;
    check_cluster_id(&wanted.cluster_id, &wanted.config)?;
    if !wanted.add_scram.is_empty() {
        return Err("--add-scram: SCRAM is not served by this release yet; format without it".into());
    }
    let voters = voters(config, wanted)?;
    let plan = FormatPlan {
        dirs: config.dirs.all().into_iter().map(PathBuf::from).collect(),
        metadata_dir: PathBuf::from(&config.dirs.metadata),
        node_id: config.node_id,
        cluster_id: wanted.cluster_id.clone(),
        bootstrap: bootstrap(wanted, &voters)?,
        voters,
        controller_listener: config.listeners.controller_names.first().cloned().unwrap_or_default(),
        ignore_formatted: wanted.ignore_formatted,
    };
    let formatted = format(&plan).map_err(|error| error.0)?;
    if formatted.is_empty() {
        println!("All of the log directories are already formatted.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("Bootstrap metadata: {}", feature_flags::told(&plan.bootstrap));
    for one in &formatted {
        println!(
            "Formatting {} {} with {METADATA_VERSION} {}.",
            one.kind,
            one.dir.display(),
            plan.bootstrap.version().name()
        );
    }
    let dirs: Vec<String> = formatted.iter().map(|one| one.dir.display().to_string()).collect();
    eprintln!("{} (log.dirs in {})", dirs.join(", "), wanted.config.display());
    eprintln!("Next: bin/kafka-server-start.sh {}", wanted.config.display());
    Ok(ExitCode::SUCCESS)
}

fn check_cluster_id(id: &str, config: &Path) -> Result<(), String> {
    if id.trim().is_empty() {
        return Err("cluster id is empty; did you run `KAFKA_CLUSTER_ID=$(bin/kafka-storage.sh random-uuid)` in this shell?".into());
    }
    if id.chars().any(|c| c.is_whitespace() || matches!(c, '<' | '>')) {
        return Err(format!(
            "'{id}' is not a cluster id; generate one with bin/kafka-storage.sh random-uuid, then: bin/kafka-storage.sh format -t ID -c {}",
            config.display()
        ));
    }
    if uuid_text::decode(id).is_err() {
        eprintln!(
            "warning: cluster id '{id}' is not a 22-character base64 UUID; Kafka accepts it, other tools may not"
        );
    }
    Ok(())
}

fn voters(config: &NodeConfig, wanted: &arguments::Format) -> Result<Voters, String> {
    let flagged = wanted.standalone || wanted.no_initial_controllers || wanted.initial_controllers.is_some();
    if !config.quorum.voters.is_empty() {
        if wanted.standalone || wanted.initial_controllers.is_some() {
            return Err("You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If you want to use dynamic quorum, please remove controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.".into());
        }
        if flagged {
            return Err("You cannot use --no-initial-controllers while controller.quorum.voters is set.\n    next: remove controller.quorum.voters and set controller.quorum.bootstrap.servers instead, or format without the flag".into());
        }
        return Ok(Voters::Static);
    }
    if wanted.no_initial_controllers {
        return Ok(Voters::Elsewhere);
    }
    if let Some(list) = &wanted.initial_controllers {
        return list
            .split(',')
            .map(|v| initial_controller(v.trim()))
            .collect::<Result<_, _>>()
            .map(Voters::First);
    }
    if wanted.standalone {
        if !config.roles.controller {
            return Err("You can only use --standalone on a controller.".into());
        }
        let listeners = &config.listeners;
        let own = listeners.advertised_controllers.first().or_else(|| listeners.controllers().next());
        let own = own.ok_or("No controller listeners found.")?;
        let host = own.host.clone().unwrap_or_else(|| "localhost".to_owned());
        return Ok(Voters::First(vec![(config.node_id, host, own.port, uuid_text::random())]));
    }
    if config.roles.controller {
        return Err("Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, --initial-controllers, or --no-initial-controllers.\n    next: for a first or only node: bin/kafka-storage.sh format --standalone -t ID -c FILE".into());
    }
    Ok(Voters::Elsewhere)
}

/// `id@host:port:directory`.
fn initial_controller(text: &str) -> Result<(i32, String, u16, Uuid), String> {
    let bad = || {
        format!(
            "'{text}' is no initial controller; expected id@host:port:directory, as in 0@example.com:9093:JEXY6aqzQY-32P5TStzaFg"
        )
    };
    let (address, directory) = text.rsplit_once(':').ok_or_else(bad)?;
    let (id, address) = address.split_once('@').ok_or_else(bad)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let directory = uuid_text::decode(directory).map_err(|error| format!("{}: {error}", bad()))?;
    Ok((id.parse().map_err(|_| bad())?, host.to_owned(), port.parse().map_err(|_| bad())?, directory))
}

fn bootstrap(wanted: &arguments::Format, voters: &Voters) -> Result<Bootstrap, String> {
    let version = feature_flags::release(wanted.release_version.as_deref(), false)?;
    let mut levels: BTreeMap<String, i16> = features::defaults(version);
    for text in &wanted.feature {
        let (name, level) = feature_flags::parse_level(text)?;
        let range = features::supported_range(&name);
        match name.as_str() {
            METADATA_VERSION => {
                return Err(format!(
                    "Use --release-version instead of --feature {METADATA_VERSION}=X to avoid ambiguity."
                ));
            }
            KRAFT_VERSION => check_kraft_version(level, voters)?,
            _ if features::Feature::named(&name).is_none() => {
                let known: Vec<&str> = features::FEATURES.iter().map(|f| f.name).collect();
                return Err(format!(
                    "Unsupported feature: {name}. Supported features are: {}",
                    known.join(", ")
                ));
            }
            _ if !range.contains(level) => {
                return Err(format!("No feature:{name} with feature level {level}"));
            }
            _ => {
                levels.insert(name, level);
            }
        }
    }
    Ok(Bootstrap::new(version, &levels))
}

fn check_kraft_version(level: i16, voters: &Voters) -> Result<(), String> {
    match (level, voters) {
        (0, Voters::Static) | (1, Voters::First(_) | Voters::Elsewhere) => Ok(()),
        (0, _) => Err("Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic controllers support, try removing the --feature flag for kraft.version.".into()),
        (1, _) => Err("Cannot set kraft.version to 1 unless controller.quorum.voters is empty and one of the flags --standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic controllers support, try using one of --standalone, --initial-controllers, or --no-initial-controllers and removing controller.quorum.voters.".into()),
        (level, _) => Err(format!("No feature:kraft.version with feature level {level}")),
    }
}
