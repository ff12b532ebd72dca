//! KRaft consensus as a pure state machine.
