//! The coordinator's two clocks: deadlines go by one that never jumps, what is stored goes by the wall clock.

use std::time::Instant;

use crate::network::wall_ms;

/// The clock of a node's group coordinator.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
}

/// One moment on both clocks: milliseconds since the clock was started, and since 1970.
pub(super) type Now = ottla_groups::Moment;

impl Clock {
    pub(super) fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    pub(super) fn now(&self) -> Now {
        Now { running_ms: self.started.elapsed().as_millis() as i64, wall_ms: wall_ms() }
    }
}
