//! How many connections there may be, and how fast new ones may come (Kafka's `ConnectionQuotas`).
//!
//! Where a place is missing, or connections come too fast, the listener waits and with it those in the system's
//! backlog, as in Kafka; only one address too many is turned away. Where there are several listeners the one that
//! brokers use among themselves is not held back by what clients do on the others.
//!
//! Where `max.connections` is lowered below what is open, or brokers take places that clients have, connections of
//! clients are closed, those that have been silent for longest first. The other limits only hold for new connections.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_config::NodeConfig;
use ottla_config::value::Value;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The longest that one connection waits for the rate, Kafka's quota window.
const LONGEST_WAIT_MS: f64 = 1_000.0;
/// A rate is looked at over this time: so much of it may come at once (Kafka's ten whole windows).
const RATE_WINDOW_MS: f64 = 10_000.0;

/// The limits, as configured now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `max.connections`.
    pub(crate) max: usize,
    /// `max.connections.per.ip`.
    pub(crate) max_per_ip: usize,
    /// `max.connections.per.ip.overrides`.
    pub(crate) per_ip: HashMap<IpAddr, usize>,
    /// `max.connection.creation.rate`.
    pub(crate) rate: i32,
    /// `max.connections` and `max.connection.creation.rate` of single listeners.
    pub(crate) of_listener: HashMap<Arc<str>, (usize, i32)>,
    /// The listener of the brokers, where clients have others.
    pub(crate) protected: Option<Arc<str>>,
    /// The controller's listeners: Kafka's controller has a socket server, and so a count, of its own.
    pub(crate) apart: HashSet<Arc<str>>,
}

impl Limits {
    pub(crate) fn of(config: &NodeConfig) -> Limits {
        let sockets = &config.sockets;
        let per_ip = sockets.max_connections_overrides.iter().filter_map(|(host, count)| {
            let address = (host.as_str(), 0).to_socket_addrs().ok()?.next()?;
            Some((address.ip().to_canonical(), count_of(*count)))
        });
        let of = |listener: &str, key: &str, otherwise: i32| match config
            .settings()
            .value_for_listener(listener, key)
        {
            Ok(Some(Value::Integer(value))) => i32::try_from(value).unwrap_or(i32::MAX),
            _ => otherwise,
        };
        let of_listener = config.listeners.bound.iter().map(|listener| {
            let max = of(&listener.name, "max.connections", sockets.max_connections);
            let rate = of(&listener.name, "max.connection.creation.rate", sockets.max_creation_rate);
            (listener.name.as_str().into(), (count_of(max), rate))
        });
        let apart: HashSet<Arc<str>> = (config.listeners.bound.iter())
            .filter(|listener| config.listeners.is_controller(&listener.name))
            .map(|listener| listener.name.as_str().into())
            .collect();
        let protected = Some(config.listeners.inter_broker_name.as_str().into());
        Limits {
            max: count_of(sockets.max_connections),
            max_per_ip: count_of(sockets.max_connections_per_ip),
            per_ip: per_ip.collect(),
            rate: sockets.max_creation_rate,
            of_listener: of_listener.collect(),
            protected: protected.filter(|_| config.listeners.bound.len() - apart.len() > 1),
            apart,
        }
    }
}

fn count_of(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// The connections that are open.
#[derive(Debug)]
pub(crate) struct Admission {
    state: Mutex<State>,
    /// Told whenever a place becomes free or the limits change.
    freed: Notify,
    /// Told whenever there may be connections too many.
    surplus: Notify,
    started: Instant,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    all: usize,
    /// How many of them were told to go.
    leaving: usize,
    by_ip: HashMap<IpAddr, usize>,
    by_listener: HashMap<Arc<str>, usize>,
    pace: Pace,
    pace_of_listener: HashMap<Arc<str>, Pace>,
}

/// When the next connection would be due if all came evenly at the highest rate.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    due_ms: f64,
}

impl Pace {
    /// Counts one connection; says how long it has to wait.
    fn wait_ms(&mut self, now_ms: f64, rate: i32) -> f64 {
        if rate == i32::MAX {
            return 0.0;
        }
        let step_ms = if rate > 0 { 1_000.0 / f64::from(rate) } else { LONGEST_WAIT_MS };
        let due_ms = self.due_ms.max(now_ms - RATE_WINDOW_MS + step_ms);
        let wait_ms = (due_ms - now_ms).clamp(0.0, LONGEST_WAIT_MS);
        self.due_ms = due_ms.min(now_ms + LONGEST_WAIT_MS) + step_ms;
        wait_ms
    }
}

/// The right of one connection to be open; given back when dropped.
pub(crate) struct Permit {
    of: Arc<Admission>,
    ip: IpAddr,
    listener: Arc<str>,
    leaving: Cell<bool>,
    apart: bool,
}

impl Permit {
    /// Whether this connection has to go because there are too many; says so once, and only as often as needed.
    pub(crate) fn must_leave(&self) -> bool {
        let mut state = self.of.state.lock();
        let stays = state.all - state.leaving <= state.limits.max || state.is_protected(&self.listener);
        if stays || self.leaving.replace(true) {
            return false;
        }
        state.leaving += 1;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.of.state.lock();
        state.all -= usize::from(!self.apart);
        state.leaving -= usize::from(self.leaving.get());
        give_back(&mut state.by_ip, &self.ip);
        give_back(&mut state.by_listener, &self.listener);
        drop(state);
        self.of.freed.notify_waiters();
    }
}

fn give_back<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl State {
    fn has_place(&self, listener: &str) -> bool {
        let here = self.by_listener.get(listener).copied().unwrap_or(0);
        let most = self.limits.of_listener.get(listener).map_or(usize::MAX, |of| of.0);
        here < most && (self.is_protected(listener) || self.all < self.limits.max)
    }

    fn is_protected(&self, listener: &str) -> bool {
        self.limits.protected.as_deref() == Some(listener) || self.limits.apart.contains(listener)
    }

    /// Counts a new connection; says how long it has to wait for the rates.
    fn pace_ms(&mut self, listener: &Arc<str>, now_ms: f64) -> f64 {
        let rate = self.limits.rate;
        let all_ms = if self.is_protected(listener) { 0.0 } else { self.pace.wait_ms(now_ms, rate) };
        let rate = self.limits.of_listener.get(listener).map_or(i32::MAX, |of| of.1);
        all_ms.max(self.pace_of_listener.entry(listener.clone()).or_default().wait_ms(now_ms, rate))
    }
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Arc<Admission> {
        let state = State {
            limits,
            all: 0,
            leaving: 0,
            by_ip: HashMap::new(),
            by_listener: HashMap::new(),
            pace: Pace::default(),
            pace_of_listener: HashMap::new(),
        };
        Arc::new(Admission {
            state: Mutex::new(state),
            freed: Notify::new(),
            surplus: Notify::new(),
            started: Instant::now(),
        })
    }

    /// Other limits, for what comes from now on; a lower `max.connections` also for what is there.
    pub(crate) fn configure(&self, limits: Limits) {
        self.state.lock().limits = limits;
        self.freed.notify_waiters();
        self.surplus.notify_waiters();
    }

    /// How many connections are open, by listener.
    pub(crate) fn open(&self) -> Vec<(Arc<str>, usize)> {
        let state = self.state.lock();
        state.by_listener.iter().map(|(listener, count)| (listener.clone(), *count)).collect()
    }

    /// Ends when there may be connections too many; from the moment of the call on none is missed.
    pub(crate) fn surplus(&self) -> Notified<'_> {
        self.surplus.notified()
    }

    /// Waits until one more connection may be on `listener`. Only the listener's own task may ask.
    pub(crate) async fn place(&self, listener: &Arc<str>) {
        let now_ms = self.started.elapsed().as_secs_f64() * 1_000.0;
        let wait_ms = self.state.lock().pace_ms(listener, now_ms);
        if wait_ms > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(wait_ms / 1_000.0)).await;
        }
        loop {
            // Made before the look: a place that becomes free in between is not missed.
            let freed = self.freed.notified();
            if self.state.lock().has_place(listener) {
                return;
            }
            freed.await;
        }
    }

    /// A permit for one more connection from `ip`; `None` when this address has as many as it may have.
    pub(crate) fn admit(self: &Arc<Self>, listener: &Arc<str>, ip: IpAddr) -> Option<Permit> {
        let ip = ip.to_canonical();
        let mut state = self.state.lock();
        let limit = state.limits.per_ip.get(&ip).copied().unwrap_or(state.limits.max_per_ip);
        if state.by_ip.get(&ip).copied().unwrap_or(0) >= limit {
            return None;
        }
        *state.by_ip.entry(ip).or_default() += 1;
        *state.by_listener.entry(listener.clone()).or_default() += 1;
        let apart = state.limits.apart.contains(listener);
        state.all += usize::from(!apart);
        let crowded = state.all > state.limits.max;
        drop(state);
        if crowded {
            self.surplus.notify_waiters();
        }
        Some(Permit { of: self.clone(), ip, listener: listener.clone(), leaving: Cell::new(false), apart })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max: usize) -> Limits {
        Limits {
            max,
            max_per_ip: 2,
            per_ip: HashMap::new(),
            rate: i32::MAX,
            of_listener: HashMap::new(),
            protected: None,
            apart: HashSet::new(),
        }
    }

    fn has_place(admission: &Admission, listener: &str) -> bool {
        admission.state.lock().has_place(listener)
    }

    #[test]
    fn an_address_has_its_limit_and_gets_its_places_back() {
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let two: IpAddr = "10.0.0.2".parse().unwrap();
        let admission = Admission::new(Limits { per_ip: HashMap::from([(two, 1)]), ..limits(9) });
        let client: Arc<str> = "CLIENT".into();
        let (first, _second) =
            (admission.admit(&client, one).unwrap(), admission.admit(&client, one).unwrap());
        assert!(admission.admit(&client, one).is_none());
        let _third = admission.admit(&client, two).unwrap();
        assert!(admission.admit(&client, two).is_none());
        drop(first);
        assert!(admission.admit(&client, "::ffff:10.0.0.1".parse().unwrap()).is_some());
    }

    #[test]
    fn listeners_share_the_places_but_for_the_protected_one() {
        let (client, broker): (Arc<str>, Arc<str>) = ("CLIENT".into(), "BROKER".into());
        let admission = Admission::new(Limits {
            of_listener: HashMap::from([(broker.clone(), (2, i32::MAX))]),
            protected: Some(broker.clone()),
            ..limits(2)
        });
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let _held =
            [admission.admit(&client, address(1)).unwrap(), admission.admit(&client, address(2)).unwrap()];
        assert!(!has_place(&admission, "CLIENT") && has_place(&admission, "BROKER"));
        let more =
            [admission.admit(&broker, address(3)).unwrap(), admission.admit(&broker, address(4)).unwrap()];
        assert!(!has_place(&admission, "BROKER"), "the listener's own limit");
        drop(more);
        assert!(has_place(&admission, "BROKER") && !has_place(&admission, "CLIENT"));
        admission.configure(limits(3));
        assert!(has_place(&admission, "CLIENT"));
    }

    #[test]
    fn as_many_leave_as_are_too_many_and_none_of_the_protected_listener() {
        let (client, broker): (Arc<str>, Arc<str>) = ("CLIENT".into(), "BROKER".into());
        let protected = Some(broker.clone());
        let admission = Admission::new(Limits { protected: protected.clone(), ..limits(9) });
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let own = admission.admit(&broker, address(9)).unwrap();
        let mut held: Vec<Permit> = (1..=4).map(|n| admission.admit(&client, address(n)).unwrap()).collect();
        assert!(!held.iter().any(Permit::must_leave));
        admission.configure(Limits { protected, ..limits(3) });
        assert!(!own.must_leave(), "the brokers' listener is protected");
        let told: Vec<bool> = held.iter().map(Permit::must_leave).collect();
        assert_eq!(told, [true, true, false, false]);
        assert!(!held.iter().any(Permit::must_leave), "each is told once");
        drop(held.drain(..2));
        assert!(!held.iter().any(Permit::must_leave), "three are left: as many as there may be");
        let _second = admission.admit(&broker, address(9)).unwrap();
        assert!(held[0].must_leave() && !held[1].must_leave(), "a client makes room for a broker");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_full_node_takes_the_next_one_when_one_leaves() {
        let client: Arc<str> = "CLIENT".into();
        let admission = Admission::new(limits(1));
        let held = admission.admit(&client, IpAddr::from([10, 0, 0, 1])).unwrap();
        let waiting = tokio::spawn({
            let (admission, client) = (admission.clone(), client.clone());
            async move { admission.place(&client).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        waiting.await.unwrap();
    }

    #[test]
    fn a_rate_lets_a_burst_through_and_then_holds_back() {
        let mut pace = Pace::default();
        let at_once = (0..200).take_while(|_| pace.wait_ms(50_000.0, 10) == 0.0).count();
        assert_eq!(at_once, 100, "ten seconds' worth");
        let mut now_ms = 60_000.0;
        let mut taken = 0;
        while now_ms < 120_000.0 {
            now_ms += pace.wait_ms(now_ms, 10).max(0.001);
            taken += 1;
        }
        assert!((600..=710).contains(&taken), "{taken} in a minute");
        assert_eq!(pace.wait_ms(now_ms, i32::MAX), 0.0);
        assert_eq!((0..100).map(|_| pace.wait_ms(500_000.0, 0)).fold(0.0, f64::max), LONGEST_WAIT_MS);
    }
}
