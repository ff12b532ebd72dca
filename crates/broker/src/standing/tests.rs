//! What a session looks at, tells, and forgets.

use std::cell::RefCell;

use uuid::Uuid;

use super::*;
use crate::partition::{Reader, tests as testing};

fn want(partition: i32, fetch_offset: i64) -> Wanted {
    Wanted {
        topic: TopicRef::Id(Uuid::from_u128(7)),
        partition,
        current_leader_epoch: 1,
        fetch_offset,
        last_fetched_epoch: -1,
        log_start_offset: 0,
        max_bytes: 100,
    }
}

fn quiet() -> Read {
    Ok(FetchRead {
        high_watermark: 5,
        last_stable_offset: 5,
        log_start_offset: 0,
        slice: None,
        aborted: Vec::new(),
        diverging: None,
        owes_watermark: false,
        behind: false,
        joining: false,
        is_cut_short: false,
        nearer: None,
        from: None,
    })
}

fn edited(edit: impl FnOnce(&mut FetchRead)) -> Read {
    let mut read = quiet().unwrap();
    edit(&mut read);
    Ok(read)
}

/// A session over partitions of its own, all of which say the same.
struct Bench {
    session: Standing,
    partitions: Vec<Arc<Partition>>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(count: i32) -> Bench {
        let (_dir, partitions) = testing::partitions(count);
        let mut session = Standing::new(3, true);
        session.update((0..count).map(|at| want(at, 5)).collect(), &[]);
        Bench { session, partitions, _dir }
    }

    /// Looks, and says at whom.
    fn look(&mut self, says: impl Fn(&Wanted) -> Read) -> (Look, Vec<i32>) {
        let looked = RefCell::new(Vec::new());
        let look = self.session.look(
            1000,
            |want| Ok(self.partitions[want.partition as usize].clone()),
            |want, _, _, _| {
                looked.borrow_mut().push(want.partition);
                says(want)
            },
        );
        (look, looked.into_inner())
    }

    /// One request with its answer: whom it looked at, whom it told of.
    fn turn(&mut self, named: Vec<Wanted>, says: impl Fn(&Wanted) -> Read) -> (Vec<i32>, Vec<i32>) {
        self.session.update(named, &[]);
        let (look, looked) = self.look(says);
        (looked, told(self.session.tell(look, false)))
    }
}

fn told(parts: Vec<Part>) -> Vec<i32> {
    parts.iter().map(|part| part.wanted.partition).collect()
}

#[test]
fn only_what_moved_is_looked_at() {
    let mut bench = Bench::new(4);
    let (look, looked) = bench.look(|_| quiet());
    assert_eq!((looked, look.urgent, look.bytes), (vec![0, 1, 2, 3], false, 0));
    assert_eq!(told(bench.session.tell(look, true)), [0, 1, 2, 3]);
    assert_eq!(bench.turn(vec![], |_| quiet()), (vec![], vec![]));
    bench.partitions[2].waiters().wake_all();
    bench.partitions[2].waiters().wake_all();
    assert_eq!(bench.turn(vec![], |_| quiet()), (vec![2], vec![]), "moved, but there is nothing new");
    bench.partitions[1].waiters().wake_all();
    let higher = |_: &Wanted| edited(|read| read.high_watermark = 6);
    assert_eq!(bench.turn(vec![want(3, 6)], higher), (vec![1, 3], vec![1, 3]));
    assert_eq!(bench.turn(vec![], higher), (vec![], vec![]));
    bench.partitions[0].waiters().wake_all();
    let begun_later = |_: &Wanted| edited(|read| read.log_start_offset = 4);
    assert_eq!(bench.turn(vec![], begun_later), (vec![0], vec![0]), "a log's start is news, too");
}

#[test]
fn news_that_is_not_worth_an_answer_yet_stays_in_the_list() {
    let mut bench = Bench::new(2);
    let (look, _) = bench.look(|_| quiet());
    bench.session.tell(look, true);
    let higher = |_: &Wanted| edited(|read| read.high_watermark = 6);
    bench.partitions[1].waiters().wake_all();
    let (look, _) = bench.look(higher);
    bench.session.wait_on(&look, false);
    let (look, looked) = bench.look(higher);
    assert_eq!(looked, [1]);
    assert_eq!(told(bench.session.tell(look, false)), [1]);
}

#[test]
fn epochs_begin_again_at_1() {
    let mut session = Standing::new(3, true);
    session.advance();
    assert_eq!(session.next_epoch(), 2);
    session.next_epoch = i32::MAX;
    session.advance();
    assert_eq!(session.next_epoch(), 1, "0 would begin a session");
}

#[test]
fn what_is_not_settled_is_looked_at_again() {
    let mut bench = Bench::new(5);
    let says = |want: &Wanted| match want.partition {
        0 => Err(ErrorCode::NotLeaderOrFollower),
        1 => edited(|read| read.behind = true),
        2 => edited(|read| read.joining = true),
        3 => edited(|read| read.diverging = Some((1, 2))),
        _ => quiet(),
    };
    let (look, _) = bench.look(says);
    assert!(look.urgent);
    bench.session.tell(look, true);
    let again = bench.turn(vec![], says);
    assert_eq!(again, (vec![0, 1, 2, 3], vec![0, 3]), "errors and cuts are told each time");
    // Unserved ones go before those that the request names.
    assert_eq!(bench.turn(vec![want(4, 5)], says).0, [0, 1, 2, 3, 4]);
    assert_eq!(bench.turn(vec![], |_| quiet()).0, [0, 1, 2, 3]);
    assert_eq!(bench.turn(vec![], |_| quiet()).0, [0; 0]);
}

#[test]
fn a_look_that_is_not_worth_an_answer_is_forgotten_but_for_who_is_to_join() {
    let mut bench = Bench::new(3);
    let (look, _) = bench.look(|_| quiet());
    bench.session.tell(look, true);
    let says = |want: &Wanted| edited(|read| read.joining = want.partition == 1);
    bench.session.update(vec![want(0, 5), want(1, 5)], &[]);
    let (look, looked) = bench.look(says);
    assert_eq!(looked, [0, 1]);
    bench.session.wait_on(&look, false);
    assert_eq!(bench.look(says).1, [0; 0], "nothing happened meanwhile");
    bench.partitions[1].waiters().wake_all();
    let (look, looked) = bench.look(says);
    assert_eq!(looked, [1]);
    bench.session.wait_on(&look, false);
    let (look, _) = bench.look(says);
    assert_eq!(told(bench.session.tell(look, false)), [0; 0]);
    assert_eq!(bench.turn(vec![], says).0, [1], "the next fetch may bring it in");
}

#[test]
fn what_is_forgotten_is_watched_no_more_and_its_place_is_used_again() {
    let mut bench = Bench::new(3);
    let (look, _) = bench.look(|_| quiet());
    bench.session.tell(look, true);
    bench.session.update(vec![], &[(TopicRef::Id(Uuid::from_u128(7)), 1)]);
    assert_eq!(bench.session.len(), 2);
    bench.partitions[1].waiters().wake_all();
    assert_eq!(bench.turn(vec![], |_| quiet()), (vec![], vec![]));
    assert_eq!(bench.turn(vec![want(1, 9)], |_| quiet()), (vec![1], vec![1]), "it is new again");
    assert_eq!(bench.session.entries.len(), 3);
    // A partition that was made anew is another one.
    let (_dir, fresh) = testing::partitions(3);
    bench.partitions[2].waiters().wake_all();
    bench.partitions = fresh;
    assert_eq!(bench.turn(vec![], |_| quiet()).0, [2]);
    bench.partitions[2].waiters().wake_all();
    assert_eq!(bench.turn(vec![], |_| quiet()).0, [2]);
}

/// A consumer's session over partitions with records.
struct Consumer {
    session: Standing,
    partitions: Vec<Arc<Partition>>,
    _dir: tempfile::TempDir,
}

impl Consumer {
    fn new(count: i32) -> Consumer {
        let (_dir, partitions) = testing::led(count);
        let mut session = Standing::new(3, true);
        session.read_in(Manner { committed: false, from_followers: true });
        session.update((0..count).map(|at| want(at, 0)).collect(), &[]);
        Consumer { session, partitions, _dir }
    }

    /// Looks at what the session holds for worth it, of which the first `there` exist; says at whom.
    fn look(&mut self, max_bytes: usize, there: usize) -> (Look, Vec<i32>) {
        let looked = RefCell::new(Vec::new());
        let reader = Reader::Client { committed: false, from_followers: true };
        let look = self.session.look(
            max_bytes,
            |want| {
                looked.borrow_mut().push(want.partition);
                let found = self.partitions[..there].get(want.partition as usize);
                found.cloned().ok_or(ErrorCode::UnknownTopicOrPartition)
            },
            |want, partition, left, at_least_one| partition.fetch(want, left, at_least_one, reader),
        );
        (look, looked.into_inner())
    }

    /// One request with its answer: whom it looked at, and whose records it got.
    fn turn(&mut self, named: Vec<Wanted>, max_bytes: usize) -> (Vec<i32>, Vec<i32>) {
        self.session.update(named, &[]);
        let (look, looked) = self.look(max_bytes, self.partitions.len());
        let mut parts = self.session.tell(look, false);
        parts.retain(|part| part.read.as_ref().is_ok_and(|read| read.slice.is_some()));
        (looked, told(parts))
    }
}

#[test]
fn a_consumer_is_served_by_turns_and_at_the_cost_of_what_moved() {
    let mut consumer = Consumer::new(3);
    // Room for one batch of each answer.
    let (first, second) = (consumer.turn(vec![], 100), consumer.turn(vec![want(0, 1)], 100));
    assert_eq!(first, (vec![0, 1, 2], vec![0]));
    assert_eq!(second, (vec![1, 2, 0], vec![1]), "who had nothing goes first");
    assert_eq!(consumer.turn(vec![want(1, 1)], 100), (vec![2, 1], vec![2]));
    // Not named: the consumer has not taken these records yet.
    assert_eq!(consumer.turn(vec![], 100), (vec![2], vec![2]));
    assert_eq!(consumer.turn(vec![want(2, 1)], 100), (vec![2], vec![]));
    assert_eq!(consumer.turn(vec![], 100), (vec![], vec![]), "all is read and nothing moves");
    testing::append(&consumer.partitions[1], 1, "news");
    assert_eq!(consumer.turn(vec![], 100), (vec![1], vec![1]));
}

#[test]
fn what_is_missing_stays_in_sight_and_what_is_deleted_comes_into_it() {
    let mut consumer = Consumer::new(3);
    let (look, _) = consumer.look(1000, 2);
    assert_eq!((look.missing, look.urgent), (1, false), "no reason to answer at once");
    consumer.session.wait_on(&look, false);
    let (look, looked) = consumer.look(1000, 2);
    assert_eq!((look.missing, looked), (1, vec![0, 1, 2]), "what is unread, and what is missing");
    assert_eq!(told(consumer.session.tell(look, false)), [0, 1, 2]);
    consumer.turn(vec![want(0, 1), want(1, 1), want(2, 1)], 1000);
    assert_eq!(consumer.turn(vec![], 1000).0, [0; 0]);
    consumer.partitions[1].delete(0).unwrap();
    let (look, looked) = consumer.look(1000, 3);
    assert_eq!((looked, look.urgent), (vec![1], true), "it is gone");
    assert_eq!(told(consumer.session.tell(look, false)), [1]);
}

#[test]
fn another_manner_of_reading_looks_at_all_anew() {
    let mut consumer = Consumer::new(2);
    consumer.turn(vec![want(0, 1), want(1, 1)], 1000);
    consumer.session.read_in(Manner { committed: false, from_followers: true });
    assert_eq!(consumer.turn(vec![], 1000).0, [0; 0]);
    consumer.session.read_in(Manner { committed: true, from_followers: true });
    assert_eq!(consumer.turn(vec![], 1000).0, [0, 1]);
}

#[test]
fn a_nearer_replica_and_a_cut_are_told_each_time() {
    let mut bench = Bench::new(2);
    let says = |want: &Wanted| {
        edited(|read| match want.partition {
            0 => read.nearer = Some(2),
            _ => read.diverging = Some((1, 2)),
        })
    };
    let (look, _) = bench.look(says);
    assert!(look.urgent);
    bench.session.tell(look, true);
    assert_eq!(bench.turn(vec![], says).1, [0, 1]);
    assert_eq!(bench.turn(vec![], |_| quiet()).1, [1], "after a cut the watermark is told");
    assert_eq!(bench.turn(vec![], |_| quiet()).1, [0; 0]);
}
