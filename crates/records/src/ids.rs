//! Names for the numbers the record batch defines, and the values that mean "none".

/// Position of a record in a partition. Non-negative once assigned by a leader.
pub type Offset = i64;
/// Epoch of a partition leader (or of a raft leader); grows with every election.
pub type LeaderEpoch = i32;
/// Identity of an idempotent or transactional producer.
pub type ProducerId = i64;
/// Epoch of a producer id; a higher one fences the lower ones.
pub type ProducerEpoch = i16;
/// Number of a record within one producer id and partition; after `i32::MAX` comes 0.
pub type Sequence = i32;
/// Milliseconds since 1970-01-01 UTC.
pub type TimestampMs = i64;

/// The producer id of a batch that no idempotent producer wrote.
pub const NO_PRODUCER_ID: ProducerId = -1;
/// The producer epoch of a batch that no idempotent producer wrote.
pub const NO_PRODUCER_EPOCH: ProducerEpoch = -1;
/// The base sequence of a batch that no idempotent producer wrote, and of control batches.
pub const NO_SEQUENCE: Sequence = -1;
/// The leader epoch of a batch that no leader has taken in yet.
pub const NO_LEADER_EPOCH: LeaderEpoch = -1;
/// The timestamp of an empty batch, and of magic 0 messages.
pub const NO_TIMESTAMP: TimestampMs = -1;

/// The sequence `by` records after `sequence`, wrapping from `i32::MAX` to 0 (never to a negative number).
///
/// `by` must not be negative; a negative one (only possible with a corrupt batch) is taken as 0.
#[inline]
pub fn add_sequence(sequence: Sequence, by: i32) -> Sequence {
    let sum = i64::from(sequence) + i64::from(by.max(0));
    if sum > i64::from(i32::MAX) { (sum - i64::from(i32::MAX) - 1) as i32 } else { sum as i32 }
}

/// The sequence `by` records before `sequence`, wrapping from 0 to `i32::MAX`; the inverse of [`add_sequence`].
#[inline]
pub fn sub_sequence(sequence: Sequence, by: i32) -> Sequence {
    let difference = i64::from(sequence) - i64::from(by.max(0));
    if difference < 0 { (difference + i64::from(i32::MAX) + 1) as i32 } else { difference as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_past_the_largest_int_to_zero() {
        assert_eq!(add_sequence(i32::MAX, 0), i32::MAX);
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 2, 5), 2);
        assert_eq!(add_sequence(i32::MAX, i32::MAX), i32::MAX - 1);
        assert_eq!(sub_sequence(0, 1), i32::MAX);
        assert_eq!(sub_sequence(2, 5), i32::MAX - 2);
    }
}
