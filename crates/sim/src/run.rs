//! One seed, judged: trouble first, with safety checked at every step; then quiet, and the cluster must live. Many
//! seeds, the corpus of those that found something, and how a failing one is made smaller.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::case::{Case, Kind};
use crate::cluster::world::World as Cluster;
use crate::trace::Trace;
use crate::world::World;

/// Simulated time in which a healed cluster must have a leader that commits (invariant 10).
const RECOVERY_MS: i64 = 30_000;
/// Simulated time in which everybody must have everything after that.
const CATCH_UP_MS: i64 = 20_000;

/// Simulated time in which a healed cluster must take every client's writes again.
const SERVE_MS: i64 = 45_000;
/// Simulated time in which all replicas must be in sync after that.
const WHOLE_MS: i64 = 45_000;

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub case: Case,
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
pub fn case(case: &Case, keep: usize) -> Verdict {
    listen_to_panics();
    let less = &case.less;
    match case.kind {
        Kind::Quorum => {
            let mut world = World::new(case.seed, keep, |plan| less.quorum(plan));
            let failure = judge(|| live(&mut world));
            let acknowledged = world.invariants.acknowledged();
            let verdict = verdict(case, failure, world.now, &world.trace, acknowledged);
            forget_if_broken(&verdict, world);
            verdict
        }
        Kind::Cluster | Kind::Groups => {
            let groups = case.kind == Kind::Groups;
            let mut world = Cluster::new(case.seed, groups, keep, |plan| less.cluster(plan));
            let failure = judge(|| live_cluster(&mut world));
            let verdict = verdict(case, failure, world.now(), world.trace(), world.acknowledgements());
            forget_if_broken(&verdict, world);
            verdict
        }
    }
}

/// What was broken, if anything.
fn judge(live: impl FnOnce()) -> Option<String> {
    catch_unwind(AssertUnwindSafe(live)).err().map(|_| {
        let text = PANIC.with(|last| last.borrow_mut().take());
        text.unwrap_or_else(|| "a panic without words".to_owned())
    })
}

fn verdict(
    case: &Case,
    failure: Option<String>,
    simulated_ms: i64,
    trace: &Trace,
    acknowledged: u64,
) -> Verdict {
    let (events, digest, tail) = (trace.events(), trace.digest(), trace.tail());
    Verdict { case: case.clone(), failure, simulated_ms, events, digest, acknowledged, tail }
}

/// What a step left half done is not asked to clean up after itself.
fn forget_if_broken<W>(verdict: &Verdict, world: W) {
    if verdict.failure.is_some() {
        std::mem::forget(world);
    }
}

fn live_cluster(world: &mut Cluster) {
    world.suffer();
    world.heal();
    let (healed, before) = (world.now(), world.acknowledged_to_clients());
    while world.acknowledged_to_clients().iter().zip(&before).any(|(now, before)| *now < before + 2) {
        let alive = world.now() - healed < SERVE_MS;
        assert!(alive, "invariant 10 broken: clients cannot write after trouble ended: {}", world.summary());
        world.run_until(world.now() + 250);
    }
    let before = world.commits_of_groups();
    let go_on = |world: &Cluster| {
        world.commits_of_groups().iter().zip(&before).all(|(now, before)| *now >= before + 2)
    };
    while !(world.groups_are_whole() && go_on(world)) {
        let alive = world.now() - healed < SERVE_MS;
        assert!(alive, "invariant 35 broken: groups do not settle after trouble ended: {}", world.summary());
        world.run_until(world.now() + 250);
    }
    world.rest();
    let served = world.now();
    while !world.is_whole() {
        let alive = world.now() - served < WHOLE_MS;
        assert!(alive, "invariant 10 broken: not all replicas come into sync: {}", world.summary());
        world.run_until(world.now() + 250);
    }
    world.audit(true);
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
#[derive(Debug, Clone)]
pub struct Order {
    /// What is simulated, of each seed.
    pub kinds: Vec<Kind>,
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
            for kind in &order.kinds {
                let case = Case::new(*kind, order.first + number);
                let verdict = once_or_twice(&case, order.twice);
                let mut summary = summary.lock();
                summary.simulated_ms += verdict.simulated_ms;
                summary.events += verdict.events;
                summary.acknowledged += verdict.acknowledged;
                if verdict.failure.is_some() {
                    stop.fetch_min(number, Ordering::Relaxed);
                    summary.failed.push(verdict);
                }
            }
            summary.lock().seeds += 1;
        }
    };
    std::thread::scope(|scope| {
        (0..order.threads.max(1)).for_each(|_| drop(scope.spawn(work)));
    });
    let mut summary = summary.into_inner();
    summary.took = start.elapsed();
    summary.failed.sort_by_key(|verdict| (verdict.case.seed, verdict.case.kind));
    summary
}

fn once_or_twice(of: &Case, twice: bool) -> Verdict {
    let mut verdict = case(of, 0);
    if twice && verdict.failure.is_none() {
        let again = case(of, 0);
        if again != verdict {
            let digests = (verdict.digest, again.digest);
            verdict.failure = Some(format!("invariant 44 broken: two traces {digests:x?}"));
        }
    }
    verdict
}

/// Seeds that found something once: they run before any other.
pub fn corpus() -> Vec<Case> {
    let lines = include_str!("../corpus.txt").lines();
    let lines = lines.map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| Case::parse(line).expect("SIM: a line of the corpus"))
        .collect()
}

/// A smaller case that breaks the same rule: without kinds of trouble it does not need, shorter, with less in it.
pub fn minimise(failed: &Verdict) -> Verdict {
    let rule = |verdict: &Verdict| {
        verdict.failure.as_deref().map(|text| text.split(':').next().unwrap_or_default().to_owned())
    };
    let mut best = failed.clone();
    loop {
        let smaller = best.case.smaller().into_iter().map(|smaller| case(&smaller, 0));
        match smaller.into_iter().find(|verdict| rule(verdict) == rule(failed)) {
            Some(verdict) => best = verdict,
            None => return best,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_once_stays_fixed() {
        for of in corpus() {
            let verdict = case(&of, 0);
            assert_eq!(verdict.failure, None, "{of}");
            assert!(verdict.acknowledged > 0, "{of} did nothing");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let kinds = vec![Kind::Quorum, Kind::Cluster, Kind::Groups];
        let order = Order { kinds, first: 0, seeds: 4, time: None, twice: true, threads: 1, mutant: None };
        let summary = seeds(order);
        assert_eq!((summary.seeds, summary.failed), (4, Vec::new()));
        let digest = |seed| case(&Case::new(Kind::Cluster, seed), 0).digest;
        assert_ne!(digest(1), digest(2));
    }
}
