//! Clients that write: each one record after the other to one partition, idempotent with acks=all or with acks=1,
//! sending again what got no answer.

use ottla_protocol::ErrorCode;
use ottla_records::{BatchBuilder, NewRecord};

use super::ask::{Answer, Ask, Key, Party, Purpose};
use super::world::{Event, World};

/// How long an answer is waited for.
const PATIENCE_MS: i64 = 3_000;

/// A client.
#[derive(Debug)]
pub struct Producer {
    partition: i32,
    acks_all: bool,
    id: i64,
    sequence: i32,
    /// What is being written: its number and its batch.
    batch: Option<(u64, Vec<u8>)>,
    /// The question on its way, and since when.
    asking: Option<(u64, i64)>,
    /// The newest leader epoch it was told of: metadata of an older one is not believed.
    known_epoch: i32,
    /// Acknowledged since somebody looked.
    pub acknowledged: u64,
}

impl World {
    /// Clients as the plan has them.
    pub(super) fn begin_producers(&mut self) {
        for index in 0..self.plan.producers {
            let partition = self.random.index(self.plan.partitions as usize) as i32;
            let acks_all = self.random.chance(850);
            let id = self.new_producer_id();
            self.producers.push(Producer {
                partition,
                acks_all,
                id,
                sequence: 0,
                batch: None,
                asking: None,
                known_epoch: -1,
                acknowledged: 0,
            });
            self.post(500, Event::Write { client: index });
        }
    }

    fn new_producer_id(&mut self) -> i64 {
        self.producer_ids += 1;
        self.producer_ids
    }

    /// A client's turn.
    pub(super) fn write(&mut self, client: usize) {
        let now = self.now;
        if !self.writing {
            return self.post(200, Event::Write { client });
        }
        if let Some((_, since)) = self.producers[client].asking {
            if now - since <= PATIENCE_MS {
                return;
            }
            self.producers[client].asking = None;
        }
        let key = self.topic.map(|topic| (topic, self.producers[client].partition));
        let leader = key.and_then(|key| self.find_leader(client, key));
        let (Some(key), Some(leader)) = (key, leader) else {
            return self.post(200, Event::Write { client });
        };
        if self.producers[client].batch.is_none() {
            self.numbers += 1;
            let number = self.numbers;
            let records = 1 + self.random.index(3);
            let padding = "x".repeat(self.random.index(300));
            let producer = &mut self.producers[client];
            let mut batch = BatchBuilder::new(0);
            if producer.acks_all {
                batch = batch.producer(producer.id, 0, producer.sequence);
                producer.sequence += records as i32;
            }
            for part in 0..records {
                let value = format!("#{number}.{part}.{padding}");
                batch.append(&NewRecord::new(1_700_000_000_000 + now, None, Some(value.as_bytes())));
            }
            producer.batch = Some((number, batch.build()));
        }
        let producer = &self.producers[client];
        let (number, records) = producer.batch.clone().expect("SIM: it was just made");
        let ask = Ask::Produce { key, acks_all: producer.acks_all, number, records };
        let asked = self.send(Party::Client(client), leader, ask, Purpose::Write);
        self.producers[client].asking = Some((asked, now));
        self.post(PATIENCE_MS + 1, Event::Write { client });
    }

    /// The leader and the epoch of a partition, as some broker that serves would tell a client.
    pub(super) fn told_leader(&mut self, key: Key) -> Option<(i32, i32)> {
        let first = self.random.index(self.nodes.len());
        let order = (0..self.nodes.len()).map(|it| (first + it) % self.nodes.len());
        let serves = |node: &usize| self.nodes[*node].process.as_ref().is_some_and(|it| it.life.serving);
        let asked = order.into_iter().find(serves)?;
        let image = &self.nodes[asked].process.as_ref()?.image;
        let partition = image.topics.by_id(key.0)?.partition(key.1)?;
        Some((partition.leader, partition.leader_epoch))
    }

    fn find_leader(&mut self, client: usize, key: Key) -> Option<usize> {
        let (leader, epoch) = self.told_leader(key)?;
        let producer = &mut self.producers[client];
        if leader < 0 || epoch < producer.known_epoch {
            return None;
        }
        producer.known_epoch = epoch;
        Some(leader as usize - 1)
    }

    /// An answer to a client.
    pub(super) fn written(&mut self, client: usize, number: u64, answer: Answer) {
        if self.producers[client].asking.take_if(|(asked, _)| *asked == number).is_none() {
            return;
        }
        let pause = self.random.between(0, self.plan.write_ms);
        match answer {
            Answer::Produced(Ok(_)) => {
                self.producers[client].batch = None;
                self.producers[client].acknowledged += 1;
                self.post(pause, Event::Write { client });
            }
            Answer::Produced(Err(
                error @ (ErrorCode::OutOfOrderSequenceNumber | ErrorCode::InvalidProducerEpoch),
            )) => {
                let key = self.topic.map(|topic| (topic, self.producers[client].partition));
                self.note(format_args!("client {client} is told {error:?} and begins anew"));
                self.rules.sequence_refused(key.expect("SIM: it wrote there"), error);
                let id = self.new_producer_id();
                let producer = &mut self.producers[client];
                (producer.id, producer.sequence, producer.batch) = (id, 0, None);
                self.post(pause, Event::Write { client });
            }
            _ => {
                let again = self.random.between(20, 150);
                self.post(again, Event::Write { client });
            }
        }
    }
}
