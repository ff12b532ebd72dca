//! The cluster on one screen.

use ottla_client::overview::{Trouble, View};
use serde_json::{Value, json};

use super::Problem;
use crate::health;
use crate::route::Shared;

/// Partitions that need somebody's eyes are named up to this many.
const NAMED: usize = 100;

/// What this node moved since it started, as `(name in the answer, name of the figure)`.
const TRAFFIC: &[(&str, &str)] = &[
    ("messages_in", "kafka_server_brokertopicmetrics_messagesin_total"),
    ("bytes_in", "kafka_server_brokertopicmetrics_bytesin_total"),
    ("bytes_out", "kafka_server_brokertopicmetrics_bytesout_total"),
    ("requests", "kafka_network_requestmetrics_requests_total"),
    ("connections", "kafka_server_socket_server_metrics_connection_count"),
];

/// The node, what it moved, and the cluster. A cluster that cannot be asked is no error here: the console is for that
/// moment, too.
pub(super) async fn told(shared: &Shared) -> Result<Value, Problem> {
    let mut sums = vec![0.0; TRAFFIC.len()];
    shared.node.measure(&mut |figure| {
        if let Some(at) = TRAFFIC.iter().position(|(_, name)| *name == figure.name) {
            sums[at] += figure.value;
        }
    });
    let traffic: serde_json::Map<String, Value> =
        TRAFFIC.iter().zip(sums).map(|((name, _), sum)| ((*name).to_owned(), json!(sum as u64))).collect();
    let (cluster, error) = match asked(shared).await {
        Ok((view, controller)) => (of(&view, controller), Value::Null),
        Err(problem) => (Value::Null, json!(problem.why)),
    };
    Ok(json!({
        "node": health::told(&shared.node.standing()),
        "traffic": traffic,
        "cluster": cluster,
        "error": error,
    }))
}

async fn asked(shared: &Shared) -> Result<(View, bool), Problem> {
    let cluster = shared.reach.cluster().await?;
    Ok((View::ask(&cluster).await?, cluster.of_controllers()))
}

fn of(view: &View, of_controllers: bool) -> Value {
    let brokers = view.brokers.iter().map(|broker| {
        json!({
            "id": broker.id, "address": broker.address, "rack": broker.rack, "is_fenced": broker.fenced,
            "leads": broker.leads, "replicas": broker.replicas, "behind": broker.behind,
        })
    });
    let quorum = view.quorum.as_ref().map(|quorum| {
        let members = quorum.members.iter().map(|member| {
            json!({
                "id": member.id, "votes": member.votes, "lag": member.lag,
                "caught_up_ms": member.caught_up_ms, "leads": member.id == quorum.leader,
            })
        });
        json!({
            "leader": quorum.leader, "epoch": quorum.epoch, "high_watermark": quorum.high_watermark,
            "members": members.collect::<Vec<_>>(),
        })
    });
    let troubles = view.troubles.iter().take(NAMED).map(|((topic, partition), trouble)| {
        let trouble = match trouble {
            Trouble::Offline => "offline",
            Trouble::UnderMinIsr => "under_min_isr",
            Trouble::UnderReplicated => "under_replicated",
        };
        json!({"topic": topic, "partition": partition, "trouble": trouble})
    });
    json!({
        "id": view.cluster_id,
        // A controller alone knows of no partitions, so that it cannot say that they are well.
        "health": if of_controllers { Value::Null } else { json!(view.health().word()) },
        "complaints": view.complaints().into_iter().map(|(_, what)| what).collect::<Vec<_>>(),
        "brokers": brokers.collect::<Vec<_>>(),
        "quorum": quorum,
        "topics": if of_controllers { Value::Null } else { json!(view.topics) },
        "partitions": if of_controllers { Value::Null } else { json!(view.partitions) },
        "offline": view.count(Trouble::Offline),
        "under_min_isr": view.count(Trouble::UnderMinIsr),
        "under_replicated": view.count(Trouble::UnderReplicated),
        "troubles": troubles.collect::<Vec<_>>(),
    })
}
