//! The states of a transaction, with the numbers and names that the log and clients know them by.

/// Where a transactional id stands (Kafka: `TransactionState`). The states of Kafka that are never in the log, `Dead` and
/// `PrepareEpochFence`, exist here as what an entry waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
}

impl State {
    const ALL: [State; 6] = [
        State::Empty,
        State::Ongoing,
        State::PrepareCommit,
        State::PrepareAbort,
        State::CompleteCommit,
        State::CompleteAbort,
    ];

    /// The number in the log.
    pub(crate) fn id(self) -> i8 {
        self as i8
    }

    pub(crate) fn from_id(id: i8) -> Option<State> {
        State::ALL.into_iter().find(|state| state.id() == id)
    }

    /// The name that clients see and ask for.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether clients may filter by this name. Names of states that nothing is ever in are known all the same.
    pub(crate) fn is_name(name: &str) -> bool {
        State::ALL.iter().any(|state| state.name() == name) || matches!(name, "Dead" | "PrepareEpochFence")
    }

    /// The outcome is decided, and partitions lack their markers.
    pub(crate) fn is_prepared(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }

    /// Whether a transactional id may be forgotten, or begin a transaction: nothing is under way.
    pub(crate) fn is_at_rest(self) -> bool {
        matches!(self, State::Empty | State::CompleteCommit | State::CompleteAbort)
    }

    /// Whether the log may have this state behind `before`.
    pub(crate) fn may_follow(self, before: State) -> bool {
        match self {
            State::Empty => before.is_at_rest(),
            State::Ongoing => before.is_at_rest() || before == State::Ongoing,
            State::PrepareCommit => before == State::Ongoing,
            // Transaction version 2 may abort what has not begun.
            State::PrepareAbort => before == State::Ongoing || before.is_at_rest(),
            State::CompleteCommit => before == State::PrepareCommit,
            State::CompleteAbort => before == State::PrepareAbort,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_kafkas() {
        for (id, name) in
            ["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort"]
                .into_iter()
                .enumerate()
        {
            let state = State::from_id(id as i8).unwrap();
            assert_eq!((state.id(), state.name()), (id as i8, name));
            assert!(State::is_name(name));
        }
        assert_eq!((State::from_id(6), State::from_id(-1)), (None, None));
        assert!(State::is_name("Dead") && !State::is_name("ongoing"));
    }
}
