//! What is sent next: batches that are full or have lingered long enough, one of each partition in a request.

use std::collections::BTreeSet;
use std::time::Instant;

use super::ProducerError;
use super::batch::{Batch, Body, Stamp};
use super::settings::Settings;
use super::state::{Partition, State};
use crate::TopicPartition;

/// Batches of one partition that a broker remembers for an idempotent producer, and so the most in flight.
const REMEMBERED: usize = 5;

/// A batch that leaves, with the stamp it is to carry.
pub(super) struct Leaving {
    pub(super) topic: usize,
    pub(super) partition: usize,
    pub(super) batch: Batch,
    pub(super) stamp: Stamp,
}

/// What there is to do now.
pub(super) struct Work {
    /// Requests, with the nodes they go to.
    pub(super) requests: Vec<(i32, Vec<Leaving>)>,
    /// When to look again if nothing else happens.
    pub(super) next: Option<Instant>,
    /// Whether batches wait for a leader that is not known.
    pub(super) leaderless: bool,
}

/// Why the first batch of a partition stays.
enum Stays {
    Until(Instant),
    /// For an answer, which wakes the sender.
    ForAnswer,
    Leaderless,
}

impl State {
    pub(super) fn collect(&mut self, settings: &Settings, now: Instant) -> Work {
        let mut work = Work { requests: Vec::new(), next: None, leaderless: false };
        let mut ready = BTreeSet::new();
        let mut at = 0;
        while at < self.active.len() {
            let (topic, partition) = self.active[at];
            self.expire(topic, partition, settings, now, &mut work);
            let hurried = self.hurried > 0 || self.closed;
            let slot = &mut self.topics[topic].partitions[partition];
            let Some(first) = slot.queue.front() else {
                slot.active = false;
                self.active.swap_remove_back(at);
                continue;
            };
            at += 1;
            let full = slot.is_full();
            match slot.stays(settings, now) {
                Some(Stays::Until(then)) => work.look_at(then),
                Some(Stays::ForAnswer) => {}
                Some(Stays::Leaderless) => work.leaderless = true,
                None if full || hurried || now >= first.created + settings.linger => {
                    ready.insert(slot.leader);
                }
                None => work.look_at(first.created + settings.linger),
            }
        }
        for node in ready {
            // The first request takes what there is, those behind it only what is full.
            let mut only_full = false;
            while self.in_flight.get(&node).copied().unwrap_or(0) < settings.in_flight
                && self.fill(node, settings, now, only_full, &mut work)
            {
                only_full = true;
            }
        }
        work
    }

    /// One request to a node: the first batch of every partition that it leads, as far as they fit. Whether there was
    /// one.
    fn fill(
        &mut self,
        node: i32,
        settings: &Settings,
        now: Instant,
        only_full: bool,
        work: &mut Work,
    ) -> bool {
        let (mut bytes, mut leaving) = (0, Vec::new());
        for turn in 0..self.active.len() {
            let (topic, partition) = self.active[turn];
            let slot = &mut self.topics[topic].partitions[partition];
            if slot.leader != node || slot.queue.is_empty() || slot.stays(settings, now).is_some() {
                continue;
            }
            if only_full && !slot.is_full() {
                continue;
            }
            let size = slot.queue.front().map_or(0, Batch::size);
            if !leaving.is_empty() && bytes + size > settings.max_request_size {
                // Whoever did not fit is the first next time.
                self.active.rotate_left(turn);
                break;
            }
            bytes += size;
            let batch = slot.queue.pop_front().expect("CLIENT-22 the queue has a first batch");
            // With a transaction's end comes another epoch, and sequences that begin anew.
            if settings.transactional_id.is_some() && slot.identity != self.identity {
                slot.identity = None;
            }
            let stamp = if settings.idempotent { slot.stamp(&batch, self.identity) } else { Stamp::NONE };
            slot.in_flight.push((batch.number, batch.done.clone()));
            leaving.push(Leaving { topic, partition, batch, stamp });
        }
        if leaving.is_empty() {
            return false;
        }
        *self.in_flight.entry(node).or_default() += 1;
        work.requests.push((node, leaving));
        true
    }

    /// Fails every batch that is too old; whether there was one.
    pub(super) fn expire_all(&mut self, settings: &Settings, now: Instant) -> bool {
        let mut work = Work { requests: Vec::new(), next: None, leaderless: false };
        let before = self.stats.errors;
        for at in 0..self.active.len() {
            let (topic, partition) = self.active[at];
            self.expire(topic, partition, settings, now, &mut work);
        }
        self.stats.errors > before
    }

    /// Fails batches that are older than `delivery.timeout.ms`.
    fn expire(&mut self, topic: usize, partition: usize, settings: &Settings, now: Instant, work: &mut Work) {
        loop {
            let slot = &mut self.topics[topic].partitions[partition];
            let Some(first) = slot.queue.front() else { return };
            let end = first.created + settings.delivery_timeout;
            if now < end {
                work.look_at(end);
                return;
            }
            let batch = slot.queue.pop_front().expect("CLIENT-22 the queue has a first batch");
            let sent_before = batch.stamp().is_some();
            let name = self.topics[topic].name.clone();
            batch.done.end(Err(ProducerError::Expired {
                partition: TopicPartition::new(name, partition as i32),
                records: batch.records,
                after: now - batch.created,
                why: batch.last.clone(),
            }));
            self.stats.errors += u64::from(batch.records.unsigned_abs());
            self.free(&batch);
            if settings.idempotent && sent_before {
                self.restart(topic, partition);
            }
        }
    }
}

impl Work {
    fn look_at(&mut self, then: Instant) {
        self.next = Some(self.next.map_or(then, |next| next.min(then)));
    }
}

impl Partition {
    /// Whether its first batch takes no more records.
    fn is_full(&self) -> bool {
        self.queue.len() > 1
            || self.queue.front().is_some_and(|first| matches!(first.body, Body::Sealed { .. }))
    }

    fn stays(&self, settings: &Settings, now: Instant) -> Option<Stays> {
        let first = self.queue.front()?;
        if let Some(then) = first.not_before.filter(|then| *then > now) {
            return Some(Stays::Until(then));
        }
        if self.leader < 0 {
            return Some(Stays::Leaderless);
        }
        let most = if settings.idempotent { REMEMBERED } else { usize::MAX };
        let one = settings.in_flight == 1 || self.restart;
        if (one && !self.in_flight.is_empty()) || self.in_flight.len() >= most {
            return Some(Stays::ForAnswer);
        }
        // A batch that is sent again waits for those before it: their answers decide over its sequence.
        let again = first.attempts > 0 && self.in_flight.iter().any(|(number, _)| *number < first.number);
        again.then_some(Stays::ForAnswer)
    }

    /// The stamp of the batch that leaves: its old one, or the next sequence.
    fn stamp(&mut self, batch: &Batch, identity: Option<super::state::Identity>) -> Stamp {
        if self.restart || self.identity.is_none() {
            self.restart = false;
            self.identity = identity;
            self.next_sequence = 0;
            for waiting in &mut self.queue {
                waiting.renew();
            }
        } else if let Some(stamp) = batch.stamp().filter(|stamp| *stamp != Stamp::NONE) {
            return stamp;
        }
        let identity = self.identity.expect("CLIENT-23 nothing is sent before the producer has its id");
        let sequence = self.next_sequence;
        // Sequences go round at 2^31.
        self.next_sequence = sequence.wrapping_add(batch.records) & i32::MAX;
        Stamp { id: identity.id, epoch: identity.epoch, sequence }
    }
}
