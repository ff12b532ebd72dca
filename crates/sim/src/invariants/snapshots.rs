//! 7: a snapshot is what the log before it would have given.

use super::committed::History;
use super::hold;
use crate::machine::State;

/// A node begins from a snapshot that ends here and holds this.
pub fn equals_history(history: &History, node: usize, end_offset: i64, state: State) {
    let expected = history.state_at(end_offset);
    hold!(
        7,
        expected == Some(state),
        "node {} loads a snapshot at {end_offset} with {state:?}; the log gives {expected:?}",
        node + 1
    );
}
