//! What is counted while the node works: one relaxed addition each, and nothing else on the way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ottla_protocol::{APIS, ApiKey};
use parking_lot::Mutex;
use uuid::Uuid;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What clients wrote to and read from the partitions of one topic on this node (Kafka's `BrokerTopicMetrics`). Requests
/// are counted by partition, as in Kafka.
#[derive(Debug, Default)]
pub(crate) struct TopicTraffic {
    pub(crate) messages_in: Count,
    pub(crate) bytes_in: Count,
    pub(crate) bytes_out: Count,
    pub(crate) produce_requests: Count,
    pub(crate) fetch_requests: Count,
    pub(crate) failed_produce_requests: Count,
    pub(crate) failed_fetch_requests: Count,
    /// Records of this node's followers.
    pub(crate) replication_bytes_out: Count,
    /// Records of the leaders that this node follows.
    pub(crate) replication_bytes_in: Count,
}

/// The traffic of each topic, as long as a partition of it is here: counts do not begin anew when one of several moves.
#[derive(Debug, Default)]
pub(crate) struct TrafficBook(Mutex<HashMap<Uuid, Weak<TopicTraffic>, RandomState>>);

impl TrafficBook {
    /// Where the partitions of a topic count.
    pub(crate) fn of(&self, topic_id: Uuid) -> Arc<TopicTraffic> {
        let mut book = self.0.lock();
        if let Some(traffic) = book.get(&topic_id).and_then(Weak::upgrade) {
            return traffic;
        }
        // Topics that are gone leave their entry until then; it is not worth more.
        if book.len() == book.capacity() {
            book.retain(|_, traffic| traffic.strong_count() > 0);
        }
        let traffic = Arc::new(TopicTraffic::default());
        book.insert(topic_id, Arc::downgrade(&traffic));
        traffic
    }
}

/// How many requests of each API came.
#[derive(Debug)]
pub(crate) struct Requests(Box<[Count]>);

impl Default for Requests {
    fn default() -> Requests {
        let most = APIS.iter().map(|api| api.key as usize).max().unwrap_or(0);
        Requests((0..=most).map(|_| Count::default()).collect())
    }
}

impl Requests {
    pub(crate) fn note(&self, api: ApiKey) {
        if let Some(count) = self.0.get(api as usize) {
            count.add(1);
        }
    }

    /// Those that ever came, by the names of their APIs.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = APIS.iter().filter_map(|api| Some((api.name, self.0.get(api.key as usize)?.get())));
        all.filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_counts_on_while_one_of_its_partitions_is_here() {
        let (book, id) = (TrafficBook::default(), Uuid::from_u128(1));
        let first = book.of(id);
        first.bytes_in.add(5);
        let second = book.of(id);
        drop(first);
        second.bytes_in.add(2);
        assert_eq!(book.of(id).bytes_in.get(), 7);
        drop(second);
        assert_eq!(book.of(id).bytes_in.get(), 0, "it was gone in between");
    }

    #[test]
    fn topics_that_are_gone_do_not_stay_in_the_book() {
        let book = TrafficBook::default();
        for id in 0..10_000 {
            drop(book.of(Uuid::from_u128(id)));
        }
        assert!(book.0.lock().len() < 100, "{}", book.0.lock().len());
    }

    #[test]
    fn requests_are_counted_by_their_names() {
        let requests = Requests::default();
        requests.note(ApiKey::Fetch);
        requests.note(ApiKey::Fetch);
        requests.note(ApiKey::DescribeCluster);
        assert_eq!(requests.seen().collect::<Vec<_>>(), [("Fetch", 2), ("DescribeCluster", 1)]);
    }
}
