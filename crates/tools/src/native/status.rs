//! `ottla status` and `ottla health`: a cluster on one screen, and in one exit code.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use ottla_client::overview::{Health, View};
use ottla_client::{Cluster, ClusterError, ConnectError, Properties};
use serde_json::{Value, json};

use super::{Form, block_on, parse};

/// What a cluster consists of, and what is wrong with it.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  ottla status -b kafka1:9092,kafka2:9092\n  ottla status --watch 1\n  ottla status -o json"
)]
struct Arguments {
    /// Brokers to ask first, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
    /// Again and again, every so many seconds, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    watch: Option<f64>,
}

/// Whether a cluster is well: exit code 0 healthy, 1 degraded, 2 down, 3 unreachable.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  ottla health || echo look\n  ottla health --wait 30      until it is healthy, at most 30 s"
)]
struct HealthArguments {
    /// Brokers to ask first, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
    /// Ask until it is healthy, at most so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    wait: f64,
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
}

/// A cluster that hangs is told of within this, not after the minute that Kafka's tools wait.
const PATIENCE_MS: u64 = 5_000;
/// A server that takes the connection and says nothing is told of earlier.
const CONNECT_MS: &str = "4000";

async fn look(bootstrap: &str) -> Result<View, ClusterError> {
    let patience = PATIENCE_MS.to_string();
    let properties = Properties::new()
        .with("default.api.timeout.ms", &patience)
        .with("request.timeout.ms", &patience)
        .with("socket.connection.setup.timeout.ms", CONNECT_MS)
        .with("socket.connection.setup.timeout.max.ms", CONNECT_MS)
        .with("client.id", "ottla-status");
    let cluster = Cluster::connect(bootstrap, &properties).await?;
    let view = View::ask(&cluster).await;
    cluster.close();
    view
}

pub(super) fn status(args: &[OsString]) -> ExitCode {
    let wanted: Arguments = match parse("status", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    block_on(async {
        loop {
            let code = match look(&wanted.bootstrap).await {
                Ok(view) => {
                    let shown = match wanted.output {
                        Form::Text => text(&view, now_ms()),
                        Form::Json => json_of(&view).to_string() + "\n",
                    };
                    if wanted.watch.is_some() && wanted.output == Form::Text {
                        // Clear and home: the screen is drawn in place.
                        print!("\x1b[H\x1b[2J");
                    }
                    print!("{shown}");
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    eprintln!("{}", unreachable(&wanted.bootstrap, &error));
                    ExitCode::from(1)
                }
            };
            match wanted.watch {
                Some(seconds) => {
                    tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.1, 3600.0))).await
                }
                None => return code,
            }
        }
    })
}

pub(super) fn health(args: &[OsString]) -> ExitCode {
    let wanted: HealthArguments = match parse("health", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    block_on(async {
        let end = tokio::time::Instant::now() + Duration::from_secs_f64(wanted.wait.clamp(0.0, 86_400.0));
        loop {
            let found = look(&wanted.bootstrap).await;
            let health = found.as_ref().map_or(Health::Unreachable, View::health);
            if health != Health::Healthy && tokio::time::Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
            let complaints: Vec<String> = match &found {
                Ok(view) => view.complaints().into_iter().map(|(_, what)| what).collect(),
                Err(error) => vec![unreachable(&wanted.bootstrap, error)],
            };
            match wanted.output {
                Form::Text => {
                    println!("{}", health.word());
                    for complaint in complaints {
                        println!("  {complaint}");
                    }
                }
                Form::Json => println!("{}", json!({"health": health.word(), "complaints": complaints})),
            }
            return ExitCode::from(health as u8);
        }
    })
}

fn unreachable(bootstrap: &str, error: &ClusterError) -> String {
    let waits = error.attempts().iter().any(|(_, why)| matches!(why, ConnectError::NotYet { .. }));
    let next = match waits {
        true => "start the controllers that are missing".to_owned(),
        false => format!(
            "is the cluster up? ottla dev starts one; give its addresses with -b (asked: {bootstrap})"
        ),
    };
    format!("{error}\n    next: {next}")
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn text(view: &View, now_ms: i64) -> String {
    let mut out = String::new();
    let health = view.health();
    let _ = writeln!(out, "cluster {}: {}", view.cluster_id, health.word());
    for (_, what) in view.complaints() {
        let _ = writeln!(out, "  {what}");
    }
    let _ = writeln!(out, "\nbrokers");
    let rows = view.brokers.iter().map(|broker| {
        vec![
            broker.id.to_string(),
            broker.address.clone(),
            if broker.fenced { "fenced" } else { "up" }.to_owned(),
            broker.leads.to_string(),
            broker.replicas.to_string(),
            broker.behind.to_string(),
            broker.rack.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    table(&mut out, &["id", "address", "state", "leads", "replicas", "behind", "rack"], rows.collect());
    match &view.quorum {
        Some(quorum) => {
            let _ = writeln!(
                out,
                "\nquorum: leader {}, epoch {}, high watermark {}",
                quorum.leader, quorum.epoch, quorum.high_watermark
            );
            let rows = quorum.members.iter().map(|member| {
                let role = match (member.votes, member.id == quorum.leader) {
                    (true, true) => "leader",
                    (true, false) => "voter",
                    (false, _) => "observer",
                };
                vec![
                    member.id.to_string(),
                    role.to_owned(),
                    member.lag.to_string(),
                    ago(member.caught_up_ms, now_ms),
                ]
            });
            table(&mut out, &["id", "role", "lag", "caught up"], rows.collect());
        }
        None => {
            let why = view.no_quorum.as_deref().unwrap_or("not told");
            let _ = writeln!(out, "\nquorum: {why}");
        }
    }
    let _ = writeln!(out, "\n{} topics, {} partitions", view.topics, view.partitions);
    if view.topics == 0 {
        let _ = writeln!(out, "  none yet: ottla topic create orders");
    }
    out
}

fn ago(at_ms: i64, now_ms: i64) -> String {
    match (at_ms, (now_ms - at_ms).max(0)) {
        (..=0, _) => "unknown".to_owned(),
        (_, ..=1_999) => "now".to_owned(),
        (_, ms) if ms < 120_000 => format!("{} s ago", ms / 1_000),
        (_, ms) => format!("{} min ago", ms / 60_000),
    }
}

/// A table whose numbers stand to the right and whose words to the left.
pub(super) fn table(out: &mut String, head: &[&str], rows: Vec<Vec<String>>) {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let numbers =
        |column: usize| !rows.is_empty() && rows.iter().all(|row| row[column].parse::<i64>().is_ok());
    let right: Vec<bool> = (0..head.len()).map(numbers).collect();
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::from(" ");
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ =
                if right[column] { write!(line, " {cell:>width$}") } else { write!(line, " {cell:<width$}") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn json_of(view: &View) -> Value {
    json!({
        "cluster_id": view.cluster_id,
        "health": view.health().word(),
        "complaints": view.complaints().into_iter().map(|(_, what)| what).collect::<Vec<_>>(),
        "brokers": view.brokers.iter().map(|broker| json!({
            "id": broker.id, "address": broker.address, "rack": broker.rack, "fenced": broker.fenced,
            "leads": broker.leads, "replicas": broker.replicas, "behind": broker.behind,
        })).collect::<Vec<_>>(),
        "quorum": view.quorum.as_ref().map(|quorum| json!({
            "leader": quorum.leader, "epoch": quorum.epoch, "high_watermark": quorum.high_watermark,
            "members": quorum.members.iter().map(|member| json!({
                "id": member.id, "votes": member.votes, "lag": member.lag, "caught_up_ms": member.caught_up_ms,
            })).collect::<Vec<_>>(),
        })),
        "topics": view.topics,
        "partitions": view.partitions,
        "troubles": view.troubles.iter().map(|((topic, partition), trouble)| json!({
            "topic": topic, "partition": partition, "trouble": format!("{trouble:?}"),
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let mut out = String::new();
        table(
            &mut out,
            &["id", "name"],
            vec![vec!["1".into(), "a".into()], vec!["100".into(), "bcd".into()]],
        );
        assert_eq!(out, "   id name\n    1 a\n  100 bcd\n");
    }

    #[test]
    fn moments_are_told_as_people_do() {
        assert_eq!(ago(-1, 5), "unknown");
        assert_eq!(ago(1_000, 2_000), "now");
        assert_eq!(ago(1_000, 31_000), "30 s ago");
        assert_eq!(ago(1_000, 601_000), "10 min ago");
    }
}
