//! Several brokers: fencing, the ISR and the ELR, elections, controlled shutdown, directories, reassignment.

mod support;

use ottla_metadata::decide::{Bootstrap, BrokerState, RegistrationContext};
use ottla_metadata::image::{LeaderRecovery, NO_LEADER};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState as Member, PartitionData, TopicData,
};
use ottla_protocol::messages::alter_partition_response::PartitionData as Altered;
use ottla_protocol::messages::assign_replicas_to_dirs_request as dirs;
use ottla_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use ottla_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use ottla_protocol::metadata_records::MetadataRecord;
use support::{Cluster, directory, incarnation};
use uuid::Uuid;

/// The leader of partition 0 asks for an ISR.
fn alter_as(
    cluster: &mut Cluster,
    leader: i32,
    topic: &str,
    isr: &[i32],
    edit: impl Fn(&mut PartitionData),
) -> Altered {
    let image = cluster.image();
    let epoch = |id: i32| image.broker(id).map_or(-1, |broker| broker.epoch);
    let topic_id = image.topics.id_of(topic).unwrap();
    let partition = cluster.partition(topic, 0);
    let mut wished = PartitionData {
        partition_index: 0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        new_isr_with_epochs: isr
            .iter()
            .map(|&id| Member { broker_id: id, broker_epoch: epoch(id) })
            .collect(),
        leader_recovery_state: 0,
        new_isr: Vec::new(),
    };
    edit(&mut wished);
    let request = AlterPartitionRequest {
        broker_id: leader,
        broker_epoch: epoch(leader),
        topics: vec![TopicData { topic_id, partitions: vec![wished] }],
    };
    let decision = cluster.controller.view().alter_partition(&request, 3);
    let mut response = cluster.run(decision);
    assert_eq!(response.error_code, 0);
    response.topics.remove(0).partitions.remove(0)
}

fn alter(cluster: &mut Cluster, topic: &str, isr: &[i32]) -> Altered {
    let leader = cluster.partition(topic, 0).leader;
    alter_as(cluster, leader, topic, isr, |_| {})
}

fn reassign(
    cluster: &mut Cluster,
    topic: &str,
    replicas: Option<&[i32]>,
    allow_change: bool,
) -> (i16, String) {
    let partition = ReassignablePartition { partition_index: 0, replicas: replicas.map(<[i32]>::to_vec) };
    let request = AlterPartitionReassignmentsRequest {
        allow_replication_factor_change: allow_change,
        topics: vec![ReassignableTopic { name: topic.into(), partitions: vec![partition] }],
        ..Default::default()
    };
    let decision = cluster.controller.view().alter_partition_reassignments(&request);
    let result = cluster.run(decision).responses.remove(0).partitions.remove(0);
    (result.error_code, result.error_message.unwrap_or_default())
}

fn shut_down(cluster: &mut Cluster, id: i32) -> bool {
    let mut request = cluster.heartbeat_request(id);
    request.want_shut_down = true;
    cluster.heartbeat(&request).should_shut_down
}

#[test]
fn a_fenced_leader_hands_over_and_comes_back_as_a_follower() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3]);
    cluster.create_on("t", &[&[1, 2, 3]], &[("min.insync.replicas", "2")]);
    assert_eq!(cluster.state("t"), (Some(1), vec![1, 2, 3], vec![]));
    cluster.expire_except(&[2, 3]);
    assert!(cluster.image().broker(1).unwrap().fenced);
    assert_eq!(
        cluster.state("t"),
        (Some(2), vec![2, 3], vec![]),
        "two are still enough: nobody is in the ELR"
    );
    assert_eq!(cluster.partition("t", 0).leader_epoch, 1);
    assert!(cluster.alive(1));
    assert_eq!(cluster.state("t").0, Some(2), "the leader stays");
    assert_eq!(alter(&mut cluster, "t", &[2, 3, 1]).isr, [2, 3, 1]);
    let decision = cluster.controller.view().balance_leaders();
    assert!(!cluster.run(decision));
    assert_eq!(cluster.state("t").0, Some(1), "balancing gives it back to the preferred leader");
    cluster.check();
}

#[test]
fn below_the_minimum_members_stay_eligible_and_are_elected_cleanly() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3]);
    cluster.create_on("t", &[&[1, 2, 3]], &[("min.insync.replicas", "2")]);
    cluster.expire_except(&[3]);
    assert_eq!(
        cluster.state("t"),
        (Some(3), vec![3], vec![2]),
        "1 left while two remained, 2 below the minimum"
    );
    cluster.expire_except(&[]);
    assert_eq!(cluster.state("t"), (None, vec![], vec![2, 3]));
    assert_eq!(cluster.partition("t", 0).last_known_elr(), [3]);
    assert!(cluster.alive(1));
    assert_eq!(cluster.state("t").0, None, "1 may miss records");
    assert!(cluster.alive(2));
    assert_eq!(cluster.state("t"), (Some(2), vec![2], vec![3]));
    let partition = cluster.partition("t", 0);
    assert_eq!(partition.recovery, LeaderRecovery::Recovered, "an election from the ELR is clean");
    assert!(partition.last_known_elr().is_empty());
    assert!(cluster.alive(3));
    assert_eq!(alter(&mut cluster, "t", &[2, 3]).error_code, 0);
    assert_eq!(cluster.state("t"), (Some(2), vec![2, 3], vec![]));
    cluster.check();
}

#[test]
fn a_broker_that_stopped_without_care_loses_its_claim() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2]);
    cluster.create_on("t", &[&[1, 2]], &[("min.insync.replicas", "2")]);
    cluster.create_on("u", &[&[1, 2]], &[("min.insync.replicas", "2")]);
    cluster.expire_except(&[2]);
    assert_eq!(cluster.state("t"), (Some(2), vec![2], vec![1]));
    let stopped_in = cluster.image().broker(1).unwrap().epoch;
    let mut next_life = cluster.registration(1);
    next_life.incarnation_id = incarnation(1, 2);
    next_life.previous_broker_epoch = stopped_in;
    assert_eq!(cluster.register(&next_life).error_code, 0);
    assert_eq!(cluster.state("t"), (Some(2), vec![2], vec![1]), "stopped cleanly: still eligible");
    assert!(cluster.alive(1));
    cluster.expire_except(&[2]);
    next_life.incarnation_id = incarnation(1, 3);
    next_life.previous_broker_epoch = -1;
    assert_eq!(cluster.register(&next_life).error_code, 0);
    assert_eq!(cluster.state("t"), (Some(2), vec![2], vec![]), "may have lost records: not eligible");
    assert!(cluster.alive(1));
    cluster.expire_except(&[1]);
    assert_eq!(cluster.state("t"), (None, vec![], vec![2]));
    cluster.check();
}

#[test]
fn the_last_known_leader_is_taken_back_when_nobody_is_eligible() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2]);
    cluster.create_on("t", &[&[1]], &[]);
    cluster.expire_except(&[2]);
    assert_eq!(cluster.state("t"), (None, vec![], vec![1]));
    let mut next_life = cluster.registration(1);
    next_life.incarnation_id = incarnation(1, 2);
    assert_eq!(cluster.register(&next_life).error_code, 0);
    assert_eq!(cluster.state("t"), (None, vec![], vec![]));
    assert_eq!(cluster.partition("t", 0).last_known_elr(), [1]);
    assert!(cluster.alive(1));
    assert_eq!(cluster.state("t").0, Some(1));
    let partition = cluster.partition("t", 0);
    assert_eq!(
        partition.recovery,
        LeaderRecovery::Recovering,
        "records may be missing, and everybody may know"
    );
    assert!(partition.last_known_elr().is_empty());
    assert_eq!(alter(&mut cluster, "t", &[1]).leader_recovery_state, 0);
    assert_eq!(cluster.partition("t", 0).recovery, LeaderRecovery::Recovered);
    cluster.check();
}

#[test]
fn without_elr_the_last_member_stays_in_the_isr() {
    let mut cluster = Cluster::at(25);
    cluster.start(&[1, 2]);
    cluster.create_on("t", &[&[1, 2]], &[("min.insync.replicas", "2")]);
    cluster.expire_except(&[2]);
    assert_eq!(cluster.state("t"), (Some(2), vec![2], vec![]));
    cluster.expire_except(&[]);
    assert_eq!(cluster.state("t"), (None, vec![2], vec![]));
    assert!(cluster.alive(1));
    assert_eq!(cluster.state("t").0, None);
    assert!(cluster.alive(2));
    assert_eq!(cluster.state("t"), (Some(2), vec![2], vec![]));
    cluster.check();
}

#[test]
fn unclean_elections_happen_only_where_allowed() {
    let mut cluster = Cluster::at(25);
    cluster.start(&[1, 2, 3]);
    cluster.create_on("safe", &[&[1, 2]], &[]);
    cluster.create_on("loose", &[&[1, 2]], &[("unclean.leader.election.enable", "true")]);
    for name in ["safe", "loose"] {
        assert_eq!(alter(&mut cluster, name, &[1]).error_code, 0, "2 falls behind");
    }
    cluster.expire_except(&[2, 3]);
    assert_eq!(cluster.state("safe"), (None, vec![1], vec![]));
    assert_eq!(cluster.state("loose"), (Some(2), vec![2], vec![]));
    assert_eq!(cluster.partition("loose", 0).recovery, LeaderRecovery::Recovering);
    let elect = |cluster: &mut Cluster, election_type, topic: &str| {
        let topics = vec![TopicPartitions { topic: topic.into(), partitions: vec![0] }];
        let request =
            ElectLeadersRequest { election_type, topic_partitions: Some(topics), ..Default::default() };
        let decision = cluster.controller.view().elect_leaders(&request);
        cluster.run(decision).replica_election_results[0].partition_result[0].error_code
    };
    assert_eq!(elect(&mut cluster, 0, "safe"), ErrorCode::PreferredLeaderNotAvailable.code());
    assert_eq!(elect(&mut cluster, 1, "loose"), ErrorCode::ElectionNotNeeded.code());
    assert_eq!(elect(&mut cluster, 1, "missing"), ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(elect(&mut cluster, 1, "safe"), 0, "an operator may insist");
    assert_eq!(cluster.state("safe"), (Some(2), vec![2], vec![]));
    cluster.expire_except(&[3]);
    let decision = cluster.controller.view().elect_unclean_leaders();
    assert!(decision.records.is_empty(), "nobody is left to elect");
    cluster.check();
    // All partitions at once: only those that need an election are reported.
    assert!(cluster.alive(1));
    let request = ElectLeadersRequest { election_type: 1, topic_partitions: None, ..Default::default() };
    let decision = cluster.controller.view().elect_leaders(&request);
    let response = cluster.run(decision);
    let names: Vec<_> = response.replica_election_results.iter().map(|r| r.topic.as_str()).collect();
    assert_eq!(names, ["loose", "safe"]);
    assert_eq!(cluster.state("safe").0, Some(1));
    cluster.check();
}

#[test]
fn a_controlled_shutdown_moves_leaders_and_waits_for_the_others() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3]);
    cluster.create_on("t", &[&[1, 2, 3]], &[]);
    assert!(!shut_down(&mut cluster, 1));
    assert_eq!(cluster.state("t"), (Some(2), vec![2, 3], vec![]));
    assert!(cluster.image().broker(1).unwrap().in_controlled_shutdown);
    let last = cluster.next_offset() - 1;
    assert_eq!(cluster.controller.sessions().unwrap().shutdown_offset(1), Some(last));
    let mut behind = cluster.heartbeat_request(2);
    behind.current_metadata_offset = last - 1;
    cluster.heartbeat(&behind);
    assert!(cluster.alive(3));
    assert!(!shut_down(&mut cluster, 1), "2 has not read that it leads");
    assert!(cluster.alive(2));
    assert!(shut_down(&mut cluster, 1));
    assert!(cluster.image().broker(1).unwrap().fenced);
    assert_eq!(cluster.controller.sessions().unwrap().state(1), Some(BrokerState::Fenced));
    assert!(shut_down(&mut cluster, 3), "3 leads nothing and may go at once");
    cluster.check();
}

#[test]
fn a_leaving_broker_gets_no_new_replicas() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3]);
    cluster.create_on("t", &[&[1, 2]], &[]);
    assert!(!shut_down(&mut cluster, 1));
    let results = cluster.create(vec![support::topic("u", 6, 2)]);
    assert_eq!(results[0].error_code, 0);
    let topic = cluster.image().topics.by_name("u").unwrap();
    assert!(topic.partitions.values().all(|p| !p.replicas.contains(&1)));
    let results = cluster.create(vec![support::topic("v", 1, 3)]);
    assert_eq!(results[0].error_code, ErrorCode::InvalidReplicationFactor.code());
}

#[test]
fn a_leaders_wish_is_checked_in_kafkas_order() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3, 4]);
    cluster.create_on("t", &[&[1, 2, 3]], &[]);
    let mut refused = |leader, isr: &[i32], edit: &dyn Fn(&mut PartitionData)| {
        let code = alter_as(&mut cluster, leader, "t", isr, edit).error_code;
        ErrorCode::from_i16(code).unwrap()
    };
    let none: &dyn Fn(&mut PartitionData) = &|_| {};
    assert_eq!(refused(1, &[1], &|p| p.partition_index = 9), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(refused(1, &[1], &|p| p.leader_epoch += 1), ErrorCode::NotController);
    assert_eq!(refused(1, &[1], &|p| p.partition_epoch += 1), ErrorCode::NotController);
    assert_eq!(refused(1, &[1], &|p| p.leader_epoch -= 1), ErrorCode::FencedLeaderEpoch);
    assert_eq!(refused(2, &[1], none), ErrorCode::InvalidRequest);
    assert_eq!(refused(1, &[1], &|p| p.partition_epoch -= 1), ErrorCode::InvalidUpdateVersion);
    assert_eq!(refused(1, &[1, 4], none), ErrorCode::InvalidRequest, "4 is no replica");
    assert_eq!(refused(1, &[1, 1], none), ErrorCode::InvalidRequest);
    assert_eq!(refused(1, &[2, 3], none), ErrorCode::InvalidRequest, "without the leader");
    assert_eq!(refused(1, &[1], &|p| p.leader_recovery_state = 1), ErrorCode::InvalidRequest);
    assert_eq!(refused(1, &[1], &|p| p.leader_recovery_state = 7), ErrorCode::InvalidRequest);
    let wrong_epoch: &dyn Fn(&mut PartitionData) = &|p| p.new_isr_with_epochs[1].broker_epoch += 1;
    assert_eq!(refused(1, &[1, 2], wrong_epoch), ErrorCode::IneligibleReplica);
    let unchecked_epoch: &dyn Fn(&mut PartitionData) = &|p| p.new_isr_with_epochs[1].broker_epoch = -1;
    assert_eq!(refused(1, &[1, 2], unchecked_epoch), ErrorCode::None);
    cluster.expire_except(&[1, 2, 4]);
    let code = alter(&mut cluster, "t", &[1, 2, 3]).error_code;
    assert_eq!(code, ErrorCode::IneligibleReplica.code(), "3 is fenced");
    let epoch = cluster.partition("t", 0).partition_epoch;
    assert_eq!(alter(&mut cluster, "t", &[1, 2]).error_code, 0);
    assert_eq!(cluster.partition("t", 0).partition_epoch, epoch, "nothing changes, nothing is written");
    cluster.check();
}

#[test]
fn a_reassignment_ends_when_the_new_replicas_are_in_sync() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3, 4]);
    cluster.create_on("t", &[&[1, 2]], &[]);
    assert_eq!(reassign(&mut cluster, "t", Some(&[3, 4]), true).0, 0);
    let partition = cluster.partition("t", 0);
    assert_eq!(partition.replicas[..], [3, 4, 1, 2]);
    assert_eq!((partition.adding(), partition.removing()), (&[3, 4][..], &[1, 2][..]));
    assert_eq!(partition.directory(3), Some(directory(3, 1)));
    assert_eq!(partition.leader, 1);
    let request = ListPartitionReassignmentsRequest { topics: None, ..Default::default() };
    let listed = cluster.controller.view().list_partition_reassignments(&request);
    assert_eq!(listed.topics[0].partitions[0].adding_replicas, [3, 4]);
    assert_eq!(alter(&mut cluster, "t", &[1, 2, 3]).error_code, 0);
    assert!(cluster.partition("t", 0).is_reassigning());
    let code = alter(&mut cluster, "t", &[1, 2, 3, 4]).error_code;
    assert_eq!(code, ErrorCode::NewLeaderElected.code(), "it ended and took the leader away");
    let partition = cluster.partition("t", 0);
    assert_eq!((&partition.replicas[..], &partition.isr[..]), (&[3, 4][..], &[3, 4][..]));
    assert_eq!((partition.leader, partition.is_reassigning()), (3, false));
    assert_eq!(partition.directories.len(), 2);
    assert!(cluster.controller.view().list_partition_reassignments(&request).topics.is_empty());
    cluster.check();
}

#[test]
fn a_reassignment_can_be_cancelled_or_redirected() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3, 4]);
    cluster.create_on("t", &[&[1, 2]], &[]);
    let (code, text) = reassign(&mut cluster, "t", None, true);
    assert_eq!(code, ErrorCode::NoReassignmentInProgress.code());
    assert_eq!(text, "No partition reassignment is in progress.");
    let (code, text) = reassign(&mut cluster, "t", Some(&[1, 2, 3]), false);
    assert_eq!(code, ErrorCode::InvalidReplicationFactor.code());
    assert_eq!(text, "The replication factor is changed from 2 to 3");
    assert_eq!(reassign(&mut cluster, "t", Some(&[1, 3]), false).0, 0);
    assert_eq!(reassign(&mut cluster, "t", Some(&[1, 4]), false).0, 0);
    let partition = cluster.partition("t", 0);
    assert_eq!((partition.adding(), partition.removing()), (&[4][..], &[2, 3][..]));
    assert_eq!(reassign(&mut cluster, "t", None, true).0, 0);
    let partition = cluster.partition("t", 0);
    assert_eq!((&partition.replicas[..], partition.is_reassigning()), (&[1, 2, 3][..], false));
    assert_eq!(reassign(&mut cluster, "t", Some(&[2, 1]), true).0, 0);
    let partition = cluster.partition("t", 0);
    assert_eq!(
        (&partition.replicas[..], partition.leader),
        (&[2, 1][..], 1),
        "a new order takes effect at once"
    );
    assert_eq!(reassign(&mut cluster, "missing", None, true).0, ErrorCode::UnknownTopicOrPartition.code());
    cluster.check();
}

#[test]
fn a_failed_directory_takes_only_its_own_partitions_down() {
    let mut cluster = Cluster::latest();
    for id in [1, 2] {
        let mut request = cluster.registration(id);
        request.log_dirs.push(directory(id, 2));
        assert_eq!(cluster.register(&request).error_code, 0);
        assert!(cluster.alive(id));
    }
    cluster.create_on("a", &[&[1, 2]], &[]);
    cluster.create_on("b", &[&[1, 2]], &[]);
    let unassigned = ottla_metadata::image::directory::UNASSIGNED;
    assert_eq!(
        cluster.partition("a", 0).directory(1),
        Some(unassigned),
        "two directories: the broker chooses"
    );
    let assign = |cluster: &mut Cluster, topic: &str, id: u32| {
        let topic_id = cluster.image().topics.id_of(topic).unwrap();
        let partitions = vec![dirs::PartitionData { partition_index: 0 }];
        let request = dirs::AssignReplicasToDirsRequest {
            broker_id: 1,
            broker_epoch: cluster.image().broker(1).unwrap().epoch,
            directories: vec![dirs::DirectoryData {
                id: directory(1, id),
                topics: vec![dirs::TopicData { topic_id, partitions }],
            }],
        };
        let decision = cluster.controller.view().assign_replicas_to_dirs(&request);
        let response = cluster.run(decision);
        (response.error_code, response.directories[0].topics[0].partitions[0].error_code)
    };
    assert_eq!(assign(&mut cluster, "a", 1), (0, 0));
    assert_eq!(assign(&mut cluster, "b", 2), (0, 0));
    assert_eq!(cluster.partition("a", 0).leader_epoch, 0, "moving in bumps no leader epoch");
    let mut heartbeat = cluster.heartbeat_request(1);
    heartbeat.offline_log_dirs = vec![directory(1, 1)];
    cluster.heartbeat(&heartbeat);
    assert_eq!(cluster.state("a"), (Some(2), vec![2], vec![]));
    assert_eq!(cluster.state("b"), (Some(1), vec![1, 2], vec![]));
    assert_eq!(cluster.image().broker(1).unwrap().directories, [directory(1, 2)]);
    assert_eq!(cluster.image().describe(cluster.partition("a", 0), "PLAINTEXT").offline_replicas, [1]);
    let before = cluster.log.len();
    cluster.heartbeat(&heartbeat);
    assert_eq!(cluster.log.len(), before, "reported again, written once");
    // A replica found in a directory that is offline leaves at once.
    assert_eq!(assign(&mut cluster, "b", 1), (0, 0));
    assert_eq!(cluster.state("b"), (Some(2), vec![2], vec![]));
    cluster.check();
}

#[test]
fn cordoned_directories_keep_new_replicas_away() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2]);
    let mut heartbeat = cluster.heartbeat_request(1);
    heartbeat.cordoned_log_dirs = Some(vec![directory(1, 1)]);
    cluster.heartbeat(&heartbeat);
    let MetadataRecord::BrokerRegistrationChangeRecord(record) = cluster.log.last().unwrap() else {
        panic!("{:?}", cluster.log.last());
    };
    assert_eq!(record.cordoned_log_dirs, Some(vec![directory(1, 1)]));
    assert_eq!(cluster.create(vec![support::topic("t", 4, 1)])[0].error_code, 0);
    let topic = cluster.image().topics.by_name("t").unwrap();
    assert!(topic.partitions.values().all(|p| p.replicas[..] == [2]));
    cluster.check();
}

#[test]
fn a_new_minimum_clears_every_claim_made_under_the_old_one() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3]);
    cluster.create_on("t", &[&[1, 2, 3]], &[("min.insync.replicas", "3")]);
    cluster.expire_except(&[1]);
    assert_eq!(cluster.state("t"), (Some(1), vec![1], vec![2, 3]));
    let image = cluster.image().clone();
    let resource = ottla_protocol::messages::incremental_alter_configs_request::AlterConfigsResource {
        resource_type: 4,
        resource_name: String::new(),
        configs: vec![ottla_protocol::messages::incremental_alter_configs_request::AlterableConfig {
            name: "min.insync.replicas".into(),
            config_operation: 0,
            value: Some("2".into()),
        }],
    };
    let request =
        ottla_protocol::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        };
    let decision = cluster.controller.view().incremental_alter_configs(&request, false);
    cluster.run(decision);
    assert_eq!(cluster.state("t"), (Some(1), vec![1], vec![]));
    assert_eq!(image.partition("t", 0).unwrap().elr(), [2, 3], "an image that is held does not change");
    cluster.check();
}

#[test]
fn a_partition_another_controller_left_broken_is_put_right() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3]);
    let topic_id = cluster.create_on("t", &[&[1, 2]], &[("min.insync.replicas", "2")]);
    // An ISR member that is no replica, and an ELR that overlaps: seen in logs of clusters that were reassigned.
    let broken =
        MetadataRecord::PartitionChangeRecord(ottla_protocol::metadata_records::PartitionChangeRecord {
            partition_id: 0,
            topic_id,
            isr: Some(vec![1, 3]),
            eligible_leader_replicas: Some(vec![1]),
            ..Default::default()
        });
    cluster.append(ottla_metadata::Decision::of(vec![(broken, 2)], ()));
    cluster.commit();
    cluster.expire_except(&[1, 2]);
    cluster.expire_except(&[2]);
    assert_eq!(cluster.state("t"), (None, vec![], vec![1]));
    assert!(cluster.alive(1));
    assert_eq!(cluster.state("t"), (Some(1), vec![1], vec![]));
    cluster.check();
}

#[test]
fn a_new_controller_gives_every_broker_a_full_session() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2]);
    cluster.create_on("t", &[&[1, 2]], &[]);
    cluster.controller.deactivate();
    cluster.now_ms += 60_000;
    let bootstrap = ottla_metadata::decide::Bootstrap::missing();
    let decision = cluster.controller.activate(&bootstrap, cluster.now_ms);
    assert!(decision.records.is_empty());
    let decision = cluster.controller.fence_stale_broker(cluster.now_ms + 9_000);
    assert!(!cluster.run(decision));
    assert_eq!(cluster.controller.sessions().unwrap().next_expiry_ms(), Some(cluster.now_ms + 9_001));
    assert!(cluster.alive(2));
    cluster.expire_except(&[2]);
    assert_eq!(cluster.partition("t", 0).leader, 2);
    assert_ne!(cluster.partition("t", 0).leader, NO_LEADER);
    cluster.check();
}

/// What becomes of the next life of broker 2, which asks from afar.
fn registers_again(cluster: &mut Cluster, life: u32, dir: Uuid) -> i16 {
    let mut next_life = cluster.registration(2);
    next_life.incarnation_id = incarnation(2, life);
    next_life.log_dirs = vec![dir];
    let context = RegistrationContext { own_process: false, ..cluster.context(4) };
    let decision = cluster.controller.register_broker(&next_life, context);
    let granted = decision.reply.error_code == 0;
    let response = cluster.run(decision);
    if granted {
        cluster.lives.insert(2, next_life.incarnation_id);
    }
    response.error_code
}

#[test]
fn whoever_holds_the_directories_of_a_doubted_life_need_not_wait_for_its_session() {
    let duplicate = ErrorCode::DuplicateBrokerRegistration.code();
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2, 3]);
    cluster.create_on("t", &[&[2, 1]], &[]);
    // A broker that was heard of lives, whoever has its directory.
    assert_eq!(registers_again(&mut cluster, 2, directory(2, 1)), duplicate);
    // A new controller knows no more than that it lived once.
    cluster.controller.deactivate();
    let decision = cluster.controller.activate(&Bootstrap::missing(), cluster.now_ms);
    cluster.run(decision);
    // Another node that was given the same id has other directories.
    assert_eq!(registers_again(&mut cluster, 2, directory(2, 9)), duplicate);
    cluster.controller.settings_mut().early_fencing = false;
    assert_eq!(registers_again(&mut cluster, 2, directory(2, 1)), duplicate, "as in Kafka");
    cluster.controller.settings_mut().early_fencing = true;
    assert_eq!(registers_again(&mut cluster, 2, directory(2, 1)), 0);
    assert_eq!(cluster.partition("t", 0).leader, 1, "the former life leads no more");
    assert!(cluster.alive(2));
    assert_eq!(registers_again(&mut cluster, 3, directory(2, 1)), duplicate);
    // Its connection broke: only a heartbeat shows that it lives.
    let epoch = cluster.image().broker(2).unwrap().epoch;
    cluster.controller.doubt(2, epoch - 1);
    assert_eq!(registers_again(&mut cluster, 3, directory(2, 1)), duplicate, "that was a former life");
    cluster.controller.doubt(2, epoch);
    assert!(cluster.alive(2));
    assert_eq!(registers_again(&mut cluster, 3, directory(2, 1)), duplicate);
    cluster.controller.doubt(2, epoch);
    assert_eq!(registers_again(&mut cluster, 3, directory(2, 1)), 0);
    cluster.check();
}

#[test]
fn invented_heartbeats_are_not_remembered() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    cluster.now_ms += 5;
    let before = cluster.controller.sessions().unwrap().clone();
    for epoch in 1_000..2_000 {
        cluster.controller.contact(1, epoch, cluster.now_ms);
        cluster.controller.contact(7, epoch, cluster.now_ms);
    }
    assert_eq!(cluster.controller.sessions(), Some(&before));
}
