//! A keeper on a log in memory.

use super::*;
use crate::api::Producer;
use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_records::Batch;

/// A log in memory; records are committed when the test says so.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    end: Offset,
    high_watermark: Offset,
    is_full: bool,
    /// How many epochs after 3 it is led in.
    later_epoch: i32,
}

impl Journal for Memory {
    fn append(&mut self, batch: &[u8], leader_epoch: i32, _: i64) -> Result<Offset, ErrorCode> {
        if leader_epoch != 3 + self.later_epoch {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if self.is_full {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        self.bytes.extend_from_slice(&self.end.to_be_bytes());
        self.bytes.extend_from_slice(&batch[8..]);
        self.end += Batch::parse(batch).unwrap().header().next_offset();
        Ok(self.end)
    }

    fn high_watermark(&self, leader_epoch: i32) -> Option<Offset> {
        (leader_epoch == 3 + self.later_epoch).then_some(self.high_watermark)
    }
}

const NOW: Moment = Moment { running_ms: 5, wall_ms: 1_000 };

fn settle(keeper: &mut Keeper, log: &mut Memory) -> Vec<Said> {
    let mut all = Vec::new();
    keeper.settle(Some(log), NOW, &mut |said| all.push(said));
    all
}

fn init(id: &str) -> Request {
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    })
}

fn answers(said: &[Said]) -> Vec<(Token, i16, ProducerId, i16)> {
    said.iter()
        .filter_map(|said| match said {
            Said::Reply { token, response: Response::InitProducerId(body) } => {
                Some((*token, body.error_code, body.producer_id, body.producer_epoch))
            }
            _ => None,
        })
        .collect()
}

fn served(log: &mut Memory) -> Keeper {
    let mut keeper = Keeper::new(Config::default(), 3);
    let (bytes, end) = (log.bytes.clone(), log.end);
    if end > 0 {
        assert_eq!(keeper.read(&mut Decompressor::new(), &bytes, 0).unwrap().1, end);
    }
    keeper.loaded();
    settle(&mut keeper, log);
    keeper
}

#[test]
fn an_answer_leaves_when_the_high_watermark_passes_its_record() {
    let mut log = Memory::default();
    let mut keeper = served(&mut log);
    assert!(keeper.lacks_producer_id());
    keeper.stock(70);
    keeper.handle(NOW, 1, init("tx"));
    assert_eq!(answers(&settle(&mut keeper, &mut log)), []);
    assert!(keeper.waits());
    log.high_watermark = log.end;
    assert_eq!(answers(&settle(&mut keeper, &mut log)), [(1, 0, 70, 0)]);
    assert!(!keeper.waits());
}

#[test]
fn what_was_found_in_the_log_is_served_once_it_is_committed() {
    let mut log = Memory::default();
    let mut before = served(&mut log);
    before.stock(70);
    before.handle(NOW, 1, init("tx"));
    settle(&mut before, &mut log);

    let mut keeper = served(&mut log);
    assert!(keeper.waits() && !keeper.lacks_producer_id());
    keeper.handle(NOW, 2, init("tx"));
    let loading = ErrorCode::CoordinatorLoadInProgress.code();
    assert_eq!(answers(&settle(&mut keeper, &mut log)), [(2, loading, -1, -1)]);
    log.high_watermark = log.end;
    settle(&mut keeper, &mut log);
    keeper.handle(NOW, 3, init("tx"));
    settle(&mut keeper, &mut log);
    log.high_watermark = log.end;
    assert_eq!(answers(&settle(&mut keeper, &mut log)), [(3, 0, 70, 1)], "the next epoch, by the log");
}

#[test]
fn a_refused_record_leaves_nothing_behind() {
    let mut log = Memory { is_full: true, ..Memory::default() };
    let mut keeper = served(&mut log);
    keeper.stock(70);
    keeper.handle(NOW, 1, init("tx"));
    let unavailable = ErrorCode::CoordinatorNotAvailable.code();
    assert_eq!(answers(&settle(&mut keeper, &mut log)), [(1, unavailable, -1, -1)]);
    assert_eq!((keeper.size(), keeper.waits()), (0, false));
}

#[test]
fn a_batch_has_the_header_that_kafkas_coordinator_writes() {
    let mut log = Memory::default();
    let mut keeper = served(&mut log);
    keeper.stock(70);
    keeper.handle(NOW, 1, init("tx"));
    settle(&mut keeper, &mut log);
    let batch = Batch::parse(&log.bytes).unwrap();
    let header = batch.header();
    assert_eq!((header.partition_leader_epoch, header.base_sequence), (3, -1));
    assert_eq!((header.producer_id, header.producer_epoch, header.is_transactional()), (-1, -1, false));
    assert_eq!(header.max_timestamp, NOW.wall_ms);
}

#[test]
fn in_another_epoch_with_the_same_log_the_shard_goes_on() {
    let mut log = Memory::default();
    let mut keeper = served(&mut log);
    keeper.stock(70);
    keeper.handle(NOW, 1, init("tx"));
    settle(&mut keeper, &mut log);
    // Others may have written in the place of what was appended in epoch 3.
    log.later_epoch = 1;
    log.high_watermark = log.end;
    assert_eq!(answers(&settle(&mut keeper, &mut log)), []);
    keeper.lead_on(4);
    assert_eq!(keeper.leader_epoch(), 4);
    assert_eq!(answers(&settle(&mut keeper, &mut log)), [(1, 0, 70, 0)]);
    keeper.handle(NOW, 2, init("tx"));
    settle(&mut keeper, &mut log);
    log.high_watermark = log.end;
    assert_eq!(answers(&settle(&mut keeper, &mut log)), [(2, 0, 70, 1)], "appended in the new epoch");
    // Markers say so, too.
    let producer = Producer { transactional_id: "tx".into(), id: 70, epoch: 1 };
    let partitions = vec![TopicPartition::new("t", 0)];
    keeper.handle(NOW, 3, Request::AddPartitions { producer, partitions, client_version: 2 });
    settle(&mut keeper, &mut log);
    log.high_watermark = log.end;
    settle(&mut keeper, &mut log);
    let request =
        EndTxnRequest { transactional_id: "tx".into(), producer_id: 70, producer_epoch: 1, committed: true };
    keeper.handle(NOW, 4, Request::EndTxn { request, client_version: 2 });
    settle(&mut keeper, &mut log);
    log.high_watermark = log.end;
    let said = settle(&mut keeper, &mut log);
    let marks = said.iter().filter_map(|said| match said {
        Said::Mark(markers) => Some(markers.coordinator_epoch),
        _ => None,
    });
    assert_eq!(marks.collect::<Vec<_>>(), [4]);
}

#[test]
fn without_a_partition_every_append_is_refused() {
    let mut keeper = served(&mut Memory::default());
    keeper.stock(70);
    keeper.handle(NOW, 1, init("tx"));
    let mut said = Vec::new();
    keeper.settle(None, NOW, &mut |what| said.push(what));
    assert_eq!(answers(&said), [(1, ErrorCode::NotCoordinator.code(), -1, -1)]);
}

#[test]
fn a_shard_that_is_given_up_before_its_log_is_committed_is_never_served() {
    let mut log = Memory::default();
    let mut before = served(&mut log);
    before.stock(70);
    before.handle(NOW, 1, init("tx"));
    settle(&mut before, &mut log);
    let mut keeper = served(&mut log);
    keeper.unload();
    log.high_watermark = log.end;
    keeper.handle(NOW, 2, init("tx"));
    assert_eq!(answers(&settle(&mut keeper, &mut log)), [(2, ErrorCode::NotCoordinator.code(), -1, -1)]);
    assert!(!keeper.waits());
}

#[test]
fn records_without_a_key_and_the_ends_of_transactions_are_passed_over() {
    let mut batch = BatchBuilder::new(0);
    batch.append(&NewRecord::new(1, None, Some(b"nothing")));
    batch.append(&NewRecord::new(1, Some(b"\0\0\0\x02tx"), None));
    let mut bytes = batch.build();
    bytes.extend(ottla_records::control::end_transaction_batch(2, 0, 1, (7, 0), true, 0));
    let mut keeper = Keeper::new(Config::default(), 3);
    assert_eq!(keeper.read(&mut Decompressor::new(), &bytes, 0).unwrap(), (1, 3));
    assert_eq!(keeper.keyless(), 1);
}

#[test]
fn other_settings_reach_the_shard() {
    let mut log = Memory::default();
    let mut keeper = served(&mut log);
    keeper.configure(Config { max_timeout_ms: 59_999, ..Config::default() });
    keeper.handle(NOW, 1, init("tx"));
    let refused = ErrorCode::InvalidTransactionTimeout.code();
    assert_eq!(answers(&settle(&mut keeper, &mut log)), [(1, refused, -1, -1)]);
}
