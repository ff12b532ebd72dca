//! What must hold in a whole cluster, one file each. A broken one ends the run with its number in
//! `docs/INVARIANTS.md`.

mod commits;
mod generations;
mod groups;
mod images;
mod leaders;
pub(super) mod ledger;
mod members;
mod owners;
mod records;
mod registrations;
mod sequences;
mod watermarks;

use std::collections::BTreeMap;

use ottla_groups::{Request, Response};
use ottla_metadata::image::Partition as Registered;
use ottla_metadata::{Delta, Image};
use ottla_protocol::ErrorCode;
use uuid::Uuid;

use super::ask::Key;
use super::ear::Batch;
use super::partition::{News, Partition};
use super::world::OFFSETS;
pub(super) use crate::invariants::hold;
use records::Chapter;

/// Everything that is remembered of a run to judge it.
pub struct Rules {
    images: images::Images,
    registrations: registrations::Registrations,
    leaders: leaders::Leaders,
    watermarks: watermarks::Watermarks,
    chapters: BTreeMap<Key, Chapter>,
    books: BTreeMap<Key, groups::Book>,
    acknowledged: u64,
}

impl Rules {
    pub fn new(elr: bool, unclean: bool) -> Rules {
        Rules {
            images: images::Images::default(),
            registrations: registrations::Registrations::new(elr, unclean),
            leaders: leaders::Leaders::default(),
            watermarks: watermarks::Watermarks::default(),
            chapters: BTreeMap::new(),
            books: BTreeMap::new(),
            acknowledged: 0,
        }
    }

    /// A process begins: what only memory holds may start over.
    pub fn started(&mut self, node: usize) {
        self.watermarks.started(node);
    }

    /// A node was given a committed batch. Gives what it changes, if it is the first.
    pub fn batch(&mut self, batch: &Batch) -> Vec<Delta> {
        let deltas = self.images.batch(batch);
        for delta in &deltas {
            for (key, epoch) in self.registrations.changed(delta) {
                self.chapters.entry(key).or_default().unclean_election(epoch);
            }
        }
        deltas
    }

    /// A node works by this image from now on.
    pub fn shown(&mut self, node: usize, image: &Image) {
        self.images.shown(node, image);
    }

    /// A partition of a node may have changed. `trusted` is a broker whose present life the controller knows.
    pub fn look(&mut self, node: usize, partition: &mut Partition, trusted: bool) {
        let chapter = self.chapters.entry(partition.key).or_default();
        for news in partition.news.drain(..) {
            match news {
                News::Leads { epoch, fresh } => {
                    self.leaders.begins(partition.key, epoch, node);
                    self.registrations.leads(partition.key, epoch, node);
                    if fresh && trusted {
                        chapter.begins(epoch, &partition.log);
                    }
                }
                News::Committed { epoch, high_watermark } => {
                    let before = chapter.end();
                    chapter.committed(epoch, high_watermark, &partition.log);
                    let after = chapter.end();
                    if before < after && *partition.topic == *OFFSETS && !chapter.had_unclean_election() {
                        let book = self.books.entry(partition.key).or_default();
                        book.committed(&partition.log, before, after);
                    }
                }
                News::Lost { records } => self.watermarks.lost(chapter, node, partition.key, records),
            }
        }
        self.watermarks.look(node, partition, chapter);
    }

    /// A client was told that its records with this number lie here, for good.
    pub fn acknowledged(&mut self, key: Key, epoch: i32, base: i64, number: u64) {
        self.acknowledged += 1;
        self.chapters.entry(key).or_default().acknowledged(epoch, base, number);
    }

    /// The coordinator of a partition of `__consumer_offsets` answers in this epoch.
    pub fn coordinator_answers(&mut self, key: Key, epoch: i32, request: &Request, response: &Response) {
        let lost = self.chapters.get(&key).is_some_and(Chapter::had_unclean_election);
        if !lost {
            let book = self.books.entry(key).or_default();
            self.acknowledged += book.answered(epoch, request, response);
        }
    }

    /// A client was told that its sequence does not follow.
    pub fn sequence_refused(&self, key: Key, error: ErrorCode) {
        sequences::refused(self.chapters.get(&key), error);
    }

    /// The epoch of the newest leader, if an older one has committed something since it began.
    pub fn suspect(&mut self, key: Key) -> Option<i32> {
        self.chapters.get_mut(&key)?.suspect.take()
    }

    /// This log has everything that is committed.
    pub fn complete(&self, partition: &Partition) {
        if let Some(chapter) = self.chapters.get(&partition.key) {
            chapter.complete(&partition.log);
        }
    }

    /// A replica that may be a member of ISR or ELR.
    pub fn member(&self, id: i32, partition: &Partition, registered: bool) {
        let (Some(chapter), Some(known)) =
            (self.chapters.get(&partition.key), self.registered(partition.key))
        else {
            return;
        };
        if registered {
            members::has_everything(id, partition, known, chapter);
        }
    }

    /// What a replica takes for committed is.
    pub fn prefix(&self, id: i32, partition: &Partition) {
        if let Some(chapter) = self.chapters.get(&partition.key) {
            members::is_prefix(id, partition, chapter);
        }
    }

    /// A partition as it is registered by now.
    pub fn registered(&self, key: Key) -> Option<&Registered> {
        self.images.newest().topics.by_id(key.0)?.partition(key.1)
    }

    /// The id of a topic.
    pub fn topic(&self, name: &str) -> Option<Uuid> {
        self.images.newest().topics.id_of(name)
    }

    /// The process that is registered for a broker.
    pub fn incarnation_of(&self, id: i32) -> Option<Uuid> {
        self.images.newest().broker(id).map(|it| it.incarnation_id)
    }

    /// How many produces with acks=all were acknowledged.
    pub fn acknowledgements(&self) -> u64 {
        self.acknowledged
    }

    /// The registrations in a few words.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        for (key, chapter) in &self.chapters {
            let Some(known) = self.registered(*key) else { continue };
            out += &format!(
                "\n  -{}: leader {} in {}, version {}, replicas {:?}, isr {:?}, elr {:?}, last {:?}, adding {:?}, committed {}",
                key.1,
                known.leader,
                known.leader_epoch,
                known.partition_epoch,
                known.replicas,
                known.isr,
                known.elr(),
                known.last_known_elr(),
                known.adding(),
                chapter.end()
            );
        }
        for broker in self.images.newest().brokers.values() {
            let (id, epoch, fenced) = (broker.id, broker.epoch, broker.fenced);
            out += &format!("\n  broker {id}: epoch {epoch}, fenced {fenced}");
        }
        out
    }
}
