//! The follower's side of a fetch session (KIP-227): in a request stands only what differs from the one before.

/// The epoch of a request that opens a session.
const FIRST: i32 = 0;

/// A session with one leader.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
}

impl Session {
    /// Id and epoch for the next request.
    pub(super) fn next(&self) -> (i32, i32) {
        (self.id, self.epoch)
    }

    /// Whether the next request opens a session, and so names everything.
    pub(super) fn opens(&self) -> bool {
        self.epoch == FIRST
    }

    /// The leader answered, in this session; 0 means that it keeps none.
    pub(super) fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            return self.reset();
        }
        self.id = session_id;
        // After the greatest epoch comes 1: 0 would open a new session.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
    }

    /// The session is lost: the next request opens another.
    pub(super) fn reset(&mut self) {
        *self = Session::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_goes_on_until_it_is_lost() {
        let mut session = Session::default();
        assert_eq!((session.next(), session.opens()), ((0, 0), true));
        session.answered(99);
        assert_eq!((session.next(), session.opens()), ((99, 1), false));
        session.epoch = i32::MAX;
        session.answered(99);
        assert_eq!(session.next(), (99, 1), "never back to the epoch that opens");
        session.answered(0);
        assert!(session.opens(), "the leader keeps none");
        session.answered(7);
        session.reset();
        assert_eq!((session.next(), session.opens()), ((0, 0), true));
    }
}
