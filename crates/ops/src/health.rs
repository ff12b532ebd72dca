//! Whether a node lives and whether it is ready, for whoever probes it. Neither asks another node: probes that wait for
//! others keep a cluster from starting.

use std::fmt::Write as _;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::observed::Standing;

/// `/readyz`: 200 or 503, and the reasons a line each. The first line is `ready` or `not ready`.
pub(crate) fn ready(standing: &Standing) -> (StatusCode, String) {
    let is_ready = standing.obstacles.is_empty();
    let mut text = String::from(if is_ready { "ready\n" } else { "not ready\n" });
    for line in &standing.obstacles {
        let _ = writeln!(text, "{line}");
    }
    for line in &standing.notices {
        let _ = writeln!(text, "note: {line}");
    }
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

/// The same as JSON, with more about the node.
pub(crate) fn told(standing: &Standing) -> Value {
    json!({
        "node_id": standing.node_id,
        "cluster_id": standing.cluster_id,
        "roles": roles(standing),
        "state": standing.state.name(),
        "broker_state": standing.state as u8,
        "is_ready": standing.obstacles.is_empty(),
        "obstacles": standing.obstacles,
        "notices": standing.notices,
        "quorum": {"leader": standing.leader, "epoch": standing.epoch, "voters": standing.voters},
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn roles(standing: &Standing) -> Vec<&'static str> {
    let all = [("broker", standing.is_broker), ("controller", standing.is_controller)];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::observed::State;

    pub(crate) fn standing() -> Standing {
        Standing {
            node_id: 1,
            cluster_id: "c".to_owned(),
            is_broker: true,
            is_controller: true,
            state: State::Running,
            obstacles: Vec::new(),
            notices: Vec::new(),
            leader: Some(1),
            epoch: 3,
            voters: vec![1, 2],
        }
    }

    #[test]
    fn a_node_is_ready_unless_something_is_in_its_way() {
        let mut at = standing();
        assert_eq!(ready(&at), (StatusCode::OK, "ready\n".to_owned()));
        at.notices.push("2 controllers tolerate no failure; use 1 or 3".to_owned());
        let (status, text) = ready(&at);
        assert_eq!(status, 200);
        assert_eq!(text, "ready\nnote: 2 controllers tolerate no failure; use 1 or 3\n");
        at.obstacles.push("Waiting for controller quorum: 1 of 2 reachable, need 2.".to_owned());
        let (status, text) = ready(&at);
        assert_eq!(status, 503);
        assert!(text.starts_with("not ready\nWaiting for controller quorum: 1 of 2 reachable, need 2.\n"));
        assert_eq!(told(&at)["is_ready"], json!(false));
    }

    #[test]
    fn the_numbers_of_the_states_are_kafkas() {
        let at = Standing { state: State::PendingControlledShutdown, ..standing() };
        assert_eq!(told(&at)["broker_state"], json!(6));
        assert_eq!(told(&at)["state"], json!("PENDING_CONTROLLED_SHUTDOWN"));
        assert_eq!(told(&at)["roles"], json!(["broker", "controller"]));
    }
}
