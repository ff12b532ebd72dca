//! The state machine under the quorum: counts and hashes what is committed, so that two nodes (or a snapshot and
//! the log it stands for) are compared by comparing sixteen bytes.

use std::sync::Arc;

use bytes::Bytes;
use ottla_quorum::snapshots::SnapshotError;
use ottla_quorum::{Committed, Leadership, Listener, SnapshotReader, Transport};
use ottla_raft::{Destination, Request, Response};
use parking_lot::Mutex;

use crate::durable::Durable;
use crate::proposals::Outcome;

/// What the machine has become after some offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Records applied.
    pub count: u64,
    /// Hash over all of them, in order.
    pub hash: u64,
}

impl State {
    /// The state after these records.
    #[must_use]
    pub fn after(mut self, values: &[Bytes]) -> State {
        for value in values {
            self.count += 1;
            for byte in value.iter().chain(&[0xff]) {
                self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5);
            }
        }
        self
    }

    /// As the first record of a snapshot.
    pub fn encode(&self) -> Bytes {
        [self.count.to_be_bytes(), self.hash.to_be_bytes()].concat().into()
    }

    fn decode(bytes: &[u8]) -> Option<State> {
        let (count, hash) = bytes.split_at_checked(8)?;
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        Some(State { count: number(count)?, hash: number(hash)? })
    }
}

/// What a replica said and did during one step, in order.
#[derive(Debug)]
pub enum Said {
    /// A request for another node, with what was durable here when it left.
    Request { to: Destination, correlation: u64, request: Request, durable: Option<Durable> },
    /// The answer to the request that came under this ticket.
    Answer { ticket: u64, response: Response, durable: Option<Durable> },
    /// A batch was committed, and the state after it.
    Committed { batch: Committed, state: State },
    /// The machine started over from a snapshot.
    Loaded { end_offset: i64, epoch: i32, state: State },
    /// Leadership as the state machine sees it.
    Leadership(Leadership),
    /// What became of a proposal.
    Proposed { number: u64, outcome: Outcome },
}

/// Where everything that a replica says is put down.
pub type Outbox = Arc<Mutex<Vec<Said>>>;

/// The listener of one node.
#[derive(Debug)]
pub struct Machine {
    said: Outbox,
    state: State,
    /// Offset after the last batch, and that batch's epoch.
    pub applied: (i64, i32),
}

impl Machine {
    /// A machine that has seen nothing.
    pub fn new(said: Outbox) -> Machine {
        Machine { said, state: State::default(), applied: (0, 0) }
    }

    /// What it has become.
    pub fn state(&self) -> State {
        self.state
    }
}

impl Listener for Machine {
    fn load_snapshot(
        &mut self,
        end_offset: i64,
        epoch: i32,
        snapshot: &mut SnapshotReader,
    ) -> Result<(), SnapshotError> {
        let mut first = None;
        while let Some(batch) = snapshot.next_batch()? {
            first = first.or_else(|| batch.values.first().cloned());
        }
        let state = first.as_deref().and_then(State::decode);
        self.state = state.expect("SIM: a snapshot of the simulation begins with its state");
        self.applied = (end_offset, epoch);
        self.said.lock().push(Said::Loaded { end_offset, epoch, state: self.state });
        Ok(())
    }

    fn commit(&mut self, batch: Committed) {
        self.state = self.state.after(&batch.values);
        self.applied = (batch.last_offset + 1, batch.epoch);
        self.said.lock().push(Said::Committed { batch, state: self.state });
    }

    fn leadership(&mut self, leadership: Leadership) {
        self.said.lock().push(Said::Leadership(leadership));
    }
}

/// The way out of one node.
#[derive(Debug)]
pub struct Wire {
    said: Outbox,
    disk: ottla_log::fs::SimDisk,
    /// The fetch offset that was last found durable.
    promised: i64,
}

impl Wire {
    /// A way out that looks at this disk whenever a promise leaves.
    pub fn new(said: Outbox, disk: ottla_log::fs::SimDisk) -> Wire {
        Wire { said, disk, promised: -1 }
    }
}

impl Transport for Wire {
    fn send(&mut self, to: Destination, correlation: u64, request: Request) {
        // A vote for itself, and "I have everything before this offset": both must be on disk by now.
        let durable = match &request {
            Request::Vote(vote) if !vote.pre_vote => Some(Durable::election(&self.disk)),
            Request::Fetch(fetch) if fetch.offset != self.promised => {
                self.promised = fetch.offset;
                Some(Durable::log(&self.disk))
            }
            _ => None,
        };
        self.said.lock().push(Said::Request { to, correlation, request, durable });
    }
}
