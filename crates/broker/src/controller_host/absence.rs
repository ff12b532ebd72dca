//! Controllers that are missing: who, why and since when. For a node that waits for the quorum, and for clients that
//! want something of a controller while there is none.

use std::time::{Instant, SystemTime};

use ottla_quorum::Status;
use time::OffsetDateTime;

use super::transport::PeerStates;

/// The voters as this node reaches them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Absence {
    voters: usize,
    majority: usize,
    reachable: usize,
    missing: Vec<Missing>,
}

/// A voter that is not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    /// `id@host:port`
    who: String,
    why: String,
    since: Option<Instant>,
}

impl Absence {
    /// What the transport knows of the voters. `listener` is that of the controllers.
    pub(super) fn of(status: &Status, peers: &PeerStates, own: i32, listener: &str) -> Absence {
        let (mut reachable, mut missing) = (0, Vec::new());
        for voter in status.voters.iter() {
            let id = voter.key.id;
            let state = voter.endpoints.get(listener).map(|at| (at, peers.of(&at.host, at.port)));
            match state {
                _ if id == own => reachable += 1,
                Some((_, Some((state, _)))) if state.is_connected() => reachable += 1,
                Some((at, found)) => missing.push(Missing {
                    who: format!("{id}@{}:{}", at.host, at.port),
                    why: found.map_or("not tried yet", |(state, _)| state.text()).to_owned(),
                    since: found.map(|(_, since)| since),
                }),
                None => missing.push(Missing {
                    who: id.to_string(),
                    why: format!("no {listener} endpoint"),
                    since: None,
                }),
            }
        }
        Absence { voters: status.voters.len(), majority: status.voters.majority(), reachable, missing }
    }

    /// What a node waits for that has no quorum; with `now` it says for how long each voter has been missing.
    pub(super) fn waiting(&self, now: Option<Instant>) -> String {
        if self.voters == 0 {
            return "Waiting for a controller that knows the voters".to_owned();
        }
        let (reachable, voters, majority) = (self.reachable, self.voters, self.majority);
        let head =
            format!("Waiting for controller quorum: {reachable} of {voters} reachable, need {majority}.");
        if self.missing.is_empty() {
            return format!("{head} All are there, a leader is being elected");
        }
        let each = self.missing.iter().map(|Missing { who, why, since }| {
            let seconds = now.zip(*since).map(|(now, since)| now.saturating_duration_since(since).as_secs());
            match seconds.filter(|seconds| *seconds > 0) {
                Some(seconds) => format!("{who} ({why}, {seconds} s)"),
                None => format!("{who} ({why})"),
            }
        });
        format!("{head} Missing: {}", each.collect::<Vec<_>>().join(", "))
    }

    /// What clients are told whose request needs a controller, when none has answered since `silent`.
    pub(super) fn nobody(&self, silent: Instant) -> String {
        if self.missing.is_empty() {
            return format!("no controller: none of the {} voters leads since {}", self.voters, wall(silent));
        }
        let each = self.missing.iter().map(|Missing { who, why, since }| {
            format!("{who} unreachable since {} ({why})", wall(since.unwrap_or(silent)))
        });
        format!("no controller: {}", each.collect::<Vec<_>>().join(", "))
    }
}

/// When that was, by the clock. In UTC: a process with threads does not learn its time zone.
fn wall(at: Instant) -> String {
    let ago = Instant::now().saturating_duration_since(at);
    shown(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
}

fn shown(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (date, time) = (at.date(), at.time());
    format!("{date} {:02}:{:02}:{:02} UTC", time.hour(), time.minute(), time.second())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn absence(missing: &[(&str, &str, Option<Instant>)]) -> Absence {
        let missing: Vec<Missing> = missing
            .iter()
            .map(|(who, why, since)| Missing {
                who: (*who).to_owned(),
                why: (*why).to_owned(),
                since: *since,
            })
            .collect();
        Absence { voters: 2, majority: 2, reachable: 2 - missing.len(), missing }
    }

    #[test]
    fn who_waits_says_for_whom_and_for_how_long() {
        let then = Instant::now();
        let one = absence(&[("1@h:9095", "connection refused", Some(then))]);
        let later = then + Duration::from_secs(12);
        assert_eq!(
            one.waiting(Some(later)),
            "Waiting for controller quorum: 1 of 2 reachable, need 2. Missing: 1@h:9095 (connection refused, 12 s)"
        );
        let still =
            "Waiting for controller quorum: 1 of 2 reachable, need 2. Missing: 1@h:9095 (connection refused)";
        assert_eq!(one.waiting(None), still, "without times it changes only with what is missing");
        assert!(absence(&[]).waiting(None).ends_with("a leader is being elected"));
    }

    #[test]
    fn clients_are_told_which_controller_is_gone_and_since_when() {
        let then = Instant::now();
        let one = absence(&[("1@h:9093", "connection refused", Some(then))]);
        let said = one.nobody(then);
        let rest = said.strip_prefix("no controller: 1@h:9093 unreachable since 2").expect(&said);
        assert!(rest.ends_with(" UTC (connection refused)"), "{said}");
        assert!(absence(&[]).nobody(then).starts_with("no controller: none of the 2 voters leads since 2"));
    }

    #[test]
    fn moments_are_shown_in_utc() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(shown(at), "2023-11-14 22:13:20 UTC");
    }
}
