//! Where two logs part: the leader compares what a follower's log ends with to its own history of leader
//! epochs (KIP-595's rule, used by partitions since Fetch v12).

use ottla_records::ids::{LeaderEpoch, Offset};
use ottla_records::mutant;

/// The offset behind the last record of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The leader epoch.
    pub epoch: LeaderEpoch,
    /// The offset behind its last record.
    pub end_offset: Offset,
}

/// How a fetch stands to the leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// What the follower has is what the leader has: read on.
    Match,
    /// The logs differ before the fetch offset: the answer carries this as diverging epoch, no records, and the
    /// fetch does not count as progress.
    Diverging(EpochEnd),
    /// OFFSET_OUT_OF_RANGE: outside of the log, or of an epoch the leader never heard of.
    OutOfRange,
}

/// Compares a fetch at `fetch_offset` after a record of `last_fetched_epoch` (`None`: the fetcher did not say) to
/// a log from `log_start` to `log_end`. `end_of_epoch` answers the largest own epoch that is not above the one
/// asked for and the offset behind its last record, `None` where it has no later epoch to tell
/// (`ottla_log::Log::end_of_epoch` does).
pub fn compare_ends(
    fetch_offset: Offset,
    last_fetched_epoch: Option<LeaderEpoch>,
    log_start: Offset,
    log_end: Offset,
    end_of_epoch: impl Fn(LeaderEpoch) -> Option<(LeaderEpoch, Offset)>,
) -> Ends {
    if let Some(fetched) = last_fetched_epoch {
        let Some((epoch, end_offset)) = end_of_epoch(fetched).filter(|(epoch, end)| *epoch >= 0 && *end >= 0)
        else {
            return Ends::OutOfRange;
        };
        if fetch_offset < log_start {
            return Ends::OutOfRange;
        }
        if (epoch < fetched || end_offset < fetch_offset) && !mutant::is("divergence-unseen") {
            return Ends::Diverging(EpochEnd { epoch, end_offset });
        }
    }
    if (log_start..=log_end).contains(&fetch_offset) { Ends::Match } else { Ends::OutOfRange }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epoch 1 from 0, epoch 3 from 10, the log is 4..20.
    fn end_of(epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        match epoch {
            ..=-1 => None,
            0 => Some((0, 4)),
            1 | 2 => Some((1, 10)),
            3 => Some((3, 20)),
            _ => None,
        }
    }

    fn compare(offset: Offset, epoch: Option<LeaderEpoch>) -> Ends {
        compare_ends(offset, epoch, 4, 20, end_of)
    }

    #[test]
    fn a_fetch_that_continues_the_log_matches() {
        assert_eq!(compare(10, Some(1)), Ends::Match);
        assert_eq!(compare(20, Some(3)), Ends::Match);
        assert_eq!(compare(20, None), Ends::Match);
        assert_eq!(compare(4, Some(0)), Ends::Match);
    }

    #[test]
    fn a_longer_epoch_or_one_the_leader_has_not_diverges() {
        assert_eq!(compare(12, Some(1)), Ends::Diverging(EpochEnd { epoch: 1, end_offset: 10 }));
        assert_eq!(compare(9, Some(2)), Ends::Diverging(EpochEnd { epoch: 1, end_offset: 10 }));
        assert_eq!(compare(21, Some(3)), Ends::Diverging(EpochEnd { epoch: 3, end_offset: 20 }));
    }

    #[test]
    fn what_lies_outside_is_out_of_range() {
        assert_eq!(compare(3, Some(1)), Ends::OutOfRange);
        assert_eq!(compare(3, None), Ends::OutOfRange);
        assert_eq!(compare(21, None), Ends::OutOfRange);
        assert_eq!(compare(15, Some(4)), Ends::OutOfRange);
    }
}
