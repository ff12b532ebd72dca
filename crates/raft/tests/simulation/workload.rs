//! What happens to a cluster: clients that write, and faults.

use bytes::Bytes;
use ottla_raft::message::{AddVoterRequest, RemoveVoterRequest};
use ottla_raft::{Request, Response};

use crate::cluster::{Cluster, voter};

/// Which kinds of trouble there are.
#[derive(Clone, Copy)]
pub struct Faults {
    voter_changes: bool,
    snapshots: bool,
}

impl Faults {
    pub fn all() -> Self {
        Self { voter_changes: false, snapshots: false }
    }

    pub fn with_voter_changes(self) -> Self {
        Self { voter_changes: true, ..self }
    }

    pub fn with_snapshots(self) -> Self {
        Self { snapshots: true, ..self }
    }
}

/// Trouble for `ms` milliseconds.
pub fn torment(cluster: &mut Cluster, faults: Faults, ms: i64) {
    let end = cluster.now + ms;
    while cluster.now < end {
        let pause = 20 + cluster.draw(150) as i64;
        cluster.run_for(pause);
        write(cluster);
        let index = cluster.draw(cluster.peers.len() as u64) as usize;
        match cluster.draw(14) {
            0 if cluster.is_up(index) => cluster.crash(index),
            0..=2 if !cluster.is_up(index) => cluster.start(index),
            3 => cluster.isolate(index),
            4 => {
                let other = cluster.draw(cluster.peers.len() as u64) as usize;
                cluster.block(index, other);
            }
            5 | 6 => cluster.heal(),
            7 => cluster.drop_percent = cluster.draw(30),
            8 => cluster.resign(index),
            9 if faults.snapshots => cluster.snapshot(index),
            10 | 11 if faults.voter_changes => change_voters(cluster, index),
            _ => {}
        }
    }
}

/// One record at every node that thinks it leads.
fn write(cluster: &mut Cluster) {
    for index in 0..cluster.peers.len() {
        let count = 1 + cluster.draw(3) as usize;
        cluster.with(index, |node, now| {
            let values = vec![Bytes::from_static(b"value"); count];
            let _ = node.propose(now, values);
        });
    }
}

fn change_voters(cluster: &mut Cluster, index: usize) {
    let Some(leader) = cluster.leader() else { return };
    let node = cluster.peers[leader].node.as_ref().expect("leaders are up");
    let who = voter(index);
    let request = if node.voters().contains(&who.key) {
        Request::RemoveVoter(RemoveVoterRequest { cluster_id: None, voter: who.key })
    } else {
        Request::AddVoter(AddVoterRequest {
            cluster_id: None,
            timeout_ms: 1000,
            voter: who.key,
            endpoints: who.endpoints,
            ack_when_committed: true,
        })
    };
    cluster.ask(leader, request);
}

/// 10: with everybody up and a quiet network there is a leader soon, new records commit, and all nodes
/// come to the same end.
pub fn heal_and_expect_progress(cluster: &mut Cluster) {
    cluster.heal();
    for index in 0..cluster.peers.len() {
        if !cluster.is_up(index) {
            cluster.start(index);
        }
    }
    cluster.run_for(20_000);
    let Some(leader) = cluster.leader() else {
        panic!("no leader although everything is fine: {}", cluster.summary());
    };
    let before = cluster.checks.committed_end;
    let proposed = cluster
        .with(leader, |node, now| node.propose(now, vec![Bytes::from_static(b"last")]))
        .expect("leaders are up")
        .expect("leaders append");
    cluster.run_for(3_000);
    assert!(cluster.checks.committed_end > before, "commits do not advance");
    assert!(cluster.checks.committed_end > proposed.last_offset, "the last record is not committed");
    let history = cluster.peers[leader].disk.history(&cluster.arena);
    for index in 0..cluster.peers.len() {
        let theirs = cluster.peers[index].disk.history(&cluster.arena);
        assert!(theirs == history, "node {index} is not where leader {leader} is: {}", cluster.summary());
    }
    describe(cluster, leader);
}

/// The leader's report names every voter and shows nobody ahead of it.
fn describe(cluster: &mut Cluster, leader: usize) {
    let id = ottla_raft::RequestId(u64::MAX);
    let now = cluster.now;
    let node = cluster.peers[leader].node.as_mut().expect("leaders are up");
    node.handle_request(now, id, "CONTROLLER", Request::DescribeQuorum);
    while let Some(effect) = node.poll_effect() {
        if let ottla_raft::Effect::Reply { request, response: Response::DescribeQuorum(report), .. } = effect
        {
            assert_eq!(request, id);
            let voters: Vec<i32> = report.voters.iter().map(|voter| voter.key.id).collect();
            assert_eq!(voters, node.voters().ids().collect::<Vec<_>>());
            assert!(report.voters.iter().all(|voter| voter.end_offset <= node.log().end()));
            return;
        }
    }
    panic!("DescribeQuorum was not answered");
}
