//! What is written here is what the handlers of the same requests read, and the other way round, in every version.

use bytes::Bytes;
use ottla_protocol::messages::{FetchRequest, FetchSnapshotRequest};
use ottla_protocol::wire::Message;
use ottla_raft::{Endpoints, EpochEnd, SnapshotId};

use super::*;
use crate::handle::raft_rpc::wire as handlers;

fn key(id: i32) -> ReplicaKey {
    ReplicaKey::new(id, Uuid::from_u128(id as u128 + 100))
}

fn without_directory(id: i32) -> ReplicaKey {
    ReplicaKey { id, directory: None }
}

fn cluster() -> Option<String> {
    Some("cluster".to_owned())
}

fn leader_at(told: bool) -> Leader {
    Leader { id: Some(2), epoch: 5, at: told.then(|| HostPort::new("two", 9093)) }
}

/// The bytes of this version, read again.
fn through<M: Message>(message: &M, version: i16) -> M {
    let bytes = message.to_vec(version).unwrap_or_else(|error| panic!("{} {version}: {error}", M::NAME));
    M::decode_sharing(&Bytes::from(bytes), version).unwrap()
}

#[test]
fn votes_go_round() {
    for version in VoteRequest::MIN_VERSION..=VoteRequest::MAX_VERSION {
        let known = |id| if version >= 1 { key(id) } else { without_directory(id) };
        let sent = message::VoteRequest {
            cluster_id: cluster(),
            voter: (version >= 1).then(|| key(2)),
            candidate: known(3),
            epoch: 7,
            last_epoch: 6,
            end_offset: 99,
            pre_vote: version >= PRE_VOTE_FROM,
        };
        let request = through(&vote(&sent, version).unwrap(), version);
        assert_eq!(handlers::vote(request).unwrap(), sent, "version {version}");
        let answer = Response::Vote(message::VoteResponse {
            error: Fault::None,
            leader: leader_at(version >= 1),
            granted: true,
        });
        let told = through(&handlers::voted(Some(answer.clone()), version), version);
        assert_eq!(voted(told), Some(answer), "version {version}");
    }
    let pre_vote = message::VoteRequest {
        cluster_id: None,
        voter: None,
        candidate: key(3),
        epoch: 7,
        last_epoch: 6,
        end_offset: 99,
        pre_vote: true,
    };
    assert!(vote(&pre_vote, PRE_VOTE_FROM - 1).is_none(), "it would be taken for a vote");
}

#[test]
fn epochs_begin_and_end_on_both_sides() {
    let endpoints = |told: bool| match told {
        true => Endpoints::single("CONTROLLER", HostPort::new("two", 9093)),
        false => Endpoints::empty(),
    };
    for version in 0..=1 {
        let whole = version >= 1;
        let sent = message::BeginEpochRequest {
            cluster_id: cluster(),
            voter: whole.then(|| key(1)),
            leader_id: 2,
            epoch: 5,
            endpoints: endpoints(whole),
        };
        let request = through(&begin_epoch(&sent, version), version);
        assert_eq!(handlers::begin_epoch(request).unwrap(), sent);
        let sent = message::EndEpochRequest {
            cluster_id: cluster(),
            leader_id: 2,
            epoch: 5,
            successors: if whole { vec![key(3), key(1)] } else { vec![without_directory(3)] },
            endpoints: endpoints(whole),
        };
        let request = through(&end_epoch(&sent, version), version);
        assert_eq!(handlers::end_epoch(request, version).unwrap(), sent);
        let epoch = message::EpochResponse { error: Fault::FencedLeaderEpoch, leader: leader_at(whole) };
        let begun = Response::BeginQuorumEpoch(epoch.clone());
        assert_eq!(began(through(&handlers::began(Some(begun.clone()), version), version)), Some(begun));
        let over = Response::EndQuorumEpoch(epoch);
        assert_eq!(ended(through(&handlers::ended(Some(over.clone()), version), version)), Some(over));
    }
}

#[test]
fn fetches_go_round() {
    for version in 13..=FetchRequest::MAX_VERSION {
        let sent = message::FetchRequest {
            cluster_id: cluster(),
            replica: if version >= 17 { key(3) } else { without_directory(3) },
            epoch: 5,
            offset: 42,
            last_epoch: 4,
            high_watermark: if version >= 18 { 40 } else { i64::MAX },
            max_wait_ms: 500,
            max_bytes: 1 << 20,
        };
        let request = through(&fetch(&sent, version), version);
        assert_eq!(handlers::fetch(request, version).unwrap(), sent, "version {version}");
        let plain = message::FetchResponse {
            error: Fault::None,
            leader: leader_at(version >= 17),
            high_watermark: 40,
            log_start: 3,
            diverging: None,
            snapshot: None,
            records: Bytes::from(vec![7; 2000]),
            batches: Vec::new(),
        };
        let diverging = Some(EpochEnd { epoch: 4, end_offset: 8 });
        let snapshot = Some(SnapshotId { end_offset: 3, epoch: 1 });
        for answer in [
            message::FetchResponse { diverging, records: Bytes::new(), ..plain.clone() },
            message::FetchResponse { snapshot, records: Bytes::new(), ..plain.clone() },
            plain,
        ] {
            let answer = Response::Fetch(answer);
            let told = through(&handlers::fetched(Some(answer.clone()), version), version);
            assert_eq!(fetched(told), Some(answer), "version {version}");
        }
    }
}

#[test]
fn snapshots_go_round() {
    for version in 0..=FetchSnapshotRequest::MAX_VERSION {
        let sent = message::FetchSnapshotRequest {
            cluster_id: cluster(),
            replica: if version >= 1 { key(3) } else { without_directory(3) },
            epoch: 5,
            snapshot: SnapshotId { end_offset: 3, epoch: 1 },
            position: 1000,
            max_bytes: 1 << 20,
        };
        let request = through(&fetch_snapshot(&sent, version), version);
        assert_eq!(handlers::fetch_snapshot(request).unwrap(), sent);
        let answer = Response::FetchSnapshot(message::FetchSnapshotResponse {
            error: Fault::None,
            leader: leader_at(version >= 1),
            snapshot: Some(SnapshotId { end_offset: 3, epoch: 1 }),
            size: 10_000,
            position: 1000,
            bytes: Bytes::from(vec![9; 700]),
        });
        let told = through(&handlers::fetched_snapshot(Some(answer.clone()), version), version);
        assert_eq!(fetched_snapshot(told), Some(answer));
    }
}

#[test]
fn top_level_errors_are_refusals_and_empty_answers_none() {
    let refused = VoteResponse { error_code: Fault::InconsistentClusterId.code(), ..Default::default() };
    assert_eq!(voted(refused), Some(Response::Refused(Fault::InconsistentClusterId)));
    assert_eq!(voted(VoteResponse::default()), None);
    assert_eq!(fetched(Default::default()), None);
    assert_eq!(fetched_snapshot(Default::default()), None);
}
