//! Waiting for the quorum: a node whose peers are missing waits for them, however long, and says what it waits for.

use std::time::{Duration, Instant};

use ottla_quorum::Status;
use tracing::info;

use super::ControllerHost;
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
                let (text, missing) = self.waits_for(&status, node.node_id(), listener);
                let due = said.as_ref().is_none_or(|(before, at)| *before != text || at.elapsed() >= REMIND);
                if due {
                    info!("{text}{missing}");
                    said = Some((text, Instant::now()));
                }
            }
            std::thread::sleep(LOOK);
        }
        if config.roles.controller {
            self.register_controller(&self.controllers);
        }
        Ok(())
    }

    fn is_caught_up(&self, status: &Status, alone: bool) -> bool {
        if alone || status.leader.is_some() && status.role == "Leader" {
            // What the controller writes when it becomes active has to be there too.
            return self.lead.wait(Duration::ZERO);
        }
        let known = status.leader.is_some() && status.high_watermark > 0;
        known && self.shown.wait(status.high_watermark - 1, Duration::ZERO)
    }

    /// What is missing, without and with the times.
    fn waits_for(&self, status: &Status, own: i32, listener: &str) -> (String, String) {
        if let Some(leader) = status.leader {
            let text = format!("Waiting for the metadata of leader {leader}, epoch {}", status.epoch);
            return (text, String::new());
        }
        if status.voters.is_empty() {
            return ("Waiting for a controller that knows the voters".to_owned(), String::new());
        }
        let (mut reachable, mut names, mut times) = (0, Vec::new(), Vec::new());
        for voter in status.voters.iter() {
            let id = voter.key.id;
            let state = voter.endpoints.get(listener).map(|at| (at, self.peers.of(&at.host, at.port)));
            match state {
                _ if id == own => reachable += 1,
                Some((_, Some((state, _)))) if state.text() == "connected" => reachable += 1,
                Some((at, found)) => {
                    let why = found.map_or("not tried yet", |(state, _)| state.text());
                    names.push(format!("{id}@{}:{} ({why})", at.host, at.port));
                    times.extend(found.map(|(_, since)| since.elapsed().as_secs()));
                }
                None => names.push(format!("{id} (no {listener} endpoint)")),
            }
        }
        let text = format!(
            "Waiting for controller quorum: {reachable} of {} reachable, need {}. Missing: {}",
            status.voters.len(),
            status.voters.majority(),
            if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
        );
        let longest = times.into_iter().max().filter(|seconds| *seconds > 0);
        (text, longest.map(|seconds| format!(", {seconds} s")).unwrap_or_default())
    }
}
