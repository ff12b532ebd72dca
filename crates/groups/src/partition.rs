//! Which partition of `__consumer_offsets` a group lives on.

/// Java's `String.hashCode`: `31 * hash + unit` over the UTF-16 code units, wrapping at 32 bits.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of `group_id` among `partitions` (Kafka's `GroupCoordinatorService.partitionFor`).
///
/// The absolute value of `i32::MIN` counts as 0, as in Kafka's `Utils.abs`. `partitions` must be positive.
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "GROUPS-1 __consumer_offsets has no partitions");
    java_hash(group_id).checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_javas() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("a"), 97);
        assert_eq!(java_hash("my-group"), -1_906_497_762);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        // Outside of the basic plane Java hashes the two surrogates, not the code point.
        assert_eq!(java_hash("\u{1F600}"), 0xD83D_i32 * 31 + 0xDE00);
    }

    #[test]
    fn the_partition_is_never_negative() {
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("a", 50), 47);
        for i in 0..10_000 {
            let partition = partition_for(&format!("group-{i}"), 50);
            assert!((0..50).contains(&partition));
        }
    }
}
