//! The partitions that are fetched from one leader, and what that leader was told of each. Only those are looked at that
//! something happened to: an answer, news of the metadata, a pause that is over.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use ottla_replication::follower::{Fetch, OffsetQuery};
use tokio::time::Instant;
use uuid::Uuid;

use crate::partition::Question;

/// A partition: topic id and index.
pub(super) type Key = (Uuid, i32);

/// The first pause of a partition whose leader does not know yet what this node knows.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// A partition that a request names, and what it asks of it.
pub(super) type Named<P> = (Key, P, Fetch);

/// A partition as a follower.
pub(super) trait Follows {
    /// What to ask `leader` now.
    fn asks(&self, leader: i32) -> Question;
    /// The topic's name.
    fn topic(&self) -> &str;
}

/// One partition.
#[derive(Debug)]
struct Track<P> {
    partition: P,
    /// What is to be fetched; nothing while it is not to be fetched.
    wants: Option<Fetch>,
    /// What stands in the leader's session.
    sent: Option<Fetch>,
    is_due: bool,
    /// How often in a row its leader did not know it yet, and until when it is left out for that.
    held: u32,
    until: Option<Instant>,
}

/// All partitions that are fetched from one leader.
#[derive(Debug)]
pub(super) struct Tracks<P> {
    leader: i32,
    all: HashMap<Key, Track<P>>,
    /// To be looked at.
    due: Vec<Key>,
    /// Become due by the clock.
    timers: BinaryHeap<Reverse<(Instant, Key)>>,
    /// Wants something else than the leader was told.
    changed: Vec<Key>,
    /// Stands in the leader's session, and is not to.
    forgotten: HashMap<Key, String>,
    /// How many are fetched.
    fetching: usize,
}

impl<P: Follows + Clone> Tracks<P> {
    pub(super) fn new(leader: i32) -> Tracks<P> {
        Tracks {
            leader,
            all: HashMap::new(),
            due: Vec::new(),
            timers: BinaryHeap::new(),
            changed: Vec::new(),
            forgotten: HashMap::new(),
            fetching: 0,
        }
    }

    /// This partition is fetched here from now on, or there is news of it.
    pub(super) fn join(&mut self, key: Key, partition: P) {
        match self.all.get_mut(&key) {
            Some(track) => {
                track.partition = partition;
                (track.held, track.until) = (0, None);
            }
            None => {
                let track = Track { partition, wants: None, sent: None, is_due: false, held: 0, until: None };
                self.all.insert(key, track);
            }
        }
        self.due(key);
    }

    /// This partition is not fetched here any more.
    pub(super) fn leave(&mut self, key: Key) {
        self.rest(key);
        self.all.remove(&key);
    }

    /// Something happened to this partition.
    pub(super) fn due(&mut self, key: Key) {
        if let Some(track) = self.all.get_mut(&key)
            && !track.is_due
        {
            track.is_due = true;
            self.due.push(key);
        }
    }

    /// Nothing is asked about this partition for now.
    fn rest(&mut self, key: Key) {
        let Some(track) = self.all.get_mut(&key) else { return };
        self.fetching -= usize::from(track.wants.take().is_some());
        if track.sent.take().is_some() {
            self.forgotten.insert(key, track.partition.topic().to_owned());
        }
    }

    /// Finds out what is to be asked about the partitions that are due. Returns the questions that go before fetches.
    pub(super) fn look(&mut self, now: Instant, now_ms: i64) -> Vec<(Key, P, OffsetQuery)> {
        while let Some(&Reverse((at, key))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            self.due(key);
        }
        let mut offsets = Vec::new();
        for key in std::mem::take(&mut self.due) {
            let Some(track) = self.all.get_mut(&key) else { continue };
            track.is_due = false;
            if let Some(until) = track.until.filter(|until| *until > now) {
                self.timers.push(Reverse((until, key)));
                self.rest(key);
                continue;
            }
            match track.partition.asks(self.leader) {
                Question::Fetch(fetch) => {
                    self.fetching += usize::from(track.wants.is_none());
                    track.wants = Some(fetch);
                    if track.sent != Some(fetch) {
                        self.changed.push(key);
                    }
                    continue;
                }
                Question::Offset(query) => offsets.push((key, track.partition.clone(), query)),
                Question::Wait { until_ms } => {
                    let wait = Duration::from_millis((until_ms - now_ms).max(1) as u64);
                    self.timers.push(Reverse((now + wait, key)));
                }
                Question::Nothing => {}
            }
            self.rest(key);
        }
        offsets
    }

    /// How many partitions are fetched.
    pub(super) fn fetching(&self) -> usize {
        self.fetching
    }

    /// When there is something to look at by the clock.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// The partitions that the next request names, and those that it takes out of the session. From here on the
    /// leader counts as told.
    pub(super) fn ask(&mut self, opens: bool) -> (Vec<Named<P>>, Vec<(Key, String)>) {
        let changed = std::mem::take(&mut self.changed);
        let mut forgotten = std::mem::take(&mut self.forgotten);
        let mut named = Vec::new();
        let mut name = |key: Key, track: &mut Track<P>| {
            if let Some(fetch) = track.wants
                && (opens || track.sent != Some(fetch))
            {
                track.sent = Some(fetch);
                named.push((key, track.partition.clone(), fetch));
            }
        };
        if opens {
            self.all.iter_mut().for_each(|(key, track)| name(*key, track));
            return (named, Vec::new());
        }
        for key in changed {
            if let Some(track) = self.all.get_mut(&key) {
                name(key, track);
            }
        }
        // What was taken out for a moment only is named anew: a leader would take it out after that.
        forgotten.retain(|key, _| self.all.get(key).is_none_or(|track| track.sent.is_none()));
        (named, forgotten.into_iter().collect())
    }

    /// The leader has answered: the partition, and what it was asked. It is looked at again.
    pub(super) fn answered(&mut self, key: Key) -> Option<(P, Fetch)> {
        let track = self.all.get(&key)?;
        let answered = (track.partition.clone(), track.sent?);
        self.due(key);
        Some(answered)
    }

    /// The leader knows of the partition what this node knows.
    pub(super) fn release(&mut self, key: Key) {
        if let Some(track) = self.all.get_mut(&key) {
            (track.held, track.until) = (0, None);
        }
    }

    /// The leader does not know yet what this node knows: the partition is left out for a moment. Returns whether
    /// that is less than `most`: then the partition need not hear of the error.
    pub(super) fn hold(&mut self, key: Key, now: Instant, most: Duration) -> bool {
        let Some(track) = self.all.get_mut(&key) else { return false };
        let pause = FIRST_PAUSE * (1 << track.held.min(10));
        (track.held, track.until) = (track.held + 1, Some(now + pause));
        self.due(key);
        pause < most
    }

    /// Finds the key of a partition by its topic's name, as leaders answer that know no topic ids.
    pub(super) fn topic_ids(&self) -> HashMap<&str, Uuid> {
        self.all.iter().map(|((id, _), track)| (track.partition.topic(), *id)).collect()
    }

    /// The leader knows nothing of all this any more.
    pub(super) fn session_lost(&mut self) {
        self.forgotten.clear();
        self.changed.clear();
        self.all.values_mut().for_each(|track| track.sent = None);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone)]
    struct Fake(Rc<Cell<Question>>);

    impl Follows for Fake {
        fn asks(&self, _: i32) -> Question {
            self.0.get()
        }
        fn topic(&self) -> &str {
            "t"
        }
    }

    fn at(offset: i64) -> Question {
        Question::Fetch(Fetch { leader_epoch: 1, offset, last_epoch: None, log_start: 0, high_watermark: 0 })
    }

    fn key(index: i32) -> Key {
        (Uuid::from_u128(7), index)
    }

    fn three() -> (Tracks<Fake>, Vec<Fake>) {
        let mut tracks = Tracks::new(1);
        let fakes: Vec<Fake> = (0..3).map(|at_| Fake(Rc::new(Cell::new(at(at_))))).collect();
        for (index, fake) in (0..).zip(&fakes) {
            tracks.join(key(index), fake.clone());
        }
        (tracks, fakes)
    }

    fn asked(tracks: &mut Tracks<Fake>, opens: bool) -> (Vec<i32>, Vec<i32>) {
        let (named, forgotten) = tracks.ask(opens);
        let mut named: Vec<i32> = named.iter().map(|(key, ..)| key.1).collect();
        let mut forgotten: Vec<i32> = forgotten.iter().map(|(key, _)| key.1).collect();
        named.sort_unstable();
        forgotten.sort_unstable();
        (named, forgotten)
    }

    #[test]
    fn only_what_changed_is_asked_again() {
        let (mut tracks, fakes) = three();
        let now = Instant::now();
        assert!(tracks.look(now, 0).is_empty());
        assert_eq!((asked(&mut tracks, true), tracks.fetching()), ((vec![0, 1, 2], vec![]), 3));
        // One is answered and goes on; one is answered and stays where it is.
        fakes[1].0.set(at(9));
        assert!(tracks.answered(key(1)).is_some_and(|(_, fetch)| fetch.offset == 1));
        assert!(tracks.answered(key(2)).is_some());
        // Nobody said that anything happened to this one.
        fakes[0].0.set(at(5));
        tracks.look(now, 0);
        assert_eq!(asked(&mut tracks, false), (vec![1], vec![]));
        tracks.look(now, 0);
        assert_eq!(asked(&mut tracks, false), (vec![], vec![]));
        tracks.join(key(0), fakes[0].clone());
        tracks.look(now, 0);
        assert_eq!(asked(&mut tracks, false), (vec![0], vec![]));
        tracks.leave(key(2));
        tracks.look(now, 0);
        assert_eq!((asked(&mut tracks, false), tracks.fetching()), ((vec![], vec![2]), 2));
        assert!(tracks.answered(key(2)).is_none());
        // The leader forgot the session.
        tracks.session_lost();
        assert!(tracks.answered(key(1)).is_none(), "of that session");
        assert_eq!(asked(&mut tracks, true), (vec![0, 1], vec![]));
    }

    #[test]
    fn a_partition_that_pauses_leaves_the_session_and_comes_back() {
        let (mut tracks, fakes) = three();
        let now = Instant::now();
        tracks.look(now, 0);
        asked(&mut tracks, true);
        assert!(tracks.hold(key(0), now, Duration::from_secs(1)));
        fakes[1].0.set(Question::Wait { until_ms: 30 });
        tracks.due(key(1));
        tracks.look(now, 0);
        assert_eq!((asked(&mut tracks, false), tracks.fetching()), ((vec![], vec![0, 1]), 1));
        let first = tracks.next_timer().unwrap();
        assert_eq!(first, now + FIRST_PAUSE);
        tracks.look(first, 20);
        assert_eq!(asked(&mut tracks, false), (vec![0], vec![]));
        fakes[1].0.set(at(1));
        tracks.look(now + Duration::from_millis(30), 30);
        assert_eq!((asked(&mut tracks, false), tracks.fetching()), ((vec![1], vec![]), 3));
        // Out and in again before anybody was told: it is named, not forgotten.
        assert!(tracks.hold(key(2), now, Duration::from_secs(1)));
        tracks.look(now, 0);
        tracks.look(now + Duration::from_secs(1), 1000);
        assert_eq!(asked(&mut tracks, false), (vec![2], vec![]));
        // The pauses grow, until the partition is to hear of it.
        for _ in 0..5 {
            assert!(tracks.hold(key(2), now, Duration::from_secs(1)));
        }
        assert!(!tracks.hold(key(2), now, Duration::from_secs(1)));
        tracks.release(key(2));
        assert!(tracks.hold(key(2), now, Duration::from_secs(1)));
    }

    #[test]
    fn questions_for_offsets_go_before_fetches() {
        let (mut tracks, fakes) = three();
        let query = OffsetQuery { leader_epoch: 1, which: ottla_replication::follower::LeaderOffset::Latest };
        fakes[1].0.set(Question::Offset(query));
        let offsets = tracks.look(Instant::now(), 0);
        assert_eq!(offsets.len(), 1);
        assert_eq!((offsets[0].0, tracks.fetching()), (key(1), 2));
        assert_eq!(asked(&mut tracks, true), (vec![0, 2], vec![]));
    }
}
