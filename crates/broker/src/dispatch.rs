//! The table: API key to handler. What has no row here is neither served nor told to clients.

use std::rc::Rc;
use std::sync::Arc;

use ottla_protocol::frame::RequestHead;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AlterPartitionRequest, AssignReplicasToDirsRequest,
    BrokerRegistrationRequest, ControllerRegistrationRequest,
};
use ottla_protocol::wire::{DecodeError, Message, View};
use ottla_protocol::{ApiInfo, ApiKey, Listener};

use crate::connection::Peer;
use crate::controller_host;
use crate::early;
use crate::handle;
use crate::network::NetThread;
use crate::node::Node;
use crate::reply::{Outcome, Refusal, ReplyTo};

/// What an answer may take beyond four times the bytes of its request.
const ANSWER_BYTES: usize = 32 << 20;

/// One request as its handler sees it.
pub(crate) struct Call<'a> {
    pub(crate) thread: &'a Rc<NetThread>,
    pub(crate) peer: &'a Rc<Peer>,
    pub(crate) head: RequestHead<'a>,
    pub(crate) body: &'a [u8],
}

impl<'a> Call<'a> {
    pub(crate) fn node(&self) -> &'a Arc<Node> {
        &self.thread.node
    }

    pub(crate) fn version(&self) -> i16 {
        self.head.version
    }

    pub(crate) fn reply_to(&self) -> ReplyTo {
        ReplyTo::from(&self.head)
    }

    /// Whether a broker passed the request on, or is about to: what it checks is checked.
    pub(crate) fn is_forwarded(&self) -> bool {
        self.peer.listener == Listener::Broker || self.peer.forwarded
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.thread.now_ms()
    }

    /// The request, borrowed from its frame.
    pub(crate) fn view<V: View<'a>>(&self) -> Result<V, Refusal> {
        V::view_front(self.body, self.head.version).map_err(|error| self.malformed(error))
    }

    /// The request, owned.
    pub(crate) fn owned<M: Message>(&self) -> Result<M, Refusal> {
        M::decode_front(self.body, self.head.version).map_err(|error| self.malformed(error))
    }

    fn malformed(&self, error: DecodeError) -> Refusal {
        Refusal::Body { api: self.head.api, version: self.head.version, error }
    }

    /// Refuses a request that asks about so many things, each of which takes `each` bytes until the answer has left,
    /// that a small request would make this node hold a large one. Any client that asks about what there is passes.
    pub(crate) fn afford(&self, count: usize, each: usize) -> Result<(), Refusal> {
        let received = self.body.len();
        if count.saturating_mul(each) <= received.saturating_mul(4).saturating_add(ANSWER_BYTES) {
            return Ok(());
        }
        Err(Refusal::Answer { api: self.head.api, received, count })
    }

    /// Answers with `body`.
    pub(crate) fn reply<M: Message>(&self, body: &M) -> Result<Outcome, Refusal> {
        self.reply_to().with(body).map(Outcome::Reply)
    }
}

/// What answers an API.
pub(crate) type Handler = fn(&Call<'_>) -> Result<Outcome, Refusal>;

/// The handler of an API on a listener, if it is served there.
pub(crate) fn handler(api: ApiKey, listener: Listener) -> Option<Handler> {
    match listener {
        Listener::Broker => broker_handler(api),
        Listener::Controller => controller_handler(api),
    }
}

/// What both kinds of listeners serve, in the same way.
fn shared_handler(api: ApiKey) -> Option<Handler> {
    Some(match api {
        ApiKey::ApiVersions => handle::api_versions::handle,
        ApiKey::CreateTopics => handle::topics::create,
        ApiKey::DeleteTopics => handle::topics::delete,
        ApiKey::CreatePartitions => handle::topics::create_partitions,
        ApiKey::DescribeConfigs => handle::configs::describe,
        ApiKey::AlterConfigs => handle::configs::alter,
        ApiKey::IncrementalAlterConfigs => handle::configs::alter_incremental,
        ApiKey::ElectLeaders => handle::cluster::elect_leaders,
        ApiKey::DescribeQuorum => handle::quorum::describe,
        ApiKey::UpdateFeatures => handle::cluster::update_features,
        ApiKey::DescribeCluster => handle::cluster::describe,
        ApiKey::UnregisterBroker => handle::cluster::unregister_broker,
        ApiKey::AlterPartitionReassignments => handle::reassignments::alter,
        ApiKey::ListPartitionReassignments => handle::reassignments::list,
        ApiKey::AddRaftVoter => handle::raft_rpc::add_voter,
        ApiKey::RemoveRaftVoter => handle::raft_rpc::remove_voter,
        ApiKey::DescribeAcls => handle::unsecured::describe_acls,
        ApiKey::CreateAcls => handle::unsecured::create_acls,
        ApiKey::DeleteAcls => handle::unsecured::delete_acls,
        ApiKey::CreateDelegationToken => handle::unsecured::create_token,
        ApiKey::RenewDelegationToken => handle::unsecured::renew_token,
        ApiKey::ExpireDelegationToken => handle::unsecured::expire_token,
        ApiKey::DescribeDelegationToken => handle::unsecured::describe_tokens,
        _ => return None,
    })
}

fn broker_handler(api: ApiKey) -> Option<Handler> {
    Some(match api {
        ApiKey::Produce => handle::produce::handle,
        ApiKey::Fetch => handle::fetch::handle,
        ApiKey::ListOffsets => handle::list_offsets::handle,
        ApiKey::Metadata => handle::metadata::handle,
        ApiKey::OffsetCommit => handle::offsets::commit,
        ApiKey::OffsetFetch => handle::offsets::fetch,
        ApiKey::OffsetDelete => handle::offsets::delete,
        ApiKey::FindCoordinator => handle::find_coordinator::handle,
        ApiKey::JoinGroup => handle::groups::join,
        ApiKey::SyncGroup => handle::groups::sync,
        ApiKey::Heartbeat => handle::groups::heartbeat,
        ApiKey::LeaveGroup => handle::groups::leave,
        ApiKey::DescribeGroups => handle::groups::describe,
        ApiKey::ListGroups => handle::groups::list,
        ApiKey::DeleteGroups => handle::groups::delete,
        ApiKey::DeleteRecords => handle::delete_records::handle,
        ApiKey::InitProducerId => handle::init_producer_id::handle,
        ApiKey::AddPartitionsToTxn => handle::transactions::add_partitions,
        ApiKey::AddOffsetsToTxn => handle::transactions::add_offsets,
        ApiKey::EndTxn => handle::transactions::end,
        ApiKey::WriteTxnMarkers => handle::write_txn_markers::handle,
        ApiKey::TxnOffsetCommit => handle::txn_offsets::commit,
        ApiKey::DescribeTransactions => handle::transactions::describe,
        ApiKey::ListTransactions => handle::transactions::list,
        ApiKey::OffsetForLeaderEpoch => handle::offset_for_leader_epoch::handle,
        ApiKey::ListConfigResources => handle::configs::list_resources,
        ApiKey::DescribeLogDirs => handle::log_dirs::describe,
        ApiKey::DescribeProducers => handle::producers::describe,
        ApiKey::DescribeTopicPartitions => handle::describe_topic_partitions::handle,
        _ => return shared_handler(api),
    })
}

fn controller_handler(api: ApiKey) -> Option<Handler> {
    Some(match api {
        ApiKey::Vote => handle::raft_rpc::vote,
        ApiKey::BeginQuorumEpoch => handle::raft_rpc::begin_epoch,
        ApiKey::EndQuorumEpoch => handle::raft_rpc::end_epoch,
        ApiKey::Fetch => handle::raft_rpc::fetch,
        ApiKey::FetchSnapshot => handle::raft_rpc::fetch_snapshot,
        ApiKey::UpdateRaftVoter => handle::raft_rpc::update_voter,
        ApiKey::BrokerRegistration => handle::controller_rpc::handle::<BrokerRegistrationRequest>,
        ApiKey::BrokerHeartbeat => handle::controller_rpc::broker_heartbeat,
        ApiKey::ControllerRegistration => handle::controller_rpc::handle::<ControllerRegistrationRequest>,
        ApiKey::AllocateProducerIds => handle::controller_rpc::handle::<AllocateProducerIdsRequest>,
        ApiKey::AlterPartition => handle::controller_rpc::handle::<AlterPartitionRequest>,
        ApiKey::Envelope => handle::envelope::handle,
        ApiKey::AssignReplicasToDirs => handle::controller_rpc::handle::<AssignReplicasToDirsRequest>,
        _ => return shared_handler(api),
    })
}

/// Whether a listener of this kind serves the API; ApiVersions tells exactly these.
pub(crate) fn is_served(api: &ApiInfo, listener: Listener) -> bool {
    api.on(listener) && handler(api.key, listener).is_some()
}

/// Decodes a frame's head and hands the request to its handler.
pub(crate) fn dispatch(thread: &Rc<NetThread>, peer: &Rc<Peer>, frame: &[u8]) -> Result<Outcome, Refusal> {
    let (head, body) = RequestHead::read(frame)?;
    let (api, version) = (head.api, head.version);
    let info = api.info();
    let Some(handler) = handler(api, peer.listener).filter(|_| info.on(peer.listener)) else {
        return Err(Refusal::NotServed { api });
    };
    if !info.serves(version, thread.node.unstable_api_versions()) && api != ApiKey::ApiVersions {
        return Err(Refusal::Version { api, version });
    }
    if peer.listener == Listener::Broker && api != ApiKey::ApiVersions && !thread.node.is_serving() {
        return early::answer(thread, peer, &head, frame);
    }
    thread.node.requests().note(api);
    if peer.listener == Listener::Broker && controller_host::is_passed_on(api) {
        return Ok(controller_host::pass_on(thread, peer, frame, handler));
    }
    handler(&Call { thread, peer, head, body })
}
