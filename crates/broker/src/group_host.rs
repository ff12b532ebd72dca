//! The group coordinator's shards on this node's partitions of `__consumer_offsets`.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;

use ottla_groups::{Client, Config, Keeper, Request, Response, TransactionCheck};
use ottla_log::VerificationGuard;
use ottla_protocol::ErrorCode;
use ottla_records::{Decompressor, Moment};
use uuid::Uuid;

use crate::partition;
use crate::shard_host::{self, Host, Journal, Kept, Said};
use crate::topic_names;

/// The groups of this node.
pub(crate) type GroupHost = Host<Keeper>;
/// The answer of a group's shard.
pub(crate) type Answer = shard_host::Answer<Response>;

/// The partition as the keeper writes to it.
struct Led(Arc<dyn Journal>);

impl ottla_groups::Journal for Led {
    fn append(
        &mut self,
        batch: &[u8],
        leader_epoch: i32,
        wall_ms: i64,
        check: TransactionCheck,
    ) -> Result<(i64, i64), ErrorCode> {
        let guard = check.guard.map(VerificationGuard::from_number);
        let check = partition::TransactionCheck { guard, version: check.version };
        self.0.clone().append(batch, leader_epoch, wall_ms, check)
    }

    fn high_watermark(&self, leader_epoch: i32) -> Option<i64> {
        self.0.high_watermark(leader_epoch)
    }
}

impl Kept for Keeper {
    type Config = Config;
    type Response = Response;
    type Errand = Infallible;
    const NAME: &str = "GroupCoordinator";
    const TOPIC: &str = topic_names::OFFSETS;

    fn new(config: Config, leader_epoch: i32) -> Keeper {
        Keeper::new(config, leader_epoch)
    }

    fn leader_epoch(&self) -> i32 {
        Keeper::leader_epoch(self)
    }

    fn lead_on(&mut self, leader_epoch: i32) {
        Keeper::lead_on(self, leader_epoch);
    }

    fn waits(&self) -> bool {
        Keeper::waits(self)
    }

    fn next_deadline(&self) -> Option<i64> {
        Keeper::next_deadline(self)
    }

    fn holds(&self) -> String {
        let (groups, offsets) = self.size();
        format!("{groups} groups, {offsets} offsets")
    }

    fn keyless(&self) -> usize {
        Keeper::keyless(self)
    }

    fn tick(&mut self, now: Moment) {
        Keeper::tick(self, now);
    }

    fn unload(&mut self, now: Moment) {
        Keeper::unload(self, now);
    }

    fn loaded(&mut self, now: Moment) {
        Keeper::loaded(self, now);
    }

    fn read(
        &mut self,
        decompressor: &mut Decompressor,
        bytes: &[u8],
        offset: i64,
        high_watermark: Option<i64>,
    ) -> Result<(usize, i64), String> {
        Keeper::read(self, decompressor, bytes, offset, high_watermark).map_err(|error| error.to_string())
    }

    fn settle(&mut self, partition: Option<Arc<dyn Journal>>, now: Moment, said: &mut dyn FnMut(Said<Self>)) {
        let mut led = partition.map(Led);
        let journal = led.as_mut().map(|led| led as &mut dyn ottla_groups::Journal);
        Keeper::settle(self, journal, now, &mut |out| {
            said(match out {
                ottla_groups::Said::Reply { token, response } => Said::Reply(token, response),
                ottla_groups::Said::Notice(notice) => Said::Line(notice.to_string()),
            });
        });
    }
}

impl GroupHost {
    /// Hands a request to the shard of offsets partition `partition`. The answer is there at once, or comes later.
    pub(crate) fn ask(&self, partition: i32, client: Client<'_>, request: Request) -> Answer {
        self.put(partition, |keeper, now, token| keeper.handle(now, client, token, request))
    }

    /// Topics are gone: their offsets go too.
    pub(crate) fn topics_deleted(&self, topics: &[(&str, Uuid)]) {
        self.tell_all(|keeper, now| keeper.topics_deleted(now, topics));
    }
}
