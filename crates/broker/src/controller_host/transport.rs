//! The quorum's way out: raft's requests to other controllers, over the wire.
//!
//! One thread with a small runtime has all connections. The quorum's thread only puts a request into a channel; the
//! answer, or the lack of one, comes back by [`Handle::response`]. When a connection broke, the endpoint is asked
//! at once whether anybody is there: a process that is gone is then known within milliseconds, not after a timer.

mod news;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use ottla_client::{Backoff, CallError, Connection, Options, Peer, Peers};
use ottla_config::NodeConfig;
use ottla_protocol::messages::{
    AddRaftVoterRequest, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, FetchSnapshotRequest,
    RemoveRaftVoterRequest, UpdateRaftVoterRequest, VoteRequest,
};
use ottla_protocol::wire::Request as WireRequest;
use ottla_quorum::{Handle, Transport};
use ottla_raft::{Destination, Fault, Request, Response};
use tokio::sync::mpsc;
use tracing::debug;

use crate::reach;
use crate::start_error::StartError;
use news::News;
pub(super) use news::PeerStates;

/// An answer may be larger than what was asked for by one batch.
const MAX_FRAME_BYTES: usize = 100 << 20;

/// Raft has a pause of its own between two attempts; a peer that is away for longer is tried less often.
const PAUSE: Backoff = Backoff { first: Duration::from_millis(10), most: Duration::from_millis(100) };

struct Outbound {
    to: Destination,
    correlation: u64,
    request: Request,
}

/// The quorum's end of the channel. The thread ends when it is dropped.
pub(super) struct Wire(mpsc::UnboundedSender<Outbound>);

impl Transport for Wire {
    fn send(&mut self, to: Destination, correlation: u64, request: Request) {
        // The receiver ends only after this end.
        let _ = self.0.send(Outbound { to, correlation, request });
    }
}

/// The other end, before its thread runs.
pub(super) struct Sender {
    inbox: mpsc::UnboundedReceiver<Outbound>,
    options: Options,
    news: News,
}

/// Both ends, for a node of this configuration.
pub(super) fn channel(config: &NodeConfig) -> (Wire, Sender) {
    let (outbox, inbox) = mpsc::unbounded_channel();
    let options = Options { max_frame_bytes: MAX_FRAME_BYTES, ..reach::voter(config) };
    (Wire(outbox), Sender { inbox, options, news: News::new(config) })
}

impl Sender {
    /// How the other controllers are found.
    pub(super) fn peers(&self) -> PeerStates {
        self.news.peers()
    }

    /// Starts the thread, which answers to `quorum`.
    pub(super) fn start(self, quorum: Handle) -> Result<(), StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(StartError::Thread)?;
        let run = move || {
            runtime.block_on(self.run(quorum));
            // A name that is being looked up keeps nobody.
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name("raft-sender".into()).spawn(run).map_err(StartError::Thread)?;
        Ok(())
    }

    async fn run(mut self, quorum: Handle) {
        let news = self.news;
        let peers = Peers::new(self.options, PAUSE, || 0, move |peer, event| news.tell(peer, event));
        let (peers, quorum) = (Arc::new(peers), Arc::new(quorum));
        while let Some(outbound) = self.inbox.recv().await {
            tokio::spawn(deliver(peers.clone(), quorum.clone(), outbound));
        }
    }
}

async fn deliver(peers: Arc<Peers>, quorum: Arc<Handle>, outbound: Outbound) {
    let Outbound { to, correlation, request } = outbound;
    let peer = Peer { id: to.id, host: to.at.host, port: to.at.port };
    let connection = match peers.connection(&peer).await {
        Ok(connection) => connection,
        Err(error) => {
            quorum.response(correlation, None);
            if error.is_refused() {
                quorum.peer_refused(peer.id);
            }
            return;
        }
    };
    match exchange(&connection, request).await {
        Ok(response) => quorum.response(correlation, response),
        Err(error) => {
            debug!("no answer from controller {} at {}:{}: {error}", peer.id, peer.host, peer.port);
            quorum.response(correlation, None);
            match error {
                CallError::Closed(_) => probe(&peers, &quorum, &peer).await,
                // An answer that comes after its time, or makes no sense, is not wanted any more.
                CallError::Timeout(_) | CallError::Decode(_) => peers.forget(&peer),
                _ => {}
            }
        }
    }
}

/// Is anybody there, now that the connection broke?
async fn probe(peers: &Peers, quorum: &Handle, peer: &Peer) {
    if let Err(error) = peers.connection(peer).await
        && error.is_refused()
    {
        quorum.peer_refused(peer.id);
    }
}

/// One request and its answer; an answer that names no partition where one must be is none.
async fn exchange(to: &Connection, request: Request) -> Result<Option<Response>, CallError> {
    Ok(match request {
        Request::Vote(vote) => {
            let version = to.version_of::<VoteRequest>()?;
            match wire::vote(&vote, version) {
                Some(request) => wire::voted(to.call_at(version, &request).await?),
                // It knows no pre-votes.
                None => Some(Response::Refused(Fault::UnsupportedVersion)),
            }
        }
        Request::BeginQuorumEpoch(begin) => {
            let version = to.version_of::<BeginQuorumEpochRequest>()?;
            wire::began(call(to, version, &wire::begin_epoch(&begin, version)).await?)
        }
        Request::EndQuorumEpoch(end) => {
            let version = to.version_of::<EndQuorumEpochRequest>()?;
            wire::ended(call(to, version, &wire::end_epoch(&end, version)).await?)
        }
        Request::Fetch(fetch) => {
            let version = to.version_of::<FetchRequest>()?;
            wire::fetched(call(to, version, &wire::fetch(&fetch, version)).await?)
        }
        Request::FetchSnapshot(fetch) => {
            let version = to.version_of::<FetchSnapshotRequest>()?;
            wire::fetched_snapshot(call(to, version, &wire::fetch_snapshot(&fetch, version)).await?)
        }
        Request::AddVoter(add) => {
            let version = to.version_of::<AddRaftVoterRequest>()?;
            Some(wire::added(call(to, version, &wire::add_voter(&add, version)).await?))
        }
        Request::RemoveVoter(remove) => {
            let version = to.version_of::<RemoveRaftVoterRequest>()?;
            Some(wire::removed(call(to, version, &wire::remove_voter(&remove)).await?))
        }
        Request::UpdateVoter(update) => {
            let version = to.version_of::<UpdateRaftVoterRequest>()?;
            Some(wire::updated(call(to, version, &wire::update_voter(&update)).await?))
        }
        Request::ApiVersions => Some(wire::versions(&to.versions().answer)),
        Request::DescribeQuorum => unreachable!("RAFT-WIRE-1 raft describes the quorum, and never asks"),
    })
}

async fn call<R: WireRequest>(to: &Connection, version: i16, request: &R) -> Result<R::Response, CallError> {
    to.call_at(version, request).await
}
