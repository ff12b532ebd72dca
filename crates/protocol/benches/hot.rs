//! The hot paths beside the `kafka-protocol` crate: reading Produce and Fetch requests, reading a Fetch response (a
//! follower's and a client's part) and writing one with its records gathered.
//!
//! `cargo bench -p ottla-protocol`: time and allocations of each.

use bytes::{Bytes, BytesMut};
use divan::{AllocProfiler, Bencher, black_box};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use ottla_protocol::ApiKey;
use ottla_protocol::frame::ResponseFrame;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{
    FetchRequest, FetchRequestView, FetchResponse, ProduceRequest, ProduceRequestView,
};
use ottla_protocol::wire::{Message as _, Records, View as _};
use uuid::Uuid;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

/// Topics, and partitions in each.
const SHAPES: [(usize, usize); 3] = [(1, 1), (1, 50), (20, 10)];

fn main() {
    divan::main();
}

fn shape<'a, 'b>(bencher: Bencher<'a, 'b>, (topics, partitions): (usize, usize)) -> Bencher<'a, 'b> {
    bencher.counter(divan::counter::ItemsCount::new(topics * partitions))
}

fn topic_name(i: usize) -> String {
    format!("orders-of-region-{i}")
}

fn produce_request((topics, partitions): (usize, usize), version: i16) -> Bytes {
    let records = Bytes::from(vec![7u8; 1024]);
    let partition = |index| PartitionProduceData { index, records: Some(Records::Bytes(records.clone())) };
    let topic = |i| TopicProduceData {
        name: if version < 13 { topic_name(i) } else { String::new() },
        topic_id: if version < 13 { Uuid::nil() } else { Uuid::from_u128(i as u128 + 1) },
        partition_data: (0..partitions as i32).map(partition).collect(),
    };
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topic_data: (0..topics).map(topic).collect(),
    };
    request.to_vec(version).expect("a request").into()
}

fn fetch_request((topics, partitions): (usize, usize), version: i16) -> Bytes {
    let partition = |partition| FetchPartition {
        partition,
        fetch_offset: 1_000_000,
        partition_max_bytes: 1 << 20,
        current_leader_epoch: 5,
        ..FetchPartition::default()
    };
    let topic = |i| FetchTopic {
        topic: if version < 13 { topic_name(i) } else { String::new() },
        topic_id: if version < 13 { Uuid::nil() } else { Uuid::from_u128(i as u128 + 1) },
        partitions: (0..partitions as i32).map(partition).collect(),
    };
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: (0..topics).map(topic).collect(),
        ..FetchRequest::default()
    };
    request.to_vec(version).expect("a request").into()
}

fn fetch_response((topics, partitions): (usize, usize), bytes: usize) -> FetchResponse {
    let records = Bytes::from(vec![7u8; bytes]);
    let partition = |partition_index| PartitionData {
        partition_index,
        high_watermark: 1_000_000,
        last_stable_offset: 1_000_000,
        log_start_offset: 0,
        aborted_transactions: None,
        records: Some(Records::Bytes(records.clone())),
        ..PartitionData::default()
    };
    let topic = |i: usize| FetchableTopicResponse {
        topic: String::new(),
        topic_id: Uuid::from_u128(i as u128 + 1),
        partitions: (0..partitions as i32).map(partition).collect(),
    };
    FetchResponse { responses: (0..topics).map(topic).collect(), ..FetchResponse::default() }
}

#[divan::bench_group]
mod produce_v9_decode {
    use super::*;

    #[divan::bench(args = SHAPES)]
    fn ours(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        ours_produce(bencher, of, 9);
    }

    #[divan::bench(args = SHAPES)]
    fn kafka_protocol(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        theirs_produce(bencher, of, 9);
    }
}

#[divan::bench_group]
mod produce_v13_decode {
    use super::*;

    #[divan::bench(args = SHAPES)]
    fn ours(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        ours_produce(bencher, of, 13);
    }

    #[divan::bench(args = SHAPES)]
    fn kafka_protocol(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        theirs_produce(bencher, of, 13);
    }
}

fn ours_produce(bencher: Bencher<'_, '_>, of: (usize, usize), version: i16) {
    let bytes = produce_request(of, version);
    shape(bencher, of).bench(|| {
        let request = ProduceRequestView::view(black_box(&bytes), version).expect("a request");
        let mut sum = 0;
        for topic in request.topic_data {
            for partition in topic.partition_data {
                sum += partition.index as usize + partition.records.map_or(0, <[u8]>::len) + topic.name.len();
            }
        }
        sum
    });
}

fn theirs_produce(bencher: Bencher<'_, '_>, of: (usize, usize), version: i16) {
    let bytes = produce_request(of, version);
    shape(bencher, of).bench(|| {
        let request =
            theirs::ProduceRequest::decode(&mut black_box(&bytes).clone(), version).expect("a request");
        let mut sum = 0;
        for topic in &request.topic_data {
            for partition in &topic.partition_data {
                let records = partition.records.as_ref().map_or(0, Bytes::len);
                sum += partition.index as usize + records + topic.name.len();
            }
        }
        sum
    });
}

#[divan::bench_group]
mod fetch_v12_decode {
    use super::*;

    #[divan::bench(args = SHAPES)]
    fn ours(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        ours_fetch(bencher, of, 12);
    }

    #[divan::bench(args = SHAPES)]
    fn kafka_protocol(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        theirs_fetch(bencher, of, 12);
    }
}

#[divan::bench_group]
mod fetch_v17_decode {
    use super::*;

    #[divan::bench(args = SHAPES)]
    fn ours(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        ours_fetch(bencher, of, 17);
    }

    #[divan::bench(args = SHAPES)]
    fn kafka_protocol(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        theirs_fetch(bencher, of, 17);
    }
}

fn ours_fetch(bencher: Bencher<'_, '_>, of: (usize, usize), version: i16) {
    let bytes = fetch_request(of, version);
    shape(bencher, of).bench(|| {
        let request = FetchRequestView::view(black_box(&bytes), version).expect("a request");
        let mut sum = 0;
        for topic in request.topics {
            for partition in topic.partitions {
                sum += partition.fetch_offset
                    + i64::from(partition.partition_max_bytes)
                    + topic.topic.len() as i64;
            }
        }
        sum
    });
}

fn theirs_fetch(bencher: Bencher<'_, '_>, of: (usize, usize), version: i16) {
    let bytes = fetch_request(of, version);
    shape(bencher, of).bench(|| {
        let request =
            theirs::FetchRequest::decode(&mut black_box(&bytes).clone(), version).expect("a request");
        let mut sum = 0;
        for topic in &request.topics {
            for partition in &topic.partitions {
                sum += partition.fetch_offset
                    + i64::from(partition.partition_max_bytes)
                    + topic.topic.len() as i64;
            }
        }
        sum
    });
}

#[divan::bench_group]
mod fetch_response_v17_decode {
    use super::*;

    #[divan::bench(args = SHAPES)]
    fn ours(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        let bytes = Bytes::from(fetch_response(of, 1024).to_vec(17).expect("a response"));
        shape(bencher, of)
            .bench(|| FetchResponse::decode_sharing(black_box(&bytes), 17).expect("a response"));
    }

    #[divan::bench(args = SHAPES)]
    fn kafka_protocol(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        let bytes = Bytes::from(fetch_response(of, 1024).to_vec(17).expect("a response"));
        shape(bencher, of)
            .bench(|| theirs::FetchResponse::decode(&mut black_box(&bytes).clone(), 17).expect("a response"));
    }
}

/// 64 KiB of records in every partition: gathered by us, copied by them.
#[divan::bench_group]
mod fetch_response_v17_encode {
    use super::*;

    #[divan::bench(args = SHAPES)]
    fn ours(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        let response = fetch_response(of, 64 * 1024);
        shape(bencher, of).with_inputs(|| Vec::with_capacity(32 * 1024)).bench_values(|buf| {
            ResponseFrame::new(buf, ApiKey::Fetch, 17, 42, black_box(&response)).expect("a response")
        });
    }

    #[divan::bench(args = SHAPES)]
    fn kafka_protocol(bencher: Bencher<'_, '_>, of: (usize, usize)) {
        let mut bytes = Bytes::from(fetch_response(of, 64 * 1024).to_vec(17).expect("a response"));
        let size = bytes.len();
        let response = theirs::FetchResponse::decode(&mut bytes, 17).expect("a response");
        shape(bencher, of).with_inputs(|| BytesMut::with_capacity(size + 1024)).bench_values(|mut buf| {
            black_box(&response).encode(&mut buf, 17).expect("room");
            buf
        });
    }
}
