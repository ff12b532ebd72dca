//! One partition's replica as a pure state machine: leader and follower.
