//! Produce (key 0): check, append, answer. With acks=1, or acks=all where this node is the whole ISR, without a hop. The first
//! records of a transaction wait until its coordinator knows of them ([`verification`]).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::frame::RequestHead;
use ottla_protocol::messages::produce_request::TopicProduceDataView;
use ottla_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use ottla_protocol::messages::{ProduceRequestView, ProduceResponse};
use ottla_records::validate::Rejected;
use ottla_records::{BatchHeader, Compression};
use ottla_transactions::{Producer, TopicPartition};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error, info};

use crate::dispatch::Call;
use crate::handle::find;
use crate::handle::verification::{Question, Support, Verdicts};
use crate::partition::{AppendRefusal, Appended, Durable, Partition};
use crate::reply::{Outcome, Refusal, Reply};
use crate::topic_names;
use crate::wait::Parked;

/// The first version whose clients read zstd (KIP-110).
const ZSTD_FROM: i16 = 7;
/// The first version that names topics by id (KIP-516).
const IDS_FROM: i16 = 13;
/// The first version whose answer names the leader (KIP-951).
const LEADER_FROM: i16 = 10;
/// The client id under which Kafka's own admin client may write internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: ProduceRequestView<'_> = call.view()?;
    let count = request.topic_data.iter().map(|topic| 1 + topic.partition_data.len()).sum();
    call.afford(count, size_of::<PartitionProduceResponse>() + size_of::<Wait>())?;
    if let Some(transactional_id) = request.transactional_id
        && let Some(question) = question(call, &request, transactional_id)
    {
        return Ok(held_back(call, question));
    }
    appended(call, &request, &Verdicts::default())
}

/// What the transaction coordinator has to be asked before these records are appended.
fn question(call: &Call<'_>, request: &ProduceRequestView<'_>, transactional_id: &str) -> Option<Question> {
    let support = Support::of_produce(call.version());
    if !support.asks(call.node()) {
        return None;
    }
    let mut question: Option<Question> = None;
    for topic in request.topic_data {
        for data in topic.partition_data {
            // What is wrong otherwise is found when it is appended.
            let Ok(header) = BatchHeader::parse(data.records.unwrap_or_default()) else { continue };
            if !header.is_transactional() || !header.has_producer_id() {
                continue;
            }
            let Ok(partition) = partition(call, &topic, data.index) else { continue };
            let producer = (header.producer_id, header.producer_epoch);
            let begun = partition.begin_verification(producer, header.base_sequence, support.joins());
            let Ok(Some(guard)) = begun else { continue };
            let question = question.get_or_insert_with(|| Question {
                producer: Producer {
                    transactional_id: transactional_id.to_owned(),
                    id: header.producer_id,
                    epoch: header.producer_epoch,
                },
                support,
                partitions: Vec::new(),
            });
            // Records of another producer are not asked for, and so not taken.
            if (question.producer.id, question.producer.epoch) == producer {
                question.partitions.push((TopicPartition::new(partition.topic(), data.index), guard));
            }
        }
    }
    question
}

/// Appends the records when the transaction coordinator has answered. Nothing that comes behind them on the connection
/// overtakes them.
fn held_back(call: &Call<'_>, question: Question) -> Outcome {
    let (thread, peer, head) = (call.thread.clone(), call.peer.clone(), call.head);
    let client_id = head.client_id.map(str::to_owned);
    let (api, version, correlation_id) = (head.api, head.version, head.correlation_id);
    let body = Bytes::copy_from_slice(call.body);
    Outcome::Alone(Box::pin(async move {
        let verdicts = question.ask_for_produce(&thread.node).await;
        let head = RequestHead { api, version, correlation_id, client_id: client_id.as_deref() };
        let call = Call { thread: &thread, peer: &peer, head, body: &body };
        let outcome = appended(&call, &call.view()?, &verdicts)?;
        match outcome {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Later(pending) | Outcome::Alone(pending) => pending.await,
            // With acks=0 nothing is sent.
            Outcome::Silence => Ok(Reply::default()),
        }
    }))
}

fn appended(
    call: &Call<'_>,
    request: &ProduceRequestView<'_>,
    verdicts: &Verdicts,
) -> Result<Outcome, Refusal> {
    let mut waits = Vec::new();
    let mut failed = false;
    let mut endpoints: Vec<NodeEndpoint> = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len().min(1024));
    for topic in request.topic_data {
        let mut partitions = Vec::with_capacity(topic.partition_data.len().min(1024));
        for data in topic.partition_data {
            let outcome = append(call, request, verdicts, &topic, data.index, data.records);
            partitions.push(match outcome {
                Ok(appended) => {
                    let done = &appended.1;
                    let response = PartitionProduceResponse {
                        index: data.index,
                        base_offset: done.base_offset,
                        log_append_time_ms: done.log_append_time_ms,
                        log_start_offset: done.log_start_offset,
                        ..Default::default()
                    };
                    waits.extend(Wait::of(appended, request.acks, (responses.len(), partitions.len())));
                    response
                }
                Err(refusal) => {
                    failed = true;
                    refused(call, data.index, &topic, refusal, &mut endpoints)
                }
            });
        }
        responses.push(TopicProduceResponse {
            name: topic.name.to_owned(),
            topic_id: topic.topic_id,
            partition_responses: partitions,
        });
    }
    if request.acks == 0 {
        if failed {
            // There is no response that could say it: the client learns by the closed connection.
            return Err(Refusal::Told("a produce request with acks=0 failed"));
        }
        return Ok(Outcome::Silence);
    }
    let response = ProduceResponse { responses, node_endpoints: endpoints, ..Default::default() };
    if waits.is_empty() {
        return call.reply(&response);
    }
    let (to, timeout_ms) = (call.reply_to(), request.timeout_ms.max(0) as u64);
    let deadline = Instant::now() + Duration::from_millis(timeout_ms);
    Ok(Outcome::Later(Box::pin(async move {
        let mut response = response;
        for wait in waits {
            let (topic, partition) = wait.place;
            if let Err(error) = wait.done(deadline).await {
                let partition = &mut response.responses[topic].partition_responses[partition];
                partition.error_code = error.code();
                partition.base_offset = -1;
                partition.log_append_time_ms = -1;
                partition.log_start_offset = -1;
            }
        }
        to.with(&response)
    })))
}

/// What an answer waits for: that the records are on the disk, that all in-sync replicas have them.
pub(super) struct Wait {
    /// The topic and the partition in the response.
    place: (usize, usize),
    durable: Option<Durable>,
    replicated: Option<(Arc<Partition>, i32, i64)>,
}

impl Wait {
    /// `None` when there is nothing to wait for.
    pub(super) fn of(
        (partition, done): (Arc<Partition>, Appended),
        acks: i16,
        place: (usize, usize),
    ) -> Option<Wait> {
        let replicated =
            (acks == -1 && !done.committed).then_some((partition, done.leader_epoch, done.next_offset));
        let wait = Wait { place, durable: done.durable, replicated };
        (wait.durable.is_some() || wait.replicated.is_some()).then_some(wait)
    }

    pub(super) async fn done(self, deadline: Instant) -> Result<(), ErrorCode> {
        if let Some(durable) = self.durable
            && !durable.flushed().await
        {
            return Err(ErrorCode::KafkaStorageError);
        }
        let Some((partition, leader_epoch, required)) = self.replicated else { return Ok(()) };
        loop {
            let parked = Parked::new();
            partition.waiters().park(&parked);
            if let Some(done) = partition.acked(leader_epoch, required) {
                return done;
            }
            if timeout_at(deadline, parked.woken()).await.is_err() {
                return partition.acked(leader_epoch, required).unwrap_or(Err(ErrorCode::RequestTimedOut));
            }
        }
    }
}

fn partition(
    call: &Call<'_>,
    topic: &TopicProduceDataView<'_>,
    index: i32,
) -> Result<Arc<Partition>, ErrorCode> {
    if call.version() >= IDS_FROM {
        find::by_id(call.node(), topic.topic_id, index)
    } else {
        find::by_name(call.node(), topic.name, index)
    }
}

fn append(
    call: &Call<'_>,
    request: &ProduceRequestView<'_>,
    verdicts: &Verdicts,
    topic: &TopicProduceDataView<'_>,
    index: i32,
    records: Option<&[u8]>,
) -> Result<(Arc<Partition>, Appended), AppendRefusal> {
    if !matches!(request.acks, -1..=1) {
        return Err(AppendRefusal::Code(ErrorCode::InvalidRequiredAcks));
    }
    let partition = partition(call, topic, index).map_err(AppendRefusal::Code)?;
    if topic_names::is_internal(partition.topic()) && call.head.client_id != Some(ADMIN_CLIENT_ID) {
        return Err(AppendRefusal::Code(ErrorCode::InvalidTopicException));
    }
    let guard = verdicts.of(partition.topic(), index);
    let guard = guard.map_err(|(error, why)| AppendRefusal::Sequence(error, why))?;
    let mut tools = call.thread.tools.borrow_mut();
    let records = records.unwrap_or_default();
    let traffic = partition.traffic();
    traffic.produce_requests.add(1);
    let now_ms = call.now_ms();
    let appended = partition.append_produced(records, request.acks, now_ms, &mut tools, guard, |batch| {
        if call.version() < ZSTD_FROM && batch.compression() == Some(Compression::Zstd) {
            return Err(AppendRefusal::Code(ErrorCode::UnsupportedCompressionType));
        }
        if batch.is_transactional() && request.transactional_id.is_none() {
            return Err(AppendRefusal::Code(ErrorCode::TransactionalIdAuthorizationFailed));
        }
        Ok(())
    });
    match appended {
        Ok(appended) => {
            traffic.messages_in.add((appended.next_offset - appended.base_offset).max(0) as u64);
            traffic.bytes_in.add(records.len() as u64);
            Ok((partition, appended))
        }
        Err(refusal) => {
            if is_failure(&refusal) {
                traffic.failed_produce_requests.add(1);
            }
            Err(refusal)
        }
    }
}

/// Whether a refusal counts as failed (Kafka's `failedProduceRequestRate`): not what a client learns of leaders, sizes,
/// damaged batches and disks.
fn is_failure(refusal: &AppendRefusal) -> bool {
    match refusal {
        AppendRefusal::Code(_) | AppendRefusal::Storage(_) => false,
        AppendRefusal::Sequence(code, _) => {
            !matches!(code, ErrorCode::CorruptMessage | ErrorCode::RecordListTooLarge)
        }
        AppendRefusal::Rejected(rejected) => !matches!(
            crate::errors::of_rejected(rejected),
            ErrorCode::CorruptMessage | ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge
        ),
    }
}

fn refused(
    call: &Call<'_>,
    index: i32,
    topic: &TopicProduceDataView<'_>,
    refusal: AppendRefusal,
    endpoints: &mut Vec<NodeEndpoint>,
) -> PartitionProduceResponse {
    let mut response = PartitionProduceResponse { index, base_offset: -1, ..Default::default() };
    match refusal {
        AppendRefusal::Code(error) => {
            response.error_code = error.code();
            if error == ErrorCode::NotLeaderOrFollower && call.version() >= LEADER_FROM {
                current_leader(call, topic, index, &mut response, endpoints);
            }
        }
        AppendRefusal::Rejected(rejected) => {
            let error = crate::errors::of_rejected(&rejected);
            response.error_code = error.code();
            response.error_message = Some(rejected.to_string());
            if let Rejected::Records { window, records, .. } = &rejected {
                response.record_errors = records
                    .iter()
                    .map(|r| BatchIndexAndErrorMessage {
                        batch_index: r.index,
                        batch_index_error_message: Some(r.message(*window)),
                    })
                    .collect();
            }
            // The owner of the topic is to learn of it, not only the client.
            let leave =
                (error == ErrorCode::MessageTooLarge).then(|| call.node().lines().spend(call.now_ms()));
            match leave.flatten() {
                Some(leave) => info!("refused a batch for {}-{index}: {rejected}{leave}", topic.name),
                None => debug!(topic = topic.name, partition = index, "refused a batch: {rejected}"),
            }
        }
        AppendRefusal::Sequence(error, message) => {
            response.error_code = error.code();
            response.error_message = Some(message);
        }
        AppendRefusal::Storage(message) => {
            // Producers try again and again: a full disk must not be filled with lines about it.
            if let Some(leave) = call.node().lines().spend(call.now_ms()) {
                error!("cannot append to {}-{index}: {message}{leave}", topic.name);
            }
            response.error_code = ErrorCode::KafkaStorageError.code();
        }
    }
    response
}

/// Tells the client who leads, so that it need not ask (KIP-951).
fn current_leader(
    call: &Call<'_>,
    topic: &TopicProduceDataView<'_>,
    index: i32,
    response: &mut PartitionProduceResponse,
    endpoints: &mut Vec<NodeEndpoint>,
) {
    let image = call.node().image();
    let found = if call.version() >= IDS_FROM {
        image.topics.by_id(topic.topic_id)
    } else {
        image.topics.by_name(topic.name)
    };
    let Some(partition) = found.and_then(|t| t.partition(index)) else { return };
    let Some(broker) = image.broker(partition.leader) else { return };
    let Some(endpoint) = broker.endpoint(&call.peer.listener_name) else { return };
    response.current_leader = LeaderIdAndEpoch { leader_id: broker.id, leader_epoch: partition.leader_epoch };
    if !endpoints.iter().any(|e| e.node_id == broker.id) {
        endpoints.push(NodeEndpoint {
            node_id: broker.id,
            host: endpoint.host.to_string(),
            port: endpoint.port.into(),
            rack: broker.rack.as_ref().map(ToString::to_string),
        });
    }
}
