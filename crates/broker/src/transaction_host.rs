//! The transaction coordinator's shards on this node's partitions of `__transaction_state`, and the writing of the markers
//! that they want written.

mod markers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ottla_config::NodeConfig;
use ottla_metadata::Image;
use ottla_protocol::ErrorCode;
use ottla_records::{Decompressor, Moment};
use ottla_transactions::{Config, Keeper, Markers, Request, Response};

use crate::node::Node;
use crate::partition::TransactionCheck;
use crate::shard_host::{self, Host, Journal, Kept, Said};
use crate::topic_names;
pub(crate) use markers::run as run_markers;

/// The transactional ids of this node.
pub(crate) type TransactionHost = Host<Keeper>;
/// The answer of an id's shard.
pub(crate) type Answer = shard_host::Answer<Response>;

/// The partition as the keeper writes to it.
struct Led(Arc<dyn Journal>);

impl ottla_transactions::Journal for Led {
    fn append(&mut self, batch: &[u8], leader_epoch: i32, wall_ms: i64) -> Result<i64, ErrorCode> {
        let (_, end) = self.0.clone().append(batch, leader_epoch, wall_ms, TransactionCheck::default())?;
        Ok(end)
    }

    fn high_watermark(&self, leader_epoch: i32) -> Option<i64> {
        self.0.high_watermark(leader_epoch)
    }
}

impl Kept for Keeper {
    type Config = Config;
    type Response = Response;
    type Errand = Markers;
    const NAME: &str = "TransactionCoordinator";
    const TOPIC: &str = topic_names::TRANSACTIONS;

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
        format!("{} transactional ids", self.size())
    }

    fn keyless(&self) -> usize {
        Keeper::keyless(self)
    }

    fn tick(&mut self, now: Moment) {
        Keeper::tick(self, now);
    }

    fn unload(&mut self, _: Moment) {
        Keeper::unload(self);
    }

    fn loaded(&mut self, _: Moment) {
        Keeper::loaded(self);
    }

    fn read(
        &mut self,
        decompressor: &mut Decompressor,
        bytes: &[u8],
        offset: i64,
        _: Option<i64>,
    ) -> Result<(usize, i64), String> {
        Keeper::read(self, decompressor, bytes, offset).map_err(|error| error.to_string())
    }

    fn settle(&mut self, partition: Option<Arc<dyn Journal>>, now: Moment, said: &mut dyn FnMut(Said<Self>)) {
        let mut led = partition.map(Led);
        let journal = led.as_mut().map(|led| led as &mut dyn ottla_transactions::Journal);
        Keeper::settle(self, journal, now, &mut |out| {
            said(match out {
                ottla_transactions::Said::Reply { token, response } => Said::Reply(token, response),
                ottla_transactions::Said::Mark(markers) => Said::Errand(markers),
                ottla_transactions::Said::Notice(notice) => Said::Line(notice.to_string()),
            });
        });
    }
}

impl TransactionHost {
    /// Hands a request to the shard of `partition`. The answer is there at once, or comes later.
    pub(crate) fn ask(&self, partition: i32, request: Request) -> Answer {
        self.put(partition, |keeper, now, token| keeper.handle(now, token, request))
    }

    /// Another `transaction.version` is finalized.
    pub(crate) fn set_transaction_version(&self, config: &NodeConfig, transaction_version: i16) {
        let config = settings(config, transaction_version);
        self.set_config(config.clone());
        self.tell_all(|keeper, _| keeper.configure(config.clone()));
    }
}

/// The settings of shards under a finalized `transaction.version`.
pub(crate) fn settings(config: &NodeConfig, transaction_version: i16) -> Config {
    let transactions = &config.transactions;
    Config {
        max_timeout_ms: transactions.max_timeout_ms,
        id_expiration_ms: transactions.id_expiration_ms.into(),
        abort_check_interval_ms: transactions.abort_check_interval_ms.into(),
        expiration_check_interval_ms: transactions.expiration_check_interval_ms.into(),
        two_phase_commit: transactions.two_phase_commit,
        transaction_version,
        ..Config::default()
    }
}

impl Node {
    /// The partition of `__transaction_state` that has a transactional id.
    pub(crate) fn transaction_partition(&self, transactional_id: &str) -> i32 {
        place(&self.image(), transactional_id, self.static_config().transactions.state_partitions)
    }
}

/// A topic that is there has as many partitions as it was made with; one that is still to be made will have so many as are
/// configured.
fn place(image: &Image, transactional_id: &str, configured: i32) -> i32 {
    let count = image.topics.by_name(topic_names::TRANSACTIONS).map(|t| t.partitions.len() as i32);
    ottla_groups::partition_for(transactional_id, count.unwrap_or(configured))
}
