//! The coordinator's two clocks: deadlines go by one that never jumps, what is stored goes by the wall clock.

use std::time::Instant;

use ottla_records::Moment;

use crate::network::wall_ms;

/// The clock of a node's coordinators.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    /// Milliseconds since the clock was started, and since 1970.
    pub(super) fn now(&self) -> Moment {
        Moment { running_ms: self.started.elapsed().as_millis() as i64, wall_ms: wall_ms() }
    }
}
