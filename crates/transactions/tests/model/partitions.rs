//! Partitions as their leaders keep them: what a producer may append, and what a marker ends (see `ottla-log`, whose rules
//! these are).

use std::collections::BTreeMap;

use ottla_protocol::error_code::ErrorCode;
use ottla_transactions::Markers;

/// One record: the number of the transaction that wrote it.
pub(crate) type Value = usize;

#[derive(Debug, Default)]
struct Producer {
    epoch: i16,
    coordinator_epoch: i32,
    open: Option<Vec<Value>>,
    /// A question to the coordinator that is under way: its number, the epoch, and whether epochs change with each end.
    asked: Option<(u64, i16, bool)>,
}

#[derive(Debug, Default)]
pub(crate) struct Partition {
    producers: BTreeMap<i64, Producer>,
    guards: u64,
    /// What read_committed consumers see, and what they never may.
    pub(crate) visible: Vec<Value>,
    pub(crate) aborted: Vec<Value>,
}

impl Partition {
    /// Begins to ask the coordinator about a producer; `None` when its transaction is open here.
    pub(crate) fn begin(&mut self, id: i64, epoch: i16, bumps: bool) -> Option<u64> {
        let producer = self.producers.entry(id).or_insert_with(|| Producer {
            epoch: -1,
            coordinator_epoch: -1,
            ..Producer::default()
        });
        if producer.open.is_some() && producer.epoch == epoch {
            return None;
        }
        if let Some((guard, of, _)) = &mut producer.asked {
            *of = (*of).max(epoch);
            return Some(*guard);
        }
        self.guards += 1;
        producer.asked = Some((self.guards, epoch, bumps));
        Some(self.guards)
    }

    pub(crate) fn append(
        &mut self,
        id: i64,
        epoch: i16,
        guard: Option<u64>,
        value: Value,
    ) -> Result<(), ErrorCode> {
        let producer = self.producers.get_mut(&id).expect("the producer was asked for");
        if epoch < producer.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        let is_open = producer.open.is_some() && producer.epoch == epoch;
        if !is_open && (guard.is_none() || producer.asked.map(|(guard, ..)| guard) != guard) {
            return Err(ErrorCode::InvalidTxnState);
        }
        // A transaction of an older epoch is still open: its marker has to come first.
        assert!(is_open || producer.open.is_none(), "a transaction begins in another one");
        producer.asked = None;
        producer.epoch = epoch;
        producer.open.get_or_insert_default().push(value);
        Ok(())
    }

    pub(crate) fn mark(&mut self, markers: &Markers) -> Result<(), ErrorCode> {
        let producer = self.producers.entry(markers.producer_id).or_insert_with(|| Producer {
            epoch: -1,
            coordinator_epoch: -1,
            ..Producer::default()
        });
        let stale = if markers.transaction_version >= 2 {
            let is_repeated = markers.epoch == producer.epoch && producer.open.is_none();
            markers.epoch <= producer.epoch && !is_repeated
        } else {
            markers.epoch < producer.epoch
        };
        if stale {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if markers.coordinator_epoch < producer.coordinator_epoch {
            return Err(ErrorCode::TransactionCoordinatorFenced);
        }
        (producer.epoch, producer.coordinator_epoch) = (markers.epoch, markers.coordinator_epoch);
        producer.asked = producer.asked.filter(|(_, epoch, bumps)| *bumps && *epoch == markers.epoch);
        let ended = producer.open.take().unwrap_or_default();
        let of = if markers.commit { &mut self.visible } else { &mut self.aborted };
        of.extend(ended);
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.producers.values().any(|producer| producer.open.is_some())
    }
}
