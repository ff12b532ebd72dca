//! Orders and forms of Java that show in what its tools print.

/// The order in which a Java `HashMap` of these keys, filled one after the other, is gone through.
pub(crate) fn hash_order<T>(items: Vec<T>, key: impl Fn(&T) -> &str) -> Vec<T> {
    in_buckets(items, 16, |item| string_hash(key(item)))
}

/// The same for keys of any class, by their `hashCode`.
pub(crate) fn hash_order_by<T>(items: Vec<T>, hash: impl Fn(&T) -> u32) -> Vec<T> {
    in_buckets(items, 16, hash)
}

/// The same for a map that was made for as many keys as it has.
pub(crate) fn sized_hash_order<T>(items: Vec<T>, key: impl Fn(&T) -> &str) -> Vec<T> {
    let capacity = items.len().next_power_of_two() as u32;
    in_buckets(items, capacity, |item| string_hash(key(item)))
}

fn in_buckets<T>(mut items: Vec<T>, mut capacity: u32, hash: impl Fn(&T) -> u32) -> Vec<T> {
    while items.len() as u32 * 4 > capacity * 3 {
        capacity *= 2;
    }
    // Within a bucket the order is that of the puts, and growing keeps it.
    items.sort_by_key(|item| {
        let hash = hash(item);
        (hash ^ (hash >> 16)) & (capacity - 1)
    });
    items
}

/// Java's `String.hashCode`.
pub(crate) fn string_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// A number as Java's `Double.toString` writes it, for the numbers that quotas have.
pub(crate) fn double(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

/// Java's `Integer.parseInt`, with its message.
pub(crate) fn int(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("For input string: \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_as_java_has_them() {
        let keys = vec![
            "cleanup.policy",
            "compression.type",
            "delete.retention.ms",
            "file.delete.delay.ms",
            "flush.messages",
            "flush.ms",
            "index.interval.bytes",
            "max.message.bytes",
            "min.insync.replicas",
            "preallocate",
            "retention.bytes",
            "retention.ms",
            "segment.bytes",
            "segment.ms",
        ];
        // What Java 17 prints for maps of all of them, and of the first five.
        assert_eq!(
            hash_order(keys.clone(), |key| key).join(" "),
            "compression.type file.delete.delay.ms max.message.bytes min.insync.replicas preallocate \
             index.interval.bytes delete.retention.ms retention.bytes cleanup.policy flush.ms retention.ms \
             segment.bytes segment.ms flush.messages"
        );
        assert_eq!(
            hash_order(keys[..5].to_vec(), |key| key).join(" "),
            "compression.type cleanup.policy file.delete.delay.ms delete.retention.ms flush.messages"
        );
    }

    #[test]
    fn a_map_made_to_measure_is_smaller() {
        let keys = vec!["producer_byte_rate", "consumer_byte_rate"];
        // What Java 17 prints for new HashMap(2) of them.
        assert_eq!(sized_hash_order(keys, |key| key), ["consumer_byte_rate", "producer_byte_rate"]);
    }

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        assert_eq!(double(1024.0), "1024.0");
        assert_eq!(double(1e7), "1.0E7");
        assert_eq!(double(1.5e-5), "1.5E-5");
        assert_eq!(double(12345678.9), "1.23456789E7");
    }
}
