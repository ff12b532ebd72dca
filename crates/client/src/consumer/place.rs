//! Where a consumer stands in each of its partitions, and what it asks of which node (fetch sessions, KIP-227).

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use ottla_protocol::messages::FetchRequest;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use tokio::time::Instant;
use uuid::Uuid;

use super::Start;
use super::settings::Settings;
use crate::TopicPartition;

/// The first version of Fetch that names topics by their ids (KIP-516).
pub(super) const TOPIC_IDS_FROM: i16 = 13;

/// One partition of the assignment.
#[derive(Debug)]
pub(super) struct Place {
    /// New with every assignment and every change by hand: what was asked for in another one is not wanted any more.
    pub(super) era: u32,
    /// Where to begin, until that is known.
    pub(super) start: Option<Start>,
    pub(super) resolving: bool,
    /// What is asked for next.
    pub(super) fetch: i64,
    /// What is given to the owner next.
    pub(super) position: i64,
    /// The epoch of the last batch that was given; −1 for none.
    pub(super) position_epoch: i32,
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    /// A replica nearer than the leader (KIP-392).
    pub(super) nearer: Option<i32>,
    pub(super) paused: bool,
    pub(super) buffered: usize,
    pub(super) not_before: Option<Instant>,
}

impl Place {
    pub(super) fn new(start: Start, era: u32) -> Place {
        Place {
            era,
            start: Some(start),
            resolving: false,
            fetch: -1,
            position: -1,
            position_epoch: -1,
            leader: -1,
            leader_epoch: -1,
            nearer: None,
            paused: false,
            buffered: 0,
            not_before: None,
        }
    }

    /// Goes elsewhere.
    pub(super) fn seek(&mut self, to: Start, era: u32) {
        self.era = era;
        (self.start, self.resolving, self.buffered, self.position_epoch) = (Some(to), false, 0, -1);
        if let Start::Offset(offset) = to {
            (self.start, self.fetch, self.position) = (None, offset, offset);
        }
    }

    /// The node to fetch from, if there is something to fetch.
    fn node(&self, settings: &Settings, now: Instant) -> Option<i32> {
        let ready = self.start.is_none()
            && !self.paused
            && self.buffered < settings.partition_bytes.max(1) as usize
            && self.not_before.is_none_or(|then| then <= now);
        (ready && self.leader >= 0).then(|| self.nearer.unwrap_or(self.leader))
    }
}

/// What was asked for a partition: the offset, the leader's epoch, the era.
type Asked = (i64, i32, u32);

/// What a node knows of this consumer.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    /// What the node has in its session.
    kept: HashMap<TopicPartition, Asked>,
    pub(super) busy: bool,
    pub(super) not_before: Option<Instant>,
}

/// A fetch that is to be made.
#[derive(Debug)]
pub(super) struct Plan {
    session: (i32, i32),
    partitions: Vec<(TopicPartition, Uuid, Asked)>,
    forgotten: Vec<(TopicPartition, Uuid)>,
}

/// What there is to fetch, by node. Topics without an id have not been seen yet.
pub(super) fn by_node(
    places: &BTreeMap<TopicPartition, Place>,
    settings: &Settings,
    now: Instant,
) -> BTreeMap<i32, Vec<(TopicPartition, Asked)>> {
    let mut nodes: BTreeMap<i32, Vec<(TopicPartition, Asked)>> = BTreeMap::new();
    for (partition, place) in places {
        if let Some(node) = place.node(settings, now) {
            let asked = (place.fetch, place.leader_epoch, place.era);
            nodes.entry(node).or_default().push((partition.clone(), asked));
        }
    }
    nodes
}

impl Session {
    /// The next fetch of these partitions: all of them, or what has changed.
    pub(super) fn plan(
        &mut self,
        wanted: Vec<(TopicPartition, Asked)>,
        ids: &HashMap<Arc<str>, Uuid>,
    ) -> Plan {
        let id_of = |partition: &TopicPartition| ids.get(&partition.topic).copied().unwrap_or_default();
        let mut plan = Plan { session: (self.id, self.epoch), partitions: Vec::new(), forgotten: Vec::new() };
        let mut kept = HashMap::with_capacity(wanted.len());
        for (partition, asked) in wanted {
            let before = self.kept.remove(&partition);
            if self.epoch == 0 || before.is_none_or(|before| (before.0, before.1) != (asked.0, asked.1)) {
                plan.partitions.push((partition.clone(), id_of(&partition), asked));
            }
            kept.insert(partition, asked);
        }
        if self.epoch != 0 {
            let gone = self.kept.drain().map(|(partition, _)| partition);
            plan.forgotten.extend(gone.map(|partition| {
                let id = id_of(&partition);
                (partition, id)
            }));
        }
        self.kept = kept;
        self.busy = true;
        plan
    }

    /// What was asked for a partition in the fetch that has just ended.
    pub(super) fn asked(&self, partition: &TopicPartition) -> Option<Asked> {
        self.kept.get(partition).copied()
    }

    /// The fetch was answered: the session goes on.
    pub(super) fn goes_on(&mut self, id: i32) {
        self.epoch = match (id, self.epoch) {
            (0, _) => 0,
            (_, i32::MAX) => 1,
            (_, epoch) => epoch + 1,
        };
        self.id = id;
    }

    /// The node does not know the session, or it is not known what it knows.
    pub(super) fn forget(&mut self) {
        (self.id, self.epoch) = (0, 0);
        self.kept.clear();
    }
}

impl Plan {
    pub(super) fn request(&self, version: i16, settings: &Settings) -> FetchRequest {
        let named = version < TOPIC_IDS_FROM;
        let name = |topic: &Arc<str>| if named { topic.to_string() } else { String::new() };
        let id = |id: Uuid| if named { Uuid::nil() } else { id };
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut last: Option<&Arc<str>> = None;
        for (partition, topic_id, (fetch_offset, current_leader_epoch, _)) in &self.partitions {
            // Partitions come sorted by topic.
            if last != Some(&partition.topic) {
                topics.push(FetchTopic {
                    topic: name(&partition.topic),
                    topic_id: id(*topic_id),
                    partitions: Vec::new(),
                });
                last = Some(&partition.topic);
            }
            let topic = topics.last_mut().expect("CLIENT-41 a topic was begun");
            topic.partitions.push(FetchPartition {
                partition: partition.partition,
                current_leader_epoch: *current_leader_epoch,
                fetch_offset: *fetch_offset,
                partition_max_bytes: settings.partition_bytes,
                ..FetchPartition::default()
            });
        }
        let mut forgotten: BTreeMap<&Arc<str>, ForgottenTopic> = BTreeMap::new();
        for (partition, topic_id) in &self.forgotten {
            let topic = forgotten.entry(&partition.topic).or_insert_with(|| ForgottenTopic {
                topic: name(&partition.topic),
                topic_id: id(*topic_id),
                partitions: Vec::new(),
            });
            topic.partitions.push(partition.partition);
        }
        FetchRequest {
            max_wait_ms: settings.max_wait.as_millis() as i32,
            min_bytes: settings.min_bytes,
            max_bytes: settings.max_bytes,
            isolation_level: settings.isolation as i8,
            session_id: self.session.0,
            session_epoch: self.session.1,
            topics,
            forgotten_topics_data: forgotten.into_values().collect(),
            rack_id: settings.rack.clone(),
            ..FetchRequest::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Properties;

    fn wanted(offsets: &[(i32, i64)]) -> Vec<(TopicPartition, Asked)> {
        offsets
            .iter()
            .map(|(partition, offset)| (TopicPartition::new("t", *partition), (*offset, 1, 0)))
            .collect()
    }

    #[test]
    fn a_session_says_what_has_changed() {
        let settings = Settings::new(&Properties::new()).unwrap();
        let mut ids = HashMap::new();
        ids.insert(Arc::from("t"), Uuid::from_u128(5));
        let mut session = Session::default();
        let first = session.plan(wanted(&[(0, 10), (1, 20), (2, 30)]), &ids).request(17, &settings);
        assert_eq!((first.session_id, first.session_epoch, first.topics[0].partitions.len()), (0, 0, 3));
        assert_eq!((first.topics[0].topic.as_str(), first.topics[0].topic_id), ("", Uuid::from_u128(5)));
        session.goes_on(9);
        let second = session.plan(wanted(&[(0, 15), (1, 20)]), &ids).request(17, &settings);
        assert_eq!((second.session_id, second.session_epoch), (9, 1));
        let offsets: Vec<_> =
            second.topics[0].partitions.iter().map(|p| (p.partition, p.fetch_offset)).collect();
        assert_eq!(offsets, [(0, 15)]);
        assert_eq!(second.forgotten_topics_data[0].partitions, [2]);
        session.forget();
        let third = session.plan(wanted(&[(0, 15), (1, 20)]), &ids).request(12, &settings);
        assert_eq!((third.session_epoch, third.topics[0].topic.as_str()), (0, "t"));
        assert_eq!(third.topics[0].partitions.len(), 2);
    }
}
