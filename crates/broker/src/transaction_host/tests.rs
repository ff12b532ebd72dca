//! Shards on partitions whose high watermark the test moves, and what they want done elsewhere.

use std::time::Duration;

use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_records::BatchIter;
use ottla_transactions::{Producer, TopicPartition};

use super::*;
use crate::shard_host::memory::Memory;
use crate::shard_host::{Errands, Loading};

/// A host, and whoever runs its errands.
struct Stage {
    host: Arc<TransactionHost>,
    errands: Errands<Keeper>,
}

impl Stage {
    fn new(config: Config) -> Stage {
        let host = Arc::new(TransactionHost::new(config));
        let errands = host.errands().expect("nobody has them yet");
        Stage { host, errands }
    }

    /// Leads partition `index` on `log`, which is still to be read.
    fn lead(&self, index: i32, log: &Arc<Memory>) -> Loading<Keeper> {
        let epoch = log.state.lock().epoch;
        self.host.lead(index, log.clone(), epoch).expect("a new shard is loaded")
    }

    /// Leads partition `index` on a log of one replica.
    fn serve(&self, index: i32) -> Arc<Memory> {
        let log = Memory::led(4, true);
        self.host.load(&self.lead(index, &log));
        log
    }

    fn init(&self, index: i32, producer_id: i64, timeout_ms: i32) -> Answer {
        self.host.tell(index, |keeper, _| keeper.stock(producer_id));
        let request = InitProducerIdRequest {
            transactional_id: Some("tx".into()),
            transaction_timeout_ms: timeout_ms,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        self.host.ask(index, Request::InitProducerId(request))
    }

    fn begin(&self, index: i32, producer: (i64, i16)) {
        let request = Request::AddPartitions {
            producer: Producer { transactional_id: "tx".into(), id: producer.0, epoch: producer.1 },
            partitions: vec![TopicPartition::new("t", 3)],
            client_version: 2,
        };
        let Answer::Now(Response::AddPartitions(ErrorCode::None)) = self.host.ask(index, request) else {
            panic!("there is nothing to wait for")
        };
    }

    fn state(&self, index: i32) -> String {
        match self.host.ask(index, Request::Describe(vec!["tx".into()])) {
            Answer::Now(Response::Describe(mut described)) => described.remove(0).transaction_state,
            _ => panic!("it is answered at once"),
        }
    }

    async fn errand(&mut self) -> (i32, Markers) {
        soon(self.errands.recv()).await.expect("the host is there")
    }
}

fn error_of(response: Option<Response>) -> ErrorCode {
    match response {
        Some(Response::InitProducerId(body)) => ErrorCode::from_i16(body.error_code).unwrap(),
        other => panic!("not the answer to InitProducerId: {other:?}"),
    }
}

fn now(answer: Answer) -> ErrorCode {
    match answer {
        Answer::Now(response) => error_of(Some(response)),
        Answer::Later(_) => panic!("it is answered at once"),
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(5), what).await.expect("it comes soon")
}

#[tokio::test(flavor = "current_thread")]
async fn markers_are_an_errand_of_their_shard() {
    let mut stage = Stage::new(Config::default());
    for index in [0, 2] {
        stage.serve(index);
        assert_eq!(now(stage.init(index, 70 + i64::from(index), 60_000)), ErrorCode::None);
    }
    stage.begin(2, (72, 0));
    let request =
        EndTxnRequest { transactional_id: "tx".into(), producer_id: 72, producer_epoch: 0, committed: true };
    let Answer::Now(Response::EndTxn(_)) = stage.host.ask(2, Request::EndTxn { request, client_version: 2 })
    else {
        panic!("the client does not wait for the markers")
    };
    let (index, markers) = stage.errand().await;
    assert_eq!((index, markers.producer_id, markers.coordinator_epoch), (2, 72, 4));
    assert_eq!((stage.state(2), stage.state(0)), ("PrepareCommit".into(), "Empty".into()));
    let written = markers.partitions.iter().map(|at| (at.clone(), ErrorCode::None)).collect::<Vec<_>>();
    stage.host.tell(index, |keeper, now| keeper.marked(now, "tx", markers.id, written));
    assert_eq!(stage.state(2), "CompleteCommit");
}

#[tokio::test(flavor = "current_thread")]
async fn a_timeout_is_found_by_the_clock_alone() {
    let mut stage = Stage::new(Config { abort_check_interval_ms: 1, ..Config::default() });
    tokio::spawn(stage.host.clone().run_timers());
    stage.serve(0);
    assert_eq!(now(stage.init(0, 70, 20)), ErrorCode::None);
    stage.begin(0, (70, 0));
    // The first looks come too early.
    let (_, markers) = stage.errand().await;
    assert_eq!((markers.commit, markers.epoch), (false, 1));
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_found_in_the_log_goes_on_by_the_clock() {
    let mut before = Stage::new(Config::default());
    let log = before.serve(0);
    assert_eq!(now(before.init(0, 70, 1)), ErrorCode::None);
    before.begin(0, (70, 0));
    assert!(before.errands.try_recv().is_err());

    // Its timeout is noticed by a host that nobody asks anything.
    for is_committed_at_once in [true, false] {
        let mut after = Stage::new(Config { abort_check_interval_ms: 1, ..Config::default() });
        tokio::spawn(after.host.clone().run_timers());
        let copy = log.copy(5);
        copy.commit_up_to(if is_committed_at_once { copy.end() } else { 0 });
        let loading = after.lead(0, &copy);
        after.host.load(&loading);
        let abort = soon(async {
            // Records are committed when the test says so.
            loop {
                copy.commit_up_to(copy.end());
                match after.errands.try_recv() {
                    Ok(errand) => return errand,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        let (_, markers) = abort.await;
        assert_eq!((markers.commit, markers.coordinator_epoch), (false, 5));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn another_transaction_version_reaches_all_shards_and_those_to_come() {
    let stage = Stage::new(Config::default());
    let mut logs = vec![stage.serve(0), stage.serve(1)];
    let text = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n\
                controller.listener.names=CONTROLLER\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
                log.dirs=/nowhere\ntransaction.max.timeout.ms=11\ntransactional.id.expiration.ms=12\n\
                transaction.abort.timed.out.transaction.cleanup.interval.ms=13\n\
                transaction.remove.expired.transaction.cleanup.interval.ms=14\n\
                transaction.two.phase.commit.enable=true\n";
    let node = NodeConfig::load("test", text.as_bytes(), &[]).unwrap().config;
    let told = settings(&node, 0);
    assert_eq!((told.max_timeout_ms, told.id_expiration_ms), (11, 12));
    assert_eq!((told.abort_check_interval_ms, told.expiration_check_interval_ms), (13, 14));
    assert_eq!((told.two_phase_commit, told.transaction_version), (true, 0));

    stage.host.set_transaction_version(&node, 0);
    logs.push(stage.serve(2));
    for (index, log) in (0..).zip(logs) {
        assert_eq!(now(stage.init(index, 70, 12)), ErrorCode::InvalidTransactionTimeout);
        assert_eq!(now(stage.init(index, 70, 10)), ErrorCode::None);
        let state = log.state.lock();
        let batch = BatchIter::new(&state.bytes).next().unwrap().unwrap();
        let record = batch.plain_records().unwrap().next().unwrap().unwrap();
        assert_eq!(record.value.unwrap()[..2], [0, 0], "the version of values under transaction.version 0");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_log_that_cannot_be_read_is_not_served_until_it_is_led_anew() {
    let stage = Stage::new(Config::default());
    let log = stage.serve(0);
    assert_eq!(now(stage.init(0, 70, 60_000)), ErrorCode::None);
    let damaged = log.copy(5);
    let last = damaged.state.lock().bytes.len() - 1;
    damaged.state.lock().bytes[last] ^= 1;

    let after = Stage::new(Config::default());
    let loading = after.lead(0, &damaged);
    assert_eq!(now(after.init(0, 71, 60_000)), ErrorCode::CoordinatorLoadInProgress);
    after.host.load(&loading);
    assert_eq!(now(after.init(0, 71, 60_000)), ErrorCode::NotCoordinator);
    assert_eq!(after.host.led(), [0; 0]);
    // The same partition once more, sound by now.
    damaged.state.lock().bytes[last] ^= 1;
    let loading = after.lead(0, &damaged);
    after.host.load(&loading);
    damaged.commit_up_to(damaged.end());
    after.host.tell(0, |_, _| {});
    assert_eq!(after.state(0), "Empty");
}

#[tokio::test(flavor = "current_thread")]
async fn a_partition_that_was_made_anew_is_another_one() {
    let stage = Stage::new(Config::default());
    let old = Memory::led(4, false);
    stage.host.load(&stage.lead(0, &old));
    let waiting = stage.init(0, 70, 60_000);
    assert!(matches!(waiting, Answer::Later(_)));
    let loading = stage.lead(0, &Memory::led(4, true));
    assert_eq!(error_of(soon(waiting.wait()).await), ErrorCode::NotCoordinator);
    stage.host.load(&loading);
    assert_eq!(now(stage.init(0, 71, 60_000)), ErrorCode::None);
    // What becomes of the old one's records is of no interest.
    old.commit_up_to(old.end());
    assert_eq!(stage.host.look(0, Keeper::size), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn whoever_follows_the_watermark_leaves_off_when_there_is_nothing_to_wait_for() {
    let stage = Stage::new(Config::default());
    tokio::spawn(stage.host.clone().run_timers());
    let weak = {
        let log = Memory::led(4, false);
        stage.host.load(&stage.lead(0, &log));
        let waiting = stage.init(0, 70, 60_000);
        tokio::task::yield_now().await;
        stage.host.resign(0);
        assert_eq!(error_of(soon(waiting.wait()).await), ErrorCode::NotCoordinator);
        Arc::downgrade(&log)
    };
    soon(async {
        while weak.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[test]
fn ids_lie_in_the_partitions_that_the_topic_has_whatever_is_configured() {
    use ottla_protocol::metadata_records::{PartitionRecord, TopicRecord};

    let places = |image: &Image| ["tx", "other", "third"].map(|id| place(image, id, 50));
    assert_eq!(
        places(&Image::default()),
        ["tx", "other", "third"].map(|id| ottla_groups::partition_for(id, 50))
    );
    let mut delta = ottla_metadata::Delta::default();
    let topic_id = uuid::Uuid::from_u128(9);
    delta.replay(&TopicRecord { name: topic_names::TRANSACTIONS.into(), topic_id }.into()).unwrap();
    for partition_id in 0..3 {
        let directories = vec![uuid::Uuid::from_u128(101)];
        let (replicas, isr) = (vec![1], vec![1]);
        let partition = PartitionRecord {
            partition_id,
            topic_id,
            replicas,
            isr,
            leader: 1,
            directories,
            ..Default::default()
        };
        delta.replay(&partition.into()).unwrap();
    }
    let made = places(delta.after());
    assert_eq!(made, ["tx", "other", "third"].map(|id| ottla_groups::partition_for(id, 3)));
    assert_ne!(made, places(&Image::default()), "the ids tell the counts apart");
}

#[test]
fn what_is_said_again_is_no_news() {
    let host = TransactionHost::new(Config::default());
    assert!(host.is_news("a") && !host.is_news("a") && host.is_news("b") && host.is_news("a"));
}
