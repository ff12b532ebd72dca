//! Waiting for the quorum: a node whose peers are missing waits for them, however long, and says what it waits for.

use std::time::{Duration, Instant};

use ottla_quorum::Status;
use tracing::info;

use super::ControllerHost;
use super::absence::Absence;
use super::transport::PeerStates;
use crate::node::Node;
use crate::start_error::StartError;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(5);
/// A state that does not change is said again this often.
const REMIND: Duration = Duration::from_secs(30);
/// Peers that are only starting are not worth a line.
const QUIET: Duration = Duration::from_secs(1);

impl ControllerHost {
    /// Waits until there is a leader and this node's image has what was committed by then. A node that is the only
    /// voter does not wait for longer than a registration may take: it only waits for itself.
    ///
    /// # Errors
    /// [`StartError::Interrupted`]; [`StartError::Quorum`] for the only voter.
    pub(crate) fn wait_for_quorum(&self, node: &Node) -> Result<(), StartError> {
        let config = node.static_config();
        let listener = config.listeners.controller_names.first().map_or("", String::as_str);
        let patience = Duration::from_millis(config.broker.registration_timeout_ms.max(1) as u64);
        let begun = Instant::now();
        let mut said: Option<(String, Instant)> = None;
        loop {
            let status = self.quorum.status();
            let alone = status.is_voter && status.voters.len() == 1;
            if self.is_caught_up(&status, alone) {
                if said.is_some() {
                    info!("Quorum formed: leader {}, epoch {}", status.leader.unwrap_or(-1), status.epoch);
                }
                break;
            }
            if node.is_interrupted() {
                return Err(StartError::Interrupted);
            }
            if let Some(error) = of_another_cluster(node, &status) {
                return Err(error);
            }
            if alone && begun.elapsed() >= patience {
                return Err(StartError::Quorum(format!(
                    "no controller became active within {} ms (role {}, epoch {}, leader {:?})",
                    patience.as_millis(),
                    status.role,
                    status.epoch,
                    status.leader
                )));
            }
            if begun.elapsed() >= QUIET {
                let text = |now| waits_for(&status, &self.peers, node.node_id(), listener, now);
                let still = text(None);
                let due = said.as_ref().is_none_or(|(before, at)| *before != still || at.elapsed() >= REMIND);
                if due {
                    info!("{}", text(Some(Instant::now())));
                    said = Some((still, Instant::now()));
                }
            }
            std::thread::sleep(LOOK);
        }
        if config.roles.controller {
            self.register_controller(&self.controllers);
        }
        Ok(())
    }

    /// What this node waits for before it has a quorum and knows its metadata, in the words of the log; nothing when it
    /// waits for nothing. Once it runs, it only counts that somebody leads.
    pub(crate) fn quorum_obstacle(&self, node: &Node, status: &Status, runs: bool) -> Option<String> {
        let alone = status.is_voter && status.voters.len() == 1;
        let has_all = if runs { led_by(status).is_some() } else { self.is_caught_up(status, alone) };
        if has_all {
            return None;
        }
        let listener = node.static_config().listeners.controller_names.first().map_or("", String::as_str);
        Some(waits_for(status, &self.peers, node.node_id(), listener, Some(Instant::now())))
    }

    fn is_caught_up(&self, status: &Status, alone: bool) -> bool {
        if alone || status.leader.is_some() && status.role == "Leader" {
            // What the controller writes when it becomes active has to be there too.
            return self.lead.wait(Duration::ZERO);
        }
        let known = status.leader.is_some() && status.high_watermark > 0;
        known && self.shown.wait(status.high_watermark - 1, Duration::ZERO)
    }
}

fn waits_for(status: &Status, peers: &PeerStates, own: i32, listener: &str, now: Option<Instant>) -> String {
    match led_by(status) {
        Some(leader) => format!("Waiting for the metadata of leader {leader}, epoch {}", status.epoch),
        None => Absence::of(status, peers, own, listener).waiting(now),
    }
}

/// Who leads the quorum now. A voter that looks for another leader still knows the one that it lost.
pub(crate) fn led_by(status: &Status) -> Option<i32> {
    status.leader.filter(|_| is_led(status.role))
}

fn is_led(role: &str) -> bool {
    matches!(role, "Leader" | "Follower")
}

/// Refuses to wait when the controllers that answer belong to another cluster, and so many of them that those left are
/// no majority.
fn of_another_cluster(node: &Node, status: &Status) -> Option<StartError> {
    let quorum = &node.static_config().quorum;
    // Bootstrap servers have numbers below those of nodes; once a voter is known by its id it counts as that alone.
    let (known, strangers, majority) = match status.voters.len() {
        0 => (quorum.bootstrap_servers.len(), status.strangers.len(), quorum.bootstrap_servers.len()),
        voters => {
            let strangers = status.strangers.iter().filter(|id| status.voters.get(**id).is_some());
            (voters, strangers.count(), status.voters.majority())
        }
    };
    if !is_hopeless(known, strangers, majority) || status.leader.is_some() {
        return None;
    }
    let key = if quorum.voters.is_empty() {
        "controller.quorum.bootstrap.servers"
    } else {
        "controller.quorum.voters"
    };
    let cluster = node.cluster_id();
    let names: Vec<String> = status
        .strangers
        .iter()
        .filter_map(|id| quorum.voters.iter().find(|voter| voter.id == *id))
        .map(|voter| format!("controller {}@{}", voter.id, voter.address))
        .collect();
    let who = if names.is_empty() { format!("a controller of {key}") } else { names.join(", ") };
    Some(StartError::Quorum(format!(
        "this node was formatted for cluster {cluster}, but {who} answers for another cluster (INCONSISTENT_CLUSTER_ID)\n    \
         next: fix {key}, or format this node with the id of that cluster (kafka-storage.sh format -t ID ...; what it \
         has is lost then)"
    )))
}

/// Without the strangers there is no majority of those that are known.
fn is_hopeless(known: usize, strangers: usize, majority: usize) -> bool {
    strangers > 0 && known.saturating_sub(strangers) < majority
}

#[cfg(test)]
mod tests {
    use super::{is_hopeless, is_led};

    #[test]
    fn a_voter_that_looks_for_a_leader_has_none() {
        let led = ["Leader", "Follower"];
        let not = ["Unattached", "Prospective", "Candidate", "Resigned"];
        assert!(led.into_iter().all(is_led) && !not.into_iter().any(is_led));
    }

    #[test]
    fn one_stranger_of_three_is_its_own_problem() {
        assert!(!is_hopeless(3, 0, 2));
        assert!(!is_hopeless(3, 1, 2), "the other two are a quorum");
        assert!(is_hopeless(3, 2, 2), "this one is the stranger");
        assert!(is_hopeless(1, 1, 1), "a broker at the wrong controller");
    }
}
