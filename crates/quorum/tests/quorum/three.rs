//! Three voters in one process, through handles instead of sockets.

use std::path::Path;

use bytes::Bytes;
use ottla_raft::SnapshotId;
use tempfile::TempDir;

use crate::node::{Network, Node, eventually, fixed, replica_config};

struct Trio {
    directories: Vec<TempDir>,
    network: Network,
    nodes: Vec<Option<Node>>,
}

impl Trio {
    fn start() -> Trio {
        let directories: Vec<TempDir> = (0..3).map(|_| tempfile::tempdir().expect("a directory")).collect();
        let mut trio = Trio { directories, network: Network::default(), nodes: vec![None, None, None] };
        (1..=3).for_each(|id| trio.up(id));
        trio
    }

    fn directory(&self, id: i32) -> &Path {
        self.directories[id as usize - 1].path()
    }

    fn up(&mut self, id: i32) {
        let mut raft = fixed(id, &[1, 2, 3]);
        raft.election_timeout_ms = 100;
        raft.fetch_timeout_ms = 300;
        raft.election_backoff_max_ms = 50;
        let config = replica_config(self.directory(id), raft);
        self.nodes[id as usize - 1] = Some(Node::start_with(config, &self.network));
    }

    /// Stops a node, with or without handing over.
    fn down(&mut self, id: i32, graceful: bool) {
        let node = self.nodes[id as usize - 1].take().expect("up");
        if graceful {
            node.stop();
            self.network.cut(id);
        } else {
            self.network.cut(id);
            let _ = node.handle.shutdown(0);
            let _ = node.driver.join();
        }
    }

    fn node(&self, id: i32) -> &Node {
        self.nodes[id as usize - 1].as_ref().expect("up")
    }

    fn leader(&self) -> i32 {
        let mut leader = 0;
        eventually("an active leader", || {
            let up = self.nodes.iter().flatten();
            leader = up
                .filter(|node| node.is_active())
                .map(|node| node.handle.status().leader.unwrap_or(0))
                .max()
                .unwrap_or(0);
            leader > 0 && self.nodes[leader as usize - 1].as_ref().is_some_and(Node::is_active)
        });
        leader
    }

    fn everybody_has(&self, texts: &[&str]) {
        for node in self.nodes.iter().flatten() {
            eventually("the same records everywhere", || node.texts() == texts);
        }
    }
}

#[test]
fn records_reach_everybody_and_survive_their_leader() {
    let mut trio = Trio::start();
    let first = trio.leader();
    trio.node(first).propose(&["a", "b"]);
    trio.everybody_has(&["a", "b"]);

    trio.down(first, false);
    let second = trio.leader();
    assert_ne!(first, second);
    trio.node(second).propose(&["c"]);
    trio.everybody_has(&["a", "b", "c"]);

    trio.up(first);
    trio.everybody_has(&["a", "b", "c"]);
    let proposed = trio.node(trio.leader()).propose(&["d"]);
    assert!(proposed.epoch > 1);
    trio.everybody_has(&["a", "b", "c", "d"]);
}

#[test]
fn a_leader_that_leaves_hands_over() {
    let mut trio = Trio::start();
    let first = trio.leader();
    trio.node(first).propose(&["a"]);
    trio.everybody_has(&["a"]);
    trio.down(first, true);
    let second = trio.leader();
    assert_ne!(first, second);
    trio.node(second).propose(&["b"]);
    trio.everybody_has(&["a", "b"]);
}

#[test]
fn a_node_that_missed_everything_gets_a_snapshot() {
    let mut trio = Trio::start();
    let leader = trio.leader();
    let outsider = (1..=3).find(|id| *id != leader).expect("three nodes");
    trio.down(outsider, false);
    let metadata = trio.directory(outsider).join(ottla_quorum::METADATA_DIRECTORY);
    std::fs::remove_dir_all(&metadata).expect("removed");

    let leader = trio.leader();
    let mut last = trio.node(leader).propose(&["first"]);
    for i in 0..50 {
        last = trio.node(leader).propose(&[&format!("record {i} {}", "x".repeat(2000))]);
    }
    // Both write it: on a busy machine the lead may move, and either can be asked for it.
    let id = SnapshotId { epoch: last.epoch, end_offset: last.last_offset + 1 };
    let texts = trio.node(leader).texts();
    for node in trio.nodes.iter().flatten() {
        eventually("the records that the snapshot is of", || node.texts() == texts);
        let mut writer = node.handle.begin_snapshot(id, 1, 1).expect("committed");
        for text in &texts {
            writer.append(Bytes::from(text.clone())).expect("appended");
        }
        node.handle.finish_snapshot(writer).expect("written");
    }
    let leader = trio.leader();
    trio.node(leader).propose(&["tail"]);

    let expected = trio.node(leader).texts();
    trio.up(outsider);
    eventually("the outsider catches up", || trio.node(outsider).texts() == expected);
    assert_eq!(trio.node(outsider).seen.lock().snapshots, [id.end_offset]);
    assert_eq!(trio.node(outsider).handle.status().log_start, id.end_offset);
}

/// Proposals of a leader that is cut off are never answered with success.
#[test]
fn a_cut_off_leader_commits_nothing() {
    let trio = Trio::start();
    let first = trio.leader();
    trio.node(first).propose(&["a"]);
    trio.everybody_has(&["a"]);
    let (sender, outcome) = std::sync::mpsc::channel();
    // The others do not hear it, and it does not hear them.
    for id in 1..=3 {
        trio.network.cut(id);
    }
    let values = vec![Bytes::from_static(b"lost")];
    trio.node(first).handle.propose(None, values, move |result| {
        let _ = sender.send(result);
    });
    let result = outcome.recv_timeout(std::time::Duration::from_secs(5)).expect("an answer");
    assert!(result.is_err(), "{result:?}");
    assert_eq!(trio.node(first).texts(), ["a"]);
}
