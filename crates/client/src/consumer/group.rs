//! Membership in a classic group: join, sync, heartbeats, leave (`ConsumerCoordinator`, `AbstractCoordinator`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
};
use ottla_protocol::wire::Request;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::ConsumerError;
use super::assignor::{self, Member, Strategy, Subscription};
use super::settings::GroupSettings;
use super::tasks::Event;
use crate::{CallError, Cluster, ClusterError, CoordinatorKind, TopicPartition, exception};

const CONSUMER: &str = "consumer";
/// LeaveGroup tells several members, and their reasons, from this version on.
const LEAVE_SEVERAL_FROM: i16 = 3;

/// Who this member is, and in which generation of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) member: String,
    pub(super) generation: i32,
}

impl Identity {
    pub(super) const fn nobody() -> Identity {
        Identity { member: String::new(), generation: -1 }
    }
}

/// What came of joining.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) identity: Identity,
    pub(super) assignment: Vec<TopicPartition>,
    /// For the leader: the topics that the group reads, with the partitions that were shared out.
    pub(super) shared_out: Option<BTreeMap<Arc<str>, i32>>,
    /// Whether the group had forgotten this member on the way: what it had belongs to others.
    pub(super) forgotten: bool,
}

/// Why an attempt did not end in a generation.
enum Setback {
    /// Another attempt, after a pause or at once.
    Again {
        pause: bool,
    },
    /// The coordinator is another one.
    Moved,
    /// The group does not know this member any more.
    Forgotten,
    Fatal(ConsumerError),
}

/// Joins until there is a generation with an assignment.
pub(super) async fn join(
    cluster: Cluster,
    settings: GroupSettings,
    mut identity: Identity,
    mut subscription: Subscription,
) -> Result<Joined, ConsumerError> {
    let mut forgotten = false;
    for failures in 1.. {
        match attempt(&cluster, &settings, &mut identity, &subscription).await {
            Ok((assignment, shared_out)) => {
                return Ok(Joined { identity, assignment, shared_out, forgotten });
            }
            Err(Setback::Again { pause: false }) => continue,
            Err(Setback::Again { pause: true }) => {}
            Err(Setback::Moved) => cluster.forget_coordinator(CoordinatorKind::Group, &settings.id),
            Err(Setback::Forgotten) => {
                identity = Identity::nobody();
                (subscription.owned, subscription.generation) = (Vec::new(), -1);
                forgotten = true;
            }
            Err(Setback::Fatal(error)) => return Err(error),
        }
        sleep(cluster.pause(failures)).await;
    }
    unreachable!("CLIENT-14 attempts do not run out")
}

type Given = (Vec<TopicPartition>, Option<BTreeMap<Arc<str>, i32>>);

async fn attempt(
    cluster: &Cluster,
    settings: &GroupSettings,
    identity: &mut Identity,
    subscription: &Subscription,
) -> Result<Given, Setback> {
    let protocol = |strategy: &Strategy| JoinGroupRequestProtocol {
        name: strategy.name().to_owned(),
        metadata: assignor::write_subscription(subscription, *strategy),
    };
    let request = JoinGroupRequest {
        group_id: settings.id.clone(),
        session_timeout_ms: settings.session.as_millis() as i32,
        rebalance_timeout_ms: settings.max_poll.as_millis() as i32,
        member_id: identity.member.clone(),
        group_instance_id: settings.instance.clone(),
        protocol_type: CONSUMER.to_owned(),
        protocols: settings.strategies.iter().map(protocol).collect(),
        reason: None,
    };
    // The coordinator holds the answer back until everybody has joined.
    let patience = settings.max_poll + Duration::from_secs(5);
    let joined = call(cluster, &settings.id, &request, patience).await?;
    if joined.error_code == ErrorCode::MemberIdRequired.code() {
        identity.member.clone_from(&joined.member_id);
        return Err(Setback::Again { pause: false });
    }
    judged(joined.error_code)?;
    (identity.member, identity.generation) = (joined.member_id.clone(), joined.generation_id);
    let leads = joined.leader == joined.member_id && !joined.skip_assignment;
    let shared_out = if leads { Some(share_out(cluster, &joined).await?) } else { None };
    let given = |(member_id, partitions): (&String, &Vec<TopicPartition>)| SyncGroupRequestAssignment {
        member_id: member_id.clone(),
        assignment: assignor::write_assignment(partitions),
    };
    let request = SyncGroupRequest {
        group_id: settings.id.clone(),
        generation_id: identity.generation,
        member_id: identity.member.clone(),
        group_instance_id: settings.instance.clone(),
        protocol_type: Some(CONSUMER.to_owned()),
        protocol_name: joined.protocol_name.clone(),
        assignments: shared_out.iter().flat_map(|(shares, _)| shares.iter().map(given)).collect(),
    };
    let synced = call(cluster, &settings.id, &request, patience).await?;
    judged(synced.error_code)?;
    let assignment = assignor::read_assignment(&synced.assignment).map_err(|error| {
        tracing::warn!("group {}: an assignment that cannot be read: {error}", settings.id);
        Setback::Again { pause: true }
    })?;
    Ok((assignment, shared_out.map(|(_, topics)| topics)))
}

/// The leader's work: everybody's share, and the topics that it came from.
async fn share_out(
    cluster: &Cluster,
    joined: &JoinGroupResponse,
) -> Result<(assignor::Assignment, BTreeMap<Arc<str>, i32>), Setback> {
    let name = joined.protocol_name.as_deref().unwrap_or_default();
    let strategy = Strategy::named(name).ok_or_else(|| {
        let message = Some(format!("the group chose the strategy {name}, which this member did not offer"));
        Setback::Fatal(ConsumerError::Group { code: ErrorCode::InconsistentGroupProtocol, message })
    })?;
    let mut members = Vec::new();
    for member in &joined.members {
        let subscription = assignor::read_subscription(&member.metadata, strategy).map_err(|error| {
            let message =
                Some(format!("the subscription of member {} cannot be read: {error}", member.member_id));
            Setback::Fatal(ConsumerError::Group { code: ErrorCode::InconsistentGroupProtocol, message })
        })?;
        let (id, instance) = (member.member_id.clone(), member.group_instance_id.clone());
        members.push(Member { id, instance, subscription });
    }
    let names: BTreeSet<&str> =
        members.iter().flat_map(|member| &member.subscription.topics).map(|name| &**name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let answer = match cluster.metadata(Some(&names)).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!("the leader has no metadata: {error}");
            return Err(Setback::Again { pause: true });
        }
    };
    let topics = answer.topics.into_iter().filter(|topic| topic.error_code == 0);
    let topics: BTreeMap<Arc<str>, i32> =
        topics.filter_map(|topic| Some((topic.name?.into(), topic.partitions.len() as i32))).collect();
    Ok((strategy.assign(&members, &topics), topics))
}

async fn call<R: Request>(
    cluster: &Cluster,
    group: &str,
    request: &R,
    within: Duration,
) -> Result<R::Response, Setback> {
    match cluster.ask_coordinator(CoordinatorKind::Group, group, request, within).await {
        Ok(answer) => Ok(answer),
        Err(ClusterError::Code { code, message, .. }) if !exception::retriable(code) => {
            Err(Setback::Fatal(ConsumerError::Group { code, message }))
        }
        Err(error @ ClusterError::Call { why: CallError::Unsupported { .. } | CallError::Encode(_), .. }) => {
            Err(Setback::Fatal(error.into()))
        }
        Err(error) => {
            tracing::debug!("group {group}: {error}");
            Err(Setback::Moved)
        }
    }
}

fn judged(code: i16) -> Result<(), Setback> {
    let code = ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError);
    Err(match code {
        ErrorCode::None => return Ok(()),
        ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => Setback::Moved,
        ErrorCode::CoordinatorLoadInProgress | ErrorCode::RequestTimedOut => Setback::Again { pause: true },
        ErrorCode::RebalanceInProgress => Setback::Again { pause: false },
        ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => Setback::Forgotten,
        code => Setback::Fatal(ConsumerError::Group { code, message: None }),
    })
}

/// Keeps a member alive until the group wants something, or the task is ended. `polled` holds the milliseconds from
/// `began` to the last poll: a consumer that does not poll leaves (KIP-62).
pub(super) async fn beat(
    cluster: Cluster,
    settings: GroupSettings,
    identity: Identity,
    polled: Arc<AtomicU64>,
    began: Instant,
    events: mpsc::UnboundedSender<Event>,
) {
    let request = HeartbeatRequest {
        group_id: settings.id.clone(),
        generation_id: identity.generation,
        member_id: identity.member.clone(),
        group_instance_id: settings.instance.clone(),
    };
    let mut told = false;
    let mut pause = settings.heartbeat;
    loop {
        sleep(pause).await;
        pause = settings.heartbeat;
        let idle = began.elapsed().saturating_sub(Duration::from_millis(polled.load(Ordering::Relaxed)));
        if idle > settings.max_poll {
            tracing::warn!(
                "group {}: no poll for {} ms, longer than max.poll.interval.ms: this member leaves",
                settings.id,
                idle.as_millis()
            );
            leave(&cluster, &settings, &identity, "consumer poll timeout has expired.").await;
            let _ = events.send(Event::Lost { generation: identity.generation, error: None });
            return;
        }
        let answer =
            cluster.ask_coordinator(CoordinatorKind::Group, &settings.id, &request, settings.session).await;
        let code = match answer {
            Ok(answer) => answer.error_code,
            Err(_) => ErrorCode::CoordinatorNotAvailable.code(),
        };
        let generation = identity.generation;
        match judged(code) {
            Ok(()) => {}
            Err(Setback::Again { pause: false }) => {
                // Told once; the coordinator hears heartbeats on until the member joins.
                if !told {
                    let _ = events.send(Event::Rejoin { generation });
                    told = true;
                }
            }
            Err(Setback::Again { pause: true }) => {}
            Err(Setback::Moved) => {
                cluster.forget_coordinator(CoordinatorKind::Group, &settings.id);
                pause = cluster.pause(3).min(settings.heartbeat);
            }
            Err(Setback::Forgotten) => {
                let _ = events.send(Event::Lost { generation, error: None });
                return;
            }
            Err(Setback::Fatal(error)) => {
                let _ = events.send(Event::Lost { generation, error: Some(error) });
                return;
            }
        }
    }
}

/// Leaves the group; a static member stays on the books (KIP-345). What the coordinator says changes nothing.
pub(super) async fn leave(cluster: &Cluster, settings: &GroupSettings, identity: &Identity, reason: &str) {
    if identity.member.is_empty() || settings.instance.is_some() {
        return;
    }
    let group = &settings.id;
    let Ok(id) = cluster.coordinator_id(CoordinatorKind::Group, group).await else { return };
    let Ok(connection) = cluster.connection(id).await else { return };
    let Ok(version) = connection.version_of::<LeaveGroupRequest>() else { return };
    let mut request = LeaveGroupRequest { group_id: group.clone(), ..Default::default() };
    if version >= LEAVE_SEVERAL_FROM {
        let reason = (version >= 5).then(|| reason.to_owned());
        let member_id = identity.member.clone();
        request.members = vec![MemberIdentity { member_id, group_instance_id: None, reason }];
    } else {
        request.member_id.clone_from(&identity.member);
    }
    if let Err(error) = connection.call_at(version, &request).await {
        tracing::debug!("group {group}: leaving: {error}");
    }
}
