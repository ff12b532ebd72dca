//! The member's side of a group's life: when it joins, what it gives up, what it is given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::assignor::Subscription;
use super::group::{self, Identity, Joined};
use super::place::Place;
use super::settings::GroupSettings;
use super::tasks::Event;
use super::{Consumer, ConsumerError, Mode, Polled, Start};
use crate::TopicPartition;

/// How long a commit may hold up a change of the assignment.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// Where a member stands.
#[derive(Debug)]
enum Stage {
    /// In no generation: it joins as soon as it can.
    Out,
    Joining(JoinHandle<()>),
    In,
}

/// A member of a group.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) settings: GroupSettings,
    pub(super) identity: Identity,
    stage: Stage,
    beat: Option<JoinHandle<()>>,
    began: Instant,
    polled: Arc<AtomicU64>,
    /// What the leader shared out: when topics grow it is shared out anew.
    shared_out: Option<BTreeMap<Arc<str>, i32>>,
}

impl Membership {
    pub(super) fn new(settings: GroupSettings) -> Membership {
        Membership {
            settings,
            identity: Identity::nobody(),
            stage: Stage::Out,
            beat: None,
            began: Instant::now(),
            polled: Arc::default(),
            shared_out: None,
        }
    }

    /// The owner has polled.
    pub(super) fn polled(&self) {
        self.polled.store(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Joins anew with the next step, unless it is joining already.
    pub(super) fn rejoin(&mut self) {
        if matches!(self.stage, Stage::In) {
            self.stage = Stage::Out;
        }
    }

    fn stop_beating(&mut self) {
        if let Some(beat) = self.beat.take() {
            beat.abort();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.stop_beating();
        if let Stage::Joining(task) = &self.stage {
            task.abort();
        }
    }
}

impl Consumer {
    /// This member's id in its group; empty before it has joined.
    pub fn member_id(&self) -> &str {
        self.membership.as_ref().map_or("", |membership| &membership.identity.member)
    }

    /// The generation of the group that it is in; −1 for none.
    pub fn generation(&self) -> i32 {
        self.membership.as_ref().map_or(-1, |membership| membership.identity.generation)
    }

    /// Gives up what has to be given up before joining, and joins.
    pub(super) async fn step_group(&mut self) {
        // First the owner hears of the changes before.
        if !self.told.is_empty() {
            return;
        }
        let topics: Vec<Arc<str>> = match &self.mode {
            Mode::Topics(topics) => topics.iter().cloned().collect(),
            // What matches is known with the first news.
            Mode::Matching { .. } if self.news.at.is_none() => return,
            Mode::Matching { topics, .. } => topics.iter().cloned().collect(),
            Mode::Nothing | Mode::Assigned => return,
        };
        let out = |membership: &&mut Membership| matches!(membership.stage, Stage::Out);
        let Some(membership) = self.membership.as_mut().filter(out) else { return };
        let cooperative = membership.settings.cooperative();
        if !cooperative && !self.places.is_empty() {
            self.commit_before_change().await;
            let all = self.assignment();
            self.told.push_back((Polled::Revoked(all.clone()), all));
            return;
        }
        // Topics that are not wanted any more are not claimed.
        let mut owned = self.assignment();
        owned.retain(|partition| topics.contains(&partition.topic));
        let Some(membership) = self.membership.as_mut() else { return };
        membership.stop_beating();
        let generation = membership.identity.generation;
        let rack = membership.settings.rack.clone();
        let subscription = Subscription { topics, owned, generation, rack };
        let (cluster, tell) = (self.cluster.clone(), self.tell.clone());
        let (settings, identity) = (membership.settings.clone(), membership.identity.clone());
        membership.stage = Stage::Joining(tokio::spawn(async move {
            let joined = group::join(cluster, settings, identity, subscription).await;
            // The consumer may be gone.
            let _ = tell.send(Event::Joined(joined));
        }));
    }

    /// A new generation.
    pub(super) async fn joined(&mut self, joined: Joined) {
        let Some(membership) = self.membership.as_mut() else { return };
        if joined.forgotten && !self.places.is_empty() {
            let all: Vec<TopicPartition> = std::mem::take(&mut self.places).into_keys().collect();
            self.told.push_back((Polled::Lost(all), Vec::new()));
        }
        self.stats.joins += 1;
        membership.identity = joined.identity.clone();
        membership.shared_out = joined.shared_out;
        membership.stage = Stage::In;
        membership.polled();
        membership.stop_beating();
        membership.beat = Some(tokio::spawn(group::beat(
            self.cluster.clone(),
            membership.settings.clone(),
            joined.identity,
            membership.polled.clone(),
            membership.began,
            self.tell.clone(),
        )));
        let gone: Vec<TopicPartition> =
            self.places.keys().filter(|partition| !joined.assignment.contains(partition)).cloned().collect();
        let mut added = Vec::new();
        for partition in joined.assignment {
            if !self.places.contains_key(&partition) {
                self.eras += 1;
                self.places.insert(partition.clone(), Place::new(Start::Committed, self.eras));
                added.push(partition);
            }
        }
        if !gone.is_empty() {
            self.commit_before_change().await;
            self.told.push_back((Polled::Revoked(gone.clone()), gone));
            // What was given up is free now: the others get it in the next generation (KIP-429).
            if let Some(membership) = self.membership.as_mut() {
                membership.rejoin();
            }
        }
        self.news.stale = true;
        self.told.push_back((Polled::Assigned(added), Vec::new()));
    }

    /// The group wants everybody to join again.
    pub(super) fn rejoin(&mut self, generation: i32) {
        if let Some(membership) = self.membership.as_mut()
            && membership.identity.generation == generation
        {
            membership.rejoin();
        }
    }

    /// This member is none any more: everything is lost.
    pub(super) fn lost(
        &mut self,
        generation: i32,
        error: Option<ConsumerError>,
    ) -> Result<(), ConsumerError> {
        let Some(membership) = self.membership.as_mut() else { return Ok(()) };
        if membership.identity.generation != generation || !matches!(membership.stage, Stage::In) {
            return Ok(());
        }
        membership.stop_beating();
        membership.identity = Identity::nobody();
        membership.stage = Stage::Out;
        let all: Vec<TopicPartition> = std::mem::take(&mut self.places).into_keys().collect();
        if !all.is_empty() {
            self.told.push_back((Polled::Lost(all), Vec::new()));
        }
        error.map_or(Ok(()), Err)
    }

    /// Joining has failed for good; the next poll tries again from the beginning.
    pub(super) fn not_joined(&mut self) {
        if let Some(membership) = self.membership.as_mut() {
            membership.identity = Identity::nobody();
            membership.stage = Stage::Out;
        }
    }

    /// Topics have grown, or others match: the leader shares out anew, a member subscribes anew.
    pub(super) fn topics_changed(&mut self, counts: &BTreeMap<Arc<str>, i32>) {
        let mut changed = false;
        if let Mode::Matching { matches, internal, topics } = &mut self.mode {
            let wanted =
                counts.keys().filter(|name| matches(name) && (*internal || !is_internal(name))).cloned();
            let wanted = wanted.collect();
            changed = *topics != wanted;
            *topics = wanted;
        }
        let Some(membership) = self.membership.as_mut() else { return };
        if let (Stage::In, Some(shared_out)) = (&membership.stage, &membership.shared_out) {
            let wanted = |name: &Arc<str>| match &self.mode {
                Mode::Topics(topics) | Mode::Matching { topics, .. } => topics.contains(name),
                Mode::Nothing | Mode::Assigned => false,
            };
            changed |= counts.iter().any(|(name, count)| wanted(name) && shared_out.get(name) != Some(count));
        }
        if changed {
            membership.rejoin();
        }
    }

    /// Commits what was consumed before partitions go, if commits are made for the owner.
    async fn commit_before_change(&mut self) {
        if self.settings.auto_commit.is_some() {
            match timeout(COMMIT_WITHIN, self.commit()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("offsets are not committed before the change: {error}"),
                Err(_) => tracing::warn!("offsets are not committed before the change: no answer in time"),
            }
        }
    }

    /// Commits if commits are made for the owner, and leaves the group.
    ///
    /// # Errors
    /// [`ConsumerError`] of the commit; the group is left all the same.
    pub async fn close(mut self) -> Result<(), ConsumerError> {
        for partition in std::mem::take(&mut self.going) {
            self.places.remove(&partition);
        }
        let committed = match self.settings.auto_commit {
            Some(_) if !self.places.is_empty() => self.commit().await,
            _ => Ok(()),
        };
        if let Some(mut membership) = self.membership.take() {
            membership.stop_beating();
            if let Stage::Joining(task) = &membership.stage {
                task.abort();
            }
            let leave = group::leave(
                &self.cluster,
                &membership.settings,
                &membership.identity,
                "the consumer is being closed",
            );
            let _ = timeout(COMMIT_WITHIN, leave).await;
        }
        committed
    }
}

/// Kafka's own topics.
fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}
