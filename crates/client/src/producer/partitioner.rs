//! Which partition a record goes to: by its key (murmur2, as every Kafka client), or to one partition for a batch's
//! worth of bytes and then to another (KIP-794).

/// Kafka's murmur2 of 32 bits (`Utils.murmur2`).
pub(super) fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut h = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("CLIENT-20 four bytes")).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * at);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key among `count`.
pub(super) fn of_key(key: &[u8], count: usize) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % count as u32) as i32
}

/// The partition that records without a key go to for the time being.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    current: Option<i32>,
    bytes: usize,
}

impl Sticky {
    /// The current one; `next` chooses when there is none.
    pub(super) fn partition(&mut self, next: impl FnOnce() -> i32) -> i32 {
        *self.current.get_or_insert_with(next)
    }

    /// `bytes` went there; after a batch's worth, or with the end of a batch that has grown so far, it is another's turn.
    pub(super) fn took(&mut self, bytes: usize, batch_ended: bool, batch_size: usize) {
        self.bytes += bytes;
        // Going on until the batch ends keeps batches whole; twice the size ends the stay in any case.
        if (self.bytes >= batch_size && batch_ended) || self.bytes >= 2 * batch_size {
            self.leave();
        }
    }

    /// The next record goes elsewhere.
    pub(super) fn leave(&mut self) {
        (self.current, self.bytes) = (None, 0);
    }
}

/// Chooses among `available` partitions given as (number, batches that wait): the fewer wait, the likelier.
pub(super) fn choose(
    available: impl Iterator<Item = (i32, usize)> + Clone,
    adaptive: bool,
    random: u32,
) -> Option<i32> {
    let most = available.clone().map(|(_, waiting)| waiting).max()?;
    let weight = |waiting: usize| if adaptive { most + 1 - waiting } else { 1 };
    let total: usize = available.clone().map(|(_, waiting)| weight(waiting)).sum();
    let mut left = random as usize % total;
    for (partition, waiting) in available {
        match left.checked_sub(weight(waiting)) {
            Some(less) => left = less,
            None => return Some(partition),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        // The values of Kafka's own UtilsTest.
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn a_partition_keeps_its_turn_for_a_batch() {
        let mut sticky = Sticky::default();
        assert_eq!(sticky.partition(|| 4), 4);
        sticky.took(60, false, 100);
        assert_eq!(sticky.partition(|| 5), 4);
        sticky.took(60, true, 100);
        assert_eq!(sticky.partition(|| 5), 5);
    }

    #[test]
    fn busy_partitions_are_chosen_less_often() {
        let load = [(0, 0), (1, 3)];
        let chosen: Vec<i32> = (0..5).map(|n| choose(load.into_iter(), true, n).unwrap()).collect();
        assert_eq!(chosen, [0, 0, 0, 0, 1]);
        assert_eq!(choose(load.into_iter(), false, 1), Some(1));
        assert_eq!(choose([].into_iter(), true, 1), None);
    }
}
