//! The shard of these tests, and how it is asked.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_transactions_response::TransactionState;
use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_transactions::{
    Append, Config, Effect, Markers, Moment, Producer, Record, Request, Response, Shard, TopicPartition,
};

/// The last epoch that a producer is given.
pub(crate) const LAST_EPOCH: i16 = i16::MAX - 1;

/// A shard whose records are committed at once, and whose markers are kept.
pub(crate) struct Stage {
    pub(crate) shard: Shard,
    pub(crate) now: Moment,
    tokens: u64,
    fresh: i64,
    pub(crate) log: Vec<Record>,
    pub(crate) markers: Vec<Markers>,
    answers: Vec<Response>,
    /// How many records each append had.
    pub(crate) appends: Vec<usize>,
    /// There are no fresh producer ids.
    pub(crate) is_dry: bool,
}

pub(crate) fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

impl Stage {
    pub(crate) fn new(config: Config) -> Stage {
        let now = Moment { running_ms: 0, wall_ms: 1_000_000 };
        let mut shard = Shard::new(config, 5);
        shard.loaded(now);
        Stage {
            shard,
            now,
            tokens: 0,
            fresh: 99,
            log: Vec::new(),
            markers: Vec::new(),
            answers: Vec::new(),
            appends: Vec::new(),
            is_dry: false,
        }
    }

    /// Another shard reads the log.
    pub(crate) fn reload(&mut self, config: Config, coordinator_epoch: i32) {
        self.shard = Shard::new(config, coordinator_epoch);
        for record in &self.log {
            self.shard.replay(&record.key, record.value.as_deref()).unwrap();
        }
        self.markers.clear();
        self.shard.loaded(self.now);
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Append(append) => {
                    self.appends.push(append.records.len());
                    self.log.extend(append.records);
                    self.shard.appended(self.now, append.id, Ok(()));
                }
                Effect::Mark(markers) => self.markers.push(markers),
                Effect::Reply { response, .. } => self.answers.push(response),
                Effect::Notice(_) => {}
            }
        }
    }

    pub(crate) fn ask(&mut self, request: Request) -> Response {
        if self.shard.lacks_producer_id() && !self.is_dry {
            self.fresh += 1;
            self.shard.stock(self.fresh);
        }
        self.tokens += 1;
        self.shard.handle(self.now, self.tokens, request);
        self.settle();
        self.answers.pop().expect("an answer")
    }

    pub(crate) fn pass(&mut self, ms: i64) {
        self.now.running_ms += ms;
        self.now.wall_ms += ms;
        self.shard.tick(self.now);
        self.settle();
    }

    pub(crate) fn init_as(
        &mut self,
        id: &str,
        producer_id: i64,
        producer_epoch: i16,
    ) -> (ErrorCode, i64, i16) {
        self.init_by(InitProducerIdRequest { producer_id, producer_epoch, ..init_request(id) })
    }

    pub(crate) fn init_by(&mut self, request: InitProducerIdRequest) -> (ErrorCode, i64, i16) {
        match self.ask(Request::InitProducerId(request)) {
            Response::InitProducerId(b) => (code(b.error_code), b.producer_id, b.producer_epoch),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn init(&mut self, id: &str) -> (ErrorCode, i64, i16) {
        self.init_as(id, -1, -1)
    }

    pub(crate) fn add(
        &mut self,
        id: &str,
        producer: (i64, i16),
        partitions: &[i32],
        client_version: i16,
    ) -> ErrorCode {
        let producer = Producer { transactional_id: id.to_owned(), id: producer.0, epoch: producer.1 };
        let partitions = partitions.iter().map(|partition| at(*partition)).collect();
        match self.ask(Request::AddPartitions { producer, partitions, client_version }) {
            Response::AddPartitions(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn end(
        &mut self,
        id: &str,
        producer: (i64, i16),
        committed: bool,
        client_version: i16,
    ) -> (ErrorCode, i64, i16) {
        let request = EndTxnRequest {
            transactional_id: id.to_owned(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            committed,
        };
        match self.ask(Request::EndTxn { request, client_version }) {
            Response::EndTxn(body) => (code(body.error_code), body.producer_id, body.producer_epoch),
            other => panic!("{other:?}"),
        }
    }

    /// All markers that are on their way are written.
    pub(crate) fn mark(&mut self) -> Vec<Markers> {
        let markers = std::mem::take(&mut self.markers);
        for markers in &markers {
            let outcomes = markers.partitions.iter().map(|at| (at.clone(), ErrorCode::None));
            self.shard.marked(self.now, &markers.transactional_id, markers.id, outcomes);
        }
        self.settle();
        markers
    }

    pub(crate) fn describe(&mut self, id: &str) -> TransactionState {
        match self.ask(Request::Describe(vec![id.to_owned()])) {
            Response::Describe(mut described) => described.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn state(&mut self, id: &str) -> String {
        self.describe(id).transaction_state
    }

    /// Hands a request over. Its record is on its way, and stays there.
    pub(crate) fn begin(&mut self, request: Request) -> Append {
        self.tokens += 1;
        self.shard.handle(self.now, self.tokens, request);
        self.append()
    }

    /// The next record that is to be appended.
    pub(crate) fn append(&mut self) -> Append {
        loop {
            match self.shard.poll_effect() {
                Some(Effect::Append(append)) => return append,
                Some(Effect::Reply { response, .. }) => panic!("{response:?} before there is a record"),
                Some(_) => {}
                None => panic!("a record"),
            }
        }
    }

    /// What has been answered since, besides notices; nothing is committed.
    pub(crate) fn answered(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.shard.poll_effect())
            .filter_map(|effect| match effect {
                Effect::Reply { response, .. } => Some(response),
                Effect::Append(append) => panic!("nothing is appended: {append:?}"),
                Effect::Mark(_) | Effect::Notice(_) => None,
            })
            .collect()
    }
}

pub(crate) fn code(code: i16) -> ErrorCode {
    ErrorCode::from_i16(code).unwrap()
}

pub(crate) fn init_request(id: &str) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    }
}

pub(crate) fn add_request(id: &str, producer: (i64, i16), partitions: &[i32]) -> Request {
    let producer = Producer { transactional_id: id.to_owned(), id: producer.0, epoch: producer.1 };
    Request::AddPartitions {
        producer,
        partitions: partitions.iter().map(|partition| at(*partition)).collect(),
        client_version: 2,
    }
}
