//! What a seed stands for: which nodes there are and what happens to them.
//!
//! Every seed leaves out some kinds of trouble ("swarm testing"): a run in which everything happens all the time
//! never gets deep into any of it.

use crate::random::Random;

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// `kill -9`: the process goes, the machine stays, unsynced writes are still there.
    Kill,
    /// The power goes between two steps.
    PowerCut,
    /// The power goes in the middle of a call to the disk, so in the middle of a step.
    PowerCutInCall,
    /// A call to the disk fails; the process stops.
    DiskError,
    /// One node hears nobody and is heard by nobody.
    Isolate,
    /// One direction between two nodes is cut.
    OneWay,
    /// The nodes fall into two halves.
    Split,
    /// Some messages are lost.
    Loss,
    /// Some messages arrive twice.
    Duplicates,
    /// Messages take up to two seconds and overtake each other.
    Delay,
    /// Syncs take long.
    SlowDisk,
    /// A process stops for a while and goes on (SIGSTOP, SIGCONT).
    Pause,
    /// A wall clock jumps.
    ClockJump,
    /// A node stops as told and comes back.
    Shutdown,
    /// The leader is told to step down.
    Resign,
    /// A node makes a snapshot and drops the log before it.
    Snapshot,
    /// A voter is added or removed.
    VoterChange,
    /// A node restarts under another address.
    Move,
}

const ALL: [Trouble; 18] = [
    Trouble::Kill,
    Trouble::PowerCut,
    Trouble::PowerCutInCall,
    Trouble::DiskError,
    Trouble::Isolate,
    Trouble::OneWay,
    Trouble::Split,
    Trouble::Loss,
    Trouble::Duplicates,
    Trouble::Delay,
    Trouble::SlowDisk,
    Trouble::Pause,
    Trouble::ClockJump,
    Trouble::Shutdown,
    Trouble::Resign,
    Trouble::Snapshot,
    Trouble::VoterChange,
    Trouble::Move,
];

/// The whole plan of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Nodes that are voters at first; they have the indices from 0 on.
    pub voters: usize,
    /// Nodes that only fetch at first.
    pub observers: usize,
    /// Voters are in the log (KIP-853), not in the configuration.
    pub dynamic: bool,
    /// Nodes ask by themselves to become voters.
    pub auto_join: bool,
    /// How long there is trouble, in milliseconds.
    pub trouble_ms: i64,
    /// Longest pause between two troubles, in milliseconds.
    pub gap_ms: i64,
    /// Kinds of trouble that this run has.
    pub troubles: Vec<Trouble>,
    /// Longest pause between two proposals, in milliseconds.
    pub propose_ms: i64,
    /// Bytes a follower fetches at most.
    pub fetch_bytes: i32,
    /// Bytes of a segment.
    pub segment_bytes: u32,
}

impl Plan {
    /// The plan that a seed begins with.
    pub fn of_seed(seed: u64) -> Plan {
        Plan::draw(&mut Random::new(seed))
    }

    /// Draws the plan of a run.
    pub fn draw(random: &mut Random) -> Plan {
        let dynamic = random.chance(500);
        let voters = [1, 2, 3, 3, 3, 3, 3, 4, 5, 5][random.index(10)];
        let observers = random.index(3);
        let keep = [250, 500, 800][random.index(3)];
        let usable = |trouble: &Trouble| dynamic || !matches!(trouble, Trouble::VoterChange | Trouble::Move);
        let troubles = ALL.into_iter().filter(usable).filter(|_| random.chance(keep)).collect();
        Plan {
            voters,
            observers,
            dynamic,
            auto_join: dynamic && random.chance(200),
            trouble_ms: random.between(5_000, 25_000),
            gap_ms: random.between(100, 1_500),
            troubles,
            propose_ms: random.between(20, 400),
            fetch_bytes: [1, 300, 2_000, 1 << 20][random.index(4)],
            segment_bytes: [2_000, 20_000, 1 << 20][random.index(3)],
        }
    }

    /// Nodes in all.
    pub fn nodes(&self) -> usize {
        self.voters + self.observers
    }
}
