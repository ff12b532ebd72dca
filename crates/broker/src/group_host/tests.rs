//! Shards on a partition whose high watermark the test moves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::{HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest, SyncGroupRequest};

use super::*;
use crate::shard_host::memory::Memory;

/// A host that leads partition 0 in epoch 1, and its timers.
struct Stage {
    host: Arc<GroupHost>,
    log: Arc<Memory>,
}

impl Stage {
    fn new(is_alone: bool) -> Stage {
        Stage::on(Memory::led(1, is_alone), 1)
    }

    fn on(log: Arc<Memory>, epoch: i32) -> Stage {
        let config = Config { initial_rebalance_delay_ms: 0, write_timeout_ms: 300, ..Config::default() };
        let host = Arc::new(GroupHost::new(config));
        tokio::spawn(host.clone().run_timers());
        let loading = host.lead(0, log.clone(), epoch).expect("a new shard is loaded");
        host.load(&loading);
        Stage { host, log }
    }

    fn ask(&self, request: Request) -> Answer {
        self.host.ask(0, Client { id: "c", host: "/127.0.0.1", api_version: 7 }, request)
    }

    fn commit(&self, offset: i64) -> Answer {
        let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topics = vec![OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![partition],
            ..Default::default()
        }];
        self.ask(Request::OffsetCommit(OffsetCommitRequest {
            group_id: "g".into(),
            generation_id_or_member_epoch: -1,
            retention_time_ms: -1,
            topics,
            ..Default::default()
        }))
    }

    fn fetch(&self) -> Answer {
        let topic =
            OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0], ..Default::default() };
        let group =
            OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
        self.ask(Request::OffsetFetch { group, require_stable: false })
    }

    /// What a plain fetch sees; -1 for nothing.
    fn committed(&self) -> i64 {
        match self.fetch() {
            Answer::Now(Response::OffsetFetch(group)) => group.topics[0].partitions[0].committed_offset,
            _ => panic!("a plain fetch is answered at once"),
        }
    }

    fn join(&self, group: &str) -> Answer {
        let request = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: "m".into() }],
            // Static members get their id with the first join.
            group_instance_id: Some(format!("i{}", Uuid::new_v4())),
            ..Default::default()
        };
        self.ask(Request::JoinGroup { request, fresh: Uuid::new_v4() })
    }
}

fn commit_error(response: Option<Response>) -> ErrorCode {
    match response {
        Some(Response::OffsetCommit(body)) => {
            ErrorCode::from_i16(body.topics[0].partitions[0].error_code).unwrap()
        }
        other => panic!("not the answer to a commit: {other:?}"),
    }
}

fn fetch_error(answer: Answer) -> ErrorCode {
    match answer {
        Answer::Now(Response::OffsetFetch(group)) => {
            let partition = group.topics.iter().flat_map(|topic| &topic.partitions).next();
            let code = partition.map_or(0, |partition| partition.error_code);
            ErrorCode::from_i16(if group.error_code == 0 { code } else { group.error_code }).unwrap()
        }
        _ => panic!("a plain fetch is answered at once"),
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), what).await.expect("it comes soon")
}

#[tokio::test(flavor = "current_thread")]
async fn with_one_replica_the_answer_is_there_at_once() {
    let stage = Stage::new(true);
    let Answer::Now(answer) = stage.commit(5) else { panic!("nothing to wait for") };
    assert_eq!(commit_error(Some(answer)), ErrorCode::None);
    assert_eq!(stage.committed(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn an_answer_leaves_when_the_high_watermark_passes_its_records() {
    let stage = Stage::new(false);
    let first = stage.commit(5);
    let first_end = stage.log.end();
    let second = stage.commit(6);
    assert!(matches!((&first, &second), (Answer::Later(_), Answer::Later(_))));
    assert_eq!(stage.committed(), -1);

    stage.log.commit_up_to(first_end);
    assert_eq!(commit_error(soon(first.wait()).await), ErrorCode::None);
    assert_eq!(stage.committed(), 5);

    stage.log.commit_up_to(stage.log.end());
    assert_eq!(commit_error(soon(second.wait()).await), ErrorCode::None);
    assert_eq!(stage.committed(), 6);

    // The next one is followed, too.
    let third = stage.commit(7);
    stage.log.commit_up_to(stage.log.end());
    assert_eq!(commit_error(soon(third.wait()).await), ErrorCode::None);
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_not_committed_in_time_is_an_error_that_clients_retry() {
    let stage = Stage::new(false);
    let answer = stage.commit(5);
    assert_eq!(commit_error(soon(answer.wait()).await), ErrorCode::CoordinatorNotAvailable);
    // It counts all the same once it is committed.
    stage.log.commit_up_to(stage.log.end());
    while stage.committed() != 5 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn whoever_waits_is_told_when_the_partition_goes() {
    let stage = Stage::new(false);
    let (joining, committing) = (stage.join("h"), stage.commit(5));
    stage.host.resign(0);
    assert_eq!(commit_error(soon(committing.wait()).await), ErrorCode::NotCoordinator);
    match soon(joining.wait()).await {
        Some(Response::JoinGroup(body)) => assert_eq!(body.error_code, ErrorCode::NotCoordinator.code()),
        other => panic!("{other:?}"),
    }
    let Answer::Now(after) = stage.commit(6) else { panic!("there is nothing to wait for") };
    assert_eq!(commit_error(Some(after)), ErrorCode::NotCoordinator);
    let heartbeat = HeartbeatRequest { group_id: "h".into(), ..Default::default() };
    match stage.ask(Request::Heartbeat(heartbeat)) {
        Answer::Now(Response::Heartbeat(body)) => {
            assert_eq!(body.error_code, ErrorCode::NotCoordinator.code());
        }
        _ => panic!("a heartbeat is answered at once"),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_high_watermark_of_another_epoch_commits_nothing() {
    let stage = Stage::new(false);
    let answer = stage.commit(5);
    // Somebody else leads, and has written something in the place of this commit.
    stage.log.state.lock().epoch = 2;
    stage.log.commit_up_to(100);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(stage.committed(), -1);
    stage.host.resign(0);
    assert_eq!(commit_error(soon(answer.wait()).await), ErrorCode::NotCoordinator);
}

#[tokio::test(flavor = "current_thread")]
async fn a_new_epoch_alone_changes_nothing_for_the_groups() {
    let stage = Stage::new(false);
    let answer = stage.commit(5);
    stage.log.state.lock().epoch = 2;
    assert!(stage.host.lead(0, stage.log.clone(), 2).is_none(), "it is led here already");
    stage.log.commit_up_to(stage.log.end());
    assert_eq!(commit_error(soon(answer.wait()).await), ErrorCode::None);
    let next = stage.commit(6);
    stage.log.commit_up_to(stage.log.end());
    assert_eq!(commit_error(soon(next.wait()).await), ErrorCode::None, "appends are made in the new epoch");
    // A partition that was made anew is another one.
    assert!(stage.host.lead(0, stage.log.copy(3), 3).is_some());
}

#[tokio::test(flavor = "current_thread")]
async fn a_new_leader_serves_when_what_it_found_is_committed() {
    let before = Stage::new(false);
    drop(before.commit(5));
    let end_of_first = before.log.end();
    before.log.commit_up_to(end_of_first);
    drop(before.commit(6));

    // The leader before may have acknowledged 6 already: neither is it shown yet, nor is 5.
    let after = Stage::on(before.log.copy(2), 2);
    let early = after.fetch();
    assert_eq!(fetch_error(early), ErrorCode::CoordinatorLoadInProgress);
    let Answer::Now(early) = after.commit(7) else { panic!("it is answered at once") };
    assert_eq!(commit_error(Some(early)), ErrorCode::CoordinatorLoadInProgress);
    after.log.commit_up_to(before.log.end());
    soon(async {
        while fetch_error(after.fetch()) != ErrorCode::None {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(after.committed(), 6);
    let next = after.commit(7);
    assert_eq!(after.committed(), 6, "what this leader appends itself is not waited for");
    after.log.commit_up_to(after.log.end());
    assert_eq!(commit_error(soon(next.wait()).await), ErrorCode::None);
    assert_eq!(after.committed(), 7);
}

#[tokio::test(flavor = "current_thread")]
async fn a_watermark_that_moves_while_the_log_is_read_brings_no_older_offset_back() {
    let before = Stage::new(true);
    drop(before.commit(1));
    let first = before.log.end();
    for offset in 2..=40 {
        drop(before.commit(offset));
    }
    let log = before.log.copy(2);
    log.commit_up_to(first);
    log.rises.store(true, Ordering::SeqCst);
    assert_eq!(Stage::on(log, 2).committed(), 40);
}

#[tokio::test(flavor = "current_thread")]
async fn until_the_log_is_read_clients_are_told_to_wait() {
    let stage = Stage::new(true);
    drop(stage.commit(5));
    let log = stage.log.copy(2);
    let host = GroupHost::new(Config::default());
    let loading = host.lead(0, log.clone(), 2).unwrap();
    let stage = Stage { host: Arc::new(host), log };
    let Answer::Now(answer) = stage.commit(6) else { panic!("it is answered at once") };
    assert_eq!(commit_error(Some(answer)), ErrorCode::CoordinatorLoadInProgress);
    let sync = SyncGroupRequest {
        group_id: "g".into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..Default::default()
    };
    match stage.ask(Request::SyncGroup(sync)) {
        Answer::Now(Response::SyncGroup(body)) => {
            assert_eq!(body.error_code, ErrorCode::CoordinatorLoadInProgress.code());
        }
        _ => panic!("it is answered at once"),
    }
    stage.host.load(&loading);
    assert_eq!(stage.committed(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn a_log_that_is_larger_than_one_read_is_loaded_to_its_end() {
    let stage = Stage::new(true);
    for offset in 1..=40 {
        drop(stage.commit(offset));
    }
    let log = stage.log.copy(2);
    assert!(log.state.lock().bytes.len() > 4 * 500, "several reads");
    assert_eq!(Stage::on(log, 2).committed(), 40);
}

#[tokio::test(flavor = "current_thread")]
async fn a_log_that_is_given_up_while_it_is_read_is_not_served() {
    let stage = Stage::new(true);
    drop(stage.commit(5));
    let host = GroupHost::new(Config::default());
    let loading = host.lead(0, stage.log.copy(2), 2).unwrap();
    host.resign(0);
    host.load(&loading);
    let stage = Stage { host: Arc::new(host), log: stage.log.clone() };
    let Answer::Now(answer) = stage.commit(6) else { panic!("it is answered at once") };
    assert_eq!(commit_error(Some(answer)), ErrorCode::NotCoordinator);
}
