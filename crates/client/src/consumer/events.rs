//! What a consumer makes of what its tasks tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::{FetchResponse, MetadataResponse};
use ottla_protocol::wire::Records;
use tokio::time::Instant;

use super::fetched::Part;
use super::place::TOPIC_IDS_FROM;
use super::settings::Reset;
use super::tasks::{self, Event};
use super::{Consumer, ConsumerError, Mode, Start};
use crate::{ClusterError, Isolation, TopicPartition, exception};

/// The shortest time between two looks at topics.
const BREATH: Duration = Duration::from_millis(20);
/// The pause before something that failed is tried again.
const PAUSE: Duration = Duration::from_millis(100);

impl Consumer {
    pub(super) fn take(&mut self, event: Event) -> Result<(), ConsumerError> {
        match event {
            Event::Fetch { node, version, answer } => match answer {
                Ok(answer) => self.fetched(node, version, answer),
                Err(error) => {
                    tracing::debug!("fetch from node {node}: {error}");
                    self.gave_nothing(node);
                    Ok(())
                }
            },
            Event::Unreachable { node, error } => {
                tracing::debug!("fetch from node {node}: {error}");
                self.gave_nothing(node);
                // A name that does not resolve here will not tomorrow.
                match error {
                    ClusterError::Connect { why: crate::ConnectError::Unresolved { .. }, .. } => {
                        Err(error.into())
                    }
                    _ => Ok(()),
                }
            }
            Event::Places(places) => self.begin_at(places),
            Event::Metadata(answer) => self.hear(answer),
            Event::Joined(Ok(joined)) => {
                self.waiting = Some(joined);
                Ok(())
            }
            Event::Joined(Err(error)) => {
                self.not_joined();
                Err(error)
            }
            Event::Rejoin { generation } => {
                self.rejoin(generation);
                Ok(())
            }
            Event::Lost { generation, error } => self.lost(generation, error),
        }
    }

    /// A node did not answer: it may not be the leader any more.
    fn gave_nothing(&mut self, node: i32) {
        let session = self.sessions.entry(node).or_default();
        session.forget();
        (session.busy, session.not_before) = (false, Some(Instant::now() + PAUSE));
        self.news.stale = true;
        for place in self.places.values_mut().filter(|place| place.nearer == Some(node)) {
            place.nearer = None;
        }
    }

    fn fetched(&mut self, node: i32, version: i16, answer: FetchResponse) -> Result<(), ConsumerError> {
        let session = self.sessions.entry(node).or_default();
        session.busy = false;
        self.stats.fetches += 1;
        if answer.error_code != 0 {
            session.forget();
            let code = ErrorCode::from_i16(answer.error_code).unwrap_or(ErrorCode::UnknownServerError);
            if !exception::retriable(code) {
                return Err(ClusterError::of_code("Fetch", answer.error_code, None).into());
            }
            // Ids that the node does not know are of topics that were made anew.
            self.news.stale |= code == ErrorCode::FetchSessionTopicIdError;
            return Ok(());
        }
        session.goes_on(answer.session_id);
        for endpoint in &answer.node_endpoints {
            self.cluster.learn_node(endpoint.node_id, &endpoint.host, endpoint.port, endpoint.rack.clone());
        }
        let mut first_error = Ok(());
        for topic in answer.responses {
            let name = match version {
                TOPIC_IDS_FROM.. => self.names.get(&topic.topic_id).cloned(),
                _ => Some(topic.topic.into()),
            };
            let Some(name) = name else { continue };
            for data in topic.partitions {
                let partition = TopicPartition::new(name.clone(), data.partition_index);
                let asked = self.sessions.get(&node).and_then(|session| session.asked(&partition));
                let Some((offset, _, era)) = asked else { continue };
                if let Err(error) = self.data(partition, offset, era, data) {
                    first_error = first_error.and(Err(error));
                }
            }
        }
        first_error
    }

    /// The answer for one partition, which was asked for `offset`.
    fn data(
        &mut self,
        partition: TopicPartition,
        offset: i64,
        era: u32,
        data: PartitionData,
    ) -> Result<(), ConsumerError> {
        let current =
            |place: &&mut super::Place| place.era == era && place.fetch == offset && place.start.is_none();
        let Some(place) = self.places.get_mut(&partition).filter(current) else { return Ok(()) };
        let code = ErrorCode::from_i16(data.error_code).unwrap_or(ErrorCode::UnknownServerError);
        match code {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => {
                if place.nearer.take().is_some() {
                    return Ok(()); // a follower is behind; the leader knows
                }
                if self.settings.reset == Reset::None {
                    return Err(ConsumerError::OutOfRange { partition, offset });
                }
                tracing::info!("{partition}: offset {offset} is out of range: resetting");
                let start = self.reset_start();
                self.eras += 1;
                if let Some(place) = self.places.get_mut(&partition) {
                    place.seek(start, self.eras);
                }
                return Ok(());
            }
            code if exception::retriable(code) && code != ErrorCode::CorruptMessage => {
                place.nearer = None;
                let told = &data.current_leader;
                if told.leader_id >= 0
                    && told.leader_epoch > place.leader_epoch
                    && self.cluster.knows(told.leader_id)
                {
                    (place.leader, place.leader_epoch) = (told.leader_id, told.leader_epoch);
                } else {
                    place.not_before = Some(Instant::now() + PAUSE);
                    self.news.stale = true;
                }
                return Ok(());
            }
            code => return Err(ConsumerError::Partition { partition, code }),
        }
        if data.preferred_read_replica >= 0 {
            place.nearer = Some(data.preferred_read_replica).filter(|id| self.cluster.knows(*id));
        }
        let Some(Records::Bytes(bytes)) = data.records.filter(|records| !records.is_empty()) else {
            return Ok(());
        };
        let committed = self.settings.isolation == Isolation::ReadCommitted;
        let part = Part {
            partition: partition.clone(),
            bytes,
            from: offset,
            next: offset,
            leader_epoch: -1,
            aborted: if committed { Some(data.aborted_transactions.unwrap_or_default()) } else { None },
            check_crcs: self.settings.check_crcs,
            era,
        };
        let part = part.whole()?;
        place.fetch = part.next;
        place.buffered += part.bytes.len();
        self.buffer.push_back(part);
        Ok(())
    }

    /// Where a partition begins whose offset is not there.
    fn reset_start(&self) -> Start {
        match self.settings.reset {
            Reset::Earliest => Start::Earliest,
            Reset::Latest | Reset::None => Start::Latest,
            Reset::Ago(ago) => Start::Timestamp(now_ms().saturating_sub(ago.as_millis() as i64)),
        }
    }

    fn begin_at(
        &mut self,
        found: Vec<(TopicPartition, u32, Result<i64, ConsumerError>)>,
    ) -> Result<(), ConsumerError> {
        let mut first_error = Ok(());
        for (partition, era, offset) in found {
            let Some(place) = self.places.get_mut(&partition).filter(|place| place.era == era) else {
                continue;
            };
            place.resolving = false;
            match offset {
                Ok(offset) => {
                    (place.fetch, place.position, place.start) = (offset, offset, None);
                }
                Err(error) if passes(&error) => {
                    tracing::debug!("{partition}: {error}");
                    place.not_before = Some(Instant::now() + PAUSE);
                    self.news.stale = true;
                }
                Err(error) => first_error = first_error.and(Err(error)),
            }
        }
        first_error
    }

    /// Looks up where partitions begin, beside everything else.
    pub(super) fn look_for_places(&mut self) {
        let now = Instant::now();
        let mut wanted = Vec::new();
        for (partition, place) in &mut self.places {
            let waits = place.not_before.is_some_and(|then| then > now);
            if let (Some(start), false, false) = (place.start, place.resolving, waits) {
                place.resolving = true;
                wanted.push((partition.clone(), place.era, start));
            }
        }
        if wanted.is_empty() {
            return;
        }
        let group = self.membership.as_ref().map(|membership| membership.settings.id.clone());
        let (cluster, tell) = (self.cluster.clone(), self.tell.clone());
        let (reset, isolation) = (self.settings.reset, self.settings.isolation);
        tokio::spawn(async move {
            let places = tasks::places(cluster, group, wanted, reset, isolation, now_ms()).await;
            let _ = tell.send(Event::Places(places));
        });
    }

    /// Asks for the topics when what is known is old or wrong.
    pub(super) fn look_for_news(&mut self, now: Instant) {
        let news = &mut self.news;
        let old = news.at.is_none_or(|at| now >= at + self.settings.metadata_max_age);
        if news.running || !(news.stale || old) || news.not_before.is_some_and(|then| then > now) {
            return;
        }
        (news.running, news.stale) = (true, false);
        let names: Option<BTreeSet<Arc<str>>> = match &self.mode {
            Mode::Matching { .. } => None,
            mode => {
                let mut names: BTreeSet<Arc<str>> =
                    self.places.keys().map(|partition| partition.topic.clone()).collect();
                if let Mode::Topics(topics) = mode {
                    names.extend(topics.iter().cloned());
                }
                Some(names)
            }
        };
        let (cluster, tell, create) = (self.cluster.clone(), self.tell.clone(), self.settings.create_topics);
        tokio::spawn(async move {
            let names: Option<Vec<&str>> =
                names.as_ref().map(|names| names.iter().map(|name| &**name).collect());
            let answer = cluster.ask_topics(names.as_deref(), create).await;
            let _ = tell.send(Event::Metadata(answer));
        });
    }

    fn hear(&mut self, answer: Result<MetadataResponse, ClusterError>) -> Result<(), ConsumerError> {
        let now = Instant::now();
        self.news.running = false;
        self.news.not_before = Some(now + BREATH);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!("no news of topics: {error}");
                (self.news.stale, self.news.not_before) = (true, Some(now + PAUSE));
                return Ok(());
            }
        };
        self.news.at = Some(now);
        let mut invalid = Vec::new();
        let mut counts = BTreeMap::new();
        for topic in answer.topics {
            let Some(name) = topic.name else { continue };
            match ErrorCode::from_i16(topic.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                ErrorCode::None => {}
                ErrorCode::InvalidTopicException => {
                    invalid.push(name);
                    continue;
                }
                code if exception::retriable(code) => {
                    // It may be there soon, made by this very question.
                    self.news.stale = true;
                    continue;
                }
                code => {
                    let partition = TopicPartition::new(name, 0);
                    return Err(ConsumerError::Partition { partition, code });
                }
            }
            let name: Arc<str> = name.into();
            counts.insert(name.clone(), topic.partitions.len() as i32);
            if let Some(old) = self.ids.insert(name.clone(), topic.topic_id) {
                self.names.remove(&old);
            }
            self.names.insert(topic.topic_id, name.clone());
            for told in topic.partitions {
                let partition = TopicPartition::new(name.clone(), told.partition_index);
                let Some(place) = self.places.get_mut(&partition) else { continue };
                if told.leader_epoch >= place.leader_epoch || told.leader_epoch < 0 {
                    (place.leader, place.leader_epoch) = (told.leader_id, told.leader_epoch);
                }
                self.news.stale |= told.leader_id < 0;
            }
        }
        self.topics_changed(&counts);
        if invalid.is_empty() { Ok(()) } else { Err(ConsumerError::InvalidTopics(invalid)) }
    }

    /// When something is to be tried again that nothing else wakes for.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let places = self.places.values().filter_map(|place| place.not_before);
        let sessions = self.sessions.values().filter_map(|session| session.not_before);
        let old = self.news.at.map(|at| at + self.settings.metadata_max_age);
        let news = if self.news.stale { self.news.not_before } else { old };
        places.chain(sessions).chain(news).filter(|then| *then > now).min()
    }
}

/// Whether another look may find something.
fn passes(error: &ConsumerError) -> bool {
    match error.code() {
        Some(code) => exception::retriable(code),
        None => matches!(error, ConsumerError::Cluster(_)),
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
