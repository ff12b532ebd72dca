//! The task that sends: looks what is due, hands it to the lane of its node, keeps leaders and ids up to date.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::InitProducerIdRequest;
use ottla_records::Compressor;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::lane::{self, Going};
use super::state::Identity;
use super::{ProducerError, Shared};
use crate::{ClusterError, exception};

/// The pause between two looks at leaders that are not known.
const LEADERS_AGAIN: Duration = Duration::from_millis(50);

/// Runs until the producer is closed and nothing is left.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut lanes: HashMap<i32, mpsc::UnboundedSender<Going>> = HashMap::new();
    let mut compressor = Compressor::new();
    loop {
        if shared.wants_identity() {
            shared.identify().await;
        }
        let now = Instant::now();
        let (work, over) = {
            let mut state = shared.state.lock();
            let work = state.collect(&shared.settings, now);
            let idle = state.active.is_empty() && state.in_flight.values().all(|count| *count == 0);
            (work, state.closed && idle)
        };
        if over {
            return;
        }
        for (node, leaving) in work.requests {
            let batches = leaving
                .into_iter()
                .map(|mut leaving| {
                    let bytes = leaving.batch.seal(leaving.stamp, &mut compressor);
                    leaving.batch.attempts += 1;
                    (leaving, bytes)
                })
                .collect();
            let lane = lanes.entry(node).or_insert_with(|| lane::start(shared.clone(), node));
            // A lane ends with its sender only.
            let _ = lane.send(Going { batches });
        }
        let mut next = shared.look_after_leaders(work.leaderless, now);
        next = work.next.map_or(next, |then| then.min(next));
        tokio::select! {
            () = shared.wake.notified() => {}
            () = sleep_until(next.into()) => {}
        }
    }
}

impl Shared {
    fn wants_identity(&self) -> bool {
        let state = self.state.lock();
        let asks = self.settings.idempotent && self.settings.transactional_id.is_none();
        asks && state.identity.is_none() && !state.active.is_empty()
    }

    /// Asks for a producer id until there is one (KIP-98). Batches grow old meanwhile.
    async fn identify(self: &Arc<Shared>) {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let error = match self.cluster.any(&request).await {
            Ok(answer) if answer.error_code == 0 => {
                let identity = Identity { id: answer.producer_id, epoch: answer.producer_epoch };
                self.state.lock().identity = Some(identity);
                return;
            }
            Ok(answer) => ClusterError::of_code("InitProducerId", answer.error_code, None),
            Err(error) => error,
        };
        tracing::debug!("no producer id: {error}");
        let fatal = match &error {
            ClusterError::Code { code, .. } => !exception::retriable(*code),
            ClusterError::Call { why: crate::CallError::Unsupported { .. }, .. } => true,
            _ => false,
        };
        if fatal {
            self.fail_waiting(&ProducerError::Cluster(error));
        } else {
            let expired = self.grow_old(&error.to_string());
            if expired {
                self.room.notify_waiters();
            }
            tokio::time::sleep(self.cluster.pause(1)).await;
        }
    }

    /// Remembers why nothing can be sent; what is too old ends. Whether something did.
    fn grow_old(&self, why: &str) -> bool {
        let mut state = self.state.lock();
        let partitions = state.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        for batch in partitions.filter_map(|partition| partition.queue.front_mut()) {
            batch.last = Some(why.to_owned());
        }
        state.expire_all(&self.settings, Instant::now())
    }

    /// Fails everything that waits to be sent.
    pub(super) fn fail_waiting(&self, why: &ProducerError) {
        let mut state = self.state.lock();
        for (topic, partition) in std::mem::take(&mut state.active) {
            let slot = &mut state.topics[topic].partitions[partition];
            slot.active = false;
            for batch in std::mem::take(&mut slot.queue) {
                state.free(&batch);
                state.stats.errors += u64::from(batch.records.unsigned_abs());
                batch.done.end(Err(why.clone()));
            }
        }
        drop(state);
        self.room.notify_waiters();
    }

    /// Looks for leaders anew when some are missing or wrong, or what is known is old. When to look again.
    fn look_after_leaders(self: &Arc<Shared>, leaderless: bool, now: Instant) -> Instant {
        let mut refresh = self.refresh.lock();
        let stale = self.state.lock().stale || leaderless;
        let due =
            if stale { refresh.last + LEADERS_AGAIN } else { refresh.last + self.settings.metadata_max_age };
        if refresh.running || now < due {
            // The end of a running one wakes the sender.
            return if refresh.running { now + self.settings.metadata_max_age } else { due };
        }
        (refresh.running, refresh.last) = (true, now);
        let shared = self.clone();
        tokio::spawn(async move {
            let topics = shared.state.lock().topic_names();
            let topics: Vec<&str> = topics.iter().map(|name| &**name).collect();
            let answer = if topics.is_empty() {
                None
            } else {
                shared.state.lock().stale = false;
                Some(shared.cluster.ask_topics(Some(&topics), true).await)
            };
            match answer {
                Some(Ok(answer)) => {
                    shared.state.lock().learn(&answer);
                }
                Some(Err(error)) => {
                    tracing::debug!("no news of topics: {error}");
                    shared.state.lock().stale = true;
                }
                None => {}
            }
            let mut refresh = shared.refresh.lock();
            (refresh.running, refresh.last) = (false, Instant::now());
            drop(refresh);
            shared.wake.notify_one();
        });
        now + self.settings.metadata_max_age
    }

    /// A topic that is asked for the first time, until it is there or `max.block.ms` is over.
    pub(super) async fn find_topic(&self, topic: &str, partition: Option<i32>) -> Result<(), ProducerError> {
        let until = tokio::time::Instant::now() + self.settings.max_block;
        for failures in 1.. {
            let last =
                match tokio::time::timeout_at(until, self.cluster.ask_topics(Some(&[topic]), true)).await {
                    Ok(Ok(answer)) => {
                        let mut state = self.state.lock();
                        let errors = state.learn(&answer);
                        if errors.iter().any(|(_, code)| *code == ErrorCode::InvalidTopicException) {
                            return Err(ProducerError::InvalidTopic(topic.to_owned()));
                        }
                        let count = state.topic(topic).map(|topic| topic.partitions.len() as i32);
                        match (count, partition) {
                            (Some(count), Some(partition)) if !(0..count).contains(&partition) => Some(count),
                            (Some(_), _) => return Ok(()),
                            (None, _) => None,
                        }
                    }
                    Ok(Err(error)) => return Err(error.into()),
                    Err(_) => None,
                };
            let pause = self.cluster.pause(failures);
            if tokio::time::Instant::now() + pause >= until {
                let (topic, after) = (topic.to_owned(), self.settings.max_block);
                return Err(match (last, partition) {
                    (Some(count), Some(partition)) => {
                        ProducerError::NoPartition { topic, partition, count, after }
                    }
                    _ => ProducerError::NoTopic { topic, after },
                });
            }
            tokio::time::sleep(pause).await;
        }
        unreachable!("CLIENT-14 attempts do not run out")
    }
}
