//! What a producer holds: topics, their partitions, the batches that wait, and the memory they take.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use foldhash::{HashMap, HashMapExt};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::MetadataResponse;
use ottla_records::{BatchBuilder, HEADER_SIZE, NewRecord};
use uuid::Uuid;

use super::batch::{Batch, Body, Done, Sent};
use super::partitioner::{self, Sticky};
use super::settings::Settings;
use super::transaction::Stage;
use super::{ProducerError, ToSend};

/// Ids of a producer (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

pub(super) struct State {
    names: HashMap<Arc<str>, usize>,
    pub(super) topics: Vec<Topic>,
    /// Partitions that have batches waiting, each once.
    pub(super) active: VecDeque<(usize, usize)>,
    pub(super) in_flight: HashMap<i32, usize>,
    pub(super) identity: Option<Identity>,
    /// For producers with a transactional id.
    pub(super) stage: Stage,
    pub(super) memory_used: usize,
    /// Callers that wait for memory, or for everything to be sent: no batch lingers meanwhile.
    pub(super) hurried: usize,
    pub(super) closed: bool,
    pub(super) stale: bool,
    pub(super) stats: super::ProducerStats,
    random: u64,
}

pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) id: Uuid,
    pub(super) partitions: Vec<Partition>,
    sticky: Sticky,
    turn: u32,
}

pub(super) struct Partition {
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    pub(super) queue: VecDeque<Batch>,
    pub(super) in_flight: Vec<(u64, Arc<Done>)>,
    pub(super) identity: Option<Identity>,
    pub(super) next_sequence: i32,
    /// The broker has lost count: once nothing is in flight, sequences begin anew under a new epoch (KIP-360).
    pub(super) restart: bool,
    pub(super) active: bool,
    next_number: u64,
}

/// What became of a record that was to be taken.
pub(super) enum Taken {
    /// It is in a batch; `ended` when that closed another one; `wake` when the sender should look.
    Yes { sent: Sent, ended: bool, wake: bool },
    /// The topic is not known yet, or has not that many partitions.
    UnknownTopic,
    /// This many bytes are not free.
    NoMemory(usize),
    /// It cannot be sent.
    No(ProducerError),
}

impl State {
    pub(super) fn new() -> State {
        State {
            names: HashMap::new(),
            topics: Vec::new(),
            active: VecDeque::new(),
            in_flight: HashMap::new(),
            identity: None,
            stage: Stage::Unknown,
            memory_used: 0,
            hurried: 0,
            closed: false,
            stale: false,
            stats: super::ProducerStats::default(),
            random: Uuid::new_v4().as_u128() as u64 | 1,
        }
    }

    fn random(&mut self) -> u32 {
        // xorshift: spread, not secrecy.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as u32
    }

    pub(super) fn topic(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).map(|at| &self.topics[*at])
    }

    pub(super) fn topic_names(&self) -> Vec<Arc<str>> {
        self.topics.iter().map(|topic| topic.name.clone()).collect()
    }

    /// Puts a record into the batch of its partition.
    pub(super) fn take(
        &mut self,
        settings: &Settings,
        record: &ToSend<'_>,
        now: Instant,
        now_ms: i64,
    ) -> Taken {
        if self.closed {
            return Taken::No(ProducerError::Closed);
        }
        if settings.transactional_id.is_some() && !matches!(self.stage, Stage::Open { .. }) {
            return Taken::No(ProducerError::NoTransaction("no transaction is open to send records in"));
        }
        let random = self.random();
        let Some(&at) = self.names.get(record.topic) else { return Taken::UnknownTopic };
        let topic = &mut self.topics[at];
        let Some((number, by_stickiness)) = topic.choose(settings, record, random) else {
            return Taken::UnknownTopic;
        };
        let Some(partition) = topic.partitions.get_mut(number as usize) else { return Taken::UnknownTopic };
        let timestamp = record.timestamp.unwrap_or(now_ms);
        let new = NewRecord { timestamp, key: record.key, value: record.value, headers: record.headers };
        let open = match partition.queue.back() {
            Some(Batch { body: Body::Open(builder), records, .. }) => Some((builder.size(), *records)),
            _ => None,
        };
        // An upper bound: deltas of time within a batch are seldom larger than this.
        let size = new.size(1 << 20, open.map_or(0, |(_, records)| records));
        if HEADER_SIZE + size > settings.max_request_size {
            let (size, max) = (HEADER_SIZE + size, settings.max_request_size);
            return Taken::No(ProducerError::TooLarge { size, max });
        }
        if HEADER_SIZE + size > settings.memory {
            return Taken::No(ProducerError::LargerThanMemory(HEADER_SIZE + size));
        }
        let fits = open.is_some_and(|(bytes, _)| bytes + size <= settings.batch_size);
        let (mut ended, mut wake) = (false, false);
        if !fits {
            let memory = settings.batch_size.max(HEADER_SIZE + size);
            if self.memory_used + memory > settings.memory {
                return Taken::NoMemory(memory);
            }
            self.memory_used += memory;
            (ended, wake) = (open.is_some(), true);
            partition.open(memory, settings, now);
            if !partition.active {
                partition.active = true;
                self.active.push_back((at, number as usize));
            }
        }
        let batch = partition.queue.back_mut().expect("CLIENT-21 a batch is open");
        let Body::Open(builder) = &mut batch.body else { unreachable!("CLIENT-21 a batch is open") };
        let sent = Sent { done: batch.done.clone(), index: batch.records, partition: number, timestamp };
        builder.append(&new);
        batch.records += 1;
        if by_stickiness {
            topic.sticky.took(size, ended, settings.batch_size);
        }
        self.stats.records += 1;
        if let Stage::Open { has_records, .. } = &mut self.stage {
            *has_records = true;
        }
        Taken::Yes { sent, ended, wake }
    }

    /// Gives back the memory of a batch that has ended.
    pub(super) fn free(&mut self, batch: &Batch) {
        self.memory_used -= batch.memory;
    }

    /// Asks for the partition's sequences to begin anew; the first to ask in an epoch ends it for everyone.
    pub(super) fn restart(&mut self, topic: usize, partition: usize) {
        if let Stage::Open { is_doomed, .. } = &mut self.stage {
            // Its coordinator gives epochs, with the transaction's end.
            *is_doomed = true;
            return;
        }
        let partition = &mut self.topics[topic].partitions[partition];
        partition.restart = true;
        if partition.identity.is_some() && partition.identity == self.identity {
            self.identity = self.identity.and_then(|Identity { id, epoch }| {
                // After the last epoch another id is asked for.
                Some(Identity { id, epoch: epoch.checked_add(1)? })
            });
        }
    }

    /// Takes over leaders and partitions; gives back the topics that have an error, with their codes.
    pub(super) fn learn(&mut self, answer: &MetadataResponse) -> Vec<(String, ErrorCode)> {
        let mut errors = Vec::new();
        for told in &answer.topics {
            let Some(name) = told.name.as_deref() else { continue };
            let code = ErrorCode::from_i16(told.error_code).unwrap_or(ErrorCode::UnknownServerError);
            if code != ErrorCode::None || told.partitions.is_empty() {
                errors.push((name.to_owned(), code));
                continue;
            }
            let at = *self.names.entry(name.into()).or_insert_with_key(|name| {
                self.topics.push(Topic {
                    name: name.clone(),
                    id: told.topic_id,
                    partitions: Vec::new(),
                    sticky: Sticky::default(),
                    turn: 0,
                });
                self.topics.len() - 1
            });
            let topic = &mut self.topics[at];
            topic.id = told.topic_id;
            for partition in &told.partitions {
                let Ok(number) = usize::try_from(partition.partition_index) else { continue };
                // Partitions are told whole, from 0 on.
                if number >= told.partitions.len() {
                    continue;
                }
                while topic.partitions.len() <= number {
                    topic.partitions.push(Partition::new());
                }
                topic.partitions[number].lead(partition.leader_id, partition.leader_epoch);
            }
        }
        errors
    }
}

impl Topic {
    /// The record's partition, and whether it was chosen for lack of a reason.
    fn choose(&mut self, settings: &Settings, record: &ToSend<'_>, random: u32) -> Option<(i32, bool)> {
        let count = self.partitions.len();
        if let Some(partition) = record.partition {
            return usize::try_from(partition).is_ok_and(|at| at < count).then_some((partition, false));
        }
        if settings.round_robin {
            self.turn = self.turn.wrapping_add(1);
            return Some(((self.turn as usize % count) as i32, false));
        }
        if let Some(key) = record.key.filter(|_| !settings.ignore_keys) {
            return Some((partitioner::of_key(key, count), false));
        }
        let partitions = &self.partitions;
        let next = || {
            let led = partitions.iter().enumerate().filter(|(_, partition)| partition.leader >= 0);
            let load = led.map(|(at, partition)| (at as i32, partition.queue.len()));
            let chosen = partitioner::choose(load, settings.adaptive, random);
            chosen.unwrap_or((random as usize % count) as i32)
        };
        Some((self.sticky.partition(next), true))
    }
}

impl Partition {
    fn new() -> Partition {
        Partition {
            leader: -1,
            leader_epoch: -1,
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            identity: None,
            next_sequence: 0,
            restart: false,
            active: false,
            next_number: 0,
        }
    }

    /// A leader of an older epoch is no news.
    pub(super) fn lead(&mut self, leader: i32, epoch: i32) {
        if epoch >= self.leader_epoch || epoch < 0 {
            (self.leader, self.leader_epoch) = (leader, epoch.max(self.leader_epoch));
        }
    }

    fn open(&mut self, memory: usize, settings: &Settings, now: Instant) {
        let mut builder = BatchBuilder::new(0)
            .compression(settings.compression, settings.level)
            .transactional(settings.transactional_id.is_some());
        builder.reserve(memory - HEADER_SIZE.min(memory));
        self.queue.push_back(Batch {
            number: self.next_number,
            created: now,
            memory,
            done: Arc::default(),
            records: 0,
            body: Body::Open(Box::new(builder)),
            attempts: 0,
            not_before: None,
            last: None,
        });
        self.next_number += 1;
    }

    /// Puts a batch that failed back where it was among its like.
    pub(super) fn put_back(&mut self, batch: Batch) {
        let at = self.queue.iter().position(|other| other.number > batch.number).unwrap_or(self.queue.len());
        self.queue.insert(at, batch);
    }
}
