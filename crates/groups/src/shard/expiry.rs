//! Offsets that have outlived their retention, groups that hold nothing any more, topics that are gone.

use std::sync::Arc;

use uuid::Uuid;

use super::commit::Issue;
use super::desk::{Desk, Undo};
use super::{Group, Shard};
use crate::api::Notice;
use crate::classic::{Classic, State};
use crate::foreign::Kind;
use crate::offsets::{Committed, Place};
use crate::timers::Timer;

/// Tombstones go out in appends of about this many bytes, well below the smallest sensible batch limit.
const APPEND_BYTES: usize = 256 * 1024;

/// From when on the retention of a group's offsets counts (KIP-211).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// From each offset's commit.
    Commit,
    /// From the moment the group lost its last member.
    Emptied(i64),
}

fn retention_of(group: &Classic) -> Option<Since> {
    if group.protocol_type.is_none() {
        return Some(Since::Commit);
    }
    match group.state {
        State::Empty => Some(group.state_since_ms.map_or(Since::Commit, Since::Emptied)),
        // Consumers keep the offsets of what they subscribe to; the others age.
        State::Stable if group.is_of_consumers() && group.subscribed.is_some() => Some(Since::Commit),
        _ => None,
    }
}

impl Desk {
    pub(super) fn plan_expiry(&mut self) {
        let deadline = self.after(self.config.offsets_retention_check_interval_ms);
        self.timers.set(Timer::Expiry, deadline);
    }

    fn is_over(&self, committed: &Committed, since: Since) -> bool {
        if let Some(expire_ms) = committed.expire_ms {
            return self.wall_ms() >= expire_ms;
        }
        let since_ms = match since {
            Since::Commit => committed.commit_ms,
            Since::Emptied(ms) => ms,
        };
        self.wall_ms().saturating_sub(since_ms) >= self.config.offsets_retention_ms
    }
}

impl Shard {
    /// Looks for what has expired, and plans the next look.
    pub(super) fn expire(&mut self) {
        let mut issue = Issue::default();
        let (mut offsets, mut groups) = (0, 0);
        let ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for id in ids {
            let (over, holds_more) = self.expired_of(&id);
            offsets += over.len();
            for place in over {
                issue.delete(place);
                self.flush_if_large(&mut issue);
            }
            if !holds_more && self.groups.get(&id).is_some_and(Group::is_empty) {
                groups += 1;
                let mut tombstones = Vec::new();
                let undo: Vec<Undo> = self.remove_group(&id, &mut tombstones).into_iter().collect();
                issue.records.append(&mut tombstones);
                self.issue(std::mem::take(&mut issue), undo);
            }
        }
        self.issue(issue, Vec::new());
        if offsets + groups > 0 {
            self.desk.notice(Notice::Expired { offsets, groups });
        }
        self.desk.plan_expiry();
    }

    fn flush_if_large(&mut self, issue: &mut Issue) {
        if issue.bytes >= APPEND_BYTES {
            self.issue(std::mem::take(issue), Vec::new());
        }
    }

    /// The expired offsets of a group, and whether it has others or open transactions.
    fn expired_of(&self, id: &Arc<str>) -> (Vec<Place>, bool) {
        let holds_open = self.offsets.all_open(id).next().is_some();
        let since = match self.groups.get(id) {
            None => None,
            Some(Group::Classic(group)) => retention_of(group),
            Some(Group::Foreign(group)) => match group.kind {
                // Share groups have no offsets here and are only deleted on request.
                Kind::Share => return (Vec::new(), true),
                Kind::Consumer => Some(Since::Commit),
                // What a running topology reads by pattern is not known here.
                Kind::Streams => group.is_empty().then_some(Since::Commit),
            },
        };
        let mut over = Vec::new();
        let mut holds_more = holds_open;
        for (topic, partition, committed) in self.offsets.all_latest(id) {
            let is_over = since.is_some_and(|since| self.desk.is_over(committed, since))
                && !self.protects(id, topic)
                && !self.offsets.is_open(id, topic, partition);
            if is_over {
                over.push(Place { group: id.clone(), topic: topic.clone(), partition });
            } else {
                holds_more = true;
            }
        }
        (over, holds_more)
    }

    /// Topics were deleted, by name and id: their offsets go. An offset stored without a topic id goes with
    /// the name.
    pub fn topics_deleted(&mut self, now_ms: i64, topics: &[(&str, Uuid)]) {
        self.desk.now_ms = now_ms;
        let gone = |name: &str, id: Uuid| topics.iter().any(|t| t.0 == name && (id.is_nil() || t.1 == id));
        let mut issue = Issue::default();
        for place in self.offsets.of_topics(gone) {
            issue.delete(place);
            self.flush_if_large(&mut issue);
        }
        self.issue(issue, Vec::new());
    }
}
