//! `kafka-reassign-partitions`: partitions moved between brokers and between log directories.

pub(crate) mod json;
mod options;
mod plan;
mod server;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ottla_client::{Cluster, ClusterError, TopicPartition};

use crate::args::jopt::Found;
use crate::consumer_groups::executed;
use crate::runtime::{self, Out, Stop, Thrown, java};
#[cfg(test)]
pub(crate) use options::parser;
use plan::{DirMove, Replica, Wanted, command_failed, join};

const EXISTING: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle by resubmitting the current reassignment.";
const VERIFY: &str = "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.";

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-reassign-partitions", args, reassign)
}

/// Why an action ended.
pub(super) enum Failure {
    Thrown(Thrown),
    Stop(Stop),
}

impl From<Thrown> for Failure {
    fn from(thrown: Thrown) -> Failure {
        Failure::Thrown(thrown)
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Failure {
        Failure::Thrown(executed(error.into()))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Stop(error.into())
    }
}

/// Kafka's TerseException: the message alone, on standard output.
fn terse(message: impl std::fmt::Display) -> Failure {
    Failure::Stop(Stop::said(message))
}

fn reassign(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut parser = options::parser();
    let found = parser.parse(args).map_err(|misuse| {
        // A number that is none is found when the tool already works, and is said where its errors are.
        if misuse.is_conversion() {
            Stop::said(format!("Error: {}", misuse.message()))
        } else {
            Stop::error(misuse.message()).and_err(misuse.more())
        }
    })?;
    options::check(&parser, &found, out)?;
    let mut properties = runtime::properties(found.value("command-config"))?;
    properties.set_default("client.id", "reassign-partitions-tool");
    let done = runtime::block_on(async {
        let (server, controller) = (found.value("bootstrap-server"), found.value("bootstrap-controller"));
        let cluster = runtime::open_either(server, controller, &properties).await;
        let cluster = cluster.map_err(|thrown| executed(thrown.calling("listPartitionReassignments")))?;
        act(&cluster, &found, out).await
    });
    done.map_err(|failure| match failure {
        Failure::Thrown(thrown) => Stop::said(format!("Error: {}", thrown.message)).and_err(thrown.causes),
        Failure::Stop(stop) => stop,
    })
}

async fn act(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    if found.has("list") {
        writeln!(out, "{}", plan::listed(&server::ongoing(cluster).await?))?;
        return Ok(());
    }
    if found.has("generate") {
        return generate(cluster, found, out).await;
    }
    let path = found.value("reassignment-json-file").unwrap_or_default();
    let wanted = plan::reassignment(&json::read(path)?, path)?;
    if found.has("verify") {
        verify(cluster, found, &wanted, out).await
    } else if found.has("execute") {
        execute(cluster, found, &wanted, out).await
    } else {
        cancel(cluster, found, &wanted, out).await
    }
}

async fn generate(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let path = found.value("topics-to-move-json-file").unwrap_or_default();
    let brokers = found.value("broker-list").unwrap_or_default();
    let (brokers, topics) = plan::to_generate(&json::read(path)?, path, brokers)?;
    let current = server::replicas_of_topics(cluster, &topics.iter().map(String::as_str).collect()).await?;
    let dirs = server::dirs(cluster, &server::replicas(&current)).await?;
    let dirs: BTreeMap<Replica, String> =
        dirs.into_iter().filter_map(|(replica, dirs)| Some((replica, dirs.current?))).collect();
    let proposed = server::propose(cluster, &current, &brokers, !found.has("disable-rack-aware"))?;
    writeln!(out, "Current partition replica assignment\n{}\n", plan::to_json(&current, &dirs))?;
    let json = plan::to_json(&proposed, &BTreeMap::new());
    writeln!(out, "Proposed partition reassignment configuration\n{json}")?;
    Ok(())
}

async fn execute(cluster: &Cluster, found: &Found, wanted: &Wanted, out: &mut Out) -> Result<(), Failure> {
    let proposed = plan::executable(wanted)?;
    let ongoing = server::ongoing(cluster).await?;
    if !found.has("additional") && !ongoing.is_empty() {
        return Err(terse(EXISTING));
    }
    let known: BTreeSet<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let brokers: BTreeSet<i32> = proposed.values().flatten().copied().collect();
    if let Some(unknown) = brokers.iter().find(|broker| !known.contains(broker)) {
        let known: Vec<i32> = known.into_iter().collect();
        let causes = format!("    next: the brokers of this cluster are {}", join(&known, ", "));
        return Err(command_failed(format!("Unknown broker id {unknown}")).caused(&causes).into());
    }
    let current = server::replicas_of(cluster, proposed.keys().cloned().collect()).await?;
    let dirs = server::dirs(cluster, &server::replicas(&current)).await?;
    let dirs = dirs.into_iter().filter_map(|(replica, dirs)| Some((replica, dirs.current?))).collect();
    writeln!(
        out,
        "Current partition replica assignment\n\n{}\n\nSave this to use as the --reassignment-json-file option during rollback",
        plan::to_json(&current, &dirs)
    )?;
    let throttle = found.long("throttle").unwrap_or(-1);
    let dir_throttle = found.long("replica-alter-log-dirs-throttle").unwrap_or(-1);
    if throttle >= 0 || dir_throttle >= 0 {
        writeln!(out, "{VERIFY}")?;
    }
    if throttle >= 0 {
        let moves = plan::moves(&ongoing, &proposed, &current);
        server::throttle_topics(cluster, &plan::throttles(&moves)).await?;
        let brokers =
            moves.values().flat_map(|of| of.sources.iter().chain(&of.destinations)).copied().collect();
        server::throttle_brokers(cluster, &brokers, &server::REPLICATION_RATES, throttle).await?;
        writeln!(out, "The inter-broker throttle limit was set to {throttle} B/s")?;
    }
    if dir_throttle >= 0 {
        let brokers = wanted.dirs.keys().map(|replica| replica.broker).collect();
        server::throttle_brokers(cluster, &brokers, &server::DIR_RATE, dir_throttle).await?;
        writeln!(out, "The replica-alter-dir throttle limit was set to {dir_throttle} B/s")?;
    }
    let fixed = found.has("disallow-replication-factor-change");
    let asked = proposed.iter().map(|(at, replicas)| (at.clone(), Some(replicas.clone()))).collect();
    let errors = server::alter(cluster, asked, !fixed).await?;
    if !errors.is_empty() {
        return Err(terse(format!("Error reassigning partition(s):\n{}", lines(&errors))));
    }
    let names: Vec<&TopicPartition> = proposed.keys().collect();
    writeln!(
        out,
        "Successfully started partition reassignment{} for {}",
        plural(names.len()),
        join(&names, ",")
    )?;
    if wanted.dirs.is_empty() {
        return Ok(());
    }
    move_dirs(cluster, found, wanted.dirs.clone(), out).await
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn lines(errors: &BTreeMap<TopicPartition, String>) -> String {
    errors.iter().map(|(at, why)| format!("{at}: {why}")).collect::<Vec<_>>().join("\n")
}

/// Starts moves between directories. A replica that has just been given to a broker is not there yet: asked again
/// until `--timeout` is over.
async fn move_dirs(
    cluster: &Cluster,
    found: &Found,
    mut pending: BTreeMap<Replica, String>,
    out: &mut Out,
) -> Result<(), Failure> {
    let timeout = u64::try_from(found.long("timeout").unwrap_or(10_000)).unwrap_or(0);
    let until = Instant::now() + Duration::from_millis(timeout);
    loop {
        for replica in server::alter_dirs(cluster, &pending).await? {
            let dir = pending.remove(&replica).unwrap_or_default();
            let (at, broker) = (&replica.at, replica.broker);
            writeln!(
                out,
                "Successfully started moving log directory to {dir} for replica {at} with broker {broker} "
            )?;
        }
        if pending.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            let names: Vec<&Replica> = pending.keys().collect();
            return Err(terse(format!(
                "Timed out before log directory move{} could be started for: {}",
                plural(names.len()),
                join(&names, ",")
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn dir_moves(cluster: &Cluster, wanted: &Wanted) -> Result<BTreeMap<Replica, DirMove>, Failure> {
    let known = server::dirs(cluster, &wanted.dirs.keys().cloned().collect()).await?;
    let of = |(replica, target): (&Replica, &String)| {
        let dirs = known.get(replica);
        let current = dirs.and_then(|dirs| dirs.current.as_deref());
        let future = dirs.and_then(|dirs| dirs.future.as_deref());
        (replica.clone(), DirMove::of(target, current, future))
    };
    Ok(wanted.dirs.iter().map(of).collect())
}

async fn verify(cluster: &Cluster, found: &Found, wanted: &Wanted, out: &mut Out) -> Result<(), Failure> {
    let ongoing = server::ongoing(cluster).await?;
    let targets: BTreeMap<&TopicPartition, &Vec<i32>> =
        wanted.partitions.iter().map(|(at, replicas)| (at, replicas)).collect();
    let rest: BTreeSet<&str> =
        targets.keys().filter(|at| !ongoing.contains_key(**at)).map(|at| &*at.topic).collect();
    let current = server::replicas_there(cluster, &rest).await?;
    writeln!(out, "Status of partition reassignment:")?;
    for (at, target) in targets {
        let now = current.get(at).map(Vec::as_slice).unwrap_or_default();
        let now = (!ongoing.contains_key(at)).then_some(now);
        writeln!(out, "{}", plan::verified(at, now, target))?;
    }
    let moves = dir_moves(cluster, wanted).await?;
    let said = moves.iter().map(|(replica, of)| of.line(replica, &wanted.dirs[replica]));
    writeln!(out, "{}", said.collect::<Vec<_>>().join("\n"))?;
    let moving = moves.values().any(|of| matches!(of, DirMove::Active { .. }));
    if ongoing.is_empty() && !moving && !found.has("preserve-throttles") {
        clear_throttles(cluster, wanted, out).await?;
    }
    Ok(())
}

async fn cancel(cluster: &Cluster, found: &Found, wanted: &Wanted, out: &mut Out) -> Result<(), Failure> {
    let ongoing = server::ongoing(cluster).await?;
    let named: BTreeSet<&TopicPartition> = wanted.partitions.iter().map(|(at, _)| at).collect();
    let active: Vec<TopicPartition> = ongoing
        .iter()
        .filter(|(at, of)| {
            named.contains(at) && !(of.adding_replicas.is_empty() && of.removing_replicas.is_empty())
        })
        .map(|(at, _)| at.clone())
        .collect();
    if active.is_empty() {
        writeln!(out, "None of the specified partition reassignments are active.")?;
    } else {
        let errors =
            server::alter(cluster, active.iter().map(|at| (at.clone(), None)).collect(), true).await?;
        if !errors.is_empty() {
            let plural = plural(errors.len());
            return Err(terse(format!(
                "Error cancelling partition reassignment{plural} for:\n{}",
                lines(&errors)
            )));
        }
        let plural = plural(active.len());
        writeln!(out, "Successfully cancelled partition reassignment{plural} for: {}", join(&active, ","))?;
    }
    let mut back = BTreeMap::new();
    for (replica, of) in dir_moves(cluster, wanted).await? {
        if let DirMove::Active { current, .. } = of {
            back.insert(replica, current);
        }
    }
    if back.is_empty() {
        write!(out, "None of the specified partition moves are active.")?;
    } else {
        move_dirs(cluster, found, back, out).await?;
    }
    if found.has("preserve-throttles") {
        return Ok(());
    }
    clear_throttles(cluster, wanted, out).await
}

/// Removes every throttle that a reassignment may have set; which brokers were sources is not known any more.
async fn clear_throttles(cluster: &Cluster, wanted: &Wanted, out: &mut Out) -> Result<(), Failure> {
    let mut brokers: BTreeSet<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    brokers.extend(wanted.partitions.iter().flat_map(|(_, replicas)| replicas));
    let named: Vec<i32> = java::hash_order_by(brokers.iter().copied().collect(), |broker| *broker as u32);
    writeln!(out, "Clearing broker-level throttles on broker{} {}", plural(named.len()), join(&named, ","))?;
    server::clear_broker_throttles(cluster, &brokers).await?;
    let topics: BTreeSet<&str> = wanted.partitions.iter().map(|(at, _)| &*at.topic).collect();
    let named = java::hash_order(topics.iter().copied().collect(), |topic| topic);
    writeln!(out, "Clearing topic-level throttles on topic{} {}", plural(named.len()), named.join(","))?;
    server::clear_topic_throttles(cluster, &topics).await?;
    Ok(())
}
