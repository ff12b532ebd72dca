//! Passing clients' requests on to the active controller (KIP-590): in an Envelope, with the client's principal and
//! address, as Kafka's `ForwardingManager` does. While this node's own controller is active nothing is passed on.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_metadata::Decision;
use ottla_protocol::frame::{LENGTH_BYTES, RequestHead};
use ottla_protocol::messages::{DefaultPrincipalData, EnvelopeRequest, EnvelopeResponse};
use ottla_protocol::wire::{Message, Reader, Request};
use ottla_protocol::{ApiKey, ErrorCode};
use tracing::warn;

use super::channel::{Attempts, Channel};
use super::{Turn, Unavailable, gate};
use crate::connection::Peer;
use crate::dispatch::{Call, Handler};
use crate::network::NetThread;
use crate::node::Node;
use crate::reply::{Outcome, Refusal, Reply};

/// How long a request may take to reach an active controller and come back (`request.timeout.ms`).
const FORWARD: Duration = Duration::from_secs(30);
/// The version of the principal's bytes.
const PRINCIPAL_VERSION: i16 = 0;

/// Whether a broker passes this request on as it came. Configurations are looked at first, and passed on in part;
/// whoever asks for a delegation token over a plain connection is refused first.
pub(crate) fn is_passed_on(api: ApiKey) -> bool {
    is_forwardable(api)
        && !matches!(
            api,
            ApiKey::AlterConfigs
                | ApiKey::IncrementalAlterConfigs
                | ApiKey::CreateDelegationToken
                | ApiKey::RenewDelegationToken
                | ApiKey::ExpireDelegationToken
        )
}

/// Whether an Envelope may carry this request.
pub(crate) fn is_forwardable(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::CreateTopics
            | ApiKey::DeleteTopics
            | ApiKey::CreateAcls
            | ApiKey::DeleteAcls
            | ApiKey::AlterConfigs
            | ApiKey::CreatePartitions
            | ApiKey::CreateDelegationToken
            | ApiKey::RenewDelegationToken
            | ApiKey::ExpireDelegationToken
            | ApiKey::ElectLeaders
            | ApiKey::IncrementalAlterConfigs
            | ApiKey::AlterPartitionReassignments
            | ApiKey::ListPartitionReassignments
            | ApiKey::AlterClientQuotas
            | ApiKey::AlterUserScramCredentials
            | ApiKey::DescribeQuorum
            | ApiKey::UpdateFeatures
            | ApiKey::UnregisterBroker
            | ApiKey::AddRaftVoter
            | ApiKey::RemoveRaftVoter
    )
}

/// Answers a client's request by this node's controller while it is active, else by the one that is. When nobody is
/// in time, the handler answers with that.
pub(crate) fn pass_on(thread: &Rc<NetThread>, peer: &Rc<Peer>, frame: &[u8], handler: Handler) -> Outcome {
    let (thread, peer) = (thread.clone(), peer.clone());
    let frame = Bytes::copy_from_slice(frame);
    Outcome::Later(Box::pin(async move {
        let channel = thread.node.controller().channel().clone();
        let mut attempts = channel.attempts(FORWARD);
        loop {
            attempts.begin();
            let verdict = if channel.leads() {
                let (reply, lost) = run_watched(&thread, &peer, &frame, handler).await;
                if !lost || reply.is_err() {
                    return reply;
                }
                None
            } else {
                match channel.forward(&mut attempts, envelope(frame.clone(), peer.address.ip())).await {
                    Ok(answer) => return framed(&answer),
                    Err(Unavailable::TooLarge) => Some(Unavailable::TooLarge),
                    Err(_) => channel.nobody(),
                }
            };
            let verdict = match verdict {
                None if attempts.pause().await => continue,
                None => channel.nobody().unwrap_or(Unavailable::TimedOut),
                Some(verdict) => verdict,
            };
            return gate::watched(Some(verdict), run(&thread, &peer, &frame, handler)).await.0;
        }
    }))
}

/// Runs a handler of this node's controller. The second value says whether the node turned out not to lead.
pub(crate) async fn run_watched(
    thread: &Rc<NetThread>,
    peer: &Rc<Peer>,
    frame: &[u8],
    handler: Handler,
) -> (Result<Reply, Refusal>, bool) {
    gate::watched(None, run(thread, peer, frame, handler)).await
}

/// Runs a handler to its end.
async fn run(
    thread: &Rc<NetThread>,
    peer: &Rc<Peer>,
    frame: &[u8],
    handler: Handler,
) -> Result<Reply, Refusal> {
    let (head, body) = RequestHead::read(frame)?;
    match handler(&Call { thread, peer, head, body })? {
        Outcome::Reply(reply) => Ok(reply),
        Outcome::Later(pending) | Outcome::Alone(pending) => pending.await,
        Outcome::Silence => Err(Refusal::Told("a request that is passed on has an answer")),
    }
}

/// A response as it goes to the client: the controller gives all of it but the length.
fn framed(answer: &[u8]) -> Result<Reply, Refusal> {
    let length = i32::try_from(answer.len()).map_err(|_| Refusal::Told("an answer of 2 GiB"))?;
    let mut bytes = Vec::with_capacity(LENGTH_BYTES + answer.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(answer);
    Ok(Reply { bytes, inserts: Vec::new(), last: false })
}

fn envelope(request_data: Bytes, client: IpAddr) -> EnvelopeRequest {
    // Without authentication every client is the same.
    let principal =
        DefaultPrincipalData { r#type: "User".into(), name: "ANONYMOUS".into(), token_authenticated: false };
    EnvelopeRequest {
        request_data,
        request_principal: Some(principal_bytes(&principal)),
        client_host_address: address_bytes(client),
    }
}

fn principal_bytes(principal: &DefaultPrincipalData) -> Bytes {
    let mut bytes = PRINCIPAL_VERSION.to_be_bytes().to_vec();
    let written = principal.encode(&mut bytes, PRINCIPAL_VERSION);
    written.expect("FORWARD-1 a principal of this node can be written");
    bytes.into()
}

fn address_bytes(address: IpAddr) -> Bytes {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec().into(),
        IpAddr::V6(address) => address.octets().to_vec().into(),
    }
}

impl Channel {
    /// One attempt to have another node's controller answer.
    async fn forward(
        &self,
        attempts: &mut Attempts,
        envelope: EnvelopeRequest,
    ) -> Result<Bytes, Unavailable> {
        let (channel, mut own) = (self.clone(), self.attempts(attempts.left()));
        own.begin();
        let version = EnvelopeRequest::MAX_VERSION;
        let response: Result<EnvelopeResponse, Unavailable> =
            self.run(async move { own.call(&channel, &envelope, version).await }).await;
        let leads = |response: &EnvelopeResponse| response.error_code != ErrorCode::NotController.code();
        self.heard(response.as_ref().is_ok_and(leads));
        let response = response?;
        match ErrorCode::from_i16(response.error_code) {
            Some(ErrorCode::None) => response.response_data.ok_or(Unavailable::TooLarge),
            Some(ErrorCode::NotController) => Err(Unavailable::NotController),
            code => {
                warn!("the active controller refused a request that was passed on: {code:?}");
                Err(Unavailable::TooLarge)
            }
        }
    }

    /// Has the active controller decide on a request that this node made from a client's, or for a client:
    /// `decide` here while this node's controller is active, else the request itself in an envelope.
    pub(crate) async fn decide_or_forward<R: Request<Response: Send> + Send + Sync + 'static>(
        &self,
        node: &Arc<Node>,
        (request, version): (R, i16),
        client: IpAddr,
        timeout: Duration,
        decide: impl Fn(&R, &mut Turn<'_>) -> Decision<R::Response> + Clone + Send + 'static,
    ) -> Result<R::Response, Unavailable> {
        let request = Arc::new(request);
        let mut attempts = self.attempts(timeout);
        loop {
            attempts.begin();
            let answer = if self.leads() {
                let (request, decide) = (request.clone(), decide.clone());
                let timeout_ms = i32::try_from(attempts.left().as_millis()).unwrap_or(i32::MAX);
                node.controller().ask(node, timeout_ms, move |turn| decide(&request, turn)).await
            } else {
                self.forward_made(&mut attempts, &*request, version, client).await
            };
            match answer {
                Err(Unavailable::NotController | Unavailable::TimedOut) => {}
                settled => return settled,
            }
            if let Some(nobody) = self.nobody() {
                return Err(nobody);
            }
            if !attempts.pause().await {
                return Err(Unavailable::TimedOut);
            }
        }
    }

    async fn forward_made<R: Request>(
        &self,
        attempts: &mut Attempts,
        request: &R,
        version: i16,
        client: IpAddr,
    ) -> Result<R::Response, Unavailable> {
        let api = ApiKey::from_i16(R::KEY).expect("FORWARD-2 every request has an API key");
        let name = self.own_id().to_string();
        let head = RequestHead { api, version, correlation_id: 0, client_id: Some(&name) };
        let mut frame = Vec::new();
        head.write(&mut frame).map_err(|_| Unavailable::TooLarge)?;
        request.encode(&mut frame, version).map_err(|_| Unavailable::TooLarge)?;
        let answer = self.forward(attempts, envelope(frame.into(), client)).await?;
        response(api, version, &answer).ok_or(Unavailable::TooLarge)
    }
}

/// The body behind a response's head.
fn response<M: Message>(api: ApiKey, version: i16, answer: &Bytes) -> Option<M> {
    let mut r = Reader::new(answer, version, true);
    r.i32().ok()?;
    if api.response_header_version(version) > 0 {
        r.skip_tags().ok()?;
    }
    M::decode(r.rest(), version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::CreateTopicsResponse;

    #[test]
    fn an_envelope_says_who_asks_and_from_where() {
        let client = "::ffff:10.1.2.3".parse().unwrap();
        let envelope = envelope(Bytes::from_static(b"frame"), client);
        assert_eq!(envelope.client_host_address, Bytes::from_static(&[10, 1, 2, 3]));
        let principal = envelope.request_principal.unwrap();
        // Version, "User", "ANONYMOUS", no token, no tags.
        assert_eq!(&principal[..], b"\0\0\x05User\x0aANONYMOUS\0\0");
    }

    #[test]
    fn answers_are_framed_again_and_read() {
        let body = CreateTopicsResponse { throttle_time_ms: 7, topics: Vec::new() };
        let mut answer = vec![0, 0, 0, 9, 0];
        body.encode(&mut answer, 7).unwrap();
        let reply = framed(&answer).unwrap();
        assert_eq!(reply.bytes[..4], (answer.len() as i32).to_be_bytes());
        assert_eq!(reply.bytes[4..], answer[..]);
        let read = response(ApiKey::CreateTopics, 7, &Bytes::from(answer));
        assert_eq!(read, Some(body));
        assert_eq!(
            response::<CreateTopicsResponse>(ApiKey::CreateTopics, 7, &Bytes::from_static(b"x")),
            None
        );
    }

    #[test]
    fn configurations_are_looked_at_before_they_are_passed_on() {
        assert!(is_passed_on(ApiKey::CreateTopics) && is_passed_on(ApiKey::DescribeQuorum));
        assert!(!is_passed_on(ApiKey::IncrementalAlterConfigs));
        assert!(is_passed_on(ApiKey::CreateAcls) && !is_passed_on(ApiKey::CreateDelegationToken));
        assert!(is_forwardable(ApiKey::IncrementalAlterConfigs));
        assert!(!is_forwardable(ApiKey::Envelope) && !is_forwardable(ApiKey::Produce));
    }
}
