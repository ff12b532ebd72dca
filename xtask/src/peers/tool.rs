//! Apache Kafka's programs by the names that its release gives them.

use std::process::Command;

use anyhow::{Result, bail};

use super::Jars;
use crate::process;

/// The heap that the release's scripts give a broker, and a tool.
pub const HEAP_OF_SERVER: &[&str] = &["-Xmx1G", "-Xms1G"];
const HEAP_OF_TOOL: &[&str] = &["-Xmx256M"];

const TOOLS: &[(&str, &str)] = &[
    ("kafka-acls", "org.apache.kafka.tools.AclCommand"),
    ("kafka-broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
    ("kafka-client-metrics", "org.apache.kafka.tools.ClientMetricsCommand"),
    ("kafka-cluster", "org.apache.kafka.tools.ClusterTool"),
    ("kafka-configs", "kafka.admin.ConfigCommand"),
    ("kafka-console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
    ("kafka-console-producer", "org.apache.kafka.tools.ConsoleProducer"),
    ("kafka-console-share-consumer", "org.apache.kafka.tools.consumer.ConsoleShareConsumer"),
    ("kafka-consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("kafka-consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance"),
    ("kafka-delegation-tokens", "org.apache.kafka.tools.DelegationTokenCommand"),
    ("kafka-delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
    ("kafka-dump-log", "org.apache.kafka.tools.DumpLogSegments"),
    ("kafka-e2e-latency", "org.apache.kafka.tools.EndToEndLatency"),
    ("kafka-features", "org.apache.kafka.tools.FeatureCommand"),
    ("kafka-get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("kafka-groups", "org.apache.kafka.tools.GroupsCommand"),
    ("kafka-jmx", "org.apache.kafka.tools.JmxTool"),
    ("kafka-leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
    ("kafka-log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
    ("kafka-metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
    ("kafka-metadata-shell", "org.apache.kafka.shell.MetadataShell"),
    ("kafka-producer-perf-test", "org.apache.kafka.tools.ProducerPerformance"),
    ("kafka-reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    ("kafka-replica-verification", "org.apache.kafka.tools.ReplicaVerificationTool"),
    ("kafka-server-start", "kafka.Kafka"),
    ("kafka-share-consumer-perf-test", "org.apache.kafka.tools.ShareConsumerPerformance"),
    ("kafka-share-groups", "org.apache.kafka.tools.consumer.group.ShareGroupCommand"),
    ("kafka-storage", "kafka.tools.StorageTool"),
    ("kafka-streams-application-reset", "org.apache.kafka.tools.StreamsResetter"),
    ("kafka-streams-groups", "org.apache.kafka.tools.streams.StreamsGroupCommand"),
    ("kafka-topics", "org.apache.kafka.tools.TopicCommand"),
    ("kafka-transactions", "org.apache.kafka.tools.TransactionsCommand"),
    ("kafka-verifiable-consumer", "org.apache.kafka.tools.VerifiableConsumer"),
    ("kafka-verifiable-producer", "org.apache.kafka.tools.VerifiableProducer"),
    ("kafka-verifiable-share-consumer", "org.apache.kafka.tools.VerifiableShareConsumer"),
    ("trogdor-agent", "org.apache.kafka.trogdor.agent.Agent"),
    ("trogdor-coordinator", "org.apache.kafka.trogdor.coordinator.Coordinator"),
];

/// The class of a tool of the release, or the class that was named itself.
pub fn class(name: &str) -> Result<&str> {
    let bare = name.strip_suffix(".sh").unwrap_or(name);
    match TOOLS.iter().find(|(tool, _)| *tool == bare) {
        Some((_, class)) => Ok(class),
        None if name.contains('.') && !name.ends_with(".sh") => Ok(name),
        None => bail!("Apache Kafka has no tool '{name}'"),
    }
}

/// A tool of the release, ready for its arguments. Its log goes to standard error from WARN on.
pub fn tool(jars: &Jars, name: &str) -> Result<Command> {
    let bare = name.strip_suffix(".sh").unwrap_or(name);
    let class = class(name)?;
    let heap = if bare == "kafka-server-start" { HEAP_OF_SERVER } else { HEAP_OF_TOOL };
    let mut command = java(jars, heap, "WARN");
    command.arg(class);
    Ok(command)
}

/// A JVM with the flags of the release's own scripts and every jar on its class path, ready for a class.
pub fn java(jars: &Jars, heap: &[&str], level: &str) -> Command {
    let logging = process::root().join("xtask/judges/peers/log4j2.properties");
    let mut command = Command::new(jars.java());
    command
        .args(heap)
        .args(["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"])
        .args(["-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"])
        .arg(format!("-Dpeer.log.level={level}"))
        .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
        .arg("-cp")
        .arg(jars.class_path());
    command
}
