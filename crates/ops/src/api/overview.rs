//! The cluster on one screen.

use std::time::Duration;

use hyper::StatusCode;
use ottla_client::overview::{Health, Trouble, View};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Problem;
use crate::health::told as node;
use crate::route::Shared;

/// A view that refreshes itself does not wait longer.
const PATIENCE: Duration = Duration::from_secs(4);
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
        "node": node(&shared.node.standing()),
        "traffic": traffic,
        "cluster": cluster,
        "error": error,
    }))
}

/// Asks the cluster. What was asked of a quorum that was just lost holds up whatever else is asked on its connection: the
/// next question takes another one.
async fn asked(shared: &Shared) -> Result<(View, bool), Problem> {
    let is_led = shared.node.standing().leader.is_some();
    let cluster = shared.reach.cluster().await?;
    let view = timeout(PATIENCE, View::ask_of(&cluster, is_led)).await;
    if !matches!(&view, Ok(Ok(view)) if view.quorum.is_some() == is_led) {
        shared.reach.forget().await;
    }
    let late = || Problem::new(StatusCode::GATEWAY_TIMEOUT, "the cluster did not answer in time");
    Ok((view.map_err(|_| late())??, cluster.of_controllers()))
}

/// The worst that is known. A cluster whose quorum does not tell of itself serves what it has, and changes nothing.
fn health(view: &View) -> Health {
    view.health().max(if view.quorum.is_none() { Health::Degraded } else { Health::Healthy })
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
        "health": if of_controllers { Value::Null } else { json!(health(view).word()) },
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

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_client::overview::Quorum;

    #[test]
    fn a_cluster_without_a_quorum_is_not_healthy() {
        let quorum = Quorum { leader: 1, epoch: 1, high_watermark: 9, members: Vec::new() };
        let mut view = View {
            cluster_id: "c".to_owned(),
            brokers: Vec::new(),
            quorum: Some(quorum),
            no_quorum: None,
            topics: 0,
            partitions: 0,
            troubles: Default::default(),
        };
        assert_eq!(health(&view), Health::Healthy);
        view.quorum = None;
        assert_eq!(of(&view, false)["health"], json!("degraded"));
        view.troubles.insert(("t".to_owned(), 0), Trouble::Offline);
        assert_eq!(health(&view), Health::Down, "what is worse counts");
        let told = of(&view, true);
        assert_eq!(
            (&told["health"], &told["partitions"]),
            (&Value::Null, &Value::Null),
            "a controller cannot tell"
        );
    }
}
