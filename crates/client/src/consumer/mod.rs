//! A consumer: partitions that are given to it or that a group gives it, fetched ahead, and handed out as whole
//! batches whose records are borrowed. No copy and no allocation per record.
//!
//! Everything happens in [`Consumer::poll`] and in a few tasks that it starts: fetches (one per node at a time, in a
//! session), joining, heartbeats, lookups.

mod assignor;
mod commit;
mod error;
mod events;
mod fetched;
mod group;
mod membership;
mod place;
mod settings;
mod tasks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::{HashMap, HashMapExt};
use ottla_protocol::messages::FetchRequest;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

pub use error::ConsumerError;
pub use fetched::{ConsumerRecord, Fetched, Seen};

use crate::properties::Properties;
use crate::{Cluster, TopicPartition};
use fetched::{Part, Spare};
use membership::Membership;
use place::{Place, Session};
use settings::Settings;
use tasks::Event;

/// Where to begin in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this offset.
    Offset(i64),
    /// At the first one that is kept.
    Earliest,
    /// At the end.
    Latest,
    /// At the first record that is not older, in milliseconds since the epoch; at the end when there is none.
    Timestamp(i64),
    /// Where the group was, or where `auto.offset.reset` says.
    Committed,
}

/// An offset that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next one to read.
    pub offset: i64,
    /// The epoch of the record before it; −1 when it is not known.
    pub leader_epoch: i32,
    /// Whatever the member wrote to it.
    pub metadata: String,
}

/// The partitions that a member of a classic group was given, in the bytes that its coordinator tells of it. Bytes that
/// are nothing of Kafka's consumer protocol say nothing.
pub fn assigned(bytes: &Bytes) -> Vec<TopicPartition> {
    assignor::read_assignment(bytes).unwrap_or_default()
}

/// What a poll brings.
#[derive(Debug)]
pub enum Polled {
    /// Nothing within the time.
    Idle,
    /// Records. They count as consumed from the next poll on.
    Records(Fetched),
    /// Partitions that are this member's from now on: all of them, or in a cooperative group those that are new.
    Assigned(Vec<TopicPartition>),
    /// Partitions that are given up with the next poll: what is to be committed is committed now.
    Revoked(Vec<TopicPartition>),
    /// Partitions that others have already.
    Lost(Vec<TopicPartition>),
}

/// What a consumer has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsumerStats {
    /// Fetches that were answered.
    pub fetches: u64,
    /// Bytes of batches that were handed out.
    pub bytes: u64,
    /// Generations of the group that this member joined.
    pub joins: u64,
}

/// Where the assignment comes from.
enum Mode {
    Nothing,
    Assigned,
    Topics(BTreeSet<Arc<str>>),
    Matching { matches: Box<dyn Fn(&str) -> bool + Send>, internal: bool, topics: BTreeSet<Arc<str>> },
}

/// What is known of topics, and how old it is.
#[derive(Default)]
struct News {
    running: bool,
    at: Option<Instant>,
    stale: bool,
    not_before: Option<Instant>,
}

/// A consumer; see the module.
pub struct Consumer {
    cluster: Cluster,
    settings: Settings,
    mode: Mode,
    places: BTreeMap<TopicPartition, Place>,
    sessions: HashMap<i32, Session>,
    ids: HashMap<Arc<str>, Uuid>,
    names: HashMap<Uuid, Arc<str>>,
    buffer: VecDeque<Part>,
    decompressors: Arc<Spare>,
    tell: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Changes of the assignment that are to be told, with the partitions that go once they were.
    told: VecDeque<(Polled, Vec<TopicPartition>)>,
    going: Vec<TopicPartition>,
    news: News,
    membership: Option<Membership>,
    /// A generation that was joined and not entered yet.
    waiting: Option<group::Joined>,
    commit_at: Instant,
    /// Counts places and what was done to them by hand.
    eras: u32,
    stats: ConsumerStats,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("assignment", &self.assignment()).finish_non_exhaustive()
    }
}

impl Consumer {
    /// A consumer of a cluster, with Kafka's keys and defaults.
    ///
    /// # Errors
    /// [`ConsumerError`] for a configuration that will not do.
    pub fn new(cluster: Cluster, properties: &Properties) -> Result<Consumer, ConsumerError> {
        let settings = Settings::new(properties)?;
        let (tell, events) = mpsc::unbounded_channel();
        let membership = settings.group.clone().map(Membership::new);
        let commit_at = Instant::now() + settings.auto_commit.unwrap_or_default();
        Ok(Consumer {
            cluster,
            settings,
            mode: Mode::Nothing,
            places: BTreeMap::new(),
            sessions: HashMap::new(),
            ids: HashMap::new(),
            names: HashMap::new(),
            buffer: VecDeque::new(),
            decompressors: Arc::default(),
            tell,
            events,
            told: VecDeque::new(),
            going: Vec::new(),
            news: News::default(),
            membership,
            waiting: None,
            commit_at,
            eras: 0,
            stats: ConsumerStats::default(),
        })
    }

    /// Reads these partitions, and no others.
    ///
    /// # Errors
    /// None so far.
    pub async fn assign(&mut self, partitions: Vec<(TopicPartition, Start)>) -> Result<(), ConsumerError> {
        self.mode = Mode::Assigned;
        self.places.clear();
        self.buffer.clear();
        for (partition, start) in partitions {
            self.eras += 1;
            let mut place = Place::new(start, self.eras);
            place.seek(start, self.eras);
            self.places.insert(partition, place);
        }
        self.news.stale = true;
        Ok(())
    }

    /// Reads what the group gives this member of these topics.
    ///
    /// # Errors
    /// [`ConsumerError::NoGroup`].
    pub fn subscribe(&mut self, topics: &[&str]) -> Result<(), ConsumerError> {
        let names = topics.iter().map(|topic| Arc::from(*topic)).collect();
        self.enter(Mode::Topics(names))
    }

    /// Reads what the group gives this member of all topics whose names match, now and later.
    ///
    /// # Errors
    /// [`ConsumerError::NoGroup`].
    pub fn subscribe_matching(
        &mut self,
        matches: impl Fn(&str) -> bool + Send + 'static,
        exclude_internal: bool,
    ) -> Result<(), ConsumerError> {
        let matches = Box::new(matches);
        self.enter(Mode::Matching { matches, internal: !exclude_internal, topics: BTreeSet::new() })
    }

    fn enter(&mut self, mode: Mode) -> Result<(), ConsumerError> {
        let membership = self.membership.as_mut().ok_or(ConsumerError::NoGroup)?;
        membership.rejoin();
        self.mode = mode;
        self.news.stale = true;
        Ok(())
    }

    /// Waits for records, or for a change of the assignment, at most `within`. Within a group it is to be called more
    /// often than `max.poll.interval.ms`.
    ///
    /// # Errors
    /// [`ConsumerError`]; the next poll goes on where this one ended.
    pub async fn poll(&mut self, within: Duration) -> Result<Polled, ConsumerError> {
        if matches!(self.mode, Mode::Nothing) {
            return Err(ConsumerError::NothingToRead);
        }
        let until = Instant::now() + within;
        for partition in std::mem::take(&mut self.going) {
            self.places.remove(&partition);
        }
        if let Some(membership) = &self.membership {
            membership.polled();
        }
        self.commit_now_and_then();
        loop {
            while let Ok(event) = self.events.try_recv() {
                self.take(event)?;
            }
            if let Some(joined) = self.waiting.take() {
                self.joined(joined).await;
            }
            self.step_group().await;
            if let Some((change, going)) = self.told.pop_front() {
                self.going = going;
                return Ok(change);
            }
            let now = Instant::now();
            self.look_for_news(now);
            self.look_for_places();
            self.fetch(now);
            if let Some(fetched) = self.hand_out() {
                // The next fetch is under way while the owner reads.
                self.fetch(now);
                tokio::task::yield_now().await;
                return Ok(Polled::Records(fetched));
            }
            let wake = self.next_look(now).map_or(until, |then| then.min(until));
            tokio::select! {
                event = self.events.recv() => {
                    let event = event.expect("CLIENT-42 the consumer holds a sender of its own");
                    self.take(event)?;
                }
                () = sleep_until(wake) => {
                    if Instant::now() >= until {
                        return Ok(Polled::Idle);
                    }
                }
            }
        }
    }

    /// The offset that the next poll hands out first; `None` while that is not known.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.places.get(partition).filter(|place| place.start.is_none()).map(|place| place.position)
    }

    /// Goes elsewhere in a partition.
    ///
    /// # Errors
    /// [`ConsumerError::NotAssigned`].
    pub fn seek(&mut self, partition: &TopicPartition, to: Start) -> Result<(), ConsumerError> {
        self.eras += 1;
        let place = self.places.get_mut(partition);
        place.ok_or_else(|| ConsumerError::NotAssigned(partition.clone()))?.seek(to, self.eras);
        self.buffer.retain(|part| part.partition != *partition);
        Ok(())
    }

    /// Takes back what was not looked at: the next poll hands it out again, and no commit goes beyond it.
    ///
    /// # Errors
    /// [`ConsumerError::NotAssigned`] where a partition has become somebody else's.
    pub fn give_back(&mut self, fetched: &Fetched, seen: &Seen) -> Result<(), ConsumerError> {
        for (partition, first, _) in fetched.partitions() {
            let next = seen.behind(partition).unwrap_or(first);
            self.seek(partition, Start::Offset(next))?;
        }
        Ok(())
    }

    /// Hands out no more of these partitions, until they are resumed.
    pub fn pause(&mut self, partitions: &[TopicPartition]) {
        self.set_paused(partitions, true);
    }

    /// Hands them out again.
    pub fn resume(&mut self, partitions: &[TopicPartition]) {
        self.set_paused(partitions, false);
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) {
        for partition in partitions {
            if let Some(place) = self.places.get_mut(partition) {
                place.paused = paused;
            }
        }
    }

    /// The partitions that are read.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.places.keys().cloned().collect()
    }

    /// What was done so far.
    pub fn stats(&self) -> ConsumerStats {
        self.stats
    }

    /// Batches with `max.poll.records` records or a few more, if there are any.
    fn hand_out(&mut self) -> Option<Fetched> {
        let (mut parts, mut records) = (Vec::new(), 0);
        let mut at = 0;
        while records < self.settings.max_records && at < self.buffer.len() {
            let part = &mut self.buffer[at];
            let place = self.places.get_mut(&part.partition).filter(|place| place.era == part.era);
            let Some(place) = place else {
                self.buffer.remove(at);
                continue;
            };
            if place.paused {
                at += 1;
                continue;
            }
            let (front, count) = part.split(self.settings.max_records - records);
            place.position = front.next;
            place.position_epoch = front.leader_epoch;
            place.buffered = place.buffered.saturating_sub(front.bytes.len());
            if part.bytes.is_empty() {
                self.buffer.remove(at);
            }
            records += count;
            self.stats.bytes += front.bytes.len() as u64;
            parts.push(front);
        }
        if parts.is_empty() {
            return None;
        }
        Some(Fetched { parts, decompressors: self.decompressors.clone() })
    }

    /// Starts a fetch at every node that has none under way and something to give.
    fn fetch(&mut self, now: Instant) {
        for (node, wanted) in place::by_node(&self.places, &self.settings, now) {
            let session = self.sessions.entry(node).or_default();
            if session.busy || session.not_before.is_some_and(|then| then > now) {
                continue;
            }
            let plan = session.plan(wanted, &self.ids);
            let (cluster, settings) = (self.cluster.clone(), self.settings.clone());
            let tell = self.tell.clone();
            tokio::spawn(async move {
                let within = settings.max_wait + settings.request_timeout;
                let event = match cluster.connection(node).await {
                    Err(error) => Event::Unreachable { node, error },
                    Ok(connection) => match connection.version_of::<FetchRequest>() {
                        Err(error) => Event::Fetch { node, version: 0, answer: Err(error) },
                        Ok(version) => {
                            let request = plan.request(version, &settings);
                            let answer = connection.call_within(version, &request, within).await;
                            Event::Fetch { node, version, answer }
                        }
                    },
                };
                // The consumer may be gone.
                let _ = tell.send(event);
            });
        }
    }
}
