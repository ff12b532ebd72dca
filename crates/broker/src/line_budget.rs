//! How many lines of the log strangers may cause: some at once, then so many a second. What is left out is counted, and
//! the next line says how many there were, so that a hostile client can neither fill the disk nor go unnoticed.

use std::fmt;

use parking_lot::Mutex;

/// The most characters of a line that a client may choose.
const LONGEST: usize = 500;

/// A budget of log lines.
#[derive(Debug)]
pub(crate) struct LineBudget {
    burst: u32,
    /// Milliseconds after which one more line may be written.
    every_ms: i64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: u32,
    filled_ms: i64,
    left_out: u64,
}

/// Leave to write one line. Shown behind the line, it says how many were left out before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leave {
    left_out: u64,
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left_out {
            0 => Ok(()),
            left_out => write!(f, " ({left_out} lines like this were left out)"),
        }
    }
}

/// Text of which a client has chosen parts, as it may stand in a line: not long, and all on one line.
pub(crate) fn tame(text: &str) -> String {
    let mut tame: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        tame.push_str("...");
    }
    tame
}

impl LineBudget {
    /// `burst` lines at once, and one more every `every_ms`.
    pub(crate) fn new(burst: u32, every_ms: i64) -> LineBudget {
        LineBudget {
            burst,
            every_ms,
            state: Mutex::new(State { left: burst, filled_ms: i64::MIN, left_out: 0 }),
        }
    }

    /// Asks to write a line now.
    pub(crate) fn spend(&self, now_ms: i64) -> Option<Leave> {
        let mut state = self.state.lock();
        // A clock that was set back starts the count anew.
        if state.filled_ms == i64::MIN || now_ms < state.filled_ms {
            state.filled_ms = now_ms;
        }
        let more = (now_ms - state.filled_ms) / self.every_ms;
        if more > 0 {
            state.filled_ms += more * self.every_ms;
            state.left = u32::try_from(more).unwrap_or(u32::MAX).saturating_add(state.left).min(self.burst);
        }
        match state.left.checked_sub(1) {
            Some(left) => {
                state.left = left;
                Some(Leave { left_out: std::mem::take(&mut state.left_out) })
            }
            None => {
                state.left_out += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clients_stay_on_one_short_line() {
        assert_eq!(tame("group g\n[fake] line\x1b[2J"), "group g\u{fffd}[fake] line\u{fffd}[2J");
        assert_eq!(tame(&"\u{d6d5}".repeat(100_000)).chars().count(), LONGEST + 3);
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let budget = LineBudget::new(10, 1000);
        let written = (0..10_000).filter(|n| budget.spend(5_000 + n / 10).is_some()).count();
        assert_eq!(written, 10);
        let leave = budget.spend(6_000).unwrap();
        assert_eq!(leave.to_string(), " (9990 lines like this were left out)");
        assert_eq!(budget.spend(6_001), None);
        assert_eq!(budget.spend(1_000), None, "a clock that goes back gives nothing away");
        assert_eq!(budget.spend(2_000).unwrap().left_out, 2);
        assert_eq!(
            (0..50).filter(|_| budget.spend(1_000_000).is_some()).count(),
            10,
            "no more than the burst"
        );
    }
}
