//! Bugs put in on purpose. Each must be found within its budget of seeds, or the simulator is blind to its kind.

use crate::case::Kind;

/// A bug that can be put in.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its name, as the machines ask for it.
    pub name: &'static str,
    /// What is wrong.
    pub bug: &'static str,
    /// In how many seeds it must show.
    pub seeds: u64,
    /// In which kind of world.
    pub kind: Kind,
}

const fn mutant(name: &'static str, bug: &'static str, seeds: u64) -> Mutant {
    Mutant { name, bug, seeds, kind: Kind::Quorum }
}

const fn in_cluster(name: &'static str, bug: &'static str, seeds: u64) -> Mutant {
    Mutant { name, bug, seeds, kind: Kind::Cluster }
}

const fn in_groups(name: &'static str, bug: &'static str, seeds: u64) -> Mutant {
    Mutant { name, bug, seeds, kind: Kind::Groups }
}

/// All of them. `docs/TESTING.md` lists them for people.
pub const MUTANTS: &[Mutant] = &[
    mutant("vote-unsynced", "quorum: a vote is written and not synced", 200),
    mutant("vote-unwritten", "raft: a vote is answered and never written", 200),
    mutant("vote-twice", "raft: a second candidate of an epoch gets a vote, too", 400),
    mutant("vote-for-stale-log", "raft: a vote for a candidate whose log is behind", 400),
    mutant("half-is-a-majority", "raft: half of the votes win an election", 200),
    mutant("fetch-unsynced", "quorum: a follower fetches on without a sync", 200),
    mutant("leader-unsynced", "quorum: a leader counts itself without a sync", 200),
    mutant("commit-before-majority", "raft: the watermark follows the fastest voter", 200),
    mutant("commit-old-epoch", "raft: records of an older epoch are committed by counting", 2000),
    mutant("count-observers", "raft: what is not a voter counts for the watermark", 400),
    mutant("truncate-too-little", "raft: after divergence one record too many is left", 400),
    mutant("divergence-unchecked", "raft: a follower's position is taken as valid", 400),
    mutant("epoch-forgotten", "raft: a restarted node takes its epoch from the log alone", 400),
    mutant("resumes-lead", "raft: a restarted leader goes on in its epoch", 400),
    mutant("two-changes", "raft: a voter change on top of one that is not committed", 2000),
    mutant("acknowledge-early", "quorum: a proposal is answered when it is appended", 200),
    mutant("lost-lead-acknowledged", "quorum: proposals are acknowledged when the lead is lost", 400),
    mutant("snapshot-skipped", "quorum: a snapshot is put in place and not given to the state machine", 400),
    mutant(
        "cut-batches-delivered",
        "quorum: batches that were cut off are given to the state machine all the same",
        2000,
    ),
    in_cluster("ack-before-watermark", "replication: acks=all is answered when it is appended", 200),
    in_cluster("watermark-one-ahead", "replication: the watermark counts one record a follower has not", 200),
    in_cluster(
        "joining-not-awaited",
        "replication: the watermark does not wait for who is joining the ISR",
        2000,
    ),
    in_cluster(
        "joins-behind-watermark",
        "replication: who lacks committed records is proposed for the ISR",
        400,
    ),
    in_cluster(
        "joins-behind-epoch-start",
        "replication: who lacks records of before the epoch is proposed",
        2000,
    ),
    in_cluster("shrinks-at-once", "replication: a shrink of the ISR counts before it is committed", 400),
    in_cluster("divergence-unseen", "replication: a fetch behind a divergence is served", 400),
    in_cluster("cut-to-watermark", "replication: a new follower cuts its log to its own watermark", 400),
    in_cluster("cut-too-little", "replication: after divergence one record too many is left", 400),
    in_cluster(
        "duplicate-acknowledged-at-once",
        "sim: a write that is sent again is answered before it is committed",
        400,
    ),
    in_cluster("duplicates-unknown", "log: a batch that is sent again is not known again", 200),
    in_cluster("sequences-unchecked", "log: any sequence follows on any other", 2000),
    in_cluster(
        "producers-outlive-truncation",
        "log: a truncation leaves the sequences of what it cut off",
        400,
    ),
    in_cluster(
        "ineligible-joins",
        "metadata: AlterPartition brings a fenced or former broker into the ISR",
        2000,
    ),
    in_cluster("unclean-stays-eligible", "metadata: who may have lost records stays in the ELR", 400),
    in_cluster(
        "every-stop-is-clean",
        "metadata: a broker without a clean stop is taken for one with it",
        400,
    ),
    in_cluster(
        "anybody-is-elected",
        "metadata: a replica outside of ISR and ELR is elected as if it were in",
        400,
    ),
    in_cluster("fenced-stays-in-sync", "metadata: a fenced broker stays in the ISR", 200),
    in_cluster("epoch-not-raised", "metadata: a new leader goes on in the old leader epoch", 200),
    in_cluster("snapshot-without-elr", "metadata: a snapshot leaves out the ELR", 2000),
    in_cluster(
        "uncommitted-kept",
        "metadata: a controller that lost its lead keeps what was not committed",
        2000,
    ),
    in_groups("stored-before-committed", "groups: what is appended counts as committed", 200),
    in_groups("lost-lead-stores", "groups: who loses the partition acknowledges what was on its way", 400),
    in_groups("loading-stops-early", "groups: a new coordinator reads its log up to its own watermark", 400),
    in_groups("tail-not-awaited", "groups: a new coordinator serves before what it found is committed", 400),
    in_groups("offsets-shown-early", "groups: an offset is shown before it is committed", 200),
    in_groups("generation-unwritten", "groups: an assignment is handed out and never written", 200),
    in_groups("generation-forgotten", "groups: a new coordinator begins with generation 0", 200),
    in_groups("old-generation-commits", "groups: commits of an older generation are taken", 2000),
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

#[cfg(test)]
mod tests {
    use super::MUTANTS;

    #[test]
    fn the_documentation_lists_them() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/TESTING.md"));
        let text = text.expect("docs/TESTING.md");
        let listed =
            text.lines().filter(|line| line.starts_with("| `") && line.ends_with(" seeds |")).count();
        assert_eq!(listed, MUTANTS.len());
        for mutant in MUTANTS {
            let row = format!("| `{}` |", mutant.name);
            assert!(text.contains(&row), "{row}");
        }
    }
}
