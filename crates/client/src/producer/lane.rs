//! Requests to one node, in order; what the answers mean for the batches in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::produce_response::PartitionProduceResponse;
use ottla_protocol::messages::{ProduceRequest, ProduceResponse};
use ottla_protocol::{ErrorCode, wire};
use tokio::sync::mpsc;

use super::batch::Place;
use super::collect::Leaving;
use super::{ProducerError, Shared};
use crate::cluster::random;
use crate::{CallError, ClusterError, Connection, TopicPartition, exception};

/// The first version of Produce that names topics by their ids (KIP-516).
const TOPIC_IDS_FROM: i16 = 13;

/// A request's batches on their way.
pub(super) struct Going {
    pub(super) batches: Vec<(Leaving, Bytes)>,
}

/// Starts the lane to a node: requests are written in the order in which they are handed over.
pub(super) fn start(shared: Arc<Shared>, node: i32) -> mpsc::UnboundedSender<Going> {
    let (lane, mut requests) = mpsc::unbounded_channel::<Going>();
    tokio::spawn(async move {
        while let Some(going) = requests.recv().await {
            shared.clone().write(node, going).await;
        }
    });
    lane
}

impl Shared {
    /// Writes one request; its answer is waited for aside.
    async fn write(self: Arc<Shared>, node: i32, going: Going) {
        let within = self.settings.request_timeout;
        let connection = tokio::time::timeout(within, self.cluster.connection(node)).await;
        let connection = match connection {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return self.lost(node, going, &error.to_string()),
            Err(_) => return self.lost(node, going, "no connection in time"),
        };
        let version = match connection.version_of::<ProduceRequest>() {
            Ok(version) => version,
            Err(why) => return self.broken(node, going, &connection, why),
        };
        let request = self.request(version, &going);
        if self.settings.acks == 0 {
            return match connection.tell(version, &request).await {
                Ok(()) => self.told(node, going),
                Err(why) => self.broken(node, going, &connection, why),
            };
        }
        match connection.begin(version, &request).await {
            Ok(posted) => {
                tokio::spawn(async move {
                    match posted.finish::<ProduceRequest>(version, within).await {
                        Ok(answer) => self.answered(node, going, version, answer),
                        Err(why) => self.broken(node, going, &connection, why),
                    }
                });
            }
            Err(why) => self.broken(node, going, &connection, why),
        }
    }

    fn request(&self, version: i16, going: &Going) -> ProduceRequest {
        let state = self.state.lock();
        let mut topics: BTreeMap<usize, TopicProduceData> = BTreeMap::new();
        for (leaving, bytes) in &going.batches {
            let topic = &state.topics[leaving.topic];
            let entry = topics.entry(leaving.topic).or_insert_with(|| match version {
                TOPIC_IDS_FROM.. => TopicProduceData { topic_id: topic.id, ..Default::default() },
                _ => TopicProduceData { name: topic.name.to_string(), ..Default::default() },
            });
            entry.partition_data.push(PartitionProduceData {
                index: leaving.partition as i32,
                records: Some(wire::Records::Bytes(bytes.clone())),
            });
        }
        ProduceRequest {
            transactional_id: self.settings.transactional_id.clone(),
            acks: self.settings.acks,
            timeout_ms: self.settings.request_timeout.as_millis() as i32,
            topic_data: topics.into_values().collect(),
        }
    }

    /// The connection ended, or was silent for too long: whether the batches were written is not known.
    fn broken(&self, node: i32, going: Going, connection: &Connection, why: CallError) {
        match &why {
            CallError::Closed(_) | CallError::Timeout(_) => {
                // An answer that comes after its time is not wanted any more, and those behind it come late too.
                connection.close();
                self.lost(node, going, &format!("node {node}: {why}"));
            }
            // Another attempt would not be understood either.
            _ => {
                let at = connection.address().to_string();
                let error = ProducerError::Cluster(ClusterError::Call { at, api: "Produce", why });
                self.each(node, going, |_, _| Err(Failure::Final(error.clone())));
            }
        }
    }

    fn lost(&self, node: i32, going: Going, why: &str) {
        self.each(node, going, |_, _| {
            Err(Failure::Again { why: why.to_owned(), stale: true, at_once: false })
        });
    }

    fn told(&self, node: i32, going: Going) {
        self.each(node, going, |_, _| Ok(Place { base_offset: -1, append_time: -1 }));
    }

    fn answered(&self, node: i32, going: Going, version: i16, answer: ProduceResponse) {
        let mut places: Vec<(usize, &PartitionProduceResponse)> = Vec::new();
        {
            let state = self.state.lock();
            for topic in &answer.responses {
                let same = |(leaving, _): &&(Leaving, Bytes)| match version {
                    TOPIC_IDS_FROM.. => state.topics[leaving.topic].id == topic.topic_id,
                    _ => *state.topics[leaving.topic].name == *topic.name,
                };
                if let Some((leaving, _)) = going.batches.iter().find(same) {
                    places.extend(topic.partition_responses.iter().map(|told| (leaving.topic, told)));
                }
            }
        }
        for endpoint in &answer.node_endpoints {
            self.cluster.learn_node(endpoint.node_id, &endpoint.host, endpoint.port, endpoint.rack.clone());
        }
        self.each(node, going, |shared, leaving| {
            let told = places
                .iter()
                .find(|(topic, told)| *topic == leaving.topic && told.index == leaving.partition as i32);
            match told {
                Some((_, told)) => shared.verdict(leaving, told),
                None => {
                    let why = "the answer leaves the partition out".to_owned();
                    Err(Failure::Again { why, stale: true, at_once: false })
                }
            }
        });
    }

    /// What a partition's answer means for its batch.
    fn verdict(&self, leaving: &Leaving, told: &PartitionProduceResponse) -> Result<Place, Failure> {
        let place = Place { base_offset: told.base_offset, append_time: told.log_append_time_ms };
        let code = ErrorCode::from_i16(told.error_code).unwrap_or(ErrorCode::UnknownServerError);
        let (topic, partition) = (leaving.topic, leaving.partition);
        // In a transaction nothing is mended: it is aborted.
        let mends = self.settings.idempotent && self.settings.transactional_id.is_none();
        let again = |stale, at_once| Failure::Again { why: code.name().to_owned(), stale, at_once };
        match code {
            ErrorCode::None => Ok(place),
            // It was written by an attempt whose answer was lost.
            ErrorCode::DuplicateSequenceNumber => Ok(Place { base_offset: -1, append_time: -1 }),
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId if mends => {
                let mut state = self.state.lock();
                let slot = &state.topics[topic].partitions[partition];
                let first = slot.in_flight.iter().all(|(number, _)| *number >= leaving.batch.number)
                    && slot.queue.front().is_none_or(|front| front.number > leaving.batch.number);
                if first {
                    state.restart(topic, partition);
                }
                Err(again(false, first))
            }
            ErrorCode::InvalidProducerEpoch if mends => {
                let mut state = self.state.lock();
                state.restart(topic, partition);
                state.identity = None;
                Err(again(false, false))
            }
            code if exception::retriable(code) => {
                let leader = &told.current_leader;
                let mut at_once = false;
                if leader.leader_id >= 0 && self.cluster.knows(leader.leader_id) {
                    let mut state = self.state.lock();
                    let slot = &mut state.topics[topic].partitions[partition];
                    at_once = leader.leader_epoch > slot.leader_epoch;
                    slot.lead(leader.leader_id, leader.leader_epoch);
                }
                Err(again(!at_once, at_once))
            }
            code => {
                let name = self.state.lock().topics[topic].name.clone();
                let message = told.error_message.clone();
                let partition = TopicPartition::new(name, partition as i32);
                Err(Failure::Final(ProducerError::Rejected { partition, code, message }))
            }
        }
    }

    /// Ends the batches of a request, or puts them back.
    fn each(
        &self,
        node: i32,
        going: Going,
        mut verdict: impl FnMut(&Shared, &Leaving) -> Result<Place, Failure>,
    ) {
        for (leaving, bytes) in going.batches {
            let end = verdict(self, &leaving);
            let Leaving { topic, partition, mut batch, .. } = leaving;
            let mut state = self.state.lock();
            let slot = &mut state.topics[topic].partitions[partition];
            slot.in_flight.retain(|(number, _)| *number != batch.number);
            let records = u64::from(batch.records.unsigned_abs());
            let error = match end {
                Ok(place) => {
                    state.free(&batch);
                    state.stats.batches += 1;
                    state.stats.delivered += records;
                    state.stats.bytes += bytes.len() as u64;
                    drop(state);
                    batch.done.end(Ok(place));
                    continue;
                }
                Err(Failure::Again { why, stale, at_once }) if batch.attempts <= self.settings.retries => {
                    let now = Instant::now();
                    batch.not_before =
                        (!at_once).then(|| now + self.settings.retry.pause(batch.attempts, random()));
                    batch.last = Some(why);
                    slot.put_back(batch);
                    if !slot.active {
                        slot.active = true;
                        state.active.push_back((topic, partition));
                    }
                    state.stale |= stale;
                    state.stats.retries += 1;
                    continue;
                }
                Err(Failure::Again { why, .. }) => ProducerError::Expired {
                    partition: TopicPartition::new(state.topics[topic].name.clone(), partition as i32),
                    records: batch.records,
                    after: batch.created.elapsed(),
                    why: Some(why),
                },
                Err(Failure::Final(error)) => error,
            };
            state.free(&batch);
            state.stats.errors += records;
            if self.settings.idempotent {
                // The sequence of a batch that was not written is missing from now on.
                state.restart(topic, partition);
            }
            drop(state);
            batch.done.end(Err(error));
        }
        let mut state = self.state.lock();
        state.stats.requests += 1;
        if let Some(count) = state.in_flight.get_mut(&node) {
            *count -= 1;
        }
        drop(state);
        self.wake.notify_one();
        self.room.notify_waiters();
    }
}

/// What follows from an answer that is none, or not a good one.
enum Failure {
    /// The batch is sent again: after a pause, or at once; `stale`: the leader may be another one.
    Again { why: String, stale: bool, at_once: bool },
    /// It is not.
    Final(ProducerError),
}
