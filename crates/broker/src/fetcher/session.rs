//! The follower's side of a fetch session (KIP-227): in a request stands only what differs from the one before.

use std::collections::HashMap;

use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use uuid::Uuid;

/// A partition: topic id and index.
pub(super) type Key = (Uuid, i32);

/// The epoch of a request that opens a session.
const FIRST: i32 = 0;

/// A session with one leader.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    /// What the leader knows of: the topic's name, and what was asked last.
    known: HashMap<Key, (String, FetchPartition)>,
}

/// What goes into a request.
pub(super) struct Asked {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) topics: Vec<FetchTopic>,
    pub(super) forgotten: Vec<ForgottenTopic>,
}

impl Session {
    /// The next request for these partitions, which are all that are to be fetched.
    pub(super) fn ask(&mut self, wanted: HashMap<Key, (String, FetchPartition)>) -> Asked {
        let opens = self.epoch == FIRST;
        let mut topics: HashMap<Uuid, FetchTopic> = HashMap::new();
        for (key, (name, partition)) in &wanted {
            let is_known = self.known.get(key).is_some_and(|(_, known)| known == partition);
            if opens || !is_known {
                let topic = topics.entry(key.0).or_insert_with(|| FetchTopic {
                    topic: name.clone(),
                    topic_id: key.0,
                    partitions: Vec::new(),
                });
                topic.partitions.push(partition.clone());
            }
        }
        let mut forgotten: HashMap<Uuid, ForgottenTopic> = HashMap::new();
        if !opens {
            for (key, (name, _)) in self.known.iter().filter(|(key, _)| !wanted.contains_key(key)) {
                let topic = forgotten.entry(key.0).or_insert_with(|| ForgottenTopic {
                    topic: name.clone(),
                    topic_id: key.0,
                    partitions: Vec::new(),
                });
                topic.partitions.push(key.1);
            }
        }
        self.known = wanted;
        Asked {
            session_id: self.id,
            session_epoch: self.epoch,
            topics: topics.into_values().collect(),
            forgotten: forgotten.into_values().collect(),
        }
    }

    /// The leader answered, in this session; 0 means that it keeps none.
    pub(super) fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            return self.reset();
        }
        self.id = session_id;
        // After the greatest epoch comes 1: 0 would open a new session.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
    }

    /// The session is lost: the next request opens another.
    pub(super) fn reset(&mut self) {
        *self = Session::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(offsets: &[(i32, i64)]) -> HashMap<Key, (String, FetchPartition)> {
        let partition = |&(partition, fetch_offset): &(i32, i64)| {
            let data = FetchPartition { partition, fetch_offset, ..Default::default() };
            ((Uuid::from_u128(7), partition), ("t".to_owned(), data))
        };
        offsets.iter().map(partition).collect()
    }

    fn partitions(asked: &Asked) -> Vec<i32> {
        let mut all: Vec<i32> =
            asked.topics.iter().flat_map(|t| t.partitions.iter().map(|p| p.partition)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_session_says_only_what_changed() {
        let mut session = Session::default();
        let asked = session.ask(wanted(&[(0, 5), (1, 6)]));
        assert_eq!((asked.session_id, asked.session_epoch, partitions(&asked)), (0, 0, vec![0, 1]));
        session.answered(99);
        let asked = session.ask(wanted(&[(0, 5), (1, 7)]));
        assert_eq!((asked.session_id, asked.session_epoch, partitions(&asked)), (99, 1, vec![1]));
        session.answered(99);
        let asked = session.ask(wanted(&[(1, 7)]));
        assert_eq!((asked.session_epoch, partitions(&asked)), (2, vec![]));
        assert_eq!(asked.forgotten[0].partitions, [0]);
        session.reset();
        let asked = session.ask(wanted(&[(1, 7)]));
        assert_eq!((asked.session_id, asked.session_epoch, partitions(&asked)), (0, 0, vec![1]));
    }

    #[test]
    fn without_a_session_everything_is_said_each_time() {
        let mut session = Session::default();
        session.ask(wanted(&[(0, 5)]));
        session.answered(0);
        assert_eq!(partitions(&session.ask(wanted(&[(0, 5)]))), [0]);
    }
}
