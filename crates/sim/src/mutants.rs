//! Bugs put in on purpose. Each must be found within its budget of seeds, or the simulator is blind to its kind.

/// A bug that can be put in.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its name, as the machines ask for it.
    pub name: &'static str,
    /// What is wrong.
    pub bug: &'static str,
    /// In how many seeds it must show.
    pub seeds: u64,
}

const fn mutant(name: &'static str, bug: &'static str, seeds: u64) -> Mutant {
    Mutant { name, bug, seeds }
}

/// All of them. `docs/TESTING.md` lists them for people.
pub const MUTANTS: &[Mutant] = &[
    mutant("vote-unsynced", "quorum: a vote is written and not synced", 200),
    mutant("vote-unwritten", "raft: a vote is answered and never written", 200),
    mutant("vote-twice", "raft: a second candidate of an epoch gets a vote, too", 400),
    mutant("vote-for-stale-log", "raft: a vote for a candidate whose log is behind", 400),
    mutant("vote-in-old-epoch", "raft: votes of an epoch that is over are taken", 400),
    mutant("fetch-unsynced", "quorum: a follower fetches on without a sync", 200),
    mutant("leader-counts-unsynced", "raft: the leader counts what it has not synced", 200),
    mutant("commit-before-majority", "raft: the watermark follows the fastest voter", 200),
    mutant("commit-old-epoch", "raft: records of an older epoch are committed by counting", 2000),
    mutant("count-observers", "raft: what is not a voter counts for the watermark", 400),
    mutant("fetch-epoch-unchecked", "raft: a fetch of another epoch is served", 400),
    mutant("truncate-too-little", "raft: one record too many is left after divergence", 400),
    mutant("divergence-unchecked", "raft: a follower's position is taken as valid", 400),
    mutant("epoch-forgotten", "raft: a restarted node takes its epoch from the log alone", 400),
    mutant("resumes-lead", "raft: a restarted leader goes on in its epoch", 400),
    mutant("two-changes", "raft: a voter change on top of one that is not committed", 2000),
    mutant("acknowledge-early", "quorum: a proposal is answered when it is appended", 200),
    mutant("lost-lead-acknowledged", "quorum: proposals are acknowledged when the lead is lost", 400),
    mutant("snapshot-skips", "quorum: after a snapshot the listener is not started over", 400),
    mutant("truncation-keeps-tail", "quorum: batches that were cut are still given to the listener", 2000),
];

/// Puts one in on this thread.
#[cfg(feature = "mutants")]
pub fn choose(name: Option<&'static str>) {
    ottla_records::mutant::choose(name);
}

/// There are none in this build.
#[cfg(not(feature = "mutants"))]
pub fn choose(name: Option<&'static str>) {
    assert!(name.is_none(), "this build has no mutants: cargo build --features mutants");
}
