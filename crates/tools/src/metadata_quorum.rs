//! `kafka-metadata-quorum`: the state of the quorum, controllers added and removed.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_client::{Cluster, Properties};
use ottla_log::MetaProperties;
use ottla_log::fs::RealDisk;
use ottla_protocol::messages::describe_quorum_request;
use ottla_protocol::messages::describe_quorum_response::{Node, PartitionData, ReplicaState};
use ottla_protocol::messages::{
    AddRaftVoterRequest, DescribeQuorumRequest, RemoveRaftVoterRequest, add_raft_voter_request::Listener,
};
use ottla_records::uuid_text;
use uuid::Uuid;

use crate::args::argparse::{Arg, Kind, Namespace, Parser};
use crate::runtime::{self, Out, Stop, Thrown};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-metadata-quorum", args, metadata_quorum)
}

pub(crate) fn parser() -> Parser {
    Parser::new("kafka-metadata-quorum")
        .default_help()
        .description("This tool describes kraft metadata quorum status.")
        .exclusive(
            true,
            vec![
                Arg::option(&["--bootstrap-server"]).help("A comma-separated list of host:port pairs to use for establishing the connection to the Kafka cluster."),
                Arg::option(&["--bootstrap-controller"]).help("A comma-separated list of host:port pairs to use for establishing the connection to the Kafka controllers."),
            ],
        )
        .arg(Arg::option(&["--command-config"]).kind(Kind::File).help("Property file containing configs to be passed to Admin Client. For add-controller, the file is used to specify the controller properties as well."))
        .subcommands("command")
        .subcommand(
            Parser::sub("describe")
                .about("Describe the metadata quorum info")
                .group("Status", vec![Arg::option(&["--status"]).store_true().help("A short summary of the quorum status and the other provides detailed information about the status of replication.")])
                .group(
                    "Replication",
                    vec![
                        Arg::option(&["--replication"]).store_true().help("Detailed information about the status of replication"),
                        Arg::option(&["--human-readable"]).store_true().help("Human-readable output"),
                    ],
                ),
        )
        .subcommand(
            Parser::sub("add-controller")
                .about("Add a controller to the KRaft controller cluster")
                .arg(Arg::option(&["--dry-run"]).store_true().help("True if we should print what would be done, but not do it.")),
        )
        .subcommand(
            Parser::sub("remove-controller")
                .about("Remove a controller from the KRaft controller cluster")
                .arg(Arg::option(&["--controller-id", "-i"]).required().kind(Kind::Integer).help("The id of the controller to remove."))
                .arg(Arg::option(&["--controller-directory-id", "-d"]).required().help("The directory ID of the controller to remove."))
                .arg(Arg::option(&["--dry-run"]).store_true().help("True if we should print what would be done, but not do it.")),
        )
}

fn metadata_quorum(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let ns = parser().parse(args, out)?;
    let config = ns.text("command_config");
    let properties = match config {
        Some(file) if !Path::new(file).exists() => {
            return Err(Stop::error(format!("Properties file {file} does not exists!")));
        }
        file => runtime::properties(file)?,
    };
    let command = ns.text("command").unwrap_or_default();
    if command == "describe" {
        match (ns.flag("status"), ns.flag("replication"), ns.flag("human_readable")) {
            (true, true, _) => {
                return Err(Stop::error(
                    "Only one of --status or --replication should be specified with describe sub-command",
                ));
            }
            (true, _, true) => {
                return Err(Stop::error(
                    "The option --human-readable is only supported along with --replication",
                ));
            }
            (false, false, _) => {
                return Err(Stop::error(
                    "One of --status or --replication must be specified with describe sub-command",
                ));
            }
            _ => {}
        }
    }
    if command == "add-controller" && config.is_none() {
        return Err(Stop::error(
            "You must supply the configuration file of the controller you are adding when using add-controller.",
        ));
    }
    runtime::block_on(async {
        let connect = async || {
            let (server, controller) = (ns.text("bootstrap_server"), ns.text("bootstrap_controller"));
            // A controller's file is also a client's configuration here; its other keys are none of ours.
            let own = if command == "add-controller" { Properties::new() } else { properties.clone() };
            let cluster = runtime::open_either(server, controller, &own).await;
            Ok::<_, Stop>(cluster.map_err(|thrown| thrown.calling("listNodes"))?)
        };
        match command {
            "describe" => describe(&connect().await?, &ns, out).await,
            "add-controller" => {
                let controller = NewController::of(&properties)?;
                if !ns.flag("dry_run") {
                    controller.add(&connect().await?).await?;
                }
                let done = if ns.flag("dry_run") { "DRY RUN of adding" } else { "Added" };
                Ok(writeln!(out, "{done} {controller}")?)
            }
            _ => remove(connect, &ns, out).await,
        }
    })
}

async fn describe(cluster: &Cluster, ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    let partition = describe_quorum_request::PartitionData { partition_index: 0 };
    let topic = describe_quorum_request::TopicData {
        topic_name: "__cluster_metadata".into(),
        partitions: vec![partition],
    };
    let request = DescribeQuorumRequest { topics: vec![topic] };
    // Of the controllers only the active one knows; brokers hand the question on to it.
    let answer = match cluster.of_controllers() {
        true => cluster.controller(&request).await,
        false => cluster.any(&request).await,
    };
    let answer = answer.map_err(|error| Stop::from(Thrown::from(error).calling("describeMetadataQuorum")))?;
    Thrown::of_item(answer.error_code, answer.error_message.as_deref())?;
    let partition = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let quorum = partition.ok_or_else(|| Stop::error("the answer names no quorum"))?;
    Thrown::of_item(quorum.error_code, quorum.error_message.as_deref())?;
    let leader = quorum.current_voters.iter().find(|voter| voter.replica_id == quorum.leader_id);
    let leader = leader.ok_or_else(|| Stop::error("No value present"))?;
    if ns.flag("replication") {
        return replication(&quorum, leader, ns.flag("human_readable"), out);
    }
    status(&cluster.cluster_id(), &quorum, leader, &answer.nodes, out)?;
    warn_even(&quorum);
    Ok(())
}

/// A number of voters that is no odd one buys nothing: said beside the status, on standard error.
fn warn_even(quorum: &PartitionData) {
    if let Some(line) = ottla_config::node::fault_tolerance(quorum.current_voters.len()) {
        runtime::warn(line);
    }
}

fn status(
    cluster_id: &str,
    quorum: &PartitionData,
    leader: &ReplicaState,
    nodes: &[Node],
    out: &mut Out,
) -> Result<(), Stop> {
    let slowest = quorum.current_voters.iter().min_by_key(|voter| voter.log_end_offset).unwrap_or(leader);
    let lag_ms = if slowest.replica_id == leader.replica_id {
        0
    } else if leader.last_caught_up_timestamp >= 0 && slowest.last_caught_up_timestamp >= 0 {
        leader.last_caught_up_timestamp - slowest.last_caught_up_timestamp
    } else {
        -1
    };
    let rows = [
        ("ClusterId:", cluster_id.to_owned()),
        ("LeaderId:", quorum.leader_id.to_string()),
        ("LeaderEpoch:", quorum.leader_epoch.to_string()),
        ("HighWatermark:", quorum.high_watermark.to_string()),
        ("MaxFollowerLag:", (leader.log_end_offset - slowest.log_end_offset).to_string()),
        ("MaxFollowerLagTimeMs:", lag_ms.to_string()),
        ("CurrentVoters:", replicas(&quorum.current_voters, nodes)),
        ("CurrentObservers:", replicas(&quorum.observers, nodes)),
    ];
    for (name, value) in rows {
        writeln!(out, "{name:<24}{value}")?;
    }
    Ok(())
}

/// `[{"id": 1, "directoryId": "...", "endpoints": ["CONTROLLER://host:9093"]}]`; what is not known is left out.
fn replicas(replicas: &[ReplicaState], nodes: &[Node]) -> String {
    runtime::java_list(replicas.iter().map(|replica| {
        let mut text = format!("{{\"id\": {}", replica.replica_id);
        if !replica.replica_directory_id.is_nil() {
            text += &format!(", \"directoryId\": \"{}\"", uuid_text::encode(&replica.replica_directory_id));
        }
        let node = nodes.iter().find(|node| node.node_id == replica.replica_id);
        let endpoints: Vec<String> = node
            .into_iter()
            .flat_map(|node| &node.listeners)
            .map(|listener| format!("\"{}\"", endpoint(&listener.name, &listener.host, listener.port)))
            .collect();
        if !endpoints.is_empty() {
            text += &format!(", \"endpoints\": [{}]", endpoints.join(", "));
        }
        text + "}"
    }))
}

fn endpoint(name: &str, host: &str, port: u16) -> String {
    if host.contains(':') { format!("{name}://[{host}]:{port}") } else { format!("{name}://{host}:{port}") }
}

fn replication(
    quorum: &PartitionData,
    leader: &ReplicaState,
    human: bool,
    out: &mut Out,
) -> Result<(), Stop> {
    let leader_id = leader.replica_id;
    let followers = quorum.current_voters.iter().filter(|voter| voter.replica_id != leader_id);
    let all = std::iter::once((leader, "Leader"))
        .chain(followers.map(|voter| (voter, "Follower")))
        .chain(quorum.observers.iter().map(|observer| (observer, "Observer")));
    let mut rows = Vec::new();
    for (replica, status) in all {
        let when = |at: i64, what| if at < 0 { Ok("-1".to_owned()) } else { time(at, human, what) };
        rows.push(vec![
            replica.replica_id.to_string(),
            uuid_text::encode(&replica.replica_directory_id),
            replica.log_end_offset.to_string(),
            (leader.log_end_offset - replica.log_end_offset).to_string(),
            when(replica.last_fetch_timestamp, "last fetch")?,
            when(replica.last_caught_up_timestamp, "last caught up")?,
            status.to_owned(),
        ]);
    }
    let headers = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    Ok(runtime::table(out, &headers, &rows)?)
}

fn time(at: i64, human: bool, what: &str) -> Result<String, Stop> {
    if !human {
        return Ok(at.to_string());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    if at <= 0 || at > now {
        return Err(Stop::error(format!(
            "Error while computing relative time, possible drift in system clock.\nCurrent timestamp is {now}, {what} timestamp is {at}"
        )));
    }
    Ok(format!("{} ms ago", now - at))
}

/// A controller as its own file describes it.
struct NewController {
    id: i32,
    directory: Uuid,
    /// Listener's name, host, port.
    endpoints: Vec<(String, String, u16)>,
}

impl NewController {
    fn of(properties: &Properties) -> Result<NewController, Stop> {
        const FILE: &str = "Is this a valid controller configuration file?";
        let missing = |what: &str| Stop::error(format!("{what} {FILE}"));
        let id = properties.get("node.id").or(properties.get("broker.id"));
        let id = id.ok_or_else(|| missing("node.id not found in configuration file."))?;
        let id: i32 = id.trim().parse().map_err(|_| Stop::error(format!("For input string: \"{id}\"")))?;
        if id < 0 {
            return Err(missing("node.id was negative in configuration file."));
        }
        if !properties.get("process.roles").unwrap_or_default().contains("controller") {
            return Err(missing("process.roles did not contain 'controller' in configuration file."));
        }
        let first_dir = |list: &str| list.trim().split(',').next().unwrap_or_default().trim().to_owned();
        let dir = properties.get("metadata.log.dir").map(str::to_owned);
        let dir = dir.or_else(|| properties.get("log.dirs").map(first_dir));
        let dir = dir.ok_or_else(|| missing("Neither metadata.log.dir nor log.dirs were found."))?;
        let directory = directory_id(&dir)?;
        let names = properties.get("controller.listener.names");
        let names = names.ok_or_else(|| missing("controller.listener.names was not found."))?;
        let mut known = listeners(properties.get("listeners").unwrap_or_default());
        known.extend(listeners(properties.get("advertised.listeners").unwrap_or_default()));
        let mut endpoints = Vec::new();
        for name in names.split(',').map(|name| name.trim().to_uppercase()) {
            // What is advertised counts before what is only listened on.
            let found = known.iter().rev().find(|(known, _, _)| *known == name);
            let (_, host, port) = found.ok_or_else(|| {
                Stop::error(format!("Cannot find information about controller listener name: {name}"))
            })?;
            let host = if host.is_empty() { "localhost".to_owned() } else { host.clone() };
            endpoints.push((name, host, *port));
        }
        Ok(NewController { id, directory, endpoints })
    }

    async fn add(&self, cluster: &Cluster) -> Result<(), Stop> {
        let request = AddRaftVoterRequest {
            cluster_id: None,
            timeout_ms: 30_000,
            voter_id: self.id,
            voter_directory_id: self.directory,
            listeners: self
                .endpoints
                .iter()
                .map(|(name, host, port)| Listener { name: name.clone(), host: host.clone(), port: *port })
                .collect(),
            ack_when_committed: true,
        };
        let answer = cluster.controller(&request).await?;
        Ok(Thrown::of_item(answer.error_code, answer.error_message.as_deref())?)
    }
}

impl std::fmt::Display for NewController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let endpoints: Vec<String> =
            self.endpoints.iter().map(|(name, host, port)| endpoint(name, host, *port)).collect();
        let directory = uuid_text::encode(&self.directory);
        let endpoints = endpoints.join(", ");
        write!(f, "controller {} with directory id {directory} and endpoints: {endpoints}", self.id)
    }
}

fn directory_id(dir: &str) -> Result<Uuid, Stop> {
    let read = MetaProperties::read(&RealDisk, Path::new(dir));
    match read {
        Ok(Some(properties)) => {
            properties.directory_id.ok_or_else(|| Stop::error(format!("No directory id found in {dir}")))
        }
        Ok(None) => Err(Stop::error(format!(
            "Unable to read meta.properties from {dir}\n    next: kafka-storage.sh format --no-initial-controllers -t CLUSTER-ID -c FILE formats it"
        ))),
        Err(error) => Err(Stop::error(format!("Unable to read meta.properties from {dir}\n{error}"))),
    }
}

/// `NAME://host:port,...`, names in capitals.
fn listeners(list: &str) -> Vec<(String, String, u16)> {
    let one = |text: &str| {
        let (name, at) = text.trim().split_once("://")?;
        let (host, port) = at.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((name.to_uppercase(), host.to_owned(), port.parse().ok()?))
    };
    list.split(',').filter_map(one).collect()
}

async fn remove(
    connect: impl AsyncFn() -> Result<Cluster, Stop>,
    ns: &Namespace,
    out: &mut Out,
) -> Result<(), Stop> {
    let id = ns.integer("controller_id").unwrap_or_default();
    if id < 0 {
        return Err(Stop::error(format!("Invalid negative --controller-id: {id}")));
    }
    let text = ns.text("controller_directory_id").unwrap_or_default();
    let directory = uuid_text::decode(text)
        .map_err(|error| Stop::error(format!("Failed to parse --controller-directory-id: {error}")))?;
    if !ns.flag("dry_run") {
        let request =
            RemoveRaftVoterRequest { cluster_id: None, voter_id: id, voter_directory_id: directory };
        let answer = connect().await?.controller(&request).await?;
        Thrown::of_item(answer.error_code, answer.error_message.as_deref())?;
    }
    let done = if ns.flag("dry_run") { "DRY RUN of removing " } else { "Removed " };
    let directory = uuid_text::encode(&directory);
    Ok(writeln!(out, "{done} KRaft controller {id} with directory id {directory}")?)
}
