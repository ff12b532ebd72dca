//! One seed, judged: trouble first, with safety checked at every step; then quiet, and the cluster must live.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::world::World;

/// Simulated time in which a healed cluster must have a leader that commits (invariant 10).
const RECOVERY_MS: i64 = 30_000;
/// Simulated time in which everybody must have everything after that.
const CATCH_UP_MS: i64 = 20_000;

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub seed: u64,
    /// What was broken, if anything.
    pub failure: Option<String>,
    /// Simulated milliseconds.
    pub simulated_ms: i64,
    /// Lines of the trace.
    pub events: u64,
    /// Hash of the trace.
    pub digest: u64,
    /// Proposals that were acknowledged.
    pub acknowledged: u64,
    /// The last lines of the trace, if they were asked for.
    pub tail: Vec<String>,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics are verdicts here; nobody wants them printed by the thousand.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hook(Box::new(|panic| {
            let payload = panic.payload();
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line()));
            let text = text.unwrap_or_default() + &place.unwrap_or_default();
            PANIC.with(|last| *last.borrow_mut() = Some(text));
        }));
    });
}

/// Runs a seed, keeping this many lines of its trace.
pub fn seed(seed: u64, keep: usize) -> Verdict {
    listen_to_panics();
    let mut world = World::new(seed, keep);
    let outcome = catch_unwind(AssertUnwindSafe(|| live(&mut world)));
    let failure = outcome.err().map(|_| {
        let text = PANIC.with(|last| last.borrow_mut().take());
        text.unwrap_or_else(|| "a panic without words".to_owned())
    });
    let verdict = Verdict {
        seed,
        failure,
        simulated_ms: world.now,
        events: world.trace.events(),
        digest: world.trace.digest(),
        acknowledged: world.invariants.acknowledged(),
        tail: world.trace.tail(),
    };
    if verdict.failure.is_some() {
        // What a step left half done is not asked to clean up after itself.
        std::mem::forget(world);
    }
    verdict
}

fn live(world: &mut World) {
    world.run_until(world.plan.trouble_ms);
    world.heal();
    let (healed, before) = (world.now, world.invariants.acknowledged());
    while world.invariants.acknowledged() == before {
        let alive = world.now - healed < RECOVERY_MS;
        assert!(alive, "invariant 10 broken: nothing commits after trouble ended: {}", world.summary());
        world.run_until(world.now + 250);
        if let Some(leader) = world.leader() {
            world.propose_at(leader);
        }
    }
    let recovered = world.now;
    while !agreed(world) {
        let alive = world.now - recovered < CATCH_UP_MS;
        assert!(alive, "invariant 11 broken: not everybody has everything: {}", world.summary());
        world.run_until(world.now + 250);
    }
}

/// Everybody is up, has everything, and made the same of it.
fn agreed(world: &mut World) -> bool {
    let (end, state) = (world.invariants.committed_end(), world.invariants.final_state());
    let mut all = true;
    for host in &mut world.hosts {
        let Some(replica) = &mut host.replica else { return false };
        let machine = replica.listener();
        if machine.applied.0 < end {
            all = false;
        } else {
            assert_eq!(machine.state(), state, "invariant 11 broken: two states at offset {end}");
        }
    }
    all
}

/// Many seeds and how they went.
#[derive(Debug, Default)]
pub struct Summary {
    /// Seeds that were run.
    pub seeds: u64,
    /// Simulated milliseconds of all of them.
    pub simulated_ms: i64,
    /// Lines of all traces.
    pub events: u64,
    /// Proposals acknowledged.
    pub acknowledged: u64,
    /// Real time from the first to the last.
    pub took: Duration,
    /// The seeds that failed, in order; the first is the first of all.
    pub failed: Vec<Verdict>,
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// The first seed.
    pub first: u64,
    /// How many, at most.
    pub seeds: u64,
    /// How long, at most.
    pub time: Option<Duration>,
    /// Each seed two times, which must give the same trace.
    pub twice: bool,
    /// Seeds at the same time.
    pub threads: usize,
    /// The bug that is put in.
    pub mutant: Option<&'static str>,
}

/// Runs seeds from the first one on, until one fails.
pub fn seeds(order: Order) -> Summary {
    let start = Instant::now();
    let (next, stop) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let summary = Mutex::new(Summary::default());
    let work = || {
        crate::mutants::choose(order.mutant);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let late = order.time.is_some_and(|time| start.elapsed() >= time);
            // Seeds before one that failed are finished: the first that fails is always the same.
            if late || number >= order.seeds || number >= stop.load(Ordering::Relaxed) {
                return;
            }
            let mut verdict = seed(order.first + number, 0);
            if order.twice && verdict.failure.is_none() {
                let again = seed(order.first + number, 0);
                if again != verdict {
                    let digests = (verdict.digest, again.digest);
                    verdict.failure = Some(format!("invariant 44 broken: two traces {digests:x?}"));
                }
            }
            let mut summary = summary.lock();
            summary.seeds += 1;
            summary.simulated_ms += verdict.simulated_ms;
            summary.events += verdict.events;
            summary.acknowledged += verdict.acknowledged;
            if verdict.failure.is_some() {
                stop.fetch_min(number, Ordering::Relaxed);
                summary.failed.push(verdict);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..order.threads.max(1)).for_each(|_| drop(scope.spawn(work)));
    });
    let mut summary = summary.into_inner();
    summary.took = start.elapsed();
    summary.failed.sort_by_key(|verdict| verdict.seed);
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that found something once: they run before any other.
    const CORPUS: &[u64] = &[4, 9, 725, 2493, 2667];

    #[test]
    fn what_was_found_once_stays_fixed() {
        for number in CORPUS {
            let verdict = seed(*number, 0);
            assert_eq!(verdict.failure, None, "seed {number}");
            assert!(verdict.acknowledged > 0, "seed {number} did nothing");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let order = Order { first: 0, seeds: 6, time: None, twice: true, threads: 1, mutant: None };
        let summary = seeds(order);
        assert_eq!((summary.seeds, summary.failed), (6, Vec::new()));
        assert_ne!(seed(1, 0).digest, seed(2, 0).digest);
    }
}
